package synthetic

import (
	"math"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// exposure turns light into levels of the picture, as a camera that meters the ground.
type exposure struct {
	gain  float64
	table [4096]uint8 // for light times gain, 1024 is white
	light [256]float64
}

// newExposure meters the mean light of the ground.
func newExposure(mean solid.RGB, factor float64) *exposure {
	e := &exposure{gain: factor * math.Pow(0.2/max(mean.G, 1e-4), 0.8)}
	for i := range e.table {
		e.table[i] = uint8(math.Round(255 * tone(float64(i)/1024)))
	}
	for i, k := 0, 0; i < 256; i++ {
		for k < len(e.table)-1 && int(e.table[k]) < i {
			k++
		}
		e.light[i] = float64(k) / 1024
	}
	return e
}

// tone is the level, 0..1, of an amount of light. It compresses bright light and adds contrast in the middle.
func tone(v float64) float64 {
	v = v / (1 + 0.18*v) * 1.18
	s := 12.92 * v
	if v > 0.0031308 {
		s = 1.055*math.Pow(v, 1/2.4) - 0.055
	}
	s = grain.Clamp(s, 0, 1)
	return grain.Clamp(s+0.25*(s-0.45)*s*(1-s), 0, 1)
}

// level is the level of light.
func (e *exposure) level(v float64) uint8 {
	return e.table[int(min(max(v*e.gain*1024, 0), 4095))]
}

// scaled is the table of levels for light changed by a factor.
func (e *exposure) scaled(by float64) (t [256]uint8) {
	for i := range t {
		t[i] = e.table[int(min(e.light[i]*by*1024, 4095))]
	}
	return t
}

// shadeLevels is the number of steps of darkness.
const shadeLevels = 64

// shades holds the levels of blue, green and red in shadow. Darkness 0 is full light.
type shades struct {
	table     [shadeLevels + 1][3][256]uint8
	sun, near float64 // darkness of a full shadow, and under an animal that covers the sky
}

// newShades prepares the shadows of a light. In a shadow the light of the sky remains, which is bluer.
func newShades(e *exposure, direct, sky solid.RGB) *shades {
	s := &shades{}
	full := direct.Add(sky)
	dark := func(sky, full float64) float64 { return 1 - 0.95*sky/full }
	s.sun = dark(sky.G, full.G)
	s.near = 0.7 * sky.G / full.G
	tint := [3]float64{1, 1, 1}
	if s.sun > 0.05 {
		tint = [3]float64{dark(sky.B, full.B) / s.sun, 1, dark(sky.R, full.R) / s.sun}
	}
	for i := range s.table {
		for c := range 3 {
			s.table[i][c] = e.scaled(max(1-tint[c]*float64(i)/shadeLevels, 0.02))
		}
	}
	return s
}

// of is the darkness where the sun and the sky are covered, each 0..255.
func (s *shades) of(sun, sky uint8) int {
	d := 1 - (1-s.sun*float64(sun)/255)*(1-s.near*float64(sky)/255)
	return int(d*shadeLevels + 0.5)
}
