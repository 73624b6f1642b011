package calibrate

import (
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
		all = append(all, Outcome{Kind: "drawn", Truth: truth, Count: f.Animals, Features: f})
	}
	return all
}

func TestFitCoversWhatItHasNotSeen(t *testing.T) {
	m := Fit(drawn(150, 1))
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
	var values []float64
	for i := range 99 {
		values = append(values, float64(99-i))
	}
	for share, want := range map[float64]float64{0: 1, 0.5: 50, 0.25: 25.5, 1: 99} {
		if got := quantile(values, share); got != want {
			t.Errorf("quantile %v of 1 to 99: %v, want %v", share, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 1 {
		t.Errorf("of no values: %v, want 1", got)
	}
}

func TestSourceNamesTheWeights(t *testing.T) {
	m := tally.Model{Below: 1, Above: 2, Share: -3, Each: 0.5, Doubt: 0.8, Edge: 0.1}
	m.Weights[0] = 1.5
	got, err := source(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Below: 1.000, Above: 2.000, Share: -3.000, Each: 0.500, Doubt: 0.800, Edge: 0.100",
		"1.500, // small", "0.000, // poor"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the source lacks %q:\n%s", want, got)
		}
	}
}
