package synthetic

import (
	"math"
	"math/rand/v2"
)

// way is where an animal is at any time of the clip.
type way func(t float64) stance

// stance is the place and activity of an animal at one time.
type stance struct {
	at      point
	heading float64
	gait    gait
	steps   float64 // metres walked
}

// still stands at a place.
func still(at point, heading float64, g gait) way {
	return func(float64) stance { return stance{at: at, heading: heading, gait: g} }
}

// straight walks with a speed along a heading and is at a place at time when, with a slight sway.
func straight(at point, when, heading, speed, sway float64) way {
	return func(t float64) stance {
		d := speed * (t - when)
		p := at.along(heading, d)
		swing := 0.12 * math.Sin(d*0.7+sway)
		p = p.along(heading+math.Pi/2, swing)
		return stance{at: p, heading: heading + 0.1*math.Cos(d*0.7+sway), gait: walking, steps: d + 100}
	}
}

// outAndBack stands until start, walks out metres along a heading, turns round within two seconds after a pause, walks
// home metres back and stands again.
func outAndBack(at point, start, heading, speed, out, home, pause, side float64) way {
	const turning = 2.0
	there := start + out/speed
	back := there + pause + turning
	end := back + home/speed
	return func(t float64) stance {
		s := stance{gait: walking, heading: heading}
		d := speed * math.Min(math.Max(t-start, 0), out/speed)
		s.steps = d
		s.heading = turned(heading, side*math.Pi, (t-there-pause)/turning)
		if t > back {
			h := speed * math.Min(t-back, home/speed)
			d, s.steps = d-h, d+h
		}
		if t < start || t > end || t > there && t < there+pause {
			s.gait = standing
		}
		if t >= there+pause && t <= back {
			s.steps += 0.8 * (t - there - pause) // steps on the spot
		} else if t > back {
			s.steps += 0.8 * turning
		}
		s.at = at.along(heading, d)
		return s
	}
}

// instants are the times at which ways are compared: each half second, at most 120.
func (c *Clip) instants() []float64 {
	n := min(max(int(c.config.Seconds*2), 2), 120)
	if len(c.herd) > 400 {
		n = min(n, 12)
	}
	list := make([]float64, n)
	for i := range list {
		list[i] = c.config.Seconds * float64(i) / float64(n-1)
	}
	return list
}

// fits reports whether an animal can go its way: at no time its body touches another one, or a thing. Bodies keep room
// times their radii apart.
func (c *Clip) fits(a *animal, room float64) bool { return c.alone(a, room) && c.unblocked(a) }

// alone reports whether an animal touches no other one on its way.
func (c *Clip) alone(a *animal, room float64) bool {
	for _, t := range c.instants() {
		s := a.way(t)
		for _, o := range c.herd {
			if overlap(s, a.size, o.way(t), o.size, room) {
				return false
			}
		}
	}
	return true
}

// unblocked reports whether an animal touches no thing on its way.
func (c *Clip) unblocked(a *animal) bool {
	steps := min(len(c.instants()), 24)
	for i := range steps {
		s := a.way(c.config.Seconds * float64(i) / float64(steps))
		if c.world.terrain.Blocked(s.at.x, s.at.y, 0.9) {
			return false
		}
	}
	return true
}

// seen returns a random time of the clip, and a random place in the picture at that time. inner is the share of the
// picture around its middle.
func (c *Clip) seen(r *rand.Rand, inner float64) (float64, point) {
	t := c.config.Seconds * r.Float64()
	return t, c.inPicture(r, t, inner)
}

func (c *Clip) inPicture(r *rand.Rand, t, inner float64) point {
	cam := c.flight.at(t)
	x, y := 0.5+inner*(r.Float64()-0.5), 0.5+inner*(r.Float64()-0.5)
	return cam.ground(x*float64(cam.width), y*float64(cam.rows))
}

// tries is how often a place is sought for each animal.
const tries = 80

// placeOnWays places a herd whose animals have ways. find returns a way for an animal; it may be nil.
func (c *Clip) placeOnWays(room float64, find func(a *animal) way) {
	for id := 1; id <= c.config.Animals; id++ {
		a := c.book.animal(c.rand, id)
		for range tries {
			if a.way = find(a); a.way != nil && c.fits(a, room) {
				c.herd = append(c.herd, a)
				break
			}
		}
	}
}

func (c *Clip) placeOneway() {
	r := c.rand
	heading := math.Pi/2 + 0.5*(r.Float64()-0.5)
	if r.Float64() < 0.5 {
		heading += math.Pi
	}
	speed := 0.8 + 0.5*r.Float64()
	c.placeOnWays(1.15, func(*animal) way {
		t, p := c.seen(r, 1.2)
		return straight(p, t, heading, speed, 6*r.Float64())
	})
}

// placeFollow places a herd that walks with the camera: it stays in view.
func (c *Clip) placeFollow() {
	r := c.rand
	c.placeOnWays(1.15, func(*animal) way {
		return straight(c.inPicture(r, 0, 1.1), 0, 0, c.config.Speed, 6*r.Float64())
	})
}

// placeCrossing places pairs that walk in opposite directions and pass each other with a gap of some decimetres.
func (c *Clip) placeCrossing() {
	r := c.rand
	axis := 2 * math.Pi * r.Float64()
	for id := 1; id+1 <= c.config.Animals; id += 2 {
		a, b := c.book.animal(r, id), c.book.animal(r, id+1)
		for range tries {
			t, p := c.seen(r, 0.7)
			heading := axis + 0.2*(r.Float64()-0.5)
			gap := 0.42 * (a.size + b.size) * (1.05 + 0.4*r.Float64())
			a.way = straight(p, t, heading, 0.7+0.6*r.Float64(), 6*r.Float64())
			b.way = straight(p.along(heading+math.Pi/2, gap), t, heading+math.Pi, 0.7+0.6*r.Float64(), 6*r.Float64())
			if c.fits(a, 1.1) && c.fits(b, 1.1) && c.apart(a, b) {
				c.herd = append(c.herd, a, b)
				break
			}
		}
	}
}

// apart reports whether two animals never touch.
func (c *Clip) apart(a, b *animal) bool {
	for t := 0.0; t <= c.config.Seconds; t += 0.1 {
		if overlap(a.way(t), a.size, b.way(t), b.size, 0.95) {
			return false
		}
	}
	return true
}

// placeReturn places animals of which half leave the picture over its nearest edge and come back.
func (c *Clip) placeReturn() {
	r := c.rand
	cam := c.flight.at(0)
	wide, high := float64(cam.width), float64(cam.rows)
	c.placeOnWays(1.1, func(a *animal) way {
		if a.id%2 == 0 {
			_, p := c.seen(r, 1)
			return still(p, 2*math.Pi*r.Float64(), []gait{standing, grazing, lying}[r.IntN(3)])
		}
		inset := (1.6 + r.Float64()) * cam.scale
		edge := r.IntN(4)
		x, y := inset+(wide-2*inset)*r.Float64(), inset+(high-2*inset)*r.Float64()
		switch edge {
		case 0:
			x = wide - inset
		case 1:
			y = high - inset
		case 2:
			x = inset
		default:
			y = inset
		}
		out := inset/cam.scale + 2.2 + r.Float64()
		return outAndBack(cam.ground(x, y), c.config.Seconds*0.2*r.Float64(), cam.heading+float64(edge)*math.Pi/2,
			1+0.3*r.Float64(), out, out+1, r.Float64(), 1)
	})
}

// placeTight places groups whose bodies almost touch, with about the same heading.
func (c *Clip) placeTight() {
	r := c.rand
	type group struct {
		at                   point
		when, heading, speed float64
	}
	groups := make([]group, 1+c.config.Animals/30)
	for i := range groups {
		g := &groups[i]
		g.when, g.at = c.seen(r, 0.6)
		g.heading = 2 * math.Pi * r.Float64()
		if c.config.Moving >= 0.5 {
			g.speed = 0.5 + 0.5*r.Float64()
		}
	}
	c.placeOnWays(0.85, func(a *animal) way {
		g := groups[a.id%len(groups)]
		spread := 1.2 + 0.45*math.Sqrt(float64(len(c.herd)/len(groups)))*(0.6+0.9*r.Float64())
		p := point{g.at.x + spread*r.NormFloat64(), g.at.y + spread*r.NormFloat64()}
		if g.speed > 0 {
			return straight(p, g.when, g.heading, g.speed, float64(a.id))
		}
		return still(p, g.heading+0.35*r.NormFloat64(), []gait{standing, standing, grazing}[a.id%3])
	})
}
