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
// widen, and a weight that the clips say little about stays near what is plausible. Then the intervals are scaled to hold
// 95 % of the truths; the scale follows from clips that the weights were not fitted to (split conformal prediction, in
// five parts).
func Fit(all []Outcome) tally.Model {
	const parts = 5
	var ratios []float64 // by how much each interval must be scaled to hold the truth
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
			ratios = append(ratios, needed(m, o))
		}
	}
	m := descend(all)
	k := max(quantile(ratios, covered), least)
	return scaled(m, k)
}

func scaled(m tally.Model, k float64) tally.Model {
	m.Below *= k
	m.Above *= k
	return m
}

// needed is the scale at which the interval of a clip holds its truth.
func needed(m tally.Model, o Outcome) float64 {
	const finest, most, step = 0.05, 50, 1.02
	for k := finest; k < most; k *= step {
		if low, high := scaled(m, k).Interval(o.Features); low <= o.Truth && o.Truth <= high {
			return k
		}
	}
	return most
}

const (
	// mostEdge is the variance of an animal that is in the picture or not, equally likely.
	mostEdge = 0.25

	covered = 0.95 // share of the truths that the intervals must hold
	least   = 0.3  // no interval gets narrower than this share of what the score asks for
)

// plausible are the weights without any clips, in the order of tally.Names.
var plausible = [tally.Weights]float64{0.5, 0.3, 0.3, 0.5, 0.5, 1, 0.5, 0.5, 0.2, 2, 1, 1, 1}

// quantile is the value that a share of all values is below, between two of them in proportion.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 1
	}
	slices.Sort(values)
	at := share * float64(len(values)-1)
	i := min(int(at), len(values)-1)
	j := min(i+1, len(values)-1)
	return values[i] + (at-float64(i))*(values[j]-values[i])
}

// score is the mean interval score of relative errors, with a small price for weights that are not plausible.
func score(m tally.Model, all []Outcome) float64 {
	const alpha, price, skew = 0.05, 0.0005, 0.002
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
	for i, w := range m.Weights {
		sum += price * (w - plausible[i]) * (w - plausible[i])
	}
	ratio := math.Log(m.Below / m.Above)
	return sum + skew*ratio*ratio
}

// descend finds constants with a low score by small changes, with steps that get smaller.
func descend(all []Outcome) tally.Model {
	m := tally.Model{Below: 1, Above: 1, Share: math.Log(0.03), Each: 0.2, Doubt: 1, Edge: 0.2, Weights: plausible}
	best := score(m, all)
	mean := means(all)
	for step := 0.8; step > 0.01; {
		improved := false
		for _, next := range changes(m, step, mean) {
			if s := score(next, all); s < best-1e-9 {
				m, best, improved = next, s, true
			}
		}
		if !improved {
			step /= 2
		}
	}
	return m
}

// changes are the models one step away. A weight also changes together with the widths, so that a clip with usual
// features keeps its interval.
func changes(m tally.Model, step float64, mean [tally.Weights]float64) []tally.Model {
	var next []tally.Model
	for _, d := range [2]float64{step, -step} {
		below, above, share, each, doubt, edge := m, m, m, m, m, m
		below.Below *= math.Exp(d)
		above.Above *= math.Exp(d)
		share.Share += d
		each.Each = max(0, m.Each+d/5)
		doubt.Doubt = max(0, m.Doubt+d/2)
		edge.Edge = min(max(0, m.Edge+d/5), mostEdge)
		next = append(next, below, above, share, each, doubt, edge)
		for i := range m.Weights {
			alone := m
			alone.Weights[i] = max(0, m.Weights[i]+d)
			kept, moved := alone, alone.Weights[i]-m.Weights[i]
			kept.Share -= moved * mean[i]
			kept.Each *= math.Exp(-moved * mean[i])
			next = append(next, alone, kept)
		}
	}
	return next
}

// means are the means of the features.
func means(all []Outcome) [tally.Weights]float64 {
	var mean [tally.Weights]float64
	for _, o := range all {
		for i, v := range o.Features.Vector() {
			mean[i] += v / float64(len(all))
		}
	}
	return mean
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
	fmt.Fprintf(&b, "var fitted = Model{\n\tBelow: %.3f, Above: %.3f, Share: %.3f, Each: %.3f, Doubt: %.3f, Edge: %.3f,\n"+
		"\tWeights: [Weights]float64{\n", m.Below, m.Above, m.Share, m.Each, m.Doubt, m.Edge)
	for i, name := range tally.Names() {
		fmt.Fprintf(&b, "\t\t%.3f, // %s\n", m.Weights[i], name)
	}
	fmt.Fprintf(&b, "\t},\n}\n")
	return format.Source(b.Bytes())
}
