package tally

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cattlecounter/cloud/count/track"
)

// aroundByPairs is sizes.around by a look at every pair.
func aroundByPairs(all []*track.Track, t *track.Track) []float64 {
	var others []*track.Track
	for _, o := range all {
		if o != t && o.Segment == t.Segment {
			others = append(others, o)
		}
	}
	far := func(o *track.Track) float64 { return (o.X-t.X)*(o.X-t.X) + (o.Y-t.Y)*(o.Y-t.Y) }
	slices.SortFunc(others, func(a, b *track.Track) int { return cmp.Or(cmp.Compare(far(a), far(b)), a.ID-b.ID) })
	logs := make([]float64, 0, sizeNeighbors)
	for _, o := range others[:min(len(others), sizeNeighbors)] {
		logs = append(logs, logLength(o))
	}
	return logs
}

// herdOf has n animals of random sizes. Half of them are crowded, others stand in a row, at one place or far away.
func herdOf(n int, seed uint64) []*track.Track {
	rnd := rand.New(rand.NewPCG(seed, 1))
	all := make([]*track.Track, 0, n)
	for i := range n {
		x, y := rnd.NormFloat64()*1000, rnd.NormFloat64()*1000
		switch i % 8 {
		case 0:
			y = 0
		case 1:
			x, y = 1e6*rnd.Float64(), 1e6*rnd.Float64()
		case 2:
			x, y = 500, 500
		case 3:
			x, y = math.Round(x/100)*100, math.Round(y/100)*100
		}
		l := 80 + 40*rnd.Float64()
		all = append(all, track.Saved{ID: i + 1, Segment: i % 16 / 13, W: l, H: l / 2, X: track.Axis{Pos: x}, Y: track.Axis{Pos: y},
			Hits: 20, Visible: 20, Evidence: 5, Last: 200, BestWhole: true}.Restore())
	}
	return all
}

func TestNearestAreThoseOfAllPairs(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 9, 10, 11, 12, 40, 41, 150, 400} {
		all := herdOf(n, uint64(n))
		s := newSizes(all)
		for _, a := range all {
			if got, want := s.around(a), aroundByPairs(all, a); !slices.Equal(got, want) {
				t.Fatalf("%d animals, animal %d: %v, want %v", n, a.ID, got, want)
			}
		}
	}
}

// pasture is a grid of n animals, each with a way of some fixes.
func pasture(n, fixes int) []*track.Track {
	side := int(math.Ceil(math.Sqrt(float64(n))))
	all := make([]*track.Track, 0, n)
	for i := range n {
		x, y := float64(i%side)*200+float64(i*7919%90), float64(i/side)*200+float64(i*104729%90)
		s := track.Saved{ID: i + 1, W: 100, H: 50, X: track.Axis{Pos: x}, Y: track.Axis{Pos: y}, Hits: fixes, Visible: fixes,
			Evidence: 5, Last: 30 * fixes, BestWhole: true, ScoreSum: 16, Classes: map[string]float64{"cattle": 16}}
		for k := range fixes {
			s.Way = append(s.Way, track.Fix{Frame: 30 * k, Seconds: float64(k), X: x, Y: y})
		}
		all = append(all, s.Restore())
	}
	return all
}

// The running count of a large herd is renewed once a second, so it must stay cheap.
func BenchmarkCount5000(b *testing.B) {
	all := pasture(5000, 20)
	for b.Loop() {
		if r := Count(all); r.Unique != len(all) {
			b.Fatalf("%d of %d", r.Unique, len(all))
		}
	}
}

func BenchmarkSizes5000(b *testing.B) {
	all := pasture(5000, 1)
	b.Run("pairs", func(b *testing.B) {
		for b.Loop() {
			for _, t := range all {
				nearestByScan(all, t)
			}
		}
	})
	b.Run("tree", func(b *testing.B) {
		for b.Loop() {
			s := newSizes(all)
			for _, t := range all {
				s.around(t)
			}
		}
	})
}

// nearestByScan is the cheapest look at every pair: it keeps the nearest so far.
func nearestByScan(all []*track.Track, t *track.Track) {
	near := make(nearby, 0, sizeNeighbors)
	for _, o := range all {
		if o != t {
			near.offer((o.X-t.X)*(o.X-t.X)+(o.Y-t.Y)*(o.Y-t.Y), sized{track: o})
		}
	}
}
