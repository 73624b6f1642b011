// Package grain provides smooth random variation, for grounds and coats.
package grain

import "math"

// Noise is smooth random variation over plane and space. The same seed gives the same values, in any order of calls.
// Every value is ready to use.
type Noise struct{ Seed uint64 }

// Odd factors that separate neighbours on the lattice.
const (
	strideX = 0x9E3779B97F4A7C15
	strideY = 0xC2B2AE3D27D4EB4F
)

// finish mixes the bits of h (the finaliser of SplitMix64).
func finish(h uint64) uint64 {
	h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
	h = (h ^ h>>27) * 0x94D049BB133111EB
	return h ^ h>>31
}

// unit converts random bits to 0..1.
func unit(h uint64) float64 { return float64(int64(h>>11)) * (1.0 / (1 << 53)) }

// Lattice is white noise on whole numbers, 0..1.
func (n Noise) Lattice(x, y int64) float64 {
	return unit(finish(n.Seed ^ uint64(x)*strideX ^ uint64(y)*strideY))
}

// At is value noise with features of size 1, 0..1.
func (n Noise) At(x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	tx, ty := Smooth(x-fx), Smooth(y-fy)
	// Lattice at the four corners, with their common terms computed once.
	left, top := uint64(int64(fx))*strideX, n.Seed^uint64(int64(fy))*strideY
	right, bottom := left+strideX, n.Seed^(uint64(int64(fy))*strideY+strideY)
	a, b := unit(finish(top^left)), unit(finish(top^right))
	c, d := unit(finish(bottom^left)), unit(finish(bottom^right))
	a += (b - a) * tx
	c += (d - c) * tx
	return a + (c-a)*ty
}

// At3 is value noise in space with features of size 1, 0..1.
func (n Noise) At3(x, y, z float64) float64 {
	fz := math.Floor(z)
	const step = 0xD6E8FEB86659FD93 // distance between the seeds of neighbouring layers
	lower := Noise{n.Seed + uint64(int64(fz))*step}
	upper := Noise{lower.Seed + step}
	return Mix(lower.At(x, y), upper.At(x, y), Smooth(z-fz))
}

// Fractal sums octaves of halving size and weight, 0..1.
func (n Noise) Fractal(x, y float64, octaves int) float64 {
	sum, weight, total := 0.0, 1.0, 0.0
	for range octaves {
		sum += weight * n.At(x, y)
		total += weight
		weight /= 2
		x, y = x*2+17.3, y*2-9.1
	}
	return sum / total
}

// Smooth eases t from 0 to 1.
func Smooth(t float64) float64 { return t * t * (3 - 2*t) }

// Mix goes from a at t = 0 to b at t = 1.
func Mix(a, b, t float64) float64 { return a + (b-a)*t }

// Clamp limits v to lo..hi.
func Clamp(v, lo, hi float64) float64 { return min(max(v, lo), hi) }

// Ramp goes from 0 at a to 1 at b, smoothly; a may be above b.
func Ramp(a, b, v float64) float64 { return Smooth(Clamp((v-a)/(b-a), 0, 1)) }
