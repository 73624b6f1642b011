package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// Floor is a kind of ground of a Terrain.
type Floor int

// Kinds of ground.
const (
	Pasture Floor = iota
	DryPasture
	DrySoil
	DirtRoad
	Yard    // concrete slabs
	Feedlot // mud with puddles
	StubbleField
)

// Sunlight is the light on a Terrain.
type Sunlight struct {
	Height    float64 // of the sun above the horizon, degrees, 5 to 90
	Direction float64 // that shadows fall to, radians from +x towards +y
	Direct    float64 // strength of the sun, 0 for an overcast sky
	Ambient   float64 // strength of the sky
	Warm      float64 // how much redder the sun is than the sky, 0..1
}

// TerrainOptions describes a Terrain.
type TerrainOptions struct {
	Seed    uint64
	Floor   Floor
	Light   Sunlight
	Clutter float64 // amount of spots and things, 1 is usual; without any a pasture has no bare earth
	Lane    float64 // width in metres of a fenced dirt lane along the x axis, 0 for none
}

// Terrain is an endless ground under one light, the same for the same options. +x is to the right and +y down in a
// picture with north up. Its methods may be called at the same time from several goroutines.
type Terrain struct {
	o      TerrainOptions
	ground *ground
	light  *light
	dark   bool // the ground has puddles
	path   soil // of the lane
	tracks []rut
	things *thingCache
}

// NewTerrain returns the ground of the options.
func NewTerrain(o TerrainOptions) *Terrain {
	r := rand.New(rand.NewPCG(o.Seed, 0x7E44A1))
	t := &Terrain{o: o, light: sunlight(o.Light), things: newThingCache()}
	t.ground = &ground{noise: grain.Noise{Seed: r.Uint64()}, fine: grain.Noise{Seed: r.Uint64()}, sun: t.light.sun}
	floors := [...][3]int{
		Pasture: {pasture, pasture, brownEarth}, DryPasture: {dryGrass, pasture, paleEarth},
		DrySoil:  {[]int{paleEarth, redEarth, brownEarth}[r.IntN(3)], paleEarth, dryGrass},
		DirtRoad: {paleEarth, brownEarth, dryGrass},
		Yard:     {concrete, concrete, mud}, Feedlot: {brownEarth, mud, mud}, StubbleField: {stubble, stubble, paleEarth},
	}
	for i, kind := range floors[o.Floor] {
		t.ground.soils[i] = newSoil(r, kind)
	}
	t.ground.patch, t.ground.scale, t.ground.soft = 0.55+0.15*r.Float64(), 3+8*r.Float64(), 0.1+0.2*r.Float64()
	switch o.Floor {
	case Yard:
		t.ground.patch, t.ground.scale, t.ground.soft = 0.62+0.1*r.Float64(), 4+4*r.Float64(), 0.3
	case Feedlot:
		t.ground.patch, t.dark = 0.42+0.1*r.Float64(), true
	case Pasture:
		t.ground.patch = 0.6 + 0.15*r.Float64()
		if o.Clutter == 0 {
			t.ground.patch = 2 // no bare earth
		}
	}
	for i := range t.ground.soils { // more contrast in the finest structures than single pictures have
		t.ground.soils[i].blade *= 1.35
	}
	t.ground.rutTone = newSoil(r, []int{paleEarth, brownEarth}[r.IntN(2)]).a
	if o.Floor == DirtRoad {
		for i := range 3 {
			t.tracks = append(t.tracks, rut{ny: 1, d: float64(i)*3.1 - 3 + r.Float64(), swing: 0.5 * r.Float64(),
				length: 40 + 20*r.Float64(), phase: 6 * r.Float64(), gauge: 1.7, width: 0.25 + 0.2*r.Float64(), depth: 0.4 + 0.4*r.Float64()})
		}
	}
	t.path = newSoil(r, []int{paleEarth, brownEarth, redEarth}[r.IntN(3)])
	t.light.low = t.ground.soils[0].a.Scale(0.4).Mul(t.sunlit())
	return t
}

// sunlight is the light of a clip, without haze.
func sunlight(s Sunlight) *light {
	height := s.Height * math.Pi / 180
	sin, cos := math.Sincos(s.Direction)
	l := &light{sun: xyz(-cos*math.Cos(height), sin*math.Cos(height), math.Sin(height)), reach: 1e9}
	l.direct = solid.RGB{R: 1 + 0.12*s.Warm, G: 1 - 0.03*s.Warm, B: 0.94 - 0.3*s.Warm}.Scale(s.Direct)
	l.sky = solid.RGB{R: 0.96, G: 1, B: 1.05}.Scale(s.Ambient)
	return l
}

// sunlit is the light on level ground.
func (t *Terrain) sunlit() solid.RGB { return t.light.sky.Add(t.light.direct.Scale(t.light.sun.Z)) }

// Lighting is the light on a Terrain, for the animals on it. The sun's direction has +y up in the picture.
type Lighting struct {
	Sun                solid.Vec
	Direct, Sky, Floor solid.RGB // from the sun, from above and from the ground
}

// Lighting returns the light.
func (t *Terrain) Lighting() Lighting {
	return Lighting{Sun: t.light.sun, Direct: t.light.direct, Sky: t.light.sky, Floor: t.light.low}
}

// Mean is the mean light from the ground.
func (t *Terrain) Mean() solid.RGB {
	var sum solid.RGB
	const n = 24
	for i := range n * n {
		x, y := float64(i%n)*2.3-n, float64(i/n)*2.3-n
		sum = sum.Add(t.ground.at(xyz(x, y, 0), 0.1))
	}
	return sum.Scale(1.0 / (n * n)).Mul(t.sunlit())
}

// Paint fills a square of size x size pixels, row by row, with the light from the ground. Its left top corner is at x
// and y in metres.
func (t *Terrain) Paint(x, y, perMetre float64, size int, out []solid.RGB) {
	px := 1 / perMetre
	side := float64(size) * px
	spots := t.spotsNear(x, y, side)
	full := t.sunlit()
	for row := range size {
		for col := range size {
			// The plane of the ground has +y up.
			p := xyz(x+(float64(col)+0.5)*px, -(y + (float64(row)+0.5)*px), 0)
			c := t.reflectance(p, px)
			for i := range spots {
				c = spots[i].over(c, p, puddleSky)
			}
			out[row*size+col] = c.Mul(full)
		}
	}
	t.putThings(x, y, perMetre, size, out)
}

// puddleSky is the sky that puddles reflect, as a share of the light on the ground.
var puddleSky = solid.RGB{R: 0.2, G: 0.22, B: 0.25}

// reflectance is the bare ground with tracks and lane.
func (t *Terrain) reflectance(p solid.Vec, px float64) solid.RGB {
	c := t.ground.at(p, px)
	mid := 0.0
	if len(t.tracks) > 0 || t.o.Lane > 0 {
		mid = t.ground.noise.Fractal(p.X/1.3-40, p.Y/1.3+11, 2)
	}
	for i := range t.tracks {
		if w := t.tracks[i].bareness(p, px); w > 0.01 {
			c = c.Mix(t.ground.rutTone.Scale(0.75+0.5*mid), w*(0.4+0.6*mid))
		}
	}
	if half := t.o.Lane / 2; half > 0 {
		if w := 1 - grain.Ramp(half-0.5, half+0.1, math.Abs(p.Y)+0.5*(mid-0.5)); w > 0.01 {
			big := t.ground.noise.Fractal(p.X/5+7, p.Y/3-21, 3)
			c = c.Mix(t.ground.soilAt(&t.path, p, big, mid, px), w)
		}
	}
	return c
}

// cell is the size in metres of the squares that have their own spots and things.
const cell = 8.0

// reach is how far spots, things and their shadows extend beyond their cell, in metres.
const reach = 5.0

// inCell is the generator of the cell with a column and row.
func (t *Terrain) inCell(col, row int, salt uint64) *rand.Rand {
	return rand.New(rand.NewPCG(t.o.Seed^salt, uint64(uint32(int32(col)))<<32|uint64(uint32(int32(row)))))
}

// cells calls visit for every cell that may reach into a square.
func cells(x, y, side float64, visit func(col, row int)) {
	lo := func(v float64) int { return int(math.Floor((v - reach) / cell)) }
	hi := func(v float64) int { return int(math.Floor((v + side + reach) / cell)) }
	for row := lo(y); row <= hi(y); row++ {
		for col := lo(x); col <= hi(x); col++ {
			visit(col, row)
		}
	}
}

// spotsNear returns the spots that may reach into a square, in a fixed order.
func (t *Terrain) spotsNear(x, y, side float64) []decal {
	var list []decal
	cells(x, y, side, func(col, row int) {
		for _, d := range t.spotsIn(col, row) {
			r := 1.7 * d.long
			if d.at.X+r > x && d.at.X-r < x+side && -d.at.Y+r > y && -d.at.Y-r < y+side {
				list = append(list, d)
			}
		}
	})
	return list
}

// spotsIn returns the dung, stains and puddles of a cell.
func (t *Terrain) spotsIn(col, row int) []decal {
	if t.o.Clutter == 0 {
		return nil
	}
	r := t.inCell(col, row, 0x5B07)
	var list []decal
	put := func(mean, least, most float64, tone solid.RGB, puddle bool) {
		for range int(mean*t.o.Clutter + r.Float64()) {
			at := xyz((float64(col)+r.Float64())*cell, -(float64(row)+r.Float64())*cell, 0)
			d := newDecal(r, at, least+(most-least)*r.Float64()*r.Float64(), tone)
			if d.puddle = puddle; puddle {
				d.soft = 0.06
			}
			list = append(list, d)
		}
	}
	dung := 5.0
	switch t.o.Floor {
	case Feedlot, Yard:
		dung = 14
	case StubbleField, DirtRoad:
		dung = 2
	}
	put(dung, 0.08, 0.3, solid.SRGB(62, 54, 40), false)
	put(0.15, 0.4, 1.3, solid.SRGB(84, 74, 58), false)
	put(0.08, 0.5, 2, solid.SRGB(160, 148, 124), false)
	if t.dark {
		put(0.3, 0.5, 3, solid.SRGB(84, 74, 62), true)
	} else if t.o.Floor == DirtRoad || t.o.Floor == Yard {
		put(0.12, 0.3, 1.2, solid.SRGB(84, 74, 62), true)
	}
	return list
}
