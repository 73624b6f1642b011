package calibrate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"cattlecounter/cloud/count/tally"
)

// drawn are clips whose errors depend on the size of the animals and on nothing else.
func drawn(n int, seed uint64) []Outcome {
	r := rand.New(rand.NewPCG(seed, 1))
	var all []Outcome
	for range n {
		truth := 40 + r.IntN(160)
		f := tally.Features{Small: r.Float64(), Walking: r.Float64(), Edge: 0.3 * r.Float64()}
		sd := 0.01 * math.Exp(2*f.Small)
		f.Animals = max(1, int(math.Round(float64(truth)*(1+sd*r.NormFloat64()))))
		all = append(all, Outcome{Clip: fmt.Sprint("drawn/", len(all)), Kind: "drawn", Truth: truth, Count: f.Animals, Features: f})
	}
	return all
}

func TestFitCoversWhatItHasNotSeen(t *testing.T) {
	fit := drawn(150, 1)
	m := Fit(fit, fit)
	checked := applied(m, drawn(600, 2))
	row := Rows(checked)[0]
	if row.Coverage < 0.92 || row.Coverage > 0.99 {
		t.Errorf("%.1f %% of the truths are covered, want about 95 %%", 100*row.Coverage)
	}
	width := func(f tally.Features) float64 {
		below, above := m.Halves(f)
		return (below + above) / 2
	}
	plain, small := width(tally.Features{Animals: 100}), width(tally.Features{Animals: 100, Small: 1})
	if plain > 5 || small < 2*plain {
		t.Errorf("half widths for 100 animals: %.1f seen well, %.1f small; want at most 5, and more than twice that", plain, small)
	}
}

func TestQuantile(t *testing.T) {
	var values []share
	for i := range 99 {
		values = append(values, share{float64(99 - i), 1})
	}
	for share, want := range map[float64]float64{0: 1, 0.5: 50, 0.25: 25.25, 1: 99} {
		if got := quantile(values, share); got != want {
			t.Errorf("quantile %v of 1 to 99: %v, want %v", share, got, want)
		}
	}
	heavy := []share{{1, 1}, {2, 1}, {3, 8}}
	if got := quantile(heavy, 0.5); got < 2.7 || got > 3 {
		t.Errorf("the middle of 1, 2 and eight times 3: %v", got)
	}
	if got := quantile(nil, 0.5); got != 1 {
		t.Errorf("of no values: %v, want 1", got)
	}
}

func TestSourceNamesTheWeights(t *testing.T) {
	m := tally.Model{Below: 1, Above: 2, Share: -3, Each: 0.5, Doubt: 0.8, Edge: 0.1, Base: 0.2}
	m.Weights[0] = 1.5
	got, err := source(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Below: 1.000, Above: 2.000, Share: -3.000, Each: 0.500, Doubt: 0.800, Edge: 0.100, Base: 0.200",
		"1.500, // small", "0.000, // poor"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the source lacks %q:\n%s", want, got)
		}
	}
}

func TestRareKindsHaveTheWeightOfTheBench(t *testing.T) {
	all := []Outcome{{Kind: "rare"}, {Kind: "frequent"}, {Kind: "frequent"}, {Kind: "only here"}}
	whole := append([]Outcome{{Kind: "rare"}, {Kind: "rare"}, {Kind: "elsewhere"}}, all...)
	got := weighted(all, whole)
	if got[0].weight != 3*got[1].weight || got[1].weight != got[3].weight {
		t.Errorf("weights %v, %v, %v; want 3 to 1 to 1", got[0].weight, got[1].weight, got[3].weight)
	}
	if all[0].weight != 0 {
		t.Error("the clips themselves have changed")
	}
}

func TestSceneOfAClip(t *testing.T) {
	for clip, want := range map[string]string{
		"simulated/029/yaw/loose/grass/noon": "029", "still/yak_1/diagonal/fog": "yak_1", "still/yak_1/pass": "yak_1",
		"composed/042/works_01/sparse/walking/pass": "works_01", "composed/042": "composed/042", "alone": "alone",
	} {
		if got := sceneOf(clip); got != want {
			t.Errorf("%s: %s, want %s", clip, got, want)
		}
	}
}

func TestHalvesJudgeEachOther(t *testing.T) {
	all := drawn(120, 5)
	for i := range all { // the second half has no errors, so the constants that follow from it are narrow
		if all[i].Check = i%2 == 1; all[i].Check {
			all[i].Count = all[i].Truth
			all[i].Features.Animals = all[i].Truth
		}
	}
	width := map[bool]int{}
	for _, o := range Crossed(all) {
		width[o.Check] += o.High - o.Low
	}
	if width[true] == 0 || width[true] < 2*width[false] {
		t.Errorf("widths %d of the half with errors, %d of the other one; want the other one wider", width[false], width[true])
	}
}
