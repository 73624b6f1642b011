package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// paints are the colours of machines.
var paints = [][3]float64{{226, 226, 224}, {40, 42, 46}, {150, 30, 30}, {40, 66, 130}, {150, 154, 158}, {36, 100, 50}, {196, 160, 40}, {90, 90, 84}}

// painted is a random colour of a machine.
func painted(r *rand.Rand) solid.RGB {
	t := paints[r.IntN(len(paints))]
	return solid.SRGB(t[0], t[1], t[2])
}

// wheels adds two axles under a body, as part 2 of its mesh.
func wheels(m *solid.Mesh, rear, front, half, size, thick float64) {
	for _, x := range []float64{rear, front} {
		for _, y := range []float64{-half, half} {
			m.Ball(xyz(x, y, size), xyz(size, 0, 0), xyz(0, thick, 0), xyz(0, 0, size), 8, 5, nil, 2)
		}
	}
}

// car is a passenger car, a van or a pick-up.
func car(r *rand.Rand) thing {
	m := &solid.Mesh{}
	long, wide := 2+0.6*r.Float64(), 0.85+0.15*r.Float64()
	hull := func(from, to, low, high, half float64, part uint8) {
		mid := (low + high) / 2
		ring := func(x, k float64) solid.Ring {
			return solid.Ring{C: xyz(x, 0, mid), R: xyz(0, half*k, 0), U: xyz(0, 0, (high-mid)*k), Pow: 5, Down: 1}
		}
		m.Tube([]solid.Ring{ring(from, 0.8), ring(from+0.15, 1), ring(to-0.2, 1), ring(to, 0.75)}, 16, part)
	}
	hull(-long, long, 0.3, 0.95, wide, 0)
	cabin := 0.2 + 0.5*r.Float64()
	if r.Float64() < 0.4 { // a pick-up
		hull(-0.1*long, 0.5*long, 0.9, 1.55, wide*0.85, 1)
		hull(0, 0.4*long, 1.5, 1.62, wide*0.78, 0)
		m.Sheet(xyz(-0.58*long, 0, 0.97), xyz(0.36*long, 0, 0), xyz(0, wide*0.85, 0), 2, 2)
	} else {
		hull(-(0.35+cabin)*long, 0.4*long, 0.9, 1.4, wide*0.88, 1)
		hull(-(0.25+cabin)*long, 0.25*long, 1.35, 1.52, wide*0.8, 0)
	}
	wheels(m, -0.6*long, 0.6*long, 0.92*wide, 0.32, 0.12)
	return thing{m, flatTones(r.Uint64(), painted(r), solid.SRGB(38, 44, 50), solid.SRGB(28, 28, 28)), place{radius: long}}
}

// tractor is a tractor, a small lorry or a quad: boxes on wheels of many sizes.
func tractor(r *rand.Rand) thing {
	m := &solid.Mesh{}
	k := 0.4 + 0.8*r.Float64()
	wheel := func(x, y, size float64) {
		m.Ball(xyz(x, y, size), xyz(size, 0, 0), xyz(0, 0.22*k, 0), xyz(0, 0, size), 12, 6, nil, 2)
	}
	for _, y := range []float64{-0.85 * k, 0.85 * k} {
		wheel(-0.9*k, y, 0.75*k)
		wheel(1.1*k, y*0.85, 0.45*k)
	}
	m.Box(xyz(0.8*k, 0, 1.0*k), xyz(0.85*k, 0, 0), xyz(0, 0.38*k, 0), xyz(0, 0, 0.35*k), 2, 0)
	m.Box(xyz(-0.6*k, 0, 1.4*k), xyz(0.6*k, 0, 0), xyz(0, 0.6*k, 0), xyz(0, 0, 0.75*k), 2, 1)
	m.Box(xyz(-0.6*k, 0, 2.2*k), xyz(0.65*k, 0, 0), xyz(0, 0.65*k, 0), xyz(0, 0, 0.06*k), 2, 0)
	if r.Float64() < 0.4 { // a trailer
		m.Box(xyz(-3.6*k, 0, 1.1*k), xyz(1.9*k, 0, 0), xyz(0, 0.95*k, 0), xyz(0, 0, 0.5*k), 3, 3)
	}
	return thing{m, flatTones(r.Uint64(), painted(r), solid.SRGB(50, 56, 60), solid.SRGB(30, 30, 30), painted(r)), place{radius: 2.4 * k}}
}

// lorry is a lorry with a box or a cover behind its cab, or a bus. From far away it looks like an animal: long, dark
// below, on legs.
func lorry(r *rand.Rand) thing {
	m := &solid.Mesh{}
	long, wide, high := 1.8+2*r.Float64(), 0.9+0.3*r.Float64(), 0.7+0.5*r.Float64()
	if r.Float64() < 0.4 { // a bus or a van: one body with a band of windows
		m.Box(xyz(0, 0, 0.5+high), xyz(long, 0, 0), xyz(0, wide, 0), xyz(0, 0, high), 3, 0)
		m.Box(xyz(0.05*long, 0, 0.55+1.35*high), xyz(0.93*long, 0, 0), xyz(0, 1.01*wide, 0), xyz(0, 0, 0.3*high), 3, 1)
	} else {
		m.Box(xyz(long+0.7, 0, 1.25), xyz(0.65, 0, 0), xyz(0, 0.95*wide, 0), xyz(0, 0, 0.75), 2, 0)
		m.Box(xyz(long+0.95, 0, 1.6), xyz(0.42, 0, 0), xyz(0, 0.97*wide, 0), xyz(0, 0, 0.3), 2, 1)
		m.Box(xyz(0, 0, 0.9+high), xyz(long, 0, 0), xyz(0, wide, 0), xyz(0, 0, high), 3, 3)
		m.Box(xyz(0, 0, 0.8), xyz(long+0.6, 0, 0), xyz(0, 0.4*wide, 0), xyz(0, 0, 0.12), 2, 2)
	}
	wheels(m, -0.7*long, 0.65*long, 0.9*wide, 0.45, 0.15)
	cover := []solid.RGB{solid.SRGB(46, 48, 46), solid.SRGB(66, 74, 58), solid.SRGB(214, 214, 210), solid.SRGB(92, 70, 52), painted(r)}[r.IntN(5)]
	return thing{m, flatTones(r.Uint64(), painted(r), solid.SRGB(36, 42, 48), solid.SRGB(26, 26, 26), cover), place{radius: long + 1.2}}
}

// hut is a low shelter on posts, open or with walls, dark inside.
func hut(r *rand.Rand) thing {
	m := &solid.Mesh{}
	long, wide, high := 1+2*r.Float64(), 0.8+1.4*r.Float64(), 1.1+1.2*r.Float64()
	for _, x := range []float64{-0.92, 0, 0.92} {
		for _, y := range []float64{-0.9, 0.9} {
			m.Limb([]solid.Joint{{At: xyz(x*long, y*wide, 0), Width: 0.06, High: 0.06}, {At: xyz(x*long, y*wide, high), Width: 0.06, High: 0.06}}, xyz(0, 1, 0), 6, 1)
		}
	}
	if r.Float64() < 0.6 {
		m.Box(xyz(0.2*long*(r.Float64()-0.5), 0, 0.35*high), xyz(0.85*long, 0, 0), xyz(0, 0.8*wide, 0), xyz(0, 0, 0.35*high), 3, 2)
	}
	rise := wide * 0.6 * r.Float64()
	for _, s := range []float64{-1, 1} {
		m.Sheet(xyz(0, s*wide/2, high+rise/2), xyz(1.08*long, 0, 0), xyz(0, 0.55*wide*s, -0.55*rise), 8, 0)
	}
	cover := []solid.RGB{solid.SRGB(120, 104, 80), solid.SRGB(60, 54, 48), solid.SRGB(172, 176, 178), solid.SRGB(200, 204, 206), solid.SRGB(60, 84, 120)}[r.IntN(5)]
	dark := 30 + 60*r.Float64()
	return thing{m, flatTones(r.Uint64(), cover, solid.SRGB(90, 76, 60), solid.SRGB(dark, dark*0.95, dark*0.88)), place{radius: math.Hypot(long, wide)}}
}

// roof is a shed with a roof of ribbed sheets, some of them rusty.
func roof(r *rand.Rand) thing {
	m := &solid.Mesh{}
	long, wide, high := 2+7*r.Float64(), 1.5+4*r.Float64(), 2+2*r.Float64()
	rise := wide * (0.1 + 0.3*r.Float64())
	for _, s := range []float64{-1, 1} {
		m.Sheet(xyz(0, s*wide/2, high+rise/2), xyz(long, 0, 0), xyz(0, wide/2*s, -rise/2), 12, 0)
	}
	m.Box(xyz(0, 0, high/2), xyz(long*0.96, 0, 0), xyz(0, wide*0.94, 0), xyz(0, 0, high/2), 4, 1)
	tone := []solid.RGB{solid.SRGB(176, 186, 192), solid.SRGB(190, 214, 222), solid.SRGB(140, 70, 54), solid.SRGB(96, 100, 104), solid.SRGB(150, 146, 138)}[r.IntN(5)]
	n, rust := grain.Noise{Seed: r.Uint64()}, 0.45+0.5*r.Float64()
	brown := solid.SRGB(120, 74, 50)
	wall := flatTones(r.Uint64(), solid.SRGB(150, 140, 126))
	return thing{m, func(l *light) solid.Shader {
		walls := wall(l)
		return func(s *solid.Surface) (solid.RGB, bool) {
			if s.Part == 1 {
				return walls(s)
			}
			c := tone.Scale(0.9 + 0.14*math.Sin(s.Tex.X*2*math.Pi/0.3))
			c = c.Scale(0.85 + 0.3*n.Lattice(int64(math.Floor(s.Tex.X/1.1)), int64(math.Copysign(1, s.Tex.Y))))
			c = c.Mix(brown, grain.Ramp(rust, rust+0.1, n.Fractal(s.Tex.X*1.5, s.Tex.Y*0.6, 3)))
			return l.reflected(c, s.N, 0, 1), true
		}
	}, place{radius: math.Hypot(long, wide)}}
}

// person is a standing or walking person.
func person(r *rand.Rand) thing {
	m := &solid.Mesh{}
	for _, y := range []float64{-0.1, 0.1} {
		m.Limb([]solid.Joint{{At: xyz(2*y*r.Float64(), y, 0), Width: 0.07, High: 0.1}, {At: xyz(0, y, 0.85), Width: 0.09, High: 0.1}}, xyz(0, 1, 0), 6, 0)
		m.Limb([]solid.Joint{{At: xyz(0, 2.1*y, 1.4), Width: 0.05, High: 0.06}, {At: xyz(0.25*r.Float64(), 2.6*y, 0.9), Width: 0.045, High: 0.05}}, xyz(0, 1, 0), 6, 1)
	}
	m.Limb([]solid.Joint{{At: xyz(0, 0, 0.8), Width: 0.17, High: 0.12}, {At: xyz(0, 0, 1.3), Width: 0.22, High: 0.13}, {At: xyz(0, 0, 1.48), Width: 0.1, High: 0.08}}, xyz(0, 1, 0), 9, 1)
	m.Ball(xyz(0.02, 0, 1.65), xyz(0.12, 0, 0), xyz(0, 0.1, 0), xyz(0, 0, 0.13), 8, 6, nil, 2)
	hair := []solid.RGB{solid.SRGB(40, 32, 28), solid.SRGB(190, 160, 120), solid.SRGB(210, 210, 205)}[r.IntN(3)]
	return thing{m, flatTones(r.Uint64(), painted(r).Scale(0.6), painted(r), hair), place{radius: 0.5}}
}

// fence is a row of posts with wires or rails, along +x from the middle.
func fence(r *rand.Rand, reach, perMetre float64) thing {
	m := &solid.Mesh{}
	gapped := 2 + 3*r.Float64()
	thick, high := 0.04+0.07*r.Float64(), 1.0+0.4*r.Float64()
	rails := r.Float64() < 0.35
	n := min(int(reach/gapped), 80)
	for i := -n; i <= n; i++ {
		x := float64(i) * gapped
		lean := 0.06 * r.NormFloat64()
		m.Limb([]solid.Joint{{At: xyz(x, 0, 0), Width: thick, High: thick}, {At: xyz(x+lean, lean, high), Width: thick, High: thick}}, xyz(0, 1, 0), 6, 0)
	}
	line := max(0.008, 0.2/perMetre)
	if rails {
		line = 0.05
	}
	for k := range 2 + r.IntN(3) {
		z := high * (0.95 - 0.27*float64(k))
		for i := -n; i < n; i++ {
			a, b := float64(i)*gapped, float64(i+1)*gapped
			m.Limb([]solid.Joint{{At: xyz(a, 0, z), Width: line, High: line}, {At: xyz(b, 0, z), Width: line, High: line}}, xyz(0, 1, 0), 3, 1)
		}
	}
	post := []solid.RGB{solid.SRGB(130, 112, 92), solid.SRGB(180, 176, 168), solid.SRGB(80, 72, 64), solid.SRGB(120, 70, 50)}[r.IntN(4)]
	wire := solid.SRGB(150, 150, 148)
	if rails {
		wire = post
	}
	return thing{m, flatTones(r.Uint64(), post, wire), place{}}
}
