// Package synthetic renders a clip of a herd as filmed by a drone, with the exact truth about every frame. The ground
// has texture at every scale, spots, things and a lane. The animals have bodies, coats and shadows, and walk. The camera
// flies as crews fly and drifts. The same configuration gives the same pixels on every machine of one processor family.
// It is pure Go. Package aerial has single pictures with more variety, to train detectors.
package synthetic

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic/cattle"
	"cattlecounter/cloud/synthetic/grain"
)

// Clip renders frame after frame. It belongs to one goroutine at a time.
type Clip struct {
	config Config
	rand   *rand.Rand
	world  *world
	book   herdbook
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
	clip := &Clip{config: c, rand: r, flight: flight{c: c}}
	for i := range clip.flight.phase {
		clip.flight.phase[i] = 2 * math.Pi * r.Float64()
	}
	clip.world = newWorld(c, r, clip.flight.largest())
	clip.book = herdbook{breed: cattle.Breed(r.IntN(2)), coat: c.Coat, young: c.Young}
	clip.placeHerd()
	for _, a := range clip.herd {
		if a.way != nil {
			a.follow(0)
		}
	}
	clip.truth = newTruth(c, clip.herd)
	return clip, nil
}

// placeHerd places the herd. Where there is no room, it has fewer animals.
func (c *Clip) placeHerd() {
	switch c.config.Herd {
	case Oneway:
		c.placeOneway()
	case Lane:
		c.placeLane()
	case Crossing:
		c.placeCrossing()
	case Follow:
		c.placeFollow()
	case Return:
		c.placeReturn()
	case Tight:
		c.placeTight()
	case Replay:
		c.placeTracks()
	default:
		c.placeLoose()
	}
}

// placeLoose places the herd on the flown ground in loose groups, with space around each animal.
func (c *Clip) placeLoose() {
	const tries = 200
	b := c.flight.flown(4)
	within := func() point {
		return point{grain.Mix(b.x0, b.x1, c.rand.Float64()), grain.Mix(b.y0, b.y1, c.rand.Float64())}
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
			free := b.holds(p) && !slices.ContainsFunc(c.herd, func(a *animal) bool { return a.at.dist(p) < personalSpace+0.3 })
			if free && !c.world.terrain.Blocked(p.x, p.y, clearance) {
				a := c.book.animal(c.rand, id)
				a.at = p
				c.chooseGait(a, 0)
				a.until *= c.rand.Float64()
				c.herd = append(c.herd, a)
				break
			}
		}
	}
}

// chooseGait chooses the next activity of an animal of a loose herd.
func (c *Clip) chooseGait(a *animal, now float64) {
	switch c.config.Herd {
	case Standing:
		a.chooseGait(c.rand, now, 0)
		a.speed = 0
	case Grazing:
		a.chooseGait(c.rand, now, 0)
		a.graze(c.rand)
	default:
		a.chooseGait(c.rand, now, c.config.Moving)
	}
}

// Frames is how many frames the clip has.
func (c *Clip) Frames() int { return max(1, int(math.Round(c.config.Seconds*c.config.FPS))) }

// Config is the configuration with its defaults filled in.
func (c *Clip) Config() Config { return c.config }

// Truth is the truth about the frames rendered so far. Later calls of Next do not change it.
func (c *Clip) Truth() Truth { return c.truth.clone() }

// Next renders the next frame into f, or returns io.EOF after the last one.
func (c *Clip) Next(ctx context.Context, f *video.Frame) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if c.frame >= c.Frames() {
		return io.EOF
	}
	now := float64(c.frame) / c.config.FPS
	cam := c.flight.at(now)
	if c.frame > 0 {
		c.moveHerd(&cam, now)
	}
	f.Index, f.Time = c.frame, time.Duration(now*float64(time.Second))
	f.Resize(c.config.Width, c.config.Height)
	c.truth.add(c.frame, now, &cam, c.herd, c.world.render(f, &cam, c.herd, c.frame, now))
	c.frame++
	return nil
}

// moveHerd advances the animals to a time. Animals of a loose herd that are far from the camera stand still.
func (c *Clip) moveHerd(cam *camera, now float64) {
	const near = 40 // metres
	view := cam.view(near)
	for _, a := range c.herd {
		switch {
		case a.way != nil:
			a.follow(now)
		case view.holds(a.at):
			a.move(c.rand, now, 1/c.config.FPS, c)
		}
	}
}

// follow puts an animal to its place on its way.
func (a *animal) follow(t float64) {
	s := a.way(t)
	a.at, a.heading, a.gait, a.steps = s.at, s.heading, s.gait, s.steps
}
