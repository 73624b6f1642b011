package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// thing is a piece of clutter: any object that is not an animal.
type thing struct {
	mesh  *solid.Mesh
	shade func(l *light) solid.Shader
	place place
}

func xyz(x, y, z float64) solid.Vec { return solid.Vec{X: x, Y: y, Z: z} }

// flatTones shades parts in flat tones with a little dirt.
func flatTones(seed uint64, tones ...solid.RGB) func(*light) solid.Shader {
	n := grain.Noise{Seed: seed}
	return func(l *light) solid.Shader {
		return func(s *solid.Surface) (solid.RGB, bool) {
			c := tones[min(int(s.Part), len(tones)-1)]
			dirt := n.At3(s.Tex.X*2, s.Tex.Y*2, s.Tex.Z*2)*0.5 + n.At3(s.Tex.X*11, s.Tex.Y*11, s.Tex.Z*11)*0.5
			return l.reflected(c.Scale(0.8+0.4*dirt), s.N, 0, 0.85), true
		}
	}
}

// leaves shades a crown: light and dark clumps, holes at the outline.
func leaves(seed uint64, tone solid.RGB, height float64) func(*light) solid.Shader {
	n := grain.Noise{Seed: seed}
	return func(l *light) solid.Shader {
		return func(s *solid.Surface) (solid.RGB, bool) {
			fine := n.At3(s.Tex.X*9, s.Tex.Y*9, s.Tex.Z*9)
			if fine > 0.3+1.6*s.Facing {
				return solid.RGB{}, false
			}
			clump := n.At3(s.Tex.X*2.6, s.Tex.Y*2.6, s.Tex.Z*2.6)
			open := 0.35 + 0.65*grain.Ramp(0, height, s.Tex.Z)
			c := tone.Scale(0.45 + 0.6*clump + 0.5*fine)
			return l.reflected(c, s.N, 0.6*grain.Ramp(0.6, 0.3, clump*0.5+fine*0.5), open), true
		}
	}
}

func leafTone(r *rand.Rand) solid.RGB {
	list := [][3]float64{{62, 84, 44}, {78, 98, 52}, {48, 66, 40}, {96, 96, 62}, {112, 100, 70}, {70, 62, 48}}
	t := list[r.IntN(len(list))]
	k := math.Exp(0.2 * r.NormFloat64())
	return solid.SRGB(min(t[0]*k, 200), min(t[1]*k, 200), min(t[2]*k, 200))
}

func rough(n grain.Noise, by, size float64) func(solid.Vec) float64 {
	return func(d solid.Vec) float64 {
		return 1 + by*(n.At3(d.X*size+7, d.Y*size+7, d.Z*size+7)-0.5)*2
	}
}

// bush is a low and round bush, sometimes as large and dark as an animal.
func bush(r *rand.Rand) thing {
	m := &solid.Mesh{}
	seed := r.Uint64()
	size, height := 0.3+1.3*r.Float64()*r.Float64(), 0.5+0.6*r.Float64()
	for i := range 1 + r.IntN(4) {
		k := size * (0.6 + 0.4*r.Float64())
		at := xyz(size*r.NormFloat64()*0.5, size*r.NormFloat64()*0.5, k*height*0.6)
		m.Ball(at, xyz(k, 0, 0), xyz(0, k, 0), xyz(0, 0, k*height), 16, 9, rough(grain.Noise{Seed: seed + uint64(i)}, 0.35, 2.5), 0)
	}
	return thing{m, leaves(seed, leafTone(r), 2*size*height), place{radius: size * 1.1}}
}

// tree is a trunk with a crown.
func tree(r *rand.Rand) thing {
	m := &solid.Mesh{}
	seed := r.Uint64()
	crown, height := 1.5+2.5*r.Float64(), 3+5*r.Float64()
	m.Limb([]solid.Joint{{At: solid.Vec{}, Width: 0.2, High: 0.2}, {At: xyz(0.1, 0, height*0.8), Width: 0.14, High: 0.14}}, xyz(0, 1, 0), 7, 1)
	for i := range 4 + r.IntN(6) {
		k := crown * (0.4 + 0.35*r.Float64())
		at := xyz(crown*0.45*r.NormFloat64(), crown*0.45*r.NormFloat64(), height*(0.8+0.25*r.Float64()))
		m.Ball(at, xyz(k, 0, 0), xyz(0, k, 0), xyz(0, 0, k*0.8), 18, 11, rough(grain.Noise{Seed: seed + uint64(i)}, 0.4, 3), 0)
	}
	green := leaves(seed, leafTone(r), height*1.2)
	bark := flatTones(seed, solid.SRGB(80, 66, 52))
	return thing{m, func(l *light) solid.Shader {
		a, b := green(l), bark(l)
		return func(s *solid.Surface) (solid.RGB, bool) {
			if s.Part == 1 {
				return b(s)
			}
			return a(s)
		}
	}, place{radius: 0.6}}
}

// wood is a group of trees far away.
func wood(r *rand.Rand) thing {
	m := &solid.Mesh{}
	seed := r.Uint64()
	size := 3 + 4*r.Float64()
	for i := range 3 {
		at := xyz(size*r.NormFloat64(), size*r.NormFloat64(), size*(0.5+0.5*r.Float64()))
		m.Ball(at, xyz(size, 0, 0), xyz(0, size, 0), xyz(0, 0, size*0.9), 9, 6, rough(grain.Noise{Seed: seed + uint64(i)}, 0.3, 2), 0)
	}
	return thing{m, flatTones(seed, leafTone(r).Scale(0.8)), place{}}
}

// rock is a boulder or a clod, sometimes as large as an animal.
func rock(r *rand.Rand) thing {
	m := &solid.Mesh{}
	seed := r.Uint64()
	a := 0.2 + 1.1*r.Float64()*r.Float64()
	b, h := a*(0.4+0.6*r.Float64()), a*(0.3+0.5*r.Float64())
	m.Ball(xyz(0, 0, h*0.4), xyz(a, 0, 0), xyz(0, b, 0), xyz(0, 0, h), 12, 8, rough(grain.Noise{Seed: seed}, 0.35, 1.7), 0)
	t := 60 + 130*r.Float64()
	tone := solid.SRGB(t*1.05, t, t*0.93)
	if r.Float64() < 0.4 { // a clod of earth
		t = 30 + 90*r.Float64()
		tone = solid.SRGB(t*1.15, t*0.93, t*0.75)
	}
	return thing{m, flatTones(seed, tone), place{radius: a}}
}

// bale is a bale of hay, round or square, sometimes wrapped in film.
func bale(r *rand.Rand) thing {
	m := &solid.Mesh{}
	tones := []solid.RGB{solid.SRGB(186, 160, 104), solid.SRGB(160, 136, 90), solid.SRGB(226, 228, 226), solid.SRGB(30, 32, 32), solid.SRGB(120, 150, 120)}
	tone := tones[[]int{0, 0, 1, 1, 2, 3, 4}[r.IntN(7)]]
	reach := 0.75
	if r.Float64() < 0.6 {
		k, half := 0.55+0.25*r.Float64(), 0.6
		up := xyz(0, 0, k) // on its round side
		m.Limb([]solid.Joint{{At: xyz(-half, 0, k), Width: k * 0.97, High: k * 0.97}, {At: xyz(-half*0.93, 0, k), Width: k, High: k},
			{At: xyz(half*0.93, 0, k), Width: k, High: k}, {At: xyz(half, 0, k), Width: k * 0.97, High: k * 0.97}}, xyz(0, 1, 0), 16, 0)
		if r.Float64() < 0.35 { // on its end
			for i := range m.Verts {
				v := &m.Verts[i]
				v.P = xyz(v.P.Z-up.Z, v.P.Y, v.P.X+half)
				v.Tex = v.P
			}
		}
	} else {
		reach = 1 + 0.4*r.Float64()
		m.Box(xyz(0, 0, 0.4), xyz(reach, 0, 0), xyz(0, 0.45, 0), xyz(0, 0, 0.4), 3, 0)
	}
	return thing{m, flatTones(r.Uint64(), tone), place{radius: reach}}
}

// trough is an open box, empty or with water or feed.
func trough(r *rand.Rand) thing {
	long := 0.7 + 2.5*r.Float64()
	t := bunk(r, long)
	t.place.radius = long
	return t
}

// bunk is a trough for animals to stand at; long is half its length.
func bunk(r *rand.Rand, long float64) thing {
	m := &solid.Mesh{}
	wide, high, wall := 0.25+0.25*r.Float64(), 0.3+0.3*r.Float64(), 0.05
	for _, s := range []float64{-1, 1} {
		m.Box(xyz(0, s*wide, high/2), xyz(long, 0, 0), xyz(0, wall, 0), xyz(0, 0, high/2), 2, 0)
		m.Box(xyz(s*long, 0, high/2), xyz(wall, 0, 0), xyz(0, wide, 0), xyz(0, 0, high/2), 2, 0)
	}
	m.Sheet(xyz(0, 0, high*0.6), xyz(long, 0, 0), xyz(0, wide, 0), 4, 1)
	outside := []solid.RGB{solid.SRGB(168, 164, 156), solid.SRGB(120, 100, 78), solid.SRGB(90, 96, 100), solid.SRGB(150, 96, 70)}[r.IntN(4)]
	inside := []solid.RGB{solid.SRGB(84, 96, 92), solid.SRGB(150, 134, 84), solid.SRGB(50, 52, 48), solid.SRGB(110, 104, 60)}[r.IntN(4)]
	return thing{m, flatTones(r.Uint64(), outside, inside), place{}}
}

// tank is an upright cylinder of water.
func tank(r *rand.Rand) thing {
	m := &solid.Mesh{}
	k, h := 0.5+1.2*r.Float64(), 0.5+1.8*r.Float64()
	m.Limb([]solid.Joint{{At: solid.Vec{}, Width: k, High: k}, {At: xyz(0, 0, h), Width: k, High: k}, {At: xyz(0, 0, h*1.03), Width: k * 0.8, High: k * 0.8}},
		xyz(0, 1, 0), 20, 0)
	tone := []solid.RGB{solid.SRGB(44, 44, 46), solid.SRGB(60, 92, 70), solid.SRGB(200, 200, 196), solid.SRGB(60, 100, 160)}[r.IntN(4)]
	return thing{m, flatTones(r.Uint64(), tone), place{radius: k}}
}

// log is a trunk, a plank or a pole on the ground.
func log(r *rand.Rand) thing {
	m := &solid.Mesh{}
	k, long := 0.05+0.2*r.Float64()*r.Float64(), 0.6+1.8*r.Float64()
	m.Limb([]solid.Joint{{At: xyz(-long, 0, k), Width: k, High: k}, {At: xyz(0, 0.1*long*r.NormFloat64(), k), Width: k, High: k},
		{At: xyz(long, 0, k), Width: k * 0.8, High: k * 0.8}}, xyz(0, 1, 0), 8, 0)
	t := 50 + 120*r.Float64()
	return thing{m, flatTones(r.Uint64(), solid.SRGB(t*1.1, t*0.95, t*0.8)), place{radius: 0.4 * long}}
}
