package crossing

import (
	"math/rand/v2"
	"testing"

	"cattlecounter/shared/boundary"
)

// wander walks about at random, with a step a second.
func wander(r *rand.Rand, seconds int) animal {
	at := [2]float64{100 + 800*r.Float64(), 100 + 400*r.Float64()}
	points := [][2]float64{at}
	for range seconds + 1 {
		at[0] = min(max(at[0]+120*(r.Float64()-0.5), 60), width-60)
		at[1] = min(max(at[1]+120*(r.Float64()-0.5), 60), height-60)
		points = append(points, at)
	}
	return through(points...)
}

// TestWanderingHerds compares the net number of a line from one side of the world to the other with the animals on its
// two sides at the beginning and at the end. It also checks that the bounds hold the numbers, and that swapped ends swap
// in and out.
func TestWanderingHerds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		s := scene{seconds: 30, jitter: 3}
		for range 15 {
			s.animals = append(s.animals, wander(r, 30))
		}
		s.unseen = func(id int, t float64) bool { return (id+int(t*2))%5 == 0 && t > 0 && t < s.seconds }
		set := line(-1, 0.5, 2, 0.5, boundary.Ground)
		set.Lines = append(set.Lines, line(2, 0.5, -1, 0.5, boundary.Ground).Lines[0], across("").Lines[0])
		set.Lines[1].Name, set.Lines[2].Name = "swapped", "picture"
		lines := s.judge(t, set).Lines
		want, doubtful := 0, 0
		for _, a := range s.animals {
			_, begin := a(0)
			_, end := a(s.seconds)
			const mid, clear = height / 2.0, 50.0
			switch {
			case begin > mid-clear && begin < mid+clear || end > mid-clear && end < mid+clear:
				doubtful++
			case begin < mid && end > mid:
				want++
			case begin > mid && end < mid:
				want--
			}
		}
		l := lines[0]
		if l.Net < want-doubtful || l.Net > want+doubtful {
			t.Errorf("net %d, want %d with %d animals near the line: %+v", l.Net, want, doubtful, l.Crossings)
		}
		if l.InLow > l.In || l.In > l.InHigh || l.OutLow > l.Out || l.Out > l.OutHigh {
			t.Errorf("%+v", l.LineTotal)
		}
		if w := lines[1]; w.In != l.Out || w.Out != l.In || w.InHigh != l.OutHigh || w.OutLow != l.InLow {
			t.Errorf("swapped ends: %+v, then %+v", l.LineTotal, w.LineTotal)
		}
		if p := lines[2]; p.In != l.In || p.Out != l.Out { // the camera stands still
			t.Errorf("ground %+v, picture %+v", l.LineTotal, p.LineTotal)
		}
	}
}

// BenchmarkJudge judges 20 minutes of 300 animals by a line and a zone, both in the picture.
func BenchmarkJudge(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	s := scene{seconds: 1200, unseen: func(_ int, t float64) bool { return t != float64(int(t)) }}
	for range 300 {
		s.animals = append(s.animals, wander(r, 1200))
	}
	set := across("")
	set.Zones = pen("", 0).Zones
	j, animals := s.run(set)
	for b.Loop() {
		j.Result(animals)
	}
}
