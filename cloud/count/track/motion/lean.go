package motion

import "math"

// lean is how far the camera of a clip leans from straight down. Such a camera shortens the ground along the upright of
// the picture, so a turn is no rotation of the picture: a field that was long and narrow becomes short and wide. Only a
// turn shows the lean. All keyframes of a Registrar share one value. The zero value is a camera that looks straight down.
type lean struct {
	shortened float64 // by how much the upright is shortened, 0 to mostLean; 0.3 for a camera 45 degrees from the ground
	turned    float64 // sine of the turn that showed it, 0 before any
}

const (
	mostLean  = 0.5  // 60 degrees from straight down
	leanStep  = 0.05 // of the search
	leastTurn = 0.07 // radians that show a lean
	leanGain  = 1.15 // times the agreement without a lean
	leanLeast = 40   // pairs that must agree
	leanShare = 0.55 // share of the pairs that must agree
)

// straighten takes the picture to the view of a camera that looks straight down.
func straighten(shortened float64) Transform {
	long := 1 / (1 - shortened)
	return Transform{A: (1 + long) / 2, C: (1 - long) / 2}
}

// seenLeaning is the change of the picture of a leaning camera when that of a camera straight down changes by s.
func seenLeaning(s Transform, shortened float64) Transform {
	if shortened == 0 {
		return s
	}
	r := straighten(shortened)
	return r.Then(s).Then(r.Inverse())
}

// fit is like the function fit, for a leaning camera. pairs are in pixels of the pictures.
func (l *lean) fit(pairs []pair, guess Transform, rounds int) (Transform, int) {
	if l == nil || l.shortened == 0 {
		return fit(pairs, guess, rounds)
	}
	return fitLeaning(pairs, l.shortened, guess, rounds)
}

func fitLeaning(pairs []pair, shortened float64, guess Transform, rounds int) (Transform, int) {
	r := straighten(shortened)
	s := r.Inverse().Then(guess).Then(r)
	// Only the turn, zoom and shift of the guess take part.
	s.C, s.D, s.PX, s.PY = 0, 0, 0, 0
	t, n := fit(straightened(pairs, r), s, rounds)
	return r.Then(t).Then(r.Inverse()), n
}

// learn looks for a lean that explains the pairs of a turn clearly better than t, with which n of them agree. It returns
// the better transform, and how many pairs agree with it.
func (l *lean) learn(pairs []pair, t Transform, n int) (Transform, int) {
	const rounds, surer = 60, 0.02
	turn := math.Abs(math.Sin(math.Atan2(t.B, t.A)))
	if l == nil || len(pairs) < manyPairs || turn < leastTurn {
		return t, n
	}
	unknown := l.turned == 0 || 2*n < len(pairs) // or the camera leans otherwise now
	if !unknown && turn < l.turned+surer {
		return t, n
	}
	best, bestT, most := l.shortened, t, closeness(pairs, t)
	if unknown {
		most *= leanGain
	}
	try := func(shortened float64) {
		shortened = min(mostLean, max(0, shortened))
		c, _ := fitLeaning(pairs, shortened, t, rounds)
		if v := closeness(pairs, c); v > most {
			best, bestT, most = shortened, c, v
		}
	}
	if unknown {
		for s := 0.0; s <= mostLean; s += leanStep {
			try(s)
		}
		if best == l.shortened {
			return t, n
		}
	}
	for step := leanStep; step > leanStep/8; step /= 2 {
		at := best
		try(at - step)
		try(at + step)
	}
	in := agreeing(bestT, pairs, nil)
	if in < leanLeast || float64(in) < leanShare*float64(len(pairs)) || best > mostLean-leanStep {
		return t, n // the parallax of a sideways flight seems to turn the picture, too
	}
	l.shortened, l.turned = best, turn
	return bestT, in
}

// closeness is the sum over the pairs of 1 for a perfect agreement with t down to 0 at the slack of the pair.
func closeness(pairs []pair, t Transform) float64 {
	sum := 0.0
	for _, p := range pairs {
		q := t.Apply(p.from)
		dx, dy := q.X-p.to.X, q.Y-p.to.Y
		sum += max(0, 1-(dx*dx+dy*dy)/(p.slack*p.slack))
	}
	return sum
}

// leastSquares is like the function leastSquares, for a leaning camera.
func (l *lean) leastSquares(pairs []pair) (Transform, bool) {
	if l == nil || l.shortened == 0 {
		return leastSquares(pairs)
	}
	r := straighten(l.shortened)
	t, ok := leastSquares(straightened(pairs, r))
	return r.Then(t).Then(r.Inverse()), ok
}

func straightened(pairs []pair, r Transform) []pair {
	out := make([]pair, len(pairs))
	for i, p := range pairs {
		out[i] = pair{r.Apply(p.from), r.Apply(p.to), p.slack}
	}
	return out
}
