package score

import (
	"testing"

	"cattlecounter/cloud/count/detect"
)

func TestMatch(t *testing.T) {
	box := func(x1, y1, x2, y2, s float32) detect.Box {
		return detect.Box{X1: x1, Y1: y1, X2: x2, Y2: y2, Score: s}
	}
	for name, c := range map[string]struct {
		boxes  []detect.Box
		points []Point
		hits   int
	}{
		"nothing":         {nil, nil, 0},
		"hit":             {[]detect.Box{box(0, 0, 10, 10, 1)}, []Point{{5, 5}}, 1},
		"within slack":    {[]detect.Box{box(0, 0, 10, 10, 1)}, []Point{{13.9, 5}}, 1},
		"beyond slack":    {[]detect.Box{box(0, 0, 10, 10, 1)}, []Point{{14.1, 5}}, 0},
		"a point once":    {[]detect.Box{box(0, 0, 10, 10, 1), box(1, 1, 11, 11, 0.5)}, []Point{{5, 5}}, 1},
		"a box once":      {[]detect.Box{box(0, 0, 10, 10, 1)}, []Point{{5, 5}, {6, 6}}, 1},
		"nearest matches": {[]detect.Box{box(0, 0, 20, 10, 1), box(0, 0, 4, 10, 0.5)}, []Point{{1, 5}, {10, 5}}, 2},
	} {
		got := Match(c.boxes, c.points)
		if got != (Tally{Points: len(c.points), Boxes: len(c.boxes), Hits: c.hits}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTally(t *testing.T) {
	s := Tally{Points: 10, Boxes: 8, Hits: 6}.Add(Tally{Points: 10, Boxes: 4, Hits: 3})
	if s.Precision() != 0.75 || s.Recall() != 0.45 || s.F1() != 18.0/32 || s.CountError() != -0.4 {
		t.Errorf("%v %v %v %v", s.Precision(), s.Recall(), s.F1(), s.CountError())
	}
	var none Tally
	if none.Precision() != 0 || none.Recall() != 0 || none.F1() != 0 || none.CountError() != 0 {
		t.Error("the figures of an empty tally are not 0")
	}
}

func TestMatchOutside(t *testing.T) {
	boxes := []detect.Box{{X2: 10, Y2: 10, Score: 0.9}, {X1: 100, X2: 110, Y2: 10, Score: 0.8}, {X1: 200, X2: 210, Y2: 10, Score: 0.7}}
	got := MatchOutside(boxes, []Point{{5, 5}}, []Region{{X2: 120, Y2: 20}})
	if want := (Tally{Points: 1, Boxes: 2, Hits: 1}); got != want {
		t.Errorf("%+v, want %+v: a hit in a region counts, a false box there does not", got, want)
	}
}
