package scene

import (
	"context"
	"io"
	"math"
	"runtime"
	"sync"

	"cattlecounter/cloud/count/video"
)

// view is what the camera shows at one moment.
type view struct {
	at   point   // of the ground picture, in the middle of the frame
	zoom float64 // pixels of the frame per pixel of the ground picture
	turn float64 // radians
}

// way is the view at a share 0..1 of the clip.
type way func(t float64) view

// sprite is an animal that is drawn onto the ground.
type sprite struct {
	look    *picture // opaque where the animal is; its length lies along x
	at      point    // middle, on the ground picture
	heading float64  // radians
	speed   float64  // pixels of the ground picture a second
	turning float64  // radians a second
	shadow  point    // offset of the shadow on the ground picture; zero for none
}

// over is a film of a camera over a ground picture with the animals that are on it.
type over struct {
	ground        *picture
	fixed         []point // animals that the picture itself shows
	herd          []*sprite
	way           way
	width, height int
	fps           float64
	frames        int
	space         float64 // least distance of two sprites that walk towards each other, in ground pixels
	wind          [4]float64

	next int
	seen map[int]bool // index in fixed, or -1-index in herd
}

// Info implements Film.
func (o *over) Info() video.Info {
	return video.Info{Width: o.width, Height: o.height, FPS: o.fps, Frames: o.frames, Codec: "raw", Container: "none"}
}

// Truth implements Film.
func (o *over) Truth() int { return len(o.seen) }

// Render implements Film.
func (o *over) Render(ctx context.Context, f *video.Frame) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if o.next >= o.frames {
		return io.EOF
	}
	if o.next > 0 {
		o.walk(1 / o.fps)
	}
	v := o.shaken(float64(o.next))
	f.Resize(o.width, o.height)
	o.draw(f, v)
	o.look(v)
	o.next++
	return nil
}

// shaken is the view of a frame with the small movements of a drone in the wind.
func (o *over) shaken(frame float64) view {
	v := o.way(frame / float64(max(o.frames-1, 1)))
	t := frame / o.fps
	const pixels, radians = 1.5, 0.004
	v.at.x += pixels * math.Sin(2.1*t+o.wind[0]) / v.zoom
	v.at.y += pixels * math.Sin(1.7*t+o.wind[1]) / v.zoom
	v.turn += radians * math.Sin(0.9*t+o.wind[2])
	v.zoom *= 1 + 0.003*math.Sin(0.7*t+o.wind[3])
	return v
}

// look records the animals whose middle is in view.
func (o *over) look(v view) {
	if o.seen == nil {
		o.seen = map[int]bool{}
	}
	sin, cos := math.Sincos(v.turn)
	visible := func(p point) bool {
		dx, dy := (p.x-v.at.x)*v.zoom, (p.y-v.at.y)*v.zoom
		x, y := dx*cos+dy*sin, dy*cos-dx*sin
		return math.Abs(x) < float64(o.width)/2 && math.Abs(y) < float64(o.height)/2
	}
	for i, p := range o.fixed {
		if visible(p) {
			o.seen[i] = true
		}
	}
	for i, s := range o.herd {
		if visible(s.at) {
			o.seen[-1-i] = true
		}
	}
}

// walk moves the animals. One that would come too near to another waits and turns.
func (o *over) walk(dt float64) {
	for _, s := range o.herd {
		if s.speed == 0 {
			continue
		}
		sin, cos := math.Sincos(s.heading)
		next := point{s.at.x + s.speed*dt*cos, s.at.y + s.speed*dt*sin}
		free := true
		for _, n := range o.herd {
			d := next.dist(n.at)
			free = free && (n == s || d >= o.space || d >= s.at.dist(n.at))
		}
		if !free {
			s.heading += 0.5 * dt
			continue
		}
		s.at = next
		s.heading += s.turning * dt
	}
}

// draw renders a frame in bands of rows.
func (o *over) draw(f *video.Frame, v view) {
	bands := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for k := range bands {
		from, to := f.Height*k/bands, f.Height*(k+1)/bands
		wg.Go(func() {
			o.drawGround(f, v, from, to)
			for _, s := range o.herd {
				if s.shadow != (point{}) {
					s.draw(f, v, from, to, true)
				}
			}
			for _, s := range o.herd {
				s.draw(f, v, from, to, false)
			}
		})
	}
	wg.Wait()
}

func (o *over) drawGround(f *video.Frame, v view, from, to int) {
	sin, cos := math.Sincos(v.turn)
	// A picture that is shown smaller is sampled at several places of each pixel.
	n := max(1, int(math.Ceil(1/v.zoom-0.25)))
	for y := from; y < to; y++ {
		for x := range f.Width {
			var b, g, r float64
			for k := range n * n {
				dx := (float64(x) + (float64(k%n)+0.5)/float64(n) - float64(f.Width)/2) / v.zoom
				dy := (float64(y) + (float64(k/n)+0.5)/float64(n) - float64(f.Height)/2) / v.zoom
				sb, sg, sr, _ := o.ground.sample(v.at.x+dx*cos-dy*sin, v.at.y+dx*sin+dy*cos)
				b, g, r = b+sb, g+sg, r+sr
			}
			p := f.Pix[(y*f.Width+x)*3:]
			m := float64(n * n)
			p[0], p[1], p[2] = byte(b/m+0.5), byte(g/m+0.5), byte(r/m+0.5)
		}
	}
}

// draw blends the animal, or its shadow, over the rows from..to of a frame.
func (s *sprite) draw(f *video.Frame, v view, from, to int, shadow bool) {
	at := s.at
	if shadow {
		at = point{at.x + s.shadow.x, at.y + s.shadow.y}
	}
	sinV, cosV := math.Sincos(v.turn)
	dx, dy := (at.x-v.at.x)*v.zoom, (at.y-v.at.y)*v.zoom
	cx, cy := dx*cosV+dy*sinV+float64(f.Width)/2, dy*cosV-dx*sinV+float64(f.Height)/2
	reach := math.Hypot(float64(s.look.w), float64(s.look.h)) / 2 * v.zoom
	sin, cos := math.Sincos(s.heading - v.turn)
	for y := max(from, int(cy-reach)); y < min(to, int(cy+reach)+1); y++ {
		for x := max(0, int(cx-reach)); x < min(f.Width, int(cx+reach)+1); x++ {
			px, py := (float64(x)+0.5-cx)/v.zoom, (float64(y)+0.5-cy)/v.zoom
			b, g, r, a := s.look.sample(px*cos+py*sin+float64(s.look.w)/2, py*cos-px*sin+float64(s.look.h)/2)
			if a == 0 {
				continue
			}
			p := f.Pix[(y*f.Width+x)*3:]
			if shadow {
				b, g, r, a = 0, 0, 0, 0.45*a
			}
			p[0] = byte(b + (1-a)*float64(p[0]) + 0.5)
			p[1] = byte(g + (1-a)*float64(p[1]) + 0.5)
			p[2] = byte(r + (1-a)*float64(p[2]) + 0.5)
		}
	}
}
