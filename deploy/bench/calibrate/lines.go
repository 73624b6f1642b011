package calibrate

import (
	"fmt"
	"io"

	"cattlecounter/cloud/synthetic"
	"cattlecounter/shared/boundary"
)

// LineOutcome is what was counted on one line of a clip.
type LineOutcome struct {
	boundary.LineTotal
	TrueIn  int `json:"true_in"`
	TrueOut int `json:"true_out"`
}

// benchLines are the lines of the truth of simulated clips, in the same order: upright through the middle of the picture,
// and the same line on the ground. The latter has no ends that an animal could walk around.
var benchLines = boundary.Set{Lines: []boundary.Line{
	{Name: "picture", From: boundary.Point{0.5, 0}, To: boundary.Point{0.5, 1}},
	{Name: "ground", From: boundary.Point{0.5, -9}, To: boundary.Point{0.5, 10}, Place: boundary.Place{Frame: boundary.Ground}},
}}

// newLines are the true numbers of the lines, none for an oblique view: crews who count at a line look straight down.
func newLines(truth synthetic.Truth) []LineOutcome {
	const steepest = 5 // degrees from straight down
	if len(truth.PerFrame) == 0 || truth.PerFrame[0].Camera.Tilt > steepest {
		return nil
	}
	var all []LineOutcome
	for i, l := range truth.Lines {
		all = append(all, LineOutcome{boundary.LineTotal{Name: benchLines.Lines[i].Name}, l.In, l.Out})
	}
	return all
}

// passage is the number of crossings of a line in one direction.
type passage struct{ truth, count, low, high int }

func passages(o Outcome, line int) []passage {
	l := o.Lines[line]
	return []passage{{l.TrueIn, l.In, l.InLow, l.InHigh}, {l.TrueOut, l.Out, l.OutLow, l.OutHigh}}
}

// WriteLines writes how near the crossings of the clips are to the truth, and how often their bounds hold it, as a
// Markdown table. Directions in which nothing crossed and nothing was counted are left out.
func WriteLines(w io.Writer, all []Outcome) {
	fmt.Fprintln(w, "| line | directions | crossings | counted | wrong | covered | half width |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- |")
	for line, of := range benchLines.Lines {
		n, truth, count, wrong, covered, width := 0, 0, 0, 0, 0, 0
		for _, o := range all {
			if len(o.Lines) == 0 {
				continue
			}
			for _, p := range passages(o, line) {
				if p.truth == 0 && p.count == 0 {
					continue
				}
				n, truth, count, wrong = n+1, truth+p.truth, count+p.count, wrong+max(p.count-p.truth, p.truth-p.count)
				width += p.high - p.low
				if p.low <= p.truth && p.truth <= p.high {
					covered++
				}
			}
		}
		share := func(of, all int) float64 { return 100 * float64(of) / float64(max(all, 1)) }
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d (%.1f %%) | %.1f %% | %.1f |\n", of.Name, n, truth, count, wrong,
			share(wrong, truth), share(covered, n), float64(width)/2/float64(max(n, 1)))
	}
}
