package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// soil is one kind of ground.
type soil struct {
	a, b, c solid.RGB // a and b in large patches, c in small ones
	some    float64   // share of c
	strong  float64   // opacity of c
	spread  float64   // softness of its edges
	blade   float64   // contrast of the finest structure, 0..1
	tuft    float64   // contrast of structures of decimetres
	bump    float64   // height of the relief in metres
	clod    float64   // size of the relief in metres
	rows    float64   // distance of furrows or mowing lines in metres, 0 for none
	furrow  float64   // contrast of the rows
	turn    float64   // of the rows, radians
	slabs   float64   // size of concrete slabs in metres, 0 for none
}

// Kinds of ground.
const (
	pasture = iota
	dryGrass
	redEarth
	paleEarth
	brownEarth
	mud
	concrete
	ploughed
	snow
	stubble
	soils
)

// palette holds the colours of each kind in sRGB: two that alternate, and one in small patches.
var palette = [soils][3][3]float64{
	pasture:    {{82, 118, 52}, {112, 148, 66}, {152, 150, 92}},
	dryGrass:   {{150, 140, 92}, {176, 160, 112}, {120, 126, 74}},
	redEarth:   {{168, 124, 100}, {190, 146, 120}, {120, 88, 72}},
	paleEarth:  {{196, 176, 148}, {172, 150, 122}, {140, 118, 94}},
	brownEarth: {{120, 96, 76}, {98, 78, 62}, {146, 122, 98}},
	mud:        {{72, 60, 50}, {90, 76, 62}, {54, 46, 40}},
	concrete:   {{158, 154, 148}, {136, 132, 126}, {104, 96, 86}},
	ploughed:   {{124, 98, 76}, {104, 82, 64}, {150, 122, 94}},
	snow:       {{226, 230, 236}, {238, 240, 244}, {150, 142, 122}},
	stubble:    {{190, 166, 108}, {172, 148, 98}, {128, 124, 72}},
}

func newSoil(r *rand.Rand, kind int) soil {
	p := palette[kind]
	bright, warm, sat := math.Exp(0.15*r.NormFloat64()), 1+0.04*r.NormFloat64(), 1+0.16*r.NormFloat64()
	tone := func(c [3]float64) solid.RGB {
		grey := (c[0] + c[1] + c[2]) / 3
		v := [3]float64{}
		for i := range v {
			v[i] = grain.Clamp((grey+(c[i]-grey)*max(sat, 0.3))*bright, 12, 245)
		}
		return solid.SRGB(min(v[0]*warm, 250), v[1], v[2]/warm)
	}
	s := soil{a: tone(p[0]), b: tone(p[1]), c: tone(p[2]), some: 0.5 * r.Float64(), strong: 0.25 + 0.75*r.Float64(), spread: 0.3 * r.Float64(), blade: 0.3 + 0.4*r.Float64(), tuft: 0.15 + 0.5*r.Float64(),
		bump: 0.02 + 0.05*r.Float64(), clod: 0.2 + 0.5*r.Float64(), turn: math.Pi * r.Float64()}
	switch kind {
	case pasture, dryGrass:
		if r.Float64() < 0.3 {
			s.rows, s.furrow = 0.6+3*r.Float64(), 0.1+0.2*r.Float64()
		}
		s.bump = 0.02 + 0.07*r.Float64()
	case mud:
		s.bump, s.clod = 0.05+0.08*r.Float64(), 0.15+0.25*r.Float64()
	case concrete:
		s.slabs, s.blade, s.tuft, s.bump = 2+4*r.Float64(), 0.12, 0.15, 0.004
	case ploughed:
		s.rows, s.furrow, s.bump = 0.3+0.9*r.Float64(), 0.25+0.3*r.Float64(), 0.06
	case stubble:
		s.rows, s.furrow = 0.4+1.2*r.Float64(), 0.15+0.25*r.Float64()
	case snow:
		s.blade, s.tuft, s.bump = 0.08, 0.1, 0.03
	}
	return s
}

// ground is the plane of a picture: up to three soils, the borders between them, and tracks.
type ground struct {
	soils        [3]soil
	noise, fine  grain.Noise
	border       [2]border
	patch, scale float64 // share and size in metres of the third soil's patches
	soft         float64 // of their edges
	ruts         []rut
	rutTone      solid.RGB
	sun          solid.Vec
}

// border is a wavy line between two soils.
type border struct {
	on           bool
	nx, ny, d    float64
	wiggle, soft float64 // metres
}

// rut is a track: a sine along a line across the plane, or two of them at the distance gauge for wheels. phase and
// depth are 0..1, all others are metres.
type rut struct {
	nx, ny, d            float64 // the line x*nx + y*ny = d
	swing, length, phase float64
	gauge, width, depth  float64
}

// themes are combinations of soils in one picture.
var themes = [][3]int{
	{pasture, dryGrass, brownEarth}, {pasture, pasture, dryGrass}, {pasture, ploughed, dryGrass}, {pasture, redEarth, paleEarth}, {pasture, stubble, pasture},
	{dryGrass, pasture, paleEarth}, {dryGrass, redEarth, brownEarth}, {redEarth, paleEarth, brownEarth}, {redEarth, pasture, mud},
	{paleEarth, dryGrass, redEarth}, {paleEarth, brownEarth, mud}, {brownEarth, pasture, mud}, {brownEarth, mud, paleEarth}, {mud, brownEarth, paleEarth}, {mud, concrete, brownEarth},
	{concrete, pasture, mud}, {concrete, mud, concrete}, {ploughed, pasture, brownEarth}, {snow, brownEarth, dryGrass}, {snow, snow, paleEarth}, {stubble, pasture, paleEarth},
	{pasture, mud, brownEarth}, {pasture, concrete, dryGrass},
}

func newGround(r *rand.Rand, extent float64) (*ground, int) {
	theme := themes[r.IntN(len(themes))]
	g := &ground{noise: grain.Noise{Seed: r.Uint64()}, fine: grain.Noise{Seed: r.Uint64()}, patch: 2}
	for i, kind := range theme {
		g.soils[i] = newSoil(r, kind)
	}
	for i := range g.border {
		s, c := math.Sincos(2 * math.Pi * r.Float64())
		g.border[i] = border{on: r.Float64() < 0.4-0.2*float64(i), nx: c, ny: s, d: extent * 0.5 * (r.Float64() - 0.3)}
		if r.Float64() < 0.5 {
			g.border[i].wiggle, g.border[i].soft = 0.25*extent*r.Float64(), 0.2+2*r.Float64()
		} else {
			g.border[i].wiggle, g.border[i].soft = 0.6*r.Float64(), 0.1+0.3*r.Float64()
		}
	}
	if r.Float64() < 0.4 {
		g.patch, g.scale, g.soft = 0.5+0.25*r.Float64(), 1.5+14*r.Float64(), 0.05+0.3*r.Float64()*r.Float64()
	} else {
		g.scale = 4
	}
	for range r.IntN(4) {
		s, c := math.Sincos(math.Pi * r.Float64())
		t := rut{nx: c, ny: s, d: extent * (r.Float64() - 0.5), swing: 2 * r.Float64() * r.Float64(), length: 10 + 40*r.Float64(), phase: 6 * r.Float64(),
			width: 0.12 + 0.3*r.Float64(), depth: 0.3 + 0.6*r.Float64()}
		if r.Float64() < 0.5 {
			t.gauge = 1.6 + 0.4*r.Float64()
		}
		g.ruts = append(g.ruts, t)
	}
	g.rutTone = newSoil(r, []int{paleEarth, brownEarth, mud}[r.IntN(3)]).a
	return g, theme[0]
}

// fade is 1 for structures that a pixel of size px resolves, and 0 for those that it averages.
func fade(size, px float64) float64 { return grain.Clamp((size/px-0.8)/1.5, 0, 1) }

// at is the reflectance of the ground at p with its relief. px is the size of a pixel there in metres.
func (g *ground) at(p solid.Vec, px float64) solid.RGB {
	mid := g.noise.Fractal(p.X/1.7+50, p.Y/1.7, 2)
	big := g.noise.Fractal(p.X/11, p.Y/11, 3)
	weights := [3]float64{1, 0, 0}
	for i, b := range g.border {
		if !b.on {
			continue
		}
		d := p.X*b.nx + p.Y*b.ny - b.d + b.wiggle*(big-0.5)*2 + b.soft*(mid-0.5)*2
		t := grain.Ramp(-b.soft/4-px, b.soft/4+px, d)
		for k := range weights {
			weights[k] *= 1 - t
		}
		weights[i+1] += t
	}
	if g.patch < 1 {
		n := g.noise.Fractal(p.X/g.scale-31, p.Y/g.scale+77, 3)
		t := grain.Ramp(g.patch, g.patch+g.soft, n+0.12*(mid-0.5))
		weights[0] *= 1 - t
		weights[2] += t
	}
	var sum solid.RGB
	for i, w := range weights {
		if w > 0.004 {
			sum = sum.Add(g.soilAt(&g.soils[i], p, big, mid, px).Scale(w))
		}
	}
	for i := range g.ruts {
		if w := g.ruts[i].bareness(p, px); w > 0.01 {
			sum = sum.Mix(g.rutTone.Scale(0.75+0.5*mid), w*(0.4+0.6*mid))
		}
	}
	return sum
}

// soilAt is the reflectance of one soil.
func (g *ground) soilAt(s *soil, p solid.Vec, big, mid, px float64) solid.RGB {
	c := s.a.Mix(s.b, grain.Ramp(0.3, 0.7, big)).Mix(s.c, s.strong*grain.Ramp(0.72-s.some*0.6-s.spread, 0.84-s.some*0.6+s.spread, mid*0.6+big*0.4))
	v := 1 + s.tuft*(mid-0.5)
	if k := fade(0.35, px); k > 0 {
		v += 1.2 * s.tuft * k * (g.fine.At(p.X/0.35, p.Y/0.35) - 0.5)
	}
	if k := fade(0.09, px); k > 0 {
		v += s.blade * k * (g.fine.At(p.X/0.09, p.Y/0.05) - 0.5)
	}
	if k := fade(0.03, px); k > 0 {
		v += 0.9 * s.blade * k * (g.fine.At(p.X/0.03, p.Y/0.025) - 0.5)
	}
	// Structures finer than a pixel make it grainy.
	v += 0.3 * s.blade * (g.fine.Lattice(int64(math.Floor(p.X/px)), int64(math.Floor(p.Y/px))) - 0.5)
	if k := fade(s.clod*0.7, px); k > 0 {
		d := s.clod * 0.3
		octaves := 1 + int(math.Ceil(fade(s.clod*0.35, px)))
		h := g.noise.Fractal(p.X/s.clod, p.Y/s.clod, octaves) - g.noise.Fractal((p.X+g.sun.X*d)/s.clod, (p.Y+g.sun.Y*d)/s.clod, octaves)
		v += k * h * s.bump * 30
	}
	if s.rows > 0 {
		sin, cos := math.Sincos(s.turn)
		across := (p.X*cos + p.Y*sin + 0.2*s.rows*(mid-0.5)) / s.rows
		v += s.furrow * fade(s.rows/2, px) * math.Sin(2*math.Pi*across) * (0.6 + 0.8*mid)
		v += 0.5 * s.furrow * (g.fine.Lattice(int64(math.Floor(across/7)), 5) - 0.5) // beds of the width of the machine
	}
	if s.slabs > 0 {
		if e := min(gap(p.X, s.slabs), gap(p.Y, s.slabs)); e < 0.04+px/2 {
			v *= 0.7
		}
		v *= 0.94 + 0.12*g.fine.Lattice(int64(math.Floor(p.X/s.slabs)), int64(math.Floor(p.Y/s.slabs)))
	}
	return c.Scale(max(v, 0.15))
}

// gap is the distance to the nearest multiple of size.
func gap(x, size float64) float64 {
	t := x/size - math.Floor(x/size)
	return min(t, 1-t) * size
}

// bareness is how bare the ground of the track is at p, 0..1.
func (t *rut) bareness(p solid.Vec, px float64) float64 {
	along, across := p.Y*t.nx-p.X*t.ny, p.X*t.nx+p.Y*t.ny-t.d
	if math.Abs(across) > t.swing+t.gauge+t.width+px {
		return 0
	}
	off := math.Abs(across - t.swing*math.Sin(along/t.length*2*math.Pi+t.phase))
	if t.gauge > 0 {
		off = math.Abs(off - t.gauge/2)
	}
	return t.depth * (1 - grain.Ramp(t.width*0.5, t.width+px, off))
}
