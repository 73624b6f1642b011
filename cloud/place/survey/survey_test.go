package survey

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"cattlecounter/cloud/place"
	"cattlecounter/cloud/place/paddock"
)

var frame = place.NewFrame(-31.7, 24.3)

func at(e, n float64) [2]float64 {
	lat, lon := frame.Degrees(e, n)
	return [2]float64{lon, lat}
}

func box(w, s, e, n float64) [][][][2]float64 {
	return [][][][2]float64{{{at(w, s), at(e, s), at(e, n), at(w, n)}}}
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func cow(e, n, radius float64, minutes int) Animal {
	p := at(e, n)
	return Animal{Lat: p[1], Lon: p[0], Radius: radius, At: noon.Add(time.Duration(minutes) * time.Minute)}
}

func part(footprint [][][][2]float64, animals ...Animal) Part {
	n := len(animals)
	return Part{Unique: n, Low: n, High: n, Animals: animals, Footprint: footprint}
}

func TestTake(t *testing.T) {
	set := paddock.NewSet([]paddock.Paddock{{Name: "West", Polygons: box(0, 0, 100, 100)}, {Name: "East", Polygons: box(100, 0, 200, 100)},
		{Name: "Far", Polygons: box(5000, 0, 5100, 100)}})
	west, east := box(-10, -10, 110, 110), box(90, -10, 150, 110) // they overlap between 90 and 110
	for _, c := range []struct {
		name                  string
		parts                 []Part
		unique, double, w, e  int
		westSeen, eastSeenLow float64
	}{
		{"two animals in two parts", []Part{part(west, cow(20, 20, 3, 0)), part(east, cow(140, 20, 3, 5))}, 2, 0, 1, 1, 1, 0.45},
		{"one animal in both", []Part{part(west, cow(96, 20, 3, 0)), part(east, cow(98, 20, 3, 5))}, 1, 1, 1, 0, 1, 0.45},
		{"too late", []Part{part(west, cow(96, 20, 3, 0)), part(east, cow(96, 20, 3, 40))}, 1, 0, 1, 0, 1, 0.45},
		{"later and in front", []Part{part(east, cow(96, 20, 3, 40)), part(west, cow(50, 20, 3, 0), cow(96, 20, 3, 0))}, 2, 0, 2, 0, 1, 0.45},
		{"too far", []Part{part(west, cow(92, 20, 3, 0)), part(east, cow(98, 20, 3, 5))}, 2, 0, 2, 0, 1, 0.45},
		{"the other did not see it", []Part{part(west, cow(88, 20, 3, 0)), part(east, cow(91, 20, 3, 5))}, 2, 0, 2, 0, 1, 0.45},
		{"two in each, side by side", []Part{part(west, cow(95, 20, 4, 0), cow(98, 20, 4, 0)),
			part(east, cow(96, 20, 4, 5), cow(99, 20, 4, 5))}, 2, 2, 2, 0, 1, 0.45},
		{"of one part", []Part{part(west, cow(95, 20, 4, 0), cow(96, 20, 4, 0))}, 2, 0, 2, 0, 1, 0.09},
		{"long recordings of the same ground", []Part{part(west, cow(20, 20, 3, 2), cow(80, 20, 3, 38)),
			part(west, cow(20, 20, 3, 32), cow(80, 20, 3, 58))}, 2, 0, 2, 0, 1, 0.09},
		{"a short recording at the end of a long one", []Part{part(west, cow(20, 20, 3, 0), cow(80, 20, 3, 38)),
			part(west, cow(81, 20, 3, 40))}, 1, 1, 1, 0, 1, 0.09},
		{"times not known", []Part{part(west, Animal{Lat: at(95, 20)[1], Lon: at(95, 20)[0], Radius: 4}), part(east, cow(95, 20, 4, 0))}, 2, 0, 2, 0, 1, 0.45},
	} {
		r := Take(c.parts, set)
		w, e, far := r.Paddocks[0], r.Paddocks[1], r.Paddocks[2]
		if r.Unique != c.unique || r.Double != c.double || *w.Animals != c.w || *e.Animals != c.e || w.Seen < c.westSeen-0.001 ||
			e.Seen < c.eastSeenLow || e.Seen > c.eastSeenLow+0.1 || far.Animals != nil || far.Seen != 0 {
			t.Errorf("%s: %+v, west %d of %.2f, east %d of %.2f", c.name, r, *w.Animals, w.Seen, *e.Animals, e.Seen)
		}
	}
	none := Take([]Part{{Unique: 5, Low: 4, High: 7}}, set)
	if none.Unique != 5 || none.Low != 4 || none.High != 7 || none.Placed != 0 || none.Paddocks[0].Animals != nil {
		t.Errorf("without positions: %+v", none)
	}
	if r := Take(nil, nil); r.Unique != 0 || r.Paddocks != nil {
		t.Errorf("nothing: %+v", r)
	}
}

// Two flights over the same herd count it once, although positions have errors.
func TestSameHerdTwice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ground := box(0, 0, 300, 300)
	wrong := 0
	for range 20 {
		var a, b []Animal
		for range 60 {
			e, n := 20+260*r.Float64(), 20+260*r.Float64()
			a = append(a, cow(e+1.2*r.NormFloat64(), n+1.2*r.NormFloat64(), 3, 0))
			b = append(b, cow(e+1.2*r.NormFloat64(), n+1.2*r.NormFloat64(), 3, 8))
		}
		got := Take([]Part{part(ground, a...), part(ground, b...)}, nil)
		if got.Low > 60 || got.High < 60 {
			wrong++
		}
	}
	if wrong > 2 {
		t.Errorf("60 animals lie outside of the interval in %d of 20 surveys", wrong)
	}
}

func TestJudge(t *testing.T) {
	n := func(v int) *int { return &v }
	for _, c := range []struct {
		expected  int
		low, high *int
		seen      float64
		want      Verdict
	}{
		{10, n(9), n(11), 1, Agrees}, {11, n(9), n(11), 0.2, Agrees}, {12, n(9), n(11), 1, Fewer}, {8, n(9), n(11), 1, More},
		{12, n(9), n(11), 0.9, PartSeen}, {8, n(9), n(11), 0.1, More}, {0, nil, nil, 0, NotSeen},
	} {
		if got := Judge(c.expected, c.low, c.high, c.seen); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var paddocks []paddock.Paddock
	for i := range 100 {
		e, n := 300*float64(i%10), 300*float64(i/10)
		paddocks = append(paddocks, paddock.Paddock{Name: fmt.Sprint(i), Polygons: box(e, n, e+300, n+300)})
	}
	var parts []Part
	for i := range 30 {
		p := part(box(0, 100*float64(i), 3000, 100*float64(i)+150))
		for range 100 {
			p.Animals = append(p.Animals, cow(3000*r.Float64(), 100*float64(i)+150*r.Float64(), 4, i))
		}
		p.Unique, p.Low, p.High = 100, 95, 106
		parts = append(parts, p)
	}
	set := paddock.NewSet(paddocks)
	for b.Loop() {
		Take(parts, set)
	}
}

// The same herd on three days is one herd: the last day counts on ground that was seen again.
func TestSeveralDays(t *testing.T) {
	ground := box(0, 0, 100, 100)
	day := func(d, animals int) Part {
		p := part(ground)
		p.At = noon.AddDate(0, 0, d)
		for i := range animals {
			p.Animals = append(p.Animals, cow(5+float64(i%9)*10, 5+float64(i/9)*10, 3, d*24*60))
		}
		p.Unique, p.Low, p.High = animals, animals, animals
		return p
	}
	r := Take([]Part{day(0, 20), day(1, 22), day(2, 19)}, nil)
	if r.Unique != 19 || r.Earlier != 42 || r.Low > 19 || r.High < 22 {
		t.Errorf("%+v", r)
	}
	// A herd that has left is not there any more, and may be elsewhere.
	if r := Take([]Part{day(0, 20), day(1, 0)}, nil); r.Unique != 0 || r.Earlier != 20 || r.High < 20 {
		t.Errorf("%+v", r)
	}
	// Without positions one cannot know whether the herds are one.
	if r := Take([]Part{{At: noon, Unique: 240, Low: 234, High: 248}, {At: noon.AddDate(0, 0, 1), Unique: 238, Low: 232, High: 246}}, nil); r.Unique != 478 ||
		r.Low != 234 || r.High < 478 {
		t.Errorf("%+v", r)
	}
}

// The parts of a flight have the count of the flight, in which an animal of two parts is once.
func TestPartsOfAFlight(t *testing.T) {
	west, east := box(0, 0, 100, 100), box(90, 0, 200, 100)
	f := &Flight{Unique: 17, Low: 15, High: 20, Parts: 2}
	bare := func(unique int) Part { return Part{Unique: unique, Low: unique - 1, High: unique + 2, Flight: f} }
	placed := func(footprint [][][][2]float64, animals ...Animal) Part {
		p := part(footprint, animals...)
		p.Flight = f
		return p
	}
	two := &Flight{Unique: 2, Low: 2, High: 2, Parts: 2}
	for _, c := range []struct {
		name              string
		flight            *Flight
		parts             []Part
		unique, low, high int
	}{
		{"without positions", f, []Part{bare(10), bare(9)}, 17, 15, 20},
		{"one of its parts", f, []Part{bare(10)}, 10, 9, 12},
		{"with another flight", f, []Part{bare(10), {Unique: 4, Low: 4, High: 4}, bare(9)}, 21, 15, 24},
		{"one part has positions", f, []Part{placed(west, cow(20, 20, 3, 0), cow(30, 20, 3, 0)), bare(16)}, 17, 15, 20},
		{"places of the same animal are apart", two, []Part{placed(west, cow(20, 20, 3, 0), cow(85, 20, 3, 0)), placed(east, cow(95, 20, 3, 1))},
			3, 2, 3},
		{"joined by their places", two, []Part{placed(west, cow(20, 20, 3, 0), cow(95, 20, 3, 0)), placed(east, cow(96, 20, 3, 1))}, 2, 1, 3},
	} {
		for i := range c.parts {
			if c.parts[i].Flight != nil {
				c.parts[i].Flight = c.flight
			}
		}
		if r := Take(c.parts, nil); r.Unique != c.unique || r.Low != c.low || r.High != c.high {
			t.Errorf("%s: %d, %d to %d; want %d, %d to %d", c.name, r.Unique, r.Low, r.High, c.unique, c.low, c.high)
		}
	}
}
