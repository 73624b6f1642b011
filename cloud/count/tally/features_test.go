package tally

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
)

// seen is a track of an animal of 80 x 80 pixels in the frame with looks at it, all with a detection.
func seen(id int, x float64, looks int) *track.Track {
	t := trackOf(id, x, 0, 10*looks, looks, looks, looks)
	t.W, t.H = 80, 80
	t.Best = detect.Box{X1: 100, Y1: 100, X2: 180, Y2: 180, Label: "cow"}
	for i := range looks {
		t.Way = append(t.Way, track.Fix{Frame: 10 * i, X: x, Y: 10, Box: t.Best})
	}
	return t
}

func herd(n int, apart float64) []*track.Track {
	var all []*track.Track
	for i := range n {
		all = append(all, seen(i+1, apart*float64(i), 8))
	}
	return all
}

var whole = Circumstances{Width: 1920, Height: 1080}

func TestFeatures(t *testing.T) {
	plain := Count(herd(20, 300))
	f := plain.Judge(whole)
	if f.Animals != 20 || f.Small != 0 || f.Large != 0 || f.Crowded != 0 || f.Brief != 0 || f.Edge != 0 || f.Missed != 0 ||
		f.Walking != 0 || f.Lost != 0 || f.Spread != 0 {
		t.Errorf("a plain herd: %+v, want 20 animals and zeros", f)
	}
	of := func(change func(i int, t *track.Track)) Features {
		tracks := herd(20, 300)
		for i, t := range tracks {
			change(i, t)
		}
		r := Count(tracks)
		return r.Judge(whole)
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	near("small", of(func(_ int, t *track.Track) { t.Best.X2, t.Best.Y2 = 130, 130 }).Small, math.Log(2))
	near("large", of(func(_ int, t *track.Track) { t.Best.X2, t.Best.Y2 = 400, 400 }).Large, math.Log(2))
	near("crowded", of(func(i int, t *track.Track) { t.X = 300*float64(i/2*2) + 60*float64(i%2) }).Crowded, 1)
	near("missed", of(func(_ int, t *track.Track) { t.Visible = 10 }).Missed, 0.2)
	near("walking", of(func(i int, t *track.Track) {
		if i < 5 {
			t.Way[7].X += 60
		}
	}).Walking, 0.25)
	near("edge", of(func(i int, t *track.Track) {
		if i < 10 {
			for k := range t.Way {
				t.Way[k].Box.X1 = 0
			}
		}
	}).Edge, 0.5)
	near("lost", of(func(i int, t *track.Track) { t.Segment = i / 15 }).Lost, 0.25)
	near("brief", of(func(i int, t *track.Track) {
		if i < 4 {
			t.Visible = 2
		}
	}).Brief, 0.2)
}

func TestIntervalHoldsTheCount(t *testing.T) {
	empty := Features{}
	if low, high := empty.Interval(); low != 0 || high < 0 {
		t.Errorf("no animals: [%d, %d]", low, high)
	}
	for n := 1; n < 500; n *= 3 {
		f := Features{Animals: n, Doubt: float64(n) / 30, Small: 1, Crowded: 1}
		if low, high := f.Interval(); low > n || high < n || low < 0 {
			t.Errorf("%d animals: [%d, %d]", n, low, high)
		}
	}
}

// A hundred animals that are seen well have an interval of at most 5 % to both sides, and each doubt widens it.
func TestFittedIntervals(t *testing.T) {
	plain := Features{Animals: 100}
	low, high := plain.Interval()
	if low < 95 || high > 105 {
		t.Errorf("100 animals seen well: [%d, %d], want at most 5 %%", low, high)
	}
	for name, change := range map[string]func(f *Features){
		"unsure tracks": func(f *Features) { f.Unsure = 0.3 },
		"faint":         func(f *Features) { f.Faint = 0.7 },
		"small":         func(f *Features) { f.Small = 1 },
		"a fast turn":   func(f *Features) { f.Hasty = 0.6 },
		"a guessed way": func(f *Features) { f.Guessed = 0.3 },
		"a crowd":       func(f *Features) { f.Crowded = 0.8 },
		"at the edge":   func(f *Features) { f.Edge = 0.3 },
	} {
		f := plain
		change(&f)
		if l, h := f.Interval(); h-l <= high-low {
			t.Errorf("%s: [%d, %d], want a wider interval than [%d, %d]", name, l, h, low, high)
		}
	}
	lost := Features{Animals: 80, Lost: 0.5} // two pieces that may show the same 40
	if l, h := lost.Interval(); l > 40 || h > 90 {
		t.Errorf("lost ground: [%d, %d], want at most 40 to at most 90", l, h)
	}
}

func TestTheModelWidensByItsWeights(t *testing.T) {
	m := Model{Below: 1, Above: 0.6, Share: math.Log(0.05), Doubt: 1, Edge: 0.25}
	m.Weights[0] = 1 // Small
	f := Features{Animals: 100}
	if low, high := m.Interval(f); low != 95 || high != 103 {
		t.Errorf("plain: [%d, %d], want [95, 103]", low, high)
	}
	f.Small = math.Log(2)
	if low, high := m.Interval(f); low != 90 || high != 106 {
		t.Errorf("small: [%d, %d], want [90, 106]", low, high)
	}
	f.Small, f.Lost = 0, 0.4
	if low, high := m.Interval(f); low != 57 || high != 103 {
		t.Errorf("lost ground: [%d, %d], want [57, 103]", low, high)
	}
	m.Share, m.Each = math.Log(0.001), 0.25 // 2 standard deviations of 100 animals are 5
	f.Lost = 0
	if low, high := m.Interval(f); low != 95 || high != 103 {
		t.Errorf("independent errors: [%d, %d], want [95, 103]", low, high)
	}
	f.Edge = 0.16 // 16 animals, each with a variance of 0.25, as much as the independent errors
	if low, high := m.Interval(f); low != 94 || high != 103 {
		t.Errorf("with animals at the edge: [%d, %d], want [94, 103]", low, high)
	}
	f.Edge, f.Doubt = 0, 25
	if low, high := m.Interval(f); low > 89 || high < 106 {
		t.Errorf("with doubt: [%d, %d], want at least 89 to 106", low, high)
	}
}
