package synthetic

import (
	"math"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic/grain"
)

// An animal is drawn as a stack of horizontal slices: each pixel shows the topmost slice on its line of sight. So body,
// legs and head have the right places and overlaps for every tilt.
const (
	sliceStep = 0.07 // metres
	headReach = 1.45 // metres from the middle to the muzzle
	legRadius = 0.085
	widest    = 0.65 // metres from the middle line to the cheek of a turned head
)

// pose is an animal prepared for drawing and measuring.
type pose struct {
	*animal
	sin, cos float64
	lift     float64
	stride   float64 // of the legs, metres
	head     [3]float64
	spheres  [5]sphere // neck, skull and, last, muzzle
	feet     [4]foot
}

type sphere struct{ u, v, z, r2 float64 }

// foot is the place of a foot under a straight leg, and how far the foot is ahead of it.
type foot struct{ u, v, swing float64 }

func (a *animal) pose() pose {
	p := pose{animal: a, lift: a.lift()}
	p.sin, p.cos = math.Sincos(a.heading)
	nod := 0.1 * (a.pattern.At(a.steps, a.until) - 0.5)
	switch a.gait {
	case walking:
		p.stride = 0.22
		p.head = [3]float64{1.15, nod, 1.25}
	case grazing:
		p.head = [3]float64{1.1, 4 * nod, 0.35}
	case lying:
		p.head = [3]float64{0.95, 5 * nod, 0.95}
	default:
		p.head = [3]float64{1.1, 3 * nod, 1.35}
	}
	// Neck and skull: spheres on the line from shoulder to head and beyond.
	for i, s := range [...]struct{ t, r float64 }{{0, 0.27}, {0.35, 0.22}, {0.7, 0.18}, {1, 0.17}, {1.22, 0.11}} {
		p.spheres[i] = sphere{grain.Mix(0.6, p.head[0], s.t), p.head[1] * s.t, grain.Mix(1.1+p.lift, p.head[2], min(s.t, 1)), s.r * s.r}
	}
	swing := p.stride * math.Sin(p.steps*5)
	for i := range p.feet {
		p.feet[i] = foot{0.58 - 1.16*float64(i/2), 0.21 - 0.42*float64(i%2), swing}
		if i == 1 || i == 2 { // legs move in diagonal pairs
			p.feet[i].swing = -swing
		}
	}
	return p
}

// local converts a point on the ground to the animal's frame: u along its back towards the head, v to its right, for an
// animal of size 1.
func (p *pose) local(g point) (u, v float64) {
	dx, dy := (g.x-p.at.x)/p.size, (g.y-p.at.y)/p.size
	return dx*p.cos + dy*p.sin, dy*p.cos - dx*p.sin
}

// Parts of an animal.
type part int

const (
	none part = iota
	trunk
	leg
	skull
	muzzle
)

// hit returns the part of the animal at (u, v) in the slice at height z.
func (p *pose) hit(u, v, z float64) part {
	if v < -widest || v > widest || u < -headReach || u > headReach {
		return none
	}
	body := z - p.lift
	if body > legHeight-0.12 && body < backHeight {
		// The trunk is widest half way up and rounded towards back and belly.
		k := (body - (legHeight+backHeight)/2 + 0.06) / (backHeight - legHeight + 0.12) * 2
		half2 := bodyWidth * bodyWidth / 4 * (1 - k*k*0.9)
		hu := u / (bodyLength / 2)
		if hu *= hu; hu*hu*hu+v*v/half2 < 1 { // flat ends, round sides
			return trunk
		}
	}
	for i := range p.spheres {
		o := &p.spheres[i]
		if du, dv, dz := u-o.u, v-o.v, z-o.z; du*du+dv*dv+dz*dz < o.r2 {
			if i == len(p.spheres)-1 {
				return muzzle
			}
			return skull
		}
	}
	if p.gait != lying && z < legHeight {
		for i := range p.feet {
			o := &p.feet[i]
			du, dv := u-o.u-o.swing*(1-z/legHeight), v-o.v
			if du*du+dv*dv < legRadius*legRadius {
				return leg
			}
		}
	}
	return none
}

// colour is the colour of the coat at a place of the surface, lit from above and from the side towards the sun.
func (p *pose) colour(what part, u, v, z float64) colour {
	main, patch := coatColours[p.coat][0], coatColours[p.coat][1]
	c := main
	n := p.pattern.Fractal(u*1.6+5, v*1.6+z*0.8, 2)
	switch {
	case what == muzzle:
		c = main.mix(colour{0.25, 0.18, 0.16}, 0.6)
	case p.coat == coatPied || p.coat == coatRedPied:
		c = main.mix(patch, grain.Ramp(p.spot-0.02, p.spot+0.02, n))
	default:
		c = main.mix(patch, n)
	}
	top := grain.Clamp((z-p.lift-0.5)/(backHeight-0.5), 0, 1)
	// v points to the animal's right. A side away from the sun is darker.
	side := (-p.sin*v*sunX + p.cos*v*sunY) / (bodyWidth / 2)
	light := 0.55 + 0.5*top - 0.22*grain.Clamp(side, -1, 1)
	if what == leg {
		light *= 0.75
	}
	return c.scale(light * (0.93 + 0.14*p.pattern.At(u*14, v*14)))
}

// shade darkens the ground in the shadow of the animal.
func (p *pose) shade(f *video.Frame, c *camera, rows span) {
	b := emptyBounds()
	for _, z := range []float64{0, (backHeight + 0.2) * p.size} {
		for _, u := range []float64{-headReach, headReach} {
			for _, v := range []float64{-headReach, headReach} {
				b.add(c.project(point{p.at.x + u*p.size + sunX*z, p.at.y + v*p.size + sunY*z}, 0))
			}
		}
	}
	b.each(f, rows, func(x, y int, pix []byte) {
		g := c.ground(float64(x)+0.5, float64(y)+0.5, 0)
		const slices = 5
		for i := range slices {
			z := 0.15 + float64(i)*(backHeight+p.lift-0.25)/(slices-1)
			u, v := p.local(point{g.x - sunX*z*p.size, g.y - sunY*z*p.size})
			if p.hit(u, v, z) != none {
				darken(pix, 0.52)
				return
			}
		}
	})
}

// draw paints the animal with four samples per pixel, which smooths its outline.
func (p *pose) draw(f *video.Frame, c *camera, b bounds, rows span) {
	b.grow(2)
	b.each(f, rows, func(x, y int, pix []byte) {
		var sum colour
		seen := 0
		for s := range 4 {
			px, py := float64(x)+0.25+0.5*float64(s%2), float64(y)+0.25+0.5*float64(s/2)
			if col, ok := p.sample(c, px, py); ok {
				sum = colour{sum.r + col.r, sum.g + col.g, sum.b + col.b}
				seen++
			}
		}
		if seen > 0 {
			sum.scale(1/float64(seen)).over(pix, float64(seen)/4)
		}
	})
}

// sample follows one line of sight from above to the ground.
func (p *pose) sample(c *camera, x, y float64) (colour, bool) {
	// The line of sight is straight, so the steps in the animal's frame are equal.
	const top = 1.6
	u, v := p.local(c.ground(x, y, top*p.size))
	u1, v1 := p.local(c.ground(x, y, (top-sliceStep)*p.size))
	du, dv := u1-u, v1-v
	for z := top; z > 0; z, u, v = z-sliceStep, u+du, v+dv {
		if what := p.hit(u, v, z); what != none {
			return p.colour(what, u, v, z), true
		}
	}
	return colour{}, false
}

// bounds is a box in pixels of the frame. It may reach beyond the frame.
type bounds struct{ x0, y0, x1, y1 float64 }

func emptyBounds() bounds { return bounds{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)} }

func (b *bounds) add(x, y float64) {
	b.x0, b.y0, b.x1, b.y1 = min(b.x0, x), min(b.y0, y), max(b.x1, x), max(b.y1, y)
}

func (b *bounds) grow(by float64) { b.x0, b.y0, b.x1, b.y1 = b.x0-by, b.y0-by, b.x1+by, b.y1+by }

// span is a band of rows of the frame, from inclusive, to exclusive.
type span struct{ from, to int }

// each visits the pixels of the band inside the bounds.
func (b bounds) each(f *video.Frame, rows span, visit func(x, y int, pix []byte)) {
	x0, x1 := max(0, int(math.Floor(b.x0))), min(f.Width, int(math.Ceil(b.x1)))
	y0, y1 := max(rows.from, int(math.Floor(b.y0))), min(rows.to, int(math.Ceil(b.y1)))
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			o := (y*f.Width + x) * 3
			visit(x, y, f.Pix[o:o+3:o+3])
		}
	}
}

// bounds is the projected outline of trunk, head and legs, without the shadow.
func (p *pose) bounds(c *camera) bounds {
	b := emptyBounds()
	add := func(u, v, z float64) {
		u, v, z = u*p.size, v*p.size, z*p.size
		b.add(c.project(point{p.at.x + u*p.cos - v*p.sin, p.at.y + u*p.sin + v*p.cos}, z))
	}
	const corners = 24
	for i := range corners {
		s, k := math.Sincos(2 * math.Pi * float64(i) / corners)
		// The superellipse of hit: |u|^6 + |v|^2 = 1.
		u := math.Copysign(math.Cbrt(math.Abs(k)), k) * bodyLength / 2
		add(u, s*bodyWidth/2, (legHeight+backHeight)/2-0.06+p.lift)
		add(u, s*bodyWidth/4, backHeight-0.08+p.lift)
		add(grain.Mix(0.6, p.head[0], 1.22)+0.11*k, p.head[1]*1.22+0.11*s, p.head[2])
		add(p.head[0]+0.17*k, p.head[1]+0.17*s, p.head[2])
	}
	if p.gait != lying {
		for _, u := range []float64{-0.58, 0.58} {
			for _, v := range []float64{-0.29, 0.29} {
				add(u, v, 0)
			}
		}
	}
	return b
}
