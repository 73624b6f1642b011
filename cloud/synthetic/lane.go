package synthetic

import "math"

// file is one of the lines side by side in which animals walk along a lane, all with one speed.
type file struct {
	y, heading, speed float64
	spans             [][2]float64 // on the x axis, of the animals that turn round in this file
}

// files returns the files of the lane: half of them in each direction and, when there is room, one in the middle for
// the animals that turn round.
func (c *Clip) files() (list []file, turners *file) {
	const wide = 1.2
	n := max(1, int((c.config.Lane-0.5)/wide))
	for i := range n {
		f := file{y: (float64(i) - float64(n-1)/2) * wide, speed: 0.8 + 0.5*c.rand.Float64()}
		if 2*i >= n || n == 1 && c.rand.Float64() < 0.5 {
			f.heading = math.Pi
		}
		list = append(list, f)
	}
	if n < 3 || c.config.Turning == 0 {
		return list, nil
	}
	turners = &list[n/2]
	rest := append([]file{}, list[:n/2]...)
	return append(rest, list[n/2+1:]...), turners
}

// placeLane places animals that walk both ways along a lane. Some of them turn round.
func (c *Clip) placeLane() {
	files, turners := c.files()
	r := c.rand
	c.placeOnWays(1.05, func(*animal) way {
		t, p := c.seen(r, 1.3)
		if turners != nil && r.Float64() < c.config.Turning {
			return c.turner(turners, t, p.x)
		}
		f := files[r.IntN(len(files))]
		return straight(point{p.x, f.y}, t, f.heading, f.speed, f.y)
	})
}

// turner walks to a place, where it is at some time, turns round there and walks back. Its part of the file is its own.
func (c *Clip) turner(f *file, t, x float64) way {
	const most = 8.0 // seconds of walking before and after
	r := c.rand
	heading, sign := 0.0, 1.0
	if r.Float64() < 0.5 {
		heading, sign = math.Pi, -1
	}
	start := t - math.Min(most, t)
	out := f.speed * (t - start)
	home := f.speed * math.Min(most, c.config.Seconds)
	span := [2]float64{x - sign*out, x}
	span = [2]float64{math.Min(math.Min(span[0], span[1]), x-sign*home), math.Max(math.Max(span[0], span[1]), x-sign*home)}
	const apart = 2.8
	for _, o := range f.spans {
		if span[0] < o[1]+apart && span[1] > o[0]-apart {
			return nil
		}
	}
	f.spans = append(f.spans, span)
	return outAndBack(point{x - sign*out, f.y}, start, heading, f.speed, out, home, 0.3*r.Float64(), 1)
}
