package survey

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestCoverage simulates surveys of two flights whose ground overlaps: the number of animals lies within the interval.
func TestCoverage(t *testing.T) {
	for name, c := range map[string]struct {
		overlap float64 // metres that both flights see
		dense   float64 // metres to which a herd gathers around its middle, 0 for animals that stand everywhere
	}{
		"side by side":            {0, 0},
		"a tenth seen twice":      {30, 0},
		"half seen twice":         {150, 0},
		"a dense herd seen twice": {150, 25},
		"a herd on the seam":      {30, 25},
	} {
		r := rand.New(rand.NewPCG(9, 17))
		in, wide, bias, n := 0, 0, 0, 300
		for range n {
			truth, parts := twoFlights(r, c.overlap, c.dense)
			s := Take(parts, nil)
			if truth >= s.Low && truth <= s.High {
				in++
			}
			wide, bias = wide+s.High-s.Low, bias+s.Unique-truth
		}
		share := 100 * float64(in) / float64(n)
		t.Logf("%s: %.1f %% of %d surveys within the interval of %.1f animals, %.1f too many", name, share, n,
			float64(wide)/float64(n), float64(bias)/float64(n))
		if share < 93 {
			t.Errorf("%s: the number of animals lies within the interval in %.1f %% of the surveys, want 93", name, share)
		}
	}
}

// twoFlights counts animals of a field of 300 m by 150 m from the west and from the east. Each flight misses 5 % and
// counts 5 % twice, and has an error of place that its animals share.
func twoFlights(r *rand.Rand, overlap, dense float64) (truth int, parts []Part) {
	const long, high, radii = 300.0, 150.0, 2.4477
	truth = 20 + r.IntN(100)
	var herd [][2]float64
	for range truth {
		p := [2]float64{long * r.Float64(), high * r.Float64()}
		if dense > 0 {
			p = [2]float64{long/2 + dense*r.NormFloat64(), high/2 + dense*r.NormFloat64()}
		}
		herd = append(herd, p)
	}
	for i := range 2 {
		from, to := 0.0, long/2+overlap/2
		if i == 1 {
			from, to = long/2-overlap/2, long
		}
		sigma, own := 1.5+2.5*r.Float64(), 0.2+0.6*r.Float64()
		east, north := sigma*r.NormFloat64(), sigma*r.NormFloat64()
		p := Part{At: noon.Add(time.Duration(10*i) * time.Minute), Footprint: box(from, -20, to, high+20)}
		seen := 0
		for _, h := range herd {
			if h[0] < from || h[0] >= to {
				continue
			}
			seen++
			times := 1
			switch u := r.Float64(); {
			case u < 0.05:
				times = 0
			case u > 0.95:
				times = 2
			}
			for range times {
				a := cow(h[0]+east+own*r.NormFloat64(), h[1]+north+own*r.NormFloat64(), radii*math.Hypot(sigma, own), 10*i)
				p.Animals = append(p.Animals, a)
			}
		}
		wide := int(math.Round(1.96 * math.Sqrt(0.1*float64(seen))))
		p.Unique = len(p.Animals)
		p.Low, p.High = max(0, p.Unique-wide), p.Unique+wide
		parts = append(parts, p)
	}
	return truth, parts
}
