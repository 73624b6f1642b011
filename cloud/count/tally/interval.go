package tally

import "math"

// Weights is the number of features that scale an interval.
const Weights = 13

// Model are the constants of the interval. See Halves.
type Model struct {
	// Below and Above scale the half widths below and above the count.
	Below, Above float64
	// Share is the natural logarithm of twice the standard deviation, as a share of the count, of a clip in which every
	// animal is seen well.
	Share float64
	// Each is the standard deviation in animals that each animal adds by itself, in such a clip. These errors are
	// independent, so they grow with the root of the count.
	Each float64
	// Doubt scales Features.Doubt.
	Doubt float64
	// Edge is the variance in animals of an animal of which only a part was ever in the picture.
	Edge float64
	// Base is the variance in animals of every clip that shows some.
	Base float64
	// Weights say by how much each feature widens Share and Each, in the order of Names.
	Weights [Weights]float64
}

// Names are the features that scale the interval, in the order of Model.Weights.
func Names() [Weights]string {
	return [Weights]string{"small", "large", "spread", "crowded", "brief", "missed", "unsure", "merged", "walking",
		"guessed", "poor", "hasty", "faint"}
}

// Vector has the features that scale the interval, in the order of Names.
func (f Features) Vector() [Weights]float64 {
	return [Weights]float64{f.Small, f.Large, f.Spread, f.Crowded, f.Brief, f.Missed, f.Unsure, f.Merged, f.Walking,
		f.Guessed, f.Poor, f.Hasty, f.Faint}
}

// Interval returns the 95 % interval of a count by the fitted model: low <= f.Animals <= high.
func (f Features) Interval() (low, high int) { return fitted.Interval(f) }

// Interval returns an interval around f.Animals that holds it. When the way of the camera was lost, the pieces may show
// the same animals, so low is at most that of the largest piece.
func (m Model) Interval(f Features) (low, high int) {
	below, above := m.Halves(f)
	n := float64(f.Animals)
	return max(0, int(math.Ceil((n-below)*(1-f.Lost)-rounding))), int(math.Floor(n + above + rounding))
}

const rounding = 1e-9

// Halves returns the half widths in animals, above 0 and below the largest possible value of a float.
//
// Below the count it is Below * 2 * sqrt(v) with v = Base + Doubt * f.Doubt + Edge * n * f.Edge + n * (w * Each)^2 +
// (n * w * exp(Share) / 2)^2 for n animals, Base at most n, where w is exp(weights * features). The terms with Doubt and Edge are errors that
// tracks show. The last two are those that no track shows: animals that are never detected, that are hidden behind others, that
// were counted twice, and objects counted as animals. Some of them are independent, others befall a whole clip. Above the
// count it is the same with Above. The constants follow from the errors of the bench (make calibrate).
func (m Model) Halves(f Features) (below, above float64) {
	z := 0.0
	for i, v := range f.Vector() {
		z += m.Weights[i] * v
	}
	const widest = 1.0 // share of the count
	n, w := float64(f.Animals), math.Exp(z)
	common := n * min(w*math.Exp(m.Share), widest) / 2
	each := min(w*m.Each, widest)
	half := 2 * math.Sqrt(min(m.Base, n)+m.Doubt*f.Doubt+m.Edge*n*f.Edge+n*each*each+common*common)
	return m.Below * half, m.Above * half
}
