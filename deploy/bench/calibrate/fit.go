package calibrate

import (
	"bytes"
	"cmp"
	"fmt"
	"go/format"
	"math"
	"slices"
	"strings"

	"cattlecounter/cloud/count/tally"
)

// Fit chooses the constants of the interval by the errors of clips.
//
// The weights minimise the interval score (Gneiting and Raftery, "Strictly Proper Scoring Rules", 2007, section 6.2) of
// the relative errors: it rewards narrow intervals and punishes each truth outside by its distance. Features can only
// widen, and a weight that the clips say little about stays near what is plausible. Then the intervals are scaled to hold
// the truths of about 95 % of the clips; the scale follows from clips of scenes that the weights were not fitted to (split conformal
// prediction, in five parts).
//
// whole are all clips of the bench, of which all are the part to fit to. A kind with few clips in that part has as much weight
// as its share of the whole, so that the intervals hold for the mixture of kinds. The errors of the other clips are not
// looked at.
func Fit(all, whole []Outcome) tally.Model {
	const parts = 5
	all = weighted(all, whole)
	var ratios []share // by how much each interval must be scaled to hold the truth
	for k := range parts {
		var fit, rest []Outcome
		scenes := map[string]int{}
		for _, o := range all {
			s := sceneOf(o.Clip)
			if _, ok := scenes[s]; !ok {
				scenes[s] = len(scenes)
			}
			if scenes[s]%parts == k {
				rest = append(rest, o)
			} else {
				fit = append(fit, o)
			}
		}
		m := descend(fit)
		for _, o := range rest {
			ratios = append(ratios, share{needed(m, o), o.weight})
		}
	}
	m := descend(all)
	k := max(quantile(ratios, covered), least)
	return scaled(m, k)
}

// sceneOf names the still, the ground or the simulation of a clip.
func sceneOf(clip string) string {
	parts := strings.SplitN(clip, "/", 4)
	at := 1
	if parts[0] == "composed" { // its number comes first
		at = 2
	}
	if at >= len(parts) {
		return clip
	}
	return parts[at]
}

// weighted returns the clips to fit to with their weights, whose mean is 1.
func weighted(all, whole []Outcome) []Outcome {
	const most = 4 // so that one clip does not decide
	of, in := map[string]float64{}, map[string]float64{}
	for _, o := range all {
		of[o.Kind]++
	}
	for _, o := range whole {
		in[o.Kind]++
	}
	out, sum := slices.Clone(all), 0.0
	for i, o := range out {
		out[i].weight = min(max(in[o.Kind], of[o.Kind])/of[o.Kind], most)
		sum += out[i].weight
	}
	for i := range out {
		out[i].weight *= float64(len(out)) / sum
	}
	return out
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

	// covered is the share of the truths that the intervals of the inner split must hold. Its constants follow from fewer clips
	// and are worse: with 93 % there, 95 % of the truths of each half lie in the intervals fitted to the other one.
	covered = 0.93
	least   = 0.3 // no interval gets narrower than this share of what the score asks for
)

// plausible are the weights without any clips, in the order of tally.Names.
var plausible = [tally.Weights]float64{0.5, 0.3, 0.3, 0.5, 0.5, 1, 3.5, 0.5, 0.2, 2, 1, 1, 1}

// share is a value with its weight.
type share struct{ value, weight float64 }

// quantile is the value that a part of the whole weight is below, between two of them in proportion. The weights are above 0,
// and the place of a value is in the middle of its weight.
func quantile(values []share, part float64) float64 {
	if len(values) == 0 {
		return 1
	}
	slices.SortFunc(values, func(a, b share) int { return cmp.Compare(a.value, b.value) })
	total := 0.0
	for _, v := range values {
		total += v.weight
	}
	left := part*total - values[0].weight/2 // from the place of the value before
	if left <= 0 {
		return values[0].value
	}
	for i, v := range values[1:] {
		before := values[i]
		gap := (before.weight + v.weight) / 2
		if left <= gap {
			return before.value + left/gap*(v.value-before.value)
		}
		left -= gap
	}
	return values[len(values)-1].value
}

// score is the mean interval score of relative errors, with a small price for weights that are not plausible.
func score(m tally.Model, all []Outcome) float64 {
	const alpha, price, skew = 0.05, 0.0005, 0.002
	sum, total := 0.0, 0.0
	for _, o := range all {
		b, a := m.Halves(o.Features)
		e := float64(o.Truth - o.Count)
		cost := b + a + 2/alpha*(max(0, -e-b)+max(0, e-a))
		// A clip that went completely wrong must not decide everything.
		const most = 3.0
		sum += o.weight * min(cost/float64(max(o.Truth, 1)), most)
		total += o.weight
	}
	sum /= max(total, 1)
	for i, w := range m.Weights {
		sum += price * (w - plausible[i]) * (w - plausible[i])
	}
	ratio := math.Log(m.Below / m.Above)
	return sum + skew*ratio*ratio
}

// descend finds constants with a low score from two starts: the plausible weights, and none.
func descend(all []Outcome) tally.Model {
	m := tally.Model{Below: 1, Above: 1, Share: math.Log(0.03), Each: 0.2, Doubt: 1, Edge: 0.1, Base: 0.1, Weights: plausible}
	plain := m
	plain.Weights, plain.Share = [tally.Weights]float64{}, math.Log(0.08)
	mean := means(all)
	a, b := descendFrom(m, all, mean), descendFrom(plain, all, mean)
	if score(b, all) < score(a, all) {
		return b
	}
	return a
}

// descendFrom lowers the score of a model by small changes, with steps that get smaller.
func descendFrom(m tally.Model, all []Outcome, mean [tally.Weights]float64) tally.Model {
	best := score(m, all)
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
		below, above, share, each, doubt, edge, base := m, m, m, m, m, m, m
		below.Below *= math.Exp(d)
		above.Above *= math.Exp(d)
		share.Share += d
		each.Each = max(0, m.Each+d/5)
		doubt.Doubt = max(0, m.Doubt+d/2)
		edge.Edge = min(max(0, m.Edge+d/5), mostEdge)
		base.Base = max(0, m.Base+d/5)
		next = append(next, below, above, share, each, doubt, edge, base)
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

// Crossed returns the outcomes with intervals by constants that were fitted to the other half of the clips, so that no
// constant has seen the scene that it is judged by.
func Crossed(all []Outcome) []Outcome {
	var halves [2][]Outcome
	for _, o := range all {
		if o.Check {
			halves[1] = append(halves[1], o)
		} else {
			halves[0] = append(halves[0], o)
		}
	}
	var out []Outcome
	for i, half := range halves {
		out = append(out, applied(Fit(within(halves[1-i]), within(all)), half)...)
	}
	return out
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
	fmt.Fprintf(&b, "var fitted = Model{\n\tBelow: %.3f, Above: %.3f, Share: %.3f, Each: %.3f, Doubt: %.3f, Edge: %.3f, Base: %.3f,\n"+
		"\tWeights: [Weights]float64{\n", m.Below, m.Above, m.Share, m.Each, m.Doubt, m.Edge, m.Base)
	for i, name := range tally.Names() {
		fmt.Fprintf(&b, "\t\t%.3f, // %s\n", m.Weights[i], name)
	}
	fmt.Fprintf(&b, "\t},\n}\n")
	return format.Source(b.Bytes())
}
