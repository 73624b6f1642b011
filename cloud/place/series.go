package place

import (
	"math"
	"slices"
)

// series is a number over time, known at some moments.
type series struct {
	t, v []float64 // seconds in order, values
}

func (s *series) add(t, v float64) {
	if known(v) {
		s.t, s.v = append(s.t, t), append(s.v, v)
	}
}

// at interpolates between the moments around t; NaN when none is within lag seconds.
func (s *series) at(t, lag float64) float64 {
	n := len(s.t)
	if n == 0 || t < s.t[0]-lag || t > s.t[n-1]+lag {
		return math.NaN()
	}
	i, _ := slices.BinarySearch(s.t, t)
	switch {
	case i == 0:
		return s.v[0]
	case i == n:
		return s.v[n-1]
	}
	a, b := s.t[i-1], s.t[i]
	if b-a > 2*lag && t-a > lag && b-t > lag {
		return math.NaN() // a gap of the log
	}
	return s.v[i-1] + (s.v[i]-s.v[i-1])*(t-a)/max(b-a, 1e-9)
}

// between interpolates between the moments around t; NaN before the first and after the last.
func (s *series) between(t float64) float64 {
	if n := len(s.t); n == 0 || t < s.t[0] || t > s.t[n-1] {
		return math.NaN()
	}
	return s.at(t, math.Inf(1))
}

// during are the moments of a time. They share the memory of s.
func (s *series) during(from, to float64) series {
	i, _ := slices.BinarySearch(s.t, from)
	k, found := slices.BinarySearch(s.t, to)
	if found {
		k++
	}
	k = max(i, k)
	return series{t: s.t[i:k], v: s.v[i:k]}
}

// every are moments that are at least some seconds apart.
func (s *series) every(seconds float64) series {
	var out series
	for i, t := range s.t {
		if n := len(out.t); n == 0 || t-out.t[n-1] >= seconds {
			out.add(t, s.v[i])
		}
	}
	return out
}

// gap is the time between the moments around t, 0 before the first and after the last.
func (s *series) gap(t float64) float64 {
	i, _ := slices.BinarySearch(s.t, t)
	if i == 0 || i == len(s.t) {
		return 0
	}
	return s.t[i] - s.t[i-1]
}

// bend is the largest second difference of the moments near t.
func (s *series) bend(t float64) float64 {
	i, _ := slices.BinarySearch(s.t, t)
	most := 0.0
	for k := max(i-3, 1); k+1 < min(i+3, len(s.t)); k++ {
		most = max(most, math.Abs(s.v[k+1]-2*s.v[k]+s.v[k-1]))
	}
	return most
}
