package motion

import (
	"math"
	"math/rand/v2"
)

// pair is one place in two pictures. slack is the distance in pixels up to which it agrees with a transform.
type pair struct {
	from, to Point
	slack    float64
}

func (p pair) weight() float64 { return 1 / (p.slack * p.slack) }

func (p pair) agrees(t Transform) bool {
	q := t.Apply(p.from)
	dx, dy := q.X-p.to.X, q.Y-p.to.Y
	return dx*dx+dy*dy <= p.slack*p.slack
}

const (
	ransacRounds = 200
	inlierPixels = 1.5
)

// fit returns the similarity with the most inliers, and their number. Where the camera is known to go nearly, guess
// takes part too.
func fit(pairs []pair, guess Transform, rounds int) (t Transform, inliers int) {
	if len(pairs) < 2 {
		return Identity, 0
	}
	rng := newRand(len(pairs))
	best, bestN := guess, agreeing(guess, pairs, nil)
	for range rounds {
		i := rng.IntN(len(pairs))
		j := rng.IntN(len(pairs) - 1)
		if j >= i {
			j++
		}
		c, ok := twoPoint(pairs[i], pairs[j])
		if !ok {
			continue
		}
		if n := agreeing(c, pairs, nil); n > bestN {
			best, bestN = c, n
		}
	}
	return refine(best, bestN, pairs, leastSquares)
}

// refine repeats the least-squares fit to the inliers. It gives up few inliers for it: a transform through two pairs is
// exact only there.
func refine(best Transform, bestN int, pairs []pair, solve func([]pair) (Transform, bool)) (Transform, int) {
	in := make([]pair, 0, len(pairs))
	for range 4 {
		in = in[:0]
		agreeing(best, pairs, &in)
		c, ok := solve(in)
		if !ok {
			break
		}
		n := agreeing(c, pairs, nil)
		if n < bestN-bestN/10 {
			break
		}
		done := n == bestN && worstMove(best, c) < 0.01
		best, bestN = c, n
		if done {
			break
		}
	}
	return best, bestN
}

// worstMove is how far two transforms differ in a part of the plane.
func worstMove(a, b Transform) float64 {
	worst := 0.0
	for _, p := range [...]Point{{}, {workSide, 0}, {0, workSide}} {
		q, r := a.Apply(p), b.Apply(p)
		worst = max(worst, math.Hypot(q.X-r.X, q.Y-r.Y))
	}
	return worst
}

// agreeing counts the inliers of t, and appends them to into when it is not nil.
func agreeing(t Transform, pairs []pair, into *[]pair) int {
	n := 0
	for i := range pairs {
		if !pairs[i].agrees(t) {
			continue
		}
		n++
		if into != nil {
			*into = append(*into, pairs[i])
		}
	}
	return n
}

// twoPoint returns the similarity through two pairs, and false for pairs that are too close.
func twoPoint(p, q pair) (Transform, bool) {
	const apart = 20.0
	dx, dy := q.from.X-p.from.X, q.from.Y-p.from.Y
	n := dx*dx + dy*dy
	if n < apart*apart {
		return Transform{}, false
	}
	ex, ey := q.to.X-p.to.X, q.to.Y-p.to.Y
	return plausible(anchored((dx*ex+dy*ey)/n, (dx*ey-dy*ex)/n, p.from, p.to))
}

// leastSquares returns the similarity with the smallest squared error, in closed form.
func leastSquares(pairs []pair) (Transform, bool) {
	if len(pairs) < 2 {
		return Transform{}, false
	}
	var cf, ct Point
	n := 0.0
	for _, p := range pairs {
		w := p.weight()
		cf.X, cf.Y, ct.X, ct.Y = cf.X+w*p.from.X, cf.Y+w*p.from.Y, ct.X+w*p.to.X, ct.Y+w*p.to.Y
		n += w
	}
	cf, ct = Point{cf.X / n, cf.Y / n}, Point{ct.X / n, ct.Y / n}
	var a, b, s float64
	for _, p := range pairs {
		w := p.weight()
		dx, dy := p.from.X-cf.X, p.from.Y-cf.Y
		ex, ey := p.to.X-ct.X, p.to.Y-ct.Y
		a, b, s = a+w*(dx*ex+dy*ey), b+w*(dx*ey-dy*ex), s+w*(dx*dx+dy*dy)
	}
	if s == 0 {
		return Transform{}, false
	}
	return plausible(anchored(a/s, b/s, cf, ct))
}

// anchored adds the shift to a rotation and zoom, so that the transform maps the point from to the point to.
func anchored(a, b float64, from, to Point) Transform {
	return Transform{A: a, B: b, TX: to.X - a*from.X + b*from.Y, TY: to.Y - b*from.X - a*from.Y}
}

// plausible returns false for a zoom by more than a factor of two; no drone zooms so far between frames.
func plausible(t Transform) (Transform, bool) {
	s := t.Scale()
	return t, s > 0.5 && s < 2
}

// newRand has a fixed seed, so that the same footage gives the same count.
func newRand(n int) *rand.Rand { return rand.New(rand.NewPCG(1, uint64(n))) }
