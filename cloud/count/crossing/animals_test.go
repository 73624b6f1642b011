package crossing

import (
	"slices"
	"testing"

	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
)

// A broken track crosses once, however its pieces are ordered. A part of an animal does not cross.
func TestBrokenTrackCrossesOnce(t *testing.T) {
	s := scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 6)}}
	set := across("")
	j, animals := s.run(set)
	way := animals[0].Fixes
	first, second := &track.Track{ID: 1, Way: way[:14]}, &track.Track{ID: 2, Way: way[24:]}
	part := &track.Track{ID: 3, Way: slices.Clone(way)}
	weak := &track.Track{ID: 4, Way: slices.Clone(way)}
	for _, c := range []struct{ kept, dropped *track.Track }{{first, second}, {second, first}} {
		r := j.Result(Animals(tally.Result{Counted: []*track.Track{c.kept}, Uncounted: []tally.Uncounted{
			{Track: c.dropped, Reason: tally.SameAs, Of: c.kept.ID}, {Track: part, Reason: tally.PartOf, Of: c.kept.ID},
			{Track: weak, Reason: tally.Weak}}})).Lines[0]
		if r.In != 1 || r.InHigh != 2+unseen(1) || r.Crossings[0].Track != c.kept.ID {
			t.Errorf("%+v", r)
		}
	}
	if r := j.Result(Animals(tally.Result{Counted: []*track.Track{first, second}})).Lines[0]; r.In != 0 {
		t.Errorf("two animals that never crossed: %+v", r)
	}
}
