package tally

import "math"

// Weights is the number of features that scale an interval.
const Weights = 13

// Model are the constants of the interval. See Interval.
type Model struct {
	// Low and High are the natural logarithms of the half widths below and above the count, as a share of it, for a clip
	// in which every animal is seen well.
	Low, High float64
	// Weights say by how much each feature widens both, in the order of Names.
	Weights [Weights]float64
}

// Names are the features that scale the interval, in the order of Model.Weights.
func Names() [Weights]string {
	return [Weights]string{"small", "large", "spread", "crowded", "brief", "edge", "missed", "unsure", "merged", "walking",
		"lost", "guessed", "poor"}
}

func (f Features) vector() [Weights]float64 {
	return [Weights]float64{f.Small, f.Large, f.Spread, f.Crowded, f.Brief, f.Edge, f.Missed, f.Unsure, f.Merged,
		f.Walking, f.Lost, f.Guessed, f.Poor}
}

// Interval returns the 95 % interval of a count by the fitted model: low <= f.Animals <= high.
func (f Features) Interval() (low, high int) { return fitted.Interval(f) }

// Interval returns an interval around f.Animals that holds it.
func (m Model) Interval(f Features) (low, high int) {
	below, above := m.Halves(f)
	n := float64(f.Animals)
	return max(0, int(math.Ceil(n-below-rounding))), int(math.Floor(n + above + rounding))
}

const rounding = 1e-9

// Halves returns the half widths in animals, above 0 and below the largest possible value of a float.
//
// Below the count it is 2 * sqrt(Doubt + n * n * s * s / 4) + 0.5 for n animals, where s is the share exp(Low + weights *
// features) of errors that no track shows: animals that are never detected, that are hidden behind others, that were
// counted twice, and objects counted as animals. Above the count it is the same with High. The constants follow from the
// errors of the bench (make calibrate).
func (m Model) Halves(f Features) (below, above float64) {
	z := 0.0
	for i, v := range f.vector() {
		z += m.Weights[i] * v
	}
	const widest = 1.0 // share of the count
	n := float64(f.Animals)
	half := func(base float64) float64 {
		s := min(math.Exp(base+z), widest)
		return 2*math.Sqrt(f.Doubt+n*s*n*s/4) + 0.5
	}
	return half(m.Low), half(m.High)
}
