package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// decal is a flat spot on the ground with a ragged edge: dung, a stain, a puddle, a worn place.
type decal struct {
	at         solid.Vec
	long, wide float64 // half axes in metres
	sin, cos   float64
	tone       solid.RGB
	cover      float64
	soft       float64 // share of the radius over which the edge fades
	ragged     float64
	puddle     bool // reflects the sky
	seed       grain.Noise
}

func newDecal(r *rand.Rand, at solid.Vec, size float64, tone solid.RGB) decal {
	s, c := math.Sincos(2 * math.Pi * r.Float64())
	return decal{at: at, long: size, wide: size * (0.35 + 0.6*r.Float64()), sin: s, cos: c, tone: tone, cover: 0.5 + 0.45*r.Float64(),
		soft: 0.1 + 0.4*r.Float64(), ragged: 0.6 * r.Float64(), seed: grain.Noise{Seed: r.Uint64()}}
}

// over blends the spot over the colour of the ground at p.
func (d *decal) over(c solid.RGB, p solid.Vec, sky solid.RGB) solid.RGB {
	dx, dy := p.X-d.at.X, p.Y-d.at.Y
	u, v := (dx*d.cos+dy*d.sin)/d.long, (dy*d.cos-dx*d.sin)/d.wide
	if u*u+v*v > 2.6 {
		return c
	}
	e := math.Sqrt(u*u+v*v) * (1 + d.ragged*(d.seed.Fractal(u*2+9, v*2+9, 3)-0.5)*2)
	a := d.cover * (1 - grain.Ramp(1-d.soft, 1+d.soft*0.3, e))
	if a <= 0 {
		return c
	}
	tone := d.tone
	if d.puddle {
		tone = tone.Mix(sky, 0.35+0.2*d.seed.At(u*3, v*3))
		return c.Scale(1-0.45*grain.Clamp(1.4-e, 0, 1)).Mix(tone, a)
	}
	return c.Mix(tone.Scale(0.8+0.4*d.seed.At(u*4, v*4)), a)
}

// spots returns decals at random places from where. Dark ground has puddles more often.
func spots(r *rand.Rand, where func() solid.Vec, dark bool) []decal {
	var list []decal
	put := func(n int, size func() float64, tone solid.RGB) {
		for range n {
			at := where()
			list = append(list, newDecal(r, at, size(), tone))
		}
	}
	if r.Float64() < 0.5 {
		put(r.IntN(60), func() float64 { return 0.12 + 0.25*r.Float64() }, solid.SRGB(62, 54, 40))
	}
	if r.Float64() < 0.35 { // as large and dark as animals, but flat
		put(1+r.IntN(8), func() float64 { return 0.4 + 1.2*r.Float64() }, solid.SRGB(46, 40, 34))
	}
	if r.Float64() < 0.25 {
		put(1+r.IntN(8), func() float64 { return 0.5 + 2.5*r.Float64() }, solid.SRGB(196, 186, 166))
	}
	if dark && r.Float64() < 0.4 || r.Float64() < 0.08 {
		from := len(list)
		put(1+r.IntN(6), func() float64 { return 0.5 + 3*r.Float64() }, solid.SRGB(84, 74, 62))
		for i := range list[from:] {
			list[from+i].puddle, list[from+i].soft = true, 0.06
		}
	}
	return list
}
