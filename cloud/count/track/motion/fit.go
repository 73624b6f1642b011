package motion

import (
	"math"
	"math/rand/v2"
)

// pair is one corner in two pictures.
type pair struct{ from, to Point }

const (
	ransacRounds = 200
	inlierPixels = 1.5
)

// fit returns the similarity with the most inliers, and their number.
func fit(pairs []pair) (t Transform, inliers int) {
	if len(pairs) < 2 {
		return Identity, 0
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(pairs)))) // fixed seed, so the same footage gives the same count
	best, bestN := Identity, 0
	for range ransacRounds {
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
	for range 3 {
		in := make([]pair, 0, bestN)
		agreeing(best, pairs, &in)
		c, ok := leastSquares(in)
		if !ok {
			break
		}
		n := agreeing(c, pairs, nil)
		if n < bestN {
			break
		}
		best, bestN = c, n
	}
	return best, bestN
}

// agreeing counts the inliers of t, and appends them to into when it is not nil.
func agreeing(t Transform, pairs []pair, into *[]pair) int {
	n := 0
	for _, p := range pairs {
		q := t.Apply(p.from)
		if math.Hypot(q.X-p.to.X, q.Y-p.to.Y) > inlierPixels {
			continue
		}
		n++
		if into != nil {
			*into = append(*into, p)
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
	for _, p := range pairs {
		cf.X, cf.Y, ct.X, ct.Y = cf.X+p.from.X, cf.Y+p.from.Y, ct.X+p.to.X, ct.Y+p.to.Y
	}
	n := float64(len(pairs))
	cf, ct = Point{cf.X / n, cf.Y / n}, Point{ct.X / n, ct.Y / n}
	var a, b, s float64
	for _, p := range pairs {
		dx, dy := p.from.X-cf.X, p.from.Y-cf.Y
		ex, ey := p.to.X-ct.X, p.to.Y-ct.Y
		a, b, s = a+dx*ex+dy*ey, b+dx*ey-dy*ex, s+dx*dx+dy*dy
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
