// Package synthetic renders a clip of a herd as filmed by a drone, with the exact truth about every frame. The pasture
// has texture, tracks, water and bushes; the animals have bodies, heads, legs, shadows and coats, and some walk; the
// camera drifts. The same configuration gives the same pixels on every machine of one processor family. It is pure Go.
// Package aerial has pictures with far more variety, to train detectors.
package synthetic

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic/grain"
)

// maxArea bounds the painted ground, in pixels.
const maxArea = 400e6

// Clip renders frame after frame. It belongs to one goroutine at a time.
type Clip struct {
	config Config
	rand   *rand.Rand
	field  *field
	herd   []*animal
	flight flight
	frame  int
	truth  Truth
}

// New creates the world of a clip. The error wraps ErrConfig.
func New(c Config) (*Clip, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(c.Seed, 0xCA77))
	clip := &Clip{config: c, rand: r, flight: flight{speed: c.Speed, scale: c.Scale, tilt: c.Tilt * math.Pi / 180, width: c.Width, height: c.Height}}
	for i := range clip.flight.phase {
		clip.flight.phase[i] = 2 * math.Pi * r.Float64()
	}
	from, to := clip.world()
	if area := (to.x - from.x) * (to.y - from.y) * c.Scale * c.Scale; area > maxArea {
		return nil, fmt.Errorf("the flight passes %.0f million pixels of ground, want at most %.0f; shorten the clip or lower speed or scale: %w", area/1e6, maxArea/1e6, ErrConfig)
	}
	clip.field = newField(r, from, to, c.Scale)
	clip.placeHerd(from, to)
	clip.truth = newTruth(c, clip.herd)
	return clip, nil
}

// world is the ground that the camera films, with a margin.
func (c *Clip) world() (from, to point) {
	b := emptyBounds()
	for t := 0.0; t <= c.config.Seconds; t += 0.25 {
		cam := c.flight.at(t)
		for _, x := range []float64{0, float64(c.config.Width)} {
			for _, y := range []float64{0, float64(c.config.Height)} {
				g := cam.ground(x, y, 0)
				b.add(g.x, g.y)
			}
		}
	}
	const margin = 4
	b.grow(margin)
	return point{b.x0, b.y0}, point{b.x1, b.y1}
}

// placeHerd places the herd on the field in loose groups, with space around each animal. A small field has fewer
// animals.
func (c *Clip) placeHerd(from, to point) {
	const tries = 200
	within := func() point {
		return point{grain.Mix(from.x, to.x, c.rand.Float64()), grain.Mix(from.y, to.y, c.rand.Float64())}
	}
	groups := make([]point, 1+c.config.Animals/12)
	for i := range groups {
		groups[i] = within()
	}
	for id := 1; id <= c.config.Animals; id++ {
		for range tries {
			p := within()
			if c.rand.Float64() < 0.75 {
				g := groups[c.rand.IntN(len(groups))]
				p = point{g.x + 7*c.rand.NormFloat64(), g.y + 7*c.rand.NormFloat64()}
			}
			free := p.x > from.x && p.x < to.x && p.y > from.y && p.y < to.y && c.field.canStand(p)
			free = free && !slices.ContainsFunc(c.herd, func(a *animal) bool { return a.at.dist(p) < personalSpace+0.3 })
			if free {
				c.herd = append(c.herd, newAnimal(c.rand, id, p, c.config.Moving))
				break
			}
		}
	}
}

// Frames is how many frames the clip has.
func (c *Clip) Frames() int { return max(1, int(math.Round(c.config.Seconds*c.config.FPS))) }

// Config is the configuration with its defaults filled in.
func (c *Clip) Config() Config { return c.config }

// Truth is the truth about the frames rendered so far.
func (c *Clip) Truth() Truth { return c.truth }

// Next renders the next frame into f, or returns io.EOF after the last one.
func (c *Clip) Next(ctx context.Context, f *video.Frame) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if c.frame >= c.Frames() {
		return io.EOF
	}
	now := float64(c.frame) / c.config.FPS
	if c.frame > 0 {
		for _, a := range c.herd {
			a.move(c.rand, now, 1/c.config.FPS, c.config.Moving, c.herd, c.field)
		}
	}
	cam := c.flight.at(now)
	f.Index, f.Time = c.frame, time.Duration(now*float64(time.Second))
	f.Resize(c.config.Width, c.config.Height)
	c.truth.add(c.frame, c.render(f, &cam))
	c.frame++
	return nil
}

// render draws the ground and then the animals from far to near, and returns the animals in view. It draws bands of
// rows in parallel.
func (c *Clip) render(f *video.Frame, cam *camera) []Sighting {
	herd := slices.Clone(c.herd)
	slices.SortStableFunc(herd, func(a, b *animal) int { return cmp.Compare(cam.depth(a.at), cam.depth(b.at)) })
	var poses []pose
	var boxes []bounds
	visible := []Sighting{}
	for _, a := range herd {
		p := a.pose()
		b := p.bounds(cam)
		reach := b
		reach.grow(3 * cam.scale) // the shadow of an animal outside may be in view
		if reach.x1 < 0 || reach.y1 < 0 || reach.x0 > float64(f.Width) || reach.y0 > float64(f.Height) {
			continue
		}
		poses, boxes = append(poses, p), append(boxes, b)
		if s, ok := sighting(a.id, b, f); ok {
			visible = append(visible, s)
		}
	}
	bands := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for k := range bands {
		rows := span{f.Height * k / bands, f.Height * (k + 1) / bands}
		wg.Go(func() {
			c.ground(f, cam, rows)
			for i := range poses {
				poses[i].shade(f, cam, rows)
			}
			for i := range poses {
				poses[i].draw(f, cam, boxes[i], rows)
			}
		})
	}
	wg.Wait()
	return visible
}

// ground fills a band with the field.
func (c *Clip) ground(f *video.Frame, cam *camera, rows span) {
	for y := rows.from; y < rows.to; y++ {
		for x := range f.Width {
			o := (y*f.Width + x) * 3
			c.field.sample(f.Pix[o:o+3:o+3], cam.ground(float64(x)+0.5, float64(y)+0.5, 0))
		}
	}
}
