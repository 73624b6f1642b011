package detr

import (
	"math"
	"testing"
)

func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		v := fromHalf(uint16(h))
		got := toHalf(v)
		if v != v {
			if back := fromHalf(got); back == back {
				t.Fatalf("NaN %04x becomes %v", h, back)
			}
			continue
		}
		if got != uint16(h) {
			t.Fatalf("%04x is %v, which becomes %04x", h, v, got)
		}
	}
	for v, want := range map[float32]float32{
		1: 1, -2.5: -2.5, 65504: 65504, 65519: 65504, 65520: float32(math.Inf(1)), -1e9: float32(math.Inf(-1)), 1e-9: 0,
		1 + 1.0/2048: 1, 1 + 3.0/2048: 1 + 4.0/2048, // ties to even
		float32(math.Ldexp(1.5, -24)): float32(math.Ldexp(1, -23)), float32(math.Ldexp(0.5, -24)): 0, float32(math.Ldexp(1023.9, -24)): float32(math.Ldexp(1, -14)),
	} {
		if got := fromHalf(toHalf(v)); got != want {
			t.Errorf("%v becomes %v, want %v", v, got, want)
		}
	}
	values := []float32{0, 1, -3, 0.5}
	b := make([]byte, 2*len(values))
	packHalf(b, values)
	for i, v := range unpackHalf(b) {
		if v != values[i] {
			t.Errorf("%v becomes %v", values[i], v)
		}
	}
}
