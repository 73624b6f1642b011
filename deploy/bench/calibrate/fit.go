package calibrate

import (
	"bytes"
	"fmt"
	"go/format"
	"math"
	"slices"

	"cattlecounter/cloud/count/tally"
)

// Fit chooses the constants of the interval by the errors of clips.
//
// The weights minimise the interval score (Gneiting and Raftery, "Strictly Proper Scoring Rules", 2007, section 6.2) of
// the relative errors: it rewards narrow intervals and punishes each truth outside by its distance. Features can only
// widen. Then both sides are scaled so that 2.5 % of the truths are below and 2.5 % above; the scale follows from clips
// that the weights were not fitted to (split conformal prediction, in five parts).
func Fit(all []Outcome) tally.Model {
	const parts = 5
	var below, above []float64 // by how much each side must be scaled to hold the truth
	for k := range parts {
		var fit, rest []Outcome
		for i, o := range all {
			if i%parts == k {
				rest = append(rest, o)
			} else {
				fit = append(fit, o)
			}
		}
		m := descend(fit)
		for _, o := range rest {
			b, a := m.Halves(o.Features)
			below = append(below, float64(o.Count-o.Truth)/b)
			above = append(above, float64(o.Truth-o.Count)/a)
		}
	}
	m := descend(all)
	m.Low += math.Log(max(quantile(below, side), least))
	m.High += math.Log(max(quantile(above, side), least))
	return m
}

const (
	side  = 0.975 // share of the truths that one side must hold
	least = 0.3   // no side gets narrower than this share of what the score asks for
)

// quantile is the smallest value that a share of all values does not exceed, with the correction for a finite sample.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 1
	}
	slices.Sort(values)
	i := int(math.Ceil(share*float64(len(values)+1))) - 1
	return values[min(max(i, 0), len(values)-1)]
}

// score is the mean interval score of relative errors, with a small price for weights.
func score(m tally.Model, all []Outcome) float64 {
	const alpha, price = 0.05, 0.0005
	sum := 0.0
	for _, o := range all {
		b, a := m.Halves(o.Features)
		e := float64(o.Truth - o.Count)
		cost := b + a + 2/alpha*(max(0, -e-b)+max(0, e-a))
		// A clip that went completely wrong must not decide everything.
		const most = 3.0
		sum += min(cost/float64(max(o.Truth, 1)), most)
	}
	sum /= float64(max(len(all), 1))
	for _, w := range m.Weights {
		sum += price * w * w
	}
	return sum
}

// descend finds constants with a low score by changing one at a time, with steps that get smaller.
func descend(all []Outcome) tally.Model {
	m := tally.Model{Low: math.Log(0.08), High: math.Log(0.08)}
	best := score(m, all)
	for step := 0.8; step > 0.01; {
		improved := false
		for i := range tally.Weights + 2 {
			for _, d := range [2]float64{step, -step} {
				next := m
				switch i {
				case 0:
					next.Low += d
				case 1:
					next.High += d
				default:
					next.Weights[i-2] = max(0, next.Weights[i-2]+d)
				}
				if s := score(next, all); s < best-1e-9 {
					m, best, improved = next, s, true
				}
			}
		}
		if !improved {
			step /= 2
		}
	}
	return m
}

// applied returns the outcomes with the intervals of a model.
func applied(m tally.Model, all []Outcome) []Outcome {
	out := slices.Clone(all)
	for i := range out {
		out[i].Low, out[i].High = m.Interval(out[i].Features)
	}
	return out
}

// source is the Go file of a model for package tally.
func source(m tally.Model) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "package tally\n\n// fitted are the constants of the interval. make calibrate ARGS=--write renews this file.\n")
	fmt.Fprintf(&b, "var fitted = Model{\n\tLow: %.3f, High: %.3f,\n\tWeights: [Weights]float64{\n", m.Low, m.High)
	for i, name := range tally.Names() {
		fmt.Fprintf(&b, "\t\t%.3f, // %s\n", m.Weights[i], name)
	}
	fmt.Fprintf(&b, "\t},\n}\n")
	return format.Source(b.Bytes())
}
