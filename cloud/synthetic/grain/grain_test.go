package grain

import (
	"math"
	"testing"
)

func TestNoise(t *testing.T) {
	n, other := Noise{7}, Noise{8}
	differ := false
	for i := -40; i < 40; i++ {
		x, y := float64(i)*0.37, float64(i)*-1.13
		for _, v := range []float64{n.At(x, y), n.At3(x, y, x), n.Fractal(x, y, 4)} {
			if v < 0 || v > 1 || math.IsNaN(v) {
				t.Errorf("%v at %v %v", v, x, y)
			}
		}
		differ = differ || n.At(x, y) != other.At(x, y)
		if got, want := n.At(float64(i), float64(-i)), n.Lattice(int64(i), int64(-i)); got != want {
			t.Errorf("on the lattice at %d: %v, want %v", i, got, want)
		}
		if step := math.Abs(n.At3(x, y, 1e-9) - n.At3(x, y, -1e-9)); step > 1e-6 {
			t.Errorf("a step of %v between layers", step)
		}
	}
	if !differ {
		t.Error("two seeds give the same noise")
	}
}

func TestRamp(t *testing.T) {
	for _, c := range []struct{ a, b, v, want float64 }{{0, 1, -1, 0}, {0, 1, 0.5, 0.5}, {0, 1, 2, 1}, {1, 0, 2, 0}, {1, 0, -1, 1}} {
		if got := Ramp(c.a, c.b, c.v); got != c.want {
			t.Errorf("Ramp(%v, %v, %v) = %v, want %v", c.a, c.b, c.v, got, c.want)
		}
	}
}
