package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// light is the weather and the light of a picture.
type light struct {
	sun              solid.Vec // direction to the sun
	direct, sky, low solid.RGB // from the sun, from above and from the ground
	haze             solid.RGB
	reach            float64 // metres of air that replace half of the light by haze
	clouds           grain.Noise
	cover            float64 // cloudy share of the sky
}

func newLight(r *rand.Rand, bounce solid.RGB) *light {
	height := (14 + 70*math.Pow(r.Float64(), 0.8)) * math.Pi / 180
	s, c := math.Sincos(2 * math.Pi * r.Float64())
	l := &light{sun: xyz(c*math.Cos(height), s*math.Cos(height), math.Sin(height)), clouds: grain.Noise{Seed: r.Uint64()}, cover: r.Float64()}
	direct := 1.0
	switch v := r.Float64(); {
	case v < 0.22:
		direct = 0 // overcast
	case v < 0.4:
		direct = 0.2 + 0.4*r.Float64() // veiled
	}
	warm := 0.12 * (1 - math.Sin(height)) // a low sun is red
	strength := direct * (0.75 + 0.5*r.Float64())
	l.direct = solid.RGB{R: 1 + warm, G: 1, B: 0.94 - 1.5*warm}.Scale(strength)
	ambient := 0.16 + 0.2*r.Float64() + 0.5*(1-direct)
	l.sky = solid.RGB{R: 0.96, G: 1, B: 1.05}.Scale(ambient)
	l.low = bounce.Scale(0.4 * (ambient + strength*l.sun.Z))
	grey := 0.55 + 0.3*r.Float64()
	l.haze = solid.RGB{R: 0.92, G: 0.98, B: 1.05}.Scale(grey)
	l.reach = 2500 * math.Exp(0.9*r.NormFloat64())
	if r.Float64() < 0.05 {
		l.reach = 150 + 300*r.Float64() // mist
	}
	return l
}

// reflected is the light that a surface reflects. shade is the covered share of the sun, open the visible share of the
// sky.
func (l *light) reflected(reflects solid.RGB, n solid.Vec, shade, open float64) solid.RGB {
	up := 0.5 + 0.5*n.Z
	e := l.sky.Scale(up * open).Add(l.low.Scale((1 - up) * open))
	if d := n.Dot(l.sun); d > 0 && shade < 1 {
		e = e.Add(l.direct.Scale(d * (1 - shade)))
	}
	return reflects.Mul(e)
}

// hazed is the colour c behind some metres of air.
func (l *light) hazed(c solid.RGB, metres float64) solid.RGB {
	return c.Mix(l.haze, metres/(metres+l.reach))
}

// Colours of the sky.
var (
	skyLow    = solid.SRGB(150, 185, 225)
	skyHigh   = solid.SRGB(70, 120, 200)
	cloudTop  = solid.SRGB(235, 236, 238)
	cloudBase = solid.SRGB(165, 170, 178)
)

// skyAt is the sky in a direction.
func (l *light) skyAt(d solid.Vec) solid.RGB {
	t := grain.Clamp(d.Z, 0, 1)
	blue := skyLow.Mix(skyHigh, grain.Ramp(0, 0.5, t))
	z := max(d.Z, 0.02) + 0.12
	n := l.clouds.Fractal(d.X/z*1.3, d.Y/z*1.3, 5)
	white := cloudTop.Mix(cloudBase, grain.Ramp(0.5, 0.8, n))
	c := blue.Mix(white, grain.Ramp(0.75-0.6*l.cover, 0.95-0.6*l.cover, n))
	return c.Mix(l.haze, math.Exp(-t*12)*0.8)
}
