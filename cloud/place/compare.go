package place

import (
	"math"

	"cattlecounter/cloud/count/track/motion"
)

// pair are two views of the same ground: pixel p of a and q of b show one point.
type pair struct {
	a, b *view
	p, q motion.Point
	grow float64 // how many times larger the ground is in b than in a
}

// Shares of the picture that the ground moves by within a pair.
const (
	leastMove = 0.12
	mostMove  = 0.55
	mostPairs = 60
)

// pairsOf finds at most most pairs of views with much motion of the ground between them, spread over the flight.
func (v *viewer) pairsOf(most int) []pair {
	var out []pair
	n := len(v.views)
	stride := max(1, n/most)
	for i := 0; i < n; i += stride {
		a := &v.views[i]
		var best *view
		for k := i + 1; k < n && v.views[k].segment == a.segment && v.views[k].seconds-a.seconds < 12; k++ {
			b := &v.views[k]
			c := a.toGround.Then(b.toGround.Inverse()).Apply(motion.Point{X: a.mx, Y: a.my})
			move := math.Hypot(c.X-b.mx, c.Y-b.my) / b.width
			if move > mostMove {
				break
			}
			if move >= leastMove && !b.guessed {
				best = b
			}
		}
		if best == nil || a.guessed {
			continue
		}
		ga, gb := a.toGround.Apply(motion.Point{X: a.mx, Y: a.my}), best.toGround.Apply(motion.Point{X: best.mx, Y: best.my})
		m := motion.Point{X: (ga.X + gb.X) / 2, Y: (ga.Y + gb.Y) / 2}
		ia, ib := a.toGround.Inverse(), best.toGround.Inverse()
		out = append(out, pair{a, best, ia.Apply(m), ib.Apply(m), ib.ScaleAt(m) / ia.ScaleAt(m)})
	}
	return out
}

// compare corrects the unknowns by how the ground moved through the picture.
func (v *viewer) compare() {
	pairs := v.pairsOf(mostPairs)
	v.pairs = len(pairs)
	v.mean = unknown{}
	if len(pairs) == 0 {
		v.u, v.spread = solve(v.mean, v.mean, v.sigma, 1, func(*unknown) []observation { return nil })
		return
	}
	span := pairs[len(pairs)-1].b.seconds - pairs[0].a.seconds
	independent := min(float64(len(pairs)), 1+span/10)
	weight := independent / float64(len(pairs))
	observe := func(u *unknown) []observation {
		var all []observation
		for i := range pairs {
			all = append(all, v.observe(&pairs[i], u)...)
		}
		return all
	}
	if !v.path.gimbal {
		// A camera that leans shows the ground grow while the drone flies to where it looks.
		wide := v.sigma
		wide[pitch], wide[roll] = 0.45, 0.2
		v.u, v.spread = solve(v.mean, v.mean, wide, weight, observe)
		if lean := v.u[pitch]; math.Abs(lean) > max(3*math.Sqrt(v.spread[pitch][pitch]), 0.14) {
			v.leaning = true
			const part = 0.4 // of the lean that similarities of oblique pictures may hide
			v.spread[pitch][pitch] += part * part * lean * lean
			return
		}
	}
	v.u, v.spread = solve(v.mean, v.mean, v.sigma, weight, observe)
}

// observe compares the ground of a pair. The tracker's picture of an oblique ground is less exact.
func (v *viewer) observe(p *pair, u *unknown) []observation {
	e, n, grow, ok := v.gap(p, u)
	if !ok {
		return nil
	}
	flown := math.Hypot(p.b.at.e-p.a.at.e, p.b.at.n-p.a.at.n)
	tilt := math.Cos(p.a.pitch + u[pitch])
	part := 0.02 + 0.2*tilt*tilt
	// A turn about the vertical is no turn of a tilted picture, so a similarity is less exact then.
	const bent = 0.3
	turned := math.Abs(p.b.yaw - p.a.yaw)
	side := math.Hypot(math.Hypot(p.a.loose, p.b.loose), bent*tilt*turned) * v.away(p.a, u, p.p)
	sigma := math.Hypot(math.Hypot(1.5*v.path.jitter(), part*flown), math.Hypot(side, p.a.slack+p.b.slack))
	oe, on := observation{value: e, sigma: sigma}, observation{value: n, sigma: sigma}
	og := observation{value: grow, sigma: 0.04}
	for i := range u {
		moved := *u
		moved[i] += delta[i]
		e2, n2, g2, ok := v.gap(p, &moved)
		if !ok {
			return nil
		}
		oe.by[i], on.by[i], og.by[i] = (e2-e)/delta[i], (n2-n)/delta[i], (g2-grow)/delta[i]
	}
	if v.path.gimbal {
		return []observation{oe, on}
	}
	return []observation{oe, on, og}
}

// away is how many metres the ground of a pixel is from below the camera.
func (v *viewer) away(w *view, u *unknown, p motion.Point) float64 {
	e, n, _ := v.ground(w, u, p.X, p.Y)
	return math.Hypot(e-w.at.e, n-w.at.n)
}

// gap is how far the ground of a pair lies apart, in metres, and the logarithm of how much more it grew in the picture
// than it should.
func (v *viewer) gap(p *pair, u *unknown) (e, n, grow float64, ok bool) {
	e1, n1, ok1 := v.ground(p.a, u, p.p.X, p.p.Y)
	e2, n2, ok2 := v.ground(p.b, u, p.q.X, p.q.Y)
	sa, ok3 := v.pixel(p.a, u, p.p)
	sb, ok4 := v.pixel(p.b, u, p.q)
	return e2 - e1, n2 - n1, math.Log(sa/sb) - math.Log(p.grow), ok1 && ok2 && ok3 && ok4
}

// pixel is the size in metres of a pixel on the ground.
func (v *viewer) pixel(w *view, u *unknown, p motion.Point) (float64, bool) {
	const d = 4.0
	e0, n0, a := v.ground(w, u, p.X, p.Y)
	e1, n1, b := v.ground(w, u, p.X+d, p.Y)
	e2, n2, c := v.ground(w, u, p.X, p.Y+d)
	area := math.Abs((e1-e0)*(n2-n0) - (e2-e0)*(n1-n0))
	return math.Sqrt(area) / d, a && b && c && area > 0
}
