package motion

import "math"

const (
	manyPairs    = 60  // below which a homography explains anything
	looseSlack   = 6   // pixels by which a pair may miss the similarity and still take part in the first homography
	clearGain    = 1.3 // a homography must have so many times the inliers
	mostTapering = 0.5 // the largest change of zoom over the picture, as a share
)

// oblique tries whether the pairs are the view of a tilted camera, in which near ground moves faster than far ground: a
// homography that many more pairs agree with than with the similarity t. It returns the pairs that agree, or nil when
// the similarity explains them as well.
func oblique(t Transform, inliers int, pairs []pair, w, h float64) []pair {
	if len(pairs) < manyPairs {
		return nil
	}
	var in []pair
	for _, p := range pairs {
		wide := p
		wide.slack *= looseSlack
		if wide.agrees(t) {
			in = append(in, p)
		}
	}
	best := 0
	var kept []pair
	for range 6 {
		m, ok := leastSquaresHomography(in, w, h)
		if !ok {
			return nil
		}
		next := make([]pair, 0, len(pairs))
		n := agreeing(m, pairs, &next)
		if n <= best {
			break
		}
		best, kept, in = n, next, next
	}
	if float64(best) < clearGain*float64(inliers) || best < len(pairs)/2 {
		return nil
	}
	return kept
}

// leastSquaresHomography returns the homography with the smallest squared algebraic error (Hartley and Zisserman,
// "Multiple View Geometry", 4.1), and false for one that no drone's camera sees.
func leastSquaresHomography(pairs []pair, w, h float64) (Transform, bool) {
	const unknown = 8
	if len(pairs) < unknown {
		return Transform{}, false
	}
	// Coordinates of about -1 to 1 keep the equations well conditioned.
	unit := Transform{A: 2 / w, TX: -1, TY: -h / w}
	var a [unknown][unknown + 1]float64
	add := func(row [unknown]float64, b, weight float64) {
		for i, x := range row {
			for j, y := range row {
				a[i][j] += weight * x * y
			}
			a[i][unknown] += weight * x * b
		}
	}
	for _, p := range pairs {
		f, t := unit.Apply(p.from), unit.Apply(p.to)
		add([unknown]float64{f.X, f.Y, 1, 0, 0, 0, -f.X * t.X, -f.Y * t.X}, t.X, p.weight())
		add([unknown]float64{0, 0, 0, f.X, f.Y, 1, -f.X * t.Y, -f.Y * t.Y}, t.Y, p.weight())
	}
	v, ok := solveEquations(a)
	if !ok {
		return Transform{}, false
	}
	m := matrix{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], 1}
	if math.Abs(v[6])+math.Abs(v[7]) > mostTapering || m.det() < 0.1 {
		return Transform{}, false
	}
	return unit.Then(m.transform()).Then(unit.Inverse()), true
}

// solveEquations solves eight linear equations by elimination with pivots.
func solveEquations(a [8][9]float64) (x [8]float64, ok bool) {
	const n = len(x)
	for c := range n {
		pivot := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[pivot][c]) {
				pivot = r
			}
		}
		a[c], a[pivot] = a[pivot], a[c]
		if math.Abs(a[c][c]) < 1e-9 {
			return x, false
		}
		for r := range n {
			if f := a[r][c] / a[c][c]; r != c && f != 0 {
				for k := c; k <= n; k++ {
					a[r][k] -= f * a[c][k]
				}
			}
		}
	}
	for i := range x {
		x[i] = a[i][n] / a[i][i]
	}
	return x, true
}
