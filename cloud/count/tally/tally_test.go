package tally

import (
	"math"
	"slices"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
)

func trackOf(id int, x float64, first, last, hits, strong, visible int) *track.Track {
	// Strong hits have a score of 0.6, weak ones of 0.3, and the threshold is 0.4.
	evidence := 0.81*float64(strong) - 0.44*float64(hits-strong) - 0.7*float64(visible-hits)
	return &track.Track{ID: id, X: x, Y: 10, W: 40, H: 20, First: first, Last: last, Hits: hits, Strong: strong,
		Visible: visible, Evidence: evidence, ScoreSum: 0.6*float64(strong) + 0.3*float64(hits-strong),
		Best: detect.Box{Label: "cow"}}
}

func TestCount(t *testing.T) {
	for name, c := range map[string]struct {
		tracks []*track.Track
		want   int
	}{
		"nothing":                         {nil, 0},
		"plain":                           {[]*track.Track{trackOf(1, 0, 0, 90, 10, 10, 10)}, 1},
		"flicker":                         {[]*track.Track{trackOf(1, 0, 0, 90, 2, 2, 10)}, 0},
		"rare":                            {[]*track.Track{trackOf(1, 0, 0, 90, 4, 4, 20)}, 0},
		"only weak":                       {[]*track.Track{trackOf(1, 0, 0, 90, 10, 1, 10)}, 0},
		"corner of the view":              {[]*track.Track{trackOf(1, 0, 0, 20, 2, 2, 3)}, 1},
		"once in a corner":                {[]*track.Track{trackOf(1, 0, 0, 0, 1, 1, 1)}, 0},
		"a broken track":                  {[]*track.Track{trackOf(1, 0, 0, 90, 10, 10, 10), trackOf(2, 5, 100, 190, 10, 10, 10)}, 1},
		"an animal and its head":          {[]*track.Track{trackOf(1, 0, 0, 90, 10, 10, 10), trackOf(2, 10, 0, 90, 8, 8, 10)}, 1},
		"two side by side":                {[]*track.Track{trackOf(1, 0, 0, 90, 10, 10, 10), trackOf(2, 25, 0, 90, 10, 10, 10)}, 2},
		"another one at the place, later": {[]*track.Track{trackOf(1, 0, 0, 90, 10, 10, 10), trackOf(2, 60, 100, 190, 10, 10, 10)}, 2},
	} {
		r := Count(c.tracks)
		if r.Unique != c.want || r.Low > r.Unique || r.High < r.Unique || r.Low < 0 {
			t.Errorf("%s: %+v, want %d", name, r, c.want)
		}
		sum := 0
		for _, n := range r.ByClass {
			sum += n
		}
		if sum != r.Unique || len(r.Counted) != r.Unique {
			t.Errorf("%s: classes sum to %d, %d tracks, count %d", name, sum, len(r.Counted), r.Unique)
		}
	}
}

// withThing is a row of animals of one length in ground pixels, and one thing of another length among them.
func withThing(n int, length, thing float64) []*track.Track {
	var all []*track.Track
	for i := range n + 1 {
		l := length * (1 + 0.1*float64(i%3-1))
		if i == n/2 {
			l = thing
		}
		t := track.Saved{ID: i + 1, W: l, H: l / 2, X: track.Axis{Pos: float64(i) * 300}, Hits: 20, Visible: 20,
			Evidence: 30, ScoreSum: 16, Last: 200, BestWhole: true}.Restore()
		all = append(all, t)
	}
	return all
}

// A shed and a dropping are no animals among animals; a calf and a bull are, and so is anything among few.
func TestSizeAmongTheHerd(t *testing.T) {
	for name, c := range map[string]struct {
		n      int
		thing  float64
		counts bool
	}{
		"another cow":   {12, 100, true},
		"a calf":        {12, 50, true},
		"a bull":        {12, 140, true},
		"among calves":  {6, 210, true},
		"a van":         {12, 300, false},
		"a dropping":    {12, 15, false},
		"a van, by few": {4, 300, true},
	} {
		r := Count(withThing(c.n, 100, c.thing))
		if want := c.n + 1; (r.Unique == want) != c.counts || r.Unique < c.n {
			t.Errorf("%s: %d of %d", name, r.Unique, want)
		}
		if !c.counts && (len(r.Uncounted) != 1 || r.Uncounted[0].Reason != Size || r.Uncounted[0].Track.ID != c.n/2+1) {
			t.Errorf("%s: %+v", name, r.Uncounted)
		}
	}
	// Far animals of an oblique view are small beside each other, not beside the near ones.
	var all []*track.Track
	for i := range 40 {
		l := 200 * math.Pow(0.94, float64(i))
		all = append(all, track.Saved{ID: i + 1, W: l, H: l / 2, Y: track.Axis{Pos: float64(-i * 100)}, Hits: 20, Visible: 20,
			Evidence: 30, ScoreSum: 16, Last: 200, BestWhole: true}.Restore())
	}
	if r := Count(all); r.Unique != 40 {
		t.Errorf("oblique: %d of 40: %+v", r.Unique, r.Uncounted)
	}
	// What the edge of the frame cut in every look may be larger.
	cut := withThing(12, 100, 15)
	saved := cut[6].Save()
	saved.BestWhole = false
	cut[6] = saved.Restore()
	if r := Count(cut); r.Unique != 13 {
		t.Errorf("cut: %+v", r.Uncounted)
	}
}

// A sheep among cattle is listed and not counted, and is no measure for their size.
func TestOtherAnimals(t *testing.T) {
	var all []*track.Track
	for i := range 9 {
		s := track.Saved{ID: i + 1, W: 100, H: 50, X: track.Axis{Pos: float64(i) * 300}, Hits: 20, Visible: 20, Evidence: 30,
			Last: 200, BestWhole: true, ScoreSum: 16, Classes: map[string]float64{"cattle": 16}}
		if i > 2 {
			s.W, s.H = 30, 15
			s.Classes, s.Others = map[string]float64{"cattle": 7}, map[string]float64{"sheep": 6, "goat": 3}
		}
		all = append(all, s.Restore())
	}
	doubtful := track.Saved{ID: 10, X: track.Axis{Pos: 9000}, W: 30, H: 15, Hits: 2, Visible: 9, Evidence: -3, ScoreSum: 1,
		Others: map[string]float64{"sheep": 1}}
	r := Count(append(all, doubtful.Restore()))
	if r.Unique != 3 || r.Others["sheep"] != 6 || len(r.Others) != 1 || len(r.Uncounted) != 7 {
		t.Errorf("%d counted, others %v, %d not counted", r.Unique, r.Others, len(r.Uncounted))
	}
	for _, u := range r.Uncounted {
		if want := u.Track.ID != 10; (u.Reason == OtherAnimal) != want {
			t.Errorf("track %d: %s", u.Track.ID, u.Reason)
		}
	}
}

// What does not count takes no animal with it: not the cow beside a van, nor the one that walks where a sheep stood.
func TestNothingIsLostWithWhatDoesNotCount(t *testing.T) {
	among := func(thing, cow track.Saved) Result {
		var all []*track.Track
		for i := range 9 {
			all = append(all, track.Saved{ID: i + 1, W: 100, H: 50, X: track.Axis{Pos: float64(i) * 300}, Hits: 20, Visible: 20,
				Evidence: 30, Last: 200, BestWhole: true, ScoreSum: 16, Classes: map[string]float64{"cattle": 16}}.Restore())
		}
		return Count(append(all, thing.Restore(), cow.Restore()))
	}
	thing := track.Saved{ID: 20, W: 400, H: 200, X: track.Axis{Pos: 1000}, Y: track.Axis{Pos: 500}, Hits: 20, Visible: 20,
		Evidence: 40, Last: 200, BestWhole: true, ScoreSum: 18, Classes: map[string]float64{"cattle": 18}}
	cow := track.Saved{ID: 21, W: 100, H: 50, X: thing.X, Y: thing.Y, Hits: 12, Visible: 20, Evidence: 14, First: 10, Last: 190,
		BestWhole: true, ScoreSum: 9, Classes: map[string]float64{"cattle": 9}}
	if r := among(thing, cow); r.Unique != 10 {
		t.Errorf("a cow beside a van: %d of 10, not counted: %+v", r.Unique, r.Uncounted)
	}
	thing.W, thing.H, thing.Classes, thing.Others = 60, 30, nil, map[string]float64{"sheep": 18}
	cow.First, cow.Last = 300, 400
	if r := among(thing, cow); r.Unique != 10 || r.Others["sheep"] != 1 {
		t.Errorf("a cow where a sheep stood: %d of 10, others %v", r.Unique, r.Others)
	}
}

func TestTracksOfTwoSegmentsAreTwoAnimals(t *testing.T) {
	a, b := trackOf(1, 0, 0, 90, 10, 10, 10), trackOf(2, 0, 100, 190, 10, 10, 10)
	b.Segment = 1
	if r := Count([]*track.Track{a, b}); r.Unique != 2 || len(r.Segments) != 2 || r.Low > 1 {
		t.Errorf("%+v", r)
	}
}

func TestDoubtWidensTheInterval(t *testing.T) {
	var sure, doubtful []*track.Track
	for i := range 50 {
		sure = append(sure, trackOf(i, float64(100*i), 0, 300, 30, 30, 30))
		doubtful = append(doubtful, trackOf(i, float64(100*i), 0, 300, 7, 6, 10))
	}
	for _, t := range append(slices.Clone(sure), doubtful...) {
		t.Best = detect.Box{X1: 100, Y1: 100, X2: 180, Y2: 180, Label: "cow"}
	}
	a, b := Count(sure), Count(doubtful)
	if a.Unique != 50 || b.Unique != 50 || b.High-b.Low <= a.High-a.Low {
		t.Errorf("sure %+v, doubtful %+v", a, b)
	}
}

// A weak track that walks is an animal; one that trembles at its place is not.
func TestStonesDoNotWalk(t *testing.T) {
	for name, c := range map[string]struct {
		x    func(i int) float64
		hits int
		want int
	}{
		"walks":                        {func(i int) float64 { return 8 * float64(i) }, 12, 1},
		"walks, seen in a few looks":   {func(i int) float64 { return 8 * float64(i) }, 5, 0},
		"trembles":                     {func(i int) float64 { return float64(i % 3 * 6) }, 12, 0},
		"goes back and forth":          {func(i int) float64 { return float64((i / 3 % 2) * 60) }, 12, 0},
		"creeps by a part of its size": {func(i int) float64 { return float64(i) }, 12, 0},
	} {
		a := trackOf(1, 0, 0, 90, 12, 2, 14)
		for i := range c.hits {
			a.Way = append(a.Way, track.Fix{Frame: i, X: c.x(i), Y: 10})
		}
		if got := Count([]*track.Track{a}).Unique; got != c.want {
			t.Errorf("%s: %d counted, want %d", name, got, c.want)
		}
	}
}

// Animals that walk through the picture one after the other, and leave it at one place, are different animals. A track
// that breaks while its animal walks is one.
func TestOneAfterTheOther(t *testing.T) {
	walk := func(id, from int, x0 float64) *track.Track {
		a := trackOf(id, 900, from, from+90, 10, 10, 10)
		for i := range 10 {
			a.Way = append(a.Way, track.Fix{Frame: from + 10*i, Seconds: float64(from)/30 + float64(i)/3, X: x0 + 20*float64(i), Y: 10})
		}
		return a
	}
	file := []*track.Track{walk(1, 0, 0), walk(2, 150, 0), walk(3, 300, 0)}
	if r := Count(file); r.Unique != 3 {
		t.Errorf("single file: %d animals, want 3", r.Unique)
	}
	// Two animals at one time cannot both continue a third one.
	two := []*track.Track{walk(1, 0, 0), walk(2, 120, 240), walk(3, 120, 245)}
	two[1].X, two[2].X = 420, 480
	if r := Count(two); r.Unique != 2 {
		t.Errorf("two that continue one: %d animals, want 2", r.Unique)
	}
	broken := []*track.Track{walk(1, 0, 0), walk(2, 120, 240)}
	if r := Count(broken); r.Unique != 1 || r.Uncounted[0].Reason != SameAs {
		t.Errorf("a broken track: %+v", r)
	}
}

// seenOnWay is a track that was detected every half second from one place to another; end is where it would be at the end of
// the clip.
func seenOnWay(id, first, last int, from, to, end float64) *track.Track {
	s := track.Saved{ID: id, W: 40, H: 20, X: track.Axis{Pos: end}, Y: track.Axis{Pos: 10}, First: first, Last: last,
		Hits: 8, Visible: 8, Evidence: 5, BestWhole: true}
	for f := first; f <= last; f += 15 {
		part := float64(f-first) / float64(max(last-first, 1))
		s.Way = append(s.Way, track.Fix{Frame: f, Seconds: float64(f) / 30, X: from + part*(to-from), Y: 10})
	}
	return s.Restore()
}

func TestPartsAreFoundWhereBothWereSeen(t *testing.T) {
	for name, c := range map[string]struct {
		a, b *track.Track
		want int
	}{
		"it left the view and would be at the place of the other": {seenOnWay(1, 0, 90, 0, 60, 200), seenOnWay(2, 45, 240, 200, 200, 200), 2},
		"two that cross": {seenOnWay(1, 0, 90, 0, 200, 200), seenOnWay(2, 0, 90, 200, 0, 0), 2},
		"a part that would be elsewhere at the end":   {seenOnWay(1, 0, 240, 0, 80, 80), seenOnWay(2, 15, 90, 10, 35, 400), 1},
		"a part that was seen longer than its animal": {seenOnWay(1, 0, 120, 0, 0, 0), seenOnWay(2, 60, 240, 5, 5, 5), 1},
		"neighbors that are nearer at the end":        {seenOnWay(1, 0, 120, 0, 0, 0), seenOnWay(2, 0, 120, 45, 45, 5), 2},
	} {
		if got := Count([]*track.Track{c.a, c.b}).Unique; got != c.want {
			t.Errorf("%s: %d animals, want %d", name, got, c.want)
		}
	}
}
