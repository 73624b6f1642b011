package calibrate

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"cattlecounter/deploy/bench/scene"
)

// Row sums up the clips of one kind.
type Row struct {
	Kind     string  `json:"kind"`
	Clips    int     `json:"clips"`
	Error    float64 `json:"mean_absolute_error"` // share of the truth
	Bias     float64 `json:"bias"`                // mean error as a share of the truth
	Worst    float64 `json:"worst"`               // largest absolute error as a share
	Coverage float64 `json:"coverage"`            // share of clips whose interval covers the truth
	Width    float64 `json:"width"`               // median of half the interval as a share of the count
}

// relative is the error of a clip as a share of the truth.
func (o Outcome) relative() float64 { return float64(o.Count-o.Truth) / float64(max(o.Truth, 1)) }

// Rows sums up clips by kind, in order of kind, and all of them in a last row, but those outside.
func Rows(all []Outcome) []Row {
	kinds := map[string][]Outcome{}
	for _, o := range all {
		kinds[o.Kind] = append(kinds[o.Kind], o)
	}
	var rows []Row
	for kind, of := range kinds {
		rows = append(rows, rowOf(kind, of))
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Kind, b.Kind) })
	return append(rows, rowOf("all", within(all)))
}

// within leaves out the clips outside of what is counted.
func within(all []Outcome) []Outcome {
	return slices.DeleteFunc(slices.Clone(all), func(o Outcome) bool { return strings.HasPrefix(o.Kind, scene.Outside) })
}

func rowOf(kind string, of []Outcome) Row {
	r := Row{Kind: kind, Clips: len(of)}
	if len(of) == 0 {
		return r
	}
	n := float64(len(of))
	var widths []float64
	for _, o := range of {
		e := o.relative()
		r.Error += math.Abs(e) / n
		r.Bias += e / n
		r.Worst = max(r.Worst, math.Abs(e))
		if o.Low <= o.Truth && o.Truth <= o.High {
			r.Coverage += 1 / n
		}
		widths = append(widths, float64(o.High-o.Low)/2/float64(max(o.Count, 1)))
	}
	slices.Sort(widths)
	r.Width = widths[len(widths)/2]
	return r
}

// WriteTable writes rows as a Markdown table.
func WriteTable(w io.Writer, rows []Row) {
	fmt.Fprintln(w, "| kind | clips | mean error | bias | worst | covered | half width |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %d | %.1f %% | %+.1f %% | %.0f %% | %.1f %% | %.1f %% |\n", r.Kind, r.Clips, 100*r.Error,
			100*r.Bias, 100*r.Worst, 100*r.Coverage, 100*r.Width)
	}
}

// WriteFar lists the clips whose count is off by more than a share, the worst first.
func WriteFar(w io.Writer, all []Outcome, share float64) {
	far := slices.DeleteFunc(slices.Clone(all), func(o Outcome) bool { return math.Abs(o.relative()) <= share })
	slices.SortStableFunc(far, func(a, b Outcome) int { return int(1e6 * (math.Abs(b.relative()) - math.Abs(a.relative()))) })
	fmt.Fprintf(w, "%d of %d clips are off by more than %.0f %%:\n", len(far), len(all), 100*share)
	for _, o := range far {
		fmt.Fprintf(w, "%+6.1f %%  %4d of %4d [%d, %d]  %s %s\n", 100*o.relative(), o.Count, o.Truth, o.Low, o.High, o.Clip, o.Warning)
	}
}
