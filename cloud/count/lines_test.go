package count

import (
	"strings"
	"testing"

	"cattlecounter/cloud/count/report"
	"cattlecounter/shared/boundary"
)

// The camera passes over animals that stand: a line of the picture counts them, a line of the ground does not.
func TestLinesOfAClip(t *testing.T) {
	c := newClip(120)
	ends := [2]boundary.Point{{0.5, 0}, {0.5, 1}}
	set := boundary.Set{
		Lines: []boundary.Line{
			{Name: "picture", From: ends[0], To: ends[1]},
			{Name: "ground", From: ends[0], To: ends[1], Place: boundary.Place{Frame: boundary.Ground}},
			{Name: "late", From: ends[0], To: ends[1], Place: boundary.Place{Frame: boundary.Ground, Seconds: 99}},
		},
		Zones: []boundary.Zone{{Name: "all", Polygon: []boundary.Point{{0, 0}, {1, 0}, {1, 1}, {0, 1}}}},
	}
	out, err := c.counter(Options{}).Count(t.Context(), Source{Name: "pan", Lines: set}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	const last = 117 * pixelsPerFrame
	for _, a := range c.animals {
		if a[0] > viewW/2 && a[0] < viewW/2+last-10 {
			want++
		}
	}
	r := out.Result
	if p := r.Lines[0]; p.In < want-1 || p.In > want || p.Out != 0 || p.Net != p.In {
		t.Errorf("in %d of %d, out %d: %+v", p.In, want, p.Out, p.Crossings)
	}
	if g := r.Lines[1]; g.In != 0 || g.Out != 0 || g.NotJudged != 0 {
		t.Errorf("%+v", g)
	}
	if z := r.Zones[0]; z.Passed < r.Count.Unique-1 || z.Passed > r.Count.Unique || z.Most > z.Passed || z.Most == 0 {
		t.Errorf("%+v of %d", z.ZoneTotal, r.Count.Unique)
	}
	if late := r.Lines[2]; late.NotJudged != r.Count.Unique {
		t.Errorf("%+v", late)
	}
	warned := 0
	for _, w := range r.Warnings {
		if w.Code == report.LineLost && strings.Contains(w.Text, `line "late"`) && strings.Contains(w.Text, "second 99") {
			warned++
		}
	}
	if warned != 1 {
		t.Errorf("%+v", r.Warnings)
	}
	if totals := r.Totals(); len(totals.Lines) != 3 || totals.Lines[0] != r.Lines[0].LineTotal || len(totals.Zones) != 1 {
		t.Errorf("%+v", totals)
	}
}
