package synthetic

import (
	"math"

	"cattlecounter/cloud/synthetic/grain"
)

// flight is the way of the drone: a plan, with slow changes of place, heading and height by wind and operator, and the
// small remaining shake of a gimbal.
type flight struct {
	c     Config
	phase [8]float64
}

// plan is the place, heading and scale at a moment without wind.
type plan struct {
	at      point
	heading float64
	scale   float64
}

// planAt is the plan of the flight t seconds from the start.
func (f *flight) planAt(t float64) plan {
	c, v, end := &f.c, f.c.Speed, f.c.Seconds
	p := plan{at: point{v * t, 0}, scale: c.Scale}
	turn := c.Turn * math.Pi / 180
	switch c.Camera {
	case Hover:
		p.at = point{}
	case Back:
		// The drone slows down for a second before the middle, and flies back faster after it.
		p.at.x = v * (end/2 - math.Sqrt((t-end/2)*(t-end/2)+0.25))
	case Serpentine:
		p.at = f.rowsAt(v * t)
	case Turn:
		// A stop of up to two seconds in the middle, with the turn.
		stop := min(2, end/3)
		from := (end - stop) / 2
		p.heading = turn * grain.Ramp(from, from+stop, t)
		p.at = point{v * min(t, from), 0}.along(turn, v*max(t-from-stop, 0))
	case Yaw:
		p.heading = turn * (grain.Ramp(end*0.35, end*0.35+0.5, t) - grain.Ramp(end*0.7, end*0.7+0.5, t))
	case Recorded:
		p.at, p.heading = c.Tracks.recordedAt(t)
	case Zoom:
		p.scale = c.Scale * math.Pow(c.Zoom, math.Sin(math.Pi*t/end)*math.Sin(math.Pi*t/end))
	}
	return p
}

// rowsAt is the place after some metres of a serpentine. Its rows are side by side with an overlap of a quarter of the
// picture. The drone keeps its heading.
func (f *flight) rowsAt(metres float64) point {
	wide, high := float64(f.c.Width)/f.c.Scale, float64(f.c.Height)/f.c.Scale
	step := 0.75 * high
	// Two rows, or more of at most eight pictures each.
	total := f.c.Speed * f.c.Seconds
	long := min(8*wide, max((total-step)/2, 0))
	if long == 0 {
		return point{metres, 0}
	}
	row := math.Floor(metres / (long + step))
	rest := metres - row*(long+step)
	p := point{min(rest, long), row*step + max(rest-long, 0)}
	if int(row)%2 == 1 {
		p.x = long - p.x
	}
	return p
}

// at is the view t seconds from the start.
func (f *flight) at(t float64) camera {
	p := f.planAt(t)
	wave := func(i int, period float64) float64 { return math.Sin(2*math.Pi*t/period + f.phase[i]) }
	c := camera{at: p.at, heading: p.heading, scale: p.scale, tilt: f.c.Tilt * math.Pi / 180, height: math.Inf(1),
		width: f.c.Width, rows: f.c.Height}
	if w := f.c.Wind; w > 0 && f.c.Camera != Steady {
		c.at.x += w * 0.4 * wave(0, 7)
		c.at.y += w * (1.5*wave(1, 11) + 0.02*wave(2, 0.31))
		c.heading += w * 0.05 * wave(3, 13)
		c.scale *= math.Pow(1.03, w*wave(4, 9))
	}
	if f.c.Camera == Gust {
		gust := f.c.Wind * (0.5 + 0.5*wave(5, 3.7))
		c.at.x += gust * (0.25*wave(6, 0.9) + 0.1*wave(7, 0.37))
		c.at.y += gust * (0.25*wave(7, 1.1) + 0.1*wave(6, 0.29))
		c.heading += gust * (0.04*wave(2, 0.8) + 0.015*wave(0, 0.33))
	}
	if f.c.Opening > 0 {
		c.height = float64(f.c.Width) / 2 / math.Tan(f.c.Opening*math.Pi/360) / c.scale
	}
	c.prepare()
	return c
}

// largest is the largest scale of the whole flight.
func (f *flight) largest() float64 {
	s := f.c.Scale
	if f.c.Camera == Zoom {
		s *= max(1, f.c.Zoom)
	}
	return s * math.Pow(1.03, f.c.Wind)
}

// flown is the ground that the camera films, with a margin in metres.
func (f *flight) flown(margin float64) bounds {
	b := emptyBounds()
	for t := 0.0; t <= f.c.Seconds; t += 0.25 {
		cam := f.at(t)
		b.join(cam.view(0))
	}
	b.grow(margin)
	return b
}
