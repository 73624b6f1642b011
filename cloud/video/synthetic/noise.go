package synthetic

import "math"

// noise is smooth random variation over the plane, the same for the same seed
// wherever and in whatever order it is asked.
type noise struct{ seed uint64 }

// hash mixes a lattice point into 64 random bits (the finaliser of SplitMix64).
func (n noise) hash(x, y int64) uint64 {
	h := n.seed ^ uint64(x)*0x9E3779B97F4A7C15 ^ uint64(y)*0xC2B2AE3D27D4EB4F
	h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
	h = (h ^ h>>27) * 0x94D049BB133111EB
	return h ^ h>>31
}

func (n noise) lattice(x, y int64) float64 { return float64(n.hash(x, y)>>11) / (1 << 53) }

// at is value noise with features of size 1, 0..1.
func (n noise) at(x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := int64(fx), int64(fy)
	tx, ty := smooth(x-fx), smooth(y-fy)
	top := mix(n.lattice(ix, iy), n.lattice(ix+1, iy), tx)
	bottom := mix(n.lattice(ix, iy+1), n.lattice(ix+1, iy+1), tx)
	return mix(top, bottom, ty)
}

// fractal sums octaves of halving size and weight, 0..1.
func (n noise) fractal(x, y float64, octaves int) float64 {
	sum, weight, total := 0.0, 1.0, 0.0
	for range octaves {
		sum += weight * n.at(x, y)
		total += weight
		weight /= 2
		x, y = x*2+17.3, y*2-9.1
	}
	return sum / total
}

func smooth(t float64) float64 { return t * t * (3 - 2*t) }

func mix(a, b, t float64) float64 { return a + (b-a)*t }

func clamp(v, lo, hi float64) float64 { return min(max(v, lo), hi) }

// ramp goes from 0 at a to 1 at b, smoothly.
func ramp(a, b, v float64) float64 { return smooth(clamp((v-a)/(b-a), 0, 1)) }
