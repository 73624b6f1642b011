package place

import (
	"math"

	"cattlecounter/cloud/count/track/motion"
)

// sparse is the time in seconds between two positions of a log beyond which the pictures say how the drone flew in
// between.
const sparse = 0.4

// follow gives the views of a sparse log their places: those of the records plus the way over the ground since then,
// which the pictures show. It needs the camera's direction and height, so that pixels become metres.
func (v *viewer) follow() {
	p := v.path
	if p.gap < sparse {
		return
	}
	for i := range v.views {
		v.views[i].slack = swerve(&p.east, &p.north, v.views[i].seconds, p.jitter())
	}
	if v.compass == nil || !p.gimbal || v.scale != FromHeight {
		return
	}
	for from := 0; from < len(v.views); {
		var east, north series
		to := from
		for ; to < len(v.views); to++ {
			w := &v.views[to]
			if to == from {
				east.add(w.seconds, 0)
				north.add(w.seconds, 0)
				continue
			}
			e, n, ok := v.flight(&v.views[to-1], w)
			if !ok {
				break
			}
			east.add(w.seconds, east.v[to-from-1]+e)
			north.add(w.seconds, north.v[to-from-1]+n)
		}
		v.refine(v.views[from:to], &east, &north)
		from = to
	}
}

// flight is how many metres the camera flew from one view to the next, by a point of the ground between their middles.
func (v *viewer) flight(a, b *view) (e, n float64, ok bool) {
	if a.guessed || b.guessed || a.segment != b.segment || b.seconds-a.seconds > mostStep {
		return 0, 0, false
	}
	ga, gb := a.toGround.Apply(motion.Point{X: a.mx, Y: a.my}), b.toGround.Apply(motion.Point{X: b.mx, Y: b.my})
	m := motion.Point{X: (ga.X + gb.X) / 2, Y: (ga.Y + gb.Y) / 2}
	pa, pb := a.toGround.Inverse().Apply(m), b.toGround.Inverse().Apply(m)
	var none unknown
	ea, na, okA := v.ground(a, &none, pa.X, pa.Y)
	eb, nb, okB := v.ground(b, &none, pb.X, pb.Y)
	return ea - a.at.e - eb + b.at.e, na - a.at.n - nb + b.at.n, okA && okB
}

// refine moves views whose way is known to where the records around them say that way was.
func (v *viewer) refine(views []view, east, north *series) {
	from, to := east.t[0], east.t[len(east.t)-1]
	re, rn := v.path.east.during(from, to), v.path.north.during(from, to)
	var restE, restN series // the records against the way
	for i, t := range re.t {
		restE.add(t, re.v[i]-east.between(t))
		restN.add(t, rn.v[i]-north.between(t))
	}
	const least = 2 // records, between which the way is only stretched
	if len(restE.t) < least || len(restE.t) != len(restN.t) {
		return
	}
	for i := range views {
		w := &views[i]
		if !known(restE.at(w.seconds, lagPosition)) {
			continue
		}
		at := line(&restE, &restN, w.seconds, v.path.bandwidth)
		w.at.e, w.at.n = at.e+east.v[i], at.n+north.v[i]
		w.slack = swerve(&restE, &restN, w.seconds, v.path.jitter())
	}
}

// swerve is the usual error in metres of a line through the positions around t, beyond the jitter of one: from the
// largest second difference near it.
func swerve(east, north *series, t, jitter float64) float64 {
	const part = 0.36 // of a second difference, by the weights of line
	return part * max(0, math.Hypot(east.bend(t), north.bend(t))-2.5*jitter)
}
