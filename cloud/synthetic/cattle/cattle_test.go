package cattle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"cattlecounter/cloud/synthetic/solid"
)

// TestBodies checks for every breed and pose that the animal stands on the ground and has the measures of cattle.
func TestBodies(t *testing.T) {
	for breed := range breeds {
		for pose := range poses {
			t.Run(fmt.Sprintf("%d-%d", breed, pose), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(breed), uint64(pose)))
				for range 20 {
					b := New(r, breed, pose, AnyCoat(r, breed))
					m := b.Mesh(20 + 60*r.Float64())
					lo, hi := extent(m)
					if lo.Z < -0.05 || lo.Z > 0.3 {
						t.Errorf("the lowest point is at %v m", lo.Z)
					}
					if long := hi.X - lo.X; long < 1.6 || long > 2.75 {
						t.Errorf("%v m long", long)
					}
					if wide := hi.Y - lo.Y; wide < 0.5 || wide > 2.4 {
						t.Errorf("%v m wide", wide)
					}
					if tall := hi.Z; pose == Lying && tall > 1.5 || pose != Lying && (tall < 1.2 || tall > 2.2) {
						t.Errorf("%v m tall", tall)
					}
					if b.Size < 0.35 || b.Size > 1.15 {
						t.Errorf("size %v", b.Size)
					}
				}
			})
		}
	}
}

func extent(m *solid.Mesh) (lo, hi vec) {
	lo, hi = m.Verts[0].P, m.Verts[0].P
	for _, v := range m.Verts {
		lo = xyz(min(lo.X, v.P.X), min(lo.Y, v.P.Y), min(lo.Z, v.P.Z))
		hi = xyz(max(hi.X, v.P.X), max(hi.Y, v.P.Y), max(hi.Z, v.P.Z))
	}
	return lo, hi
}

func TestSameSeedSameAnimal(t *testing.T) {
	animal := func() *Beast {
		r := rand.New(rand.NewPCG(4, 2))
		return New(r, Yak, Grazing, AnyCoat(r, Yak))
	}
	a, b := animal(), animal()
	if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(a.Mesh(50), b.Mesh(50)) {
		t.Error("the same draws gave two animals")
	}
}

// TestCoatsReflect checks that every coat reflects a plausible share of the light everywhere, and that dark coats
// reflect less than white ones.
func TestCoatsReflect(t *testing.T) {
	mean := map[Coat]float64{}
	for kind := range coats {
		r := rand.New(rand.NewPCG(9, uint64(kind)))
		n := 0
		for range 10 {
			b := New(r, Breed(r.IntN(int(breeds))), Standing, kind)
			shade := b.Shade(func(c solid.RGB, _ *solid.Surface) solid.RGB { return c })
			m := b.Mesh(40)
			m.Place(vec{}, 0, 1)
			for i := range m.Verts {
				v := &m.Verts[i]
				c, _ := shade(&solid.Surface{P: v.P, Tex: v.Tex, N: v.N, Facing: 1, Part: v.Part})
				for _, x := range []float64{c.R, c.G, c.B} {
					if !(x >= 0 && x <= 1) || math.IsNaN(x) {
						t.Fatalf("coat %d, part %d: %v", kind, v.Part, c)
					}
				}
				mean[kind] += c.G
				n++
			}
		}
		mean[kind] /= float64(n)
	}
	if mean[Black]*4 > mean[White] {
		t.Errorf("black %v, white %v", mean[Black], mean[White])
	}
}
