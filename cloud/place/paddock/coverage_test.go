package paddock

import (
	"math"
	"math/rand/v2"
	"testing"
)

// herds are ways in which animals stand around the paddock of the test, 200 m wide with its corner at the origin.
var herds = map[string]func(r *rand.Rand) [2]float64{
	"spread": func(r *rand.Rand) [2]float64 { return [2]float64{-100 + 400*r.Float64(), -100 + 400*r.Float64()} },
	"at the fence, inside": func(r *rand.Rand) [2]float64 {
		return [2]float64{200 - 8*r.Float64(), 20 + 160*r.Float64()}
	},
	"on both sides of a fence": func(r *rand.Rand) [2]float64 {
		return [2]float64{200 + 8*r.NormFloat64(), 20 + 160*r.Float64()}
	},
	"at a trough in a corner": func(r *rand.Rand) [2]float64 {
		return [2]float64{200 + 10*r.NormFloat64(), 200 + 10*r.NormFloat64()}
	},
}

// flight counts a herd of which 5 % are missed and 5 % are counted twice. Its positions have an error that all share and
// one of each animal, as those of one flight have.
func flight(r *rand.Rand, stand func(*rand.Rand) [2]float64) (truth int, points []Point, w Whole) {
	const degreeOfFreedom = 2.4477
	animals := 10 + r.IntN(90)
	sigma, own := 1.5+2.5*r.Float64(), 0.2+0.6*r.Float64()
	east, north := sigma*r.NormFloat64(), sigma*r.NormFloat64()
	radius := degreeOfFreedom * math.Hypot(sigma, own)
	for range animals {
		p := stand(r)
		if p[0] >= 0 && p[0] < 200 && p[1] >= 0 && p[1] < 200 {
			truth++
		}
		times := 1
		switch u := r.Float64(); {
		case u < 0.05:
			times = 0
		case u > 0.95:
			times = 2
		}
		for range times {
			l := at(p[0]+east+own*r.NormFloat64(), p[1]+north+own*r.NormFloat64())
			points = append(points, Point{ID: len(points), Lat: l[1], Lon: l[0], Radius: radius})
		}
	}
	w = Whole{Unique: len(points), Placed: len(points)}
	wide := int(math.Round(1.96 * math.Sqrt(0.1*float64(animals))))
	w.Low, w.High = max(0, w.Unique-wide), w.Unique+wide
	return truth, points, w
}

// TestCoverage simulates flights over herds at fences: the number of animals in a paddock lies within its interval.
func TestCoverage(t *testing.T) {
	set := NewSet([]Paddock{{Name: "hill", Polygons: [][][][2]float64{{square(0, 0, 200)}}}})
	ground := [][][][2]float64{{square(-150, -150, 500)}}
	for name, stand := range herds {
		r := rand.New(rand.NewPCG(3, 17))
		in, n, wide, animals := 0, 240, 0, 0
		for range n {
			truth, points, w := flight(r, stand)
			p := set.Points(points, ground, w)[0]
			if truth >= *p.Low && truth <= *p.High {
				in++
			}
			wide, animals = wide+*p.High-*p.Low, animals+*p.Animals
		}
		share := 100 * float64(in) / float64(n)
		t.Logf("%s: %.1f %% of %d flights within the interval; %.1f animals, an interval of %.1f", name, share, n,
			float64(animals)/float64(n), float64(wide)/float64(n))
		if share < 93 {
			t.Errorf("%s: the number of animals lies within the interval in %.1f %% of the flights, want 93", name, share)
		}
	}
}
