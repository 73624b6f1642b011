package cattle

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// Coat is a pattern of colours.
type Coat int

const (
	Black Coat = iota
	Brown
	Red
	Cream
	White
	Grey
	Pied    // black patches on white
	RedPied // red patches on white
	Belted  // dark with a white belt
	Roan    // mixed hair
	coats
)

// AnyCoat returns a random coat of a breed.
func AnyCoat(r *rand.Rand, breed Breed) Coat {
	pick := func(list ...Coat) Coat { return list[r.IntN(len(list))] }
	switch breed {
	case Dairy:
		return pick(Pied, Pied, Pied, Pied, RedPied, RedPied, Brown, Black, Cream, Grey)
	case Yak:
		return pick(Black, Black, Black, Black, Brown, Grey, Pied, White)
	case Buffalo:
		return pick(Grey, Black, Black, Grey, Brown)
	}
	return pick(Black, Black, Black, Brown, Brown, Red, Red, Red, Cream, Cream, White, Grey, Grey, Pied, RedPied, Belted, Roan)
}

// coat is the coat of one animal.
type coat struct {
	main, patch solid.RGB
	share       float64 // level of the noise above which the coat has the patch colour; above 1 for none
	size        float64 // patches per metre
	belt        bool
	face        bool // white blaze or face
	socks       bool // white below the knee
	spine       float64
	gloss       float64
	hoof, horn  solid.RGB
	pink        float64 // of the muzzle
}

// tones holds the mean sRGB colours of the coats.
var tones = [coats][3]float64{
	Black: {34, 31, 30}, Brown: {92, 62, 44}, Red: {122, 72, 50}, Cream: {206, 184, 150}, White: {226, 221, 212},
	Grey: {124, 120, 116}, Pied: {228, 225, 220}, RedPied: {224, 216, 206}, Belted: {36, 32, 31}, Roan: {150, 124, 108},
}

func newCoat(r *rand.Rand, breed Breed, kind Coat) coat {
	t := tones[kind]
	bright := math.Exp(0.16 * r.NormFloat64())
	warm := 1 + 0.05*r.NormFloat64()
	main := solid.SRGB(min(t[0]*bright*warm, 240), min(t[1]*bright, 238), min(t[2]*bright/warm, 235))
	c := coat{main: main, patch: main.Scale(0.6), share: 2, size: 1.1 + 1.2*r.Float64(), spine: 0.25 * r.NormFloat64(), gloss: 0.5 * r.Float64(),
		hoof: solid.SRGB(58, 50, 44), horn: solid.SRGB(170, 160, 140), pink: r.Float64()}
	c.face = r.Float64() < 0.15
	c.socks = r.Float64() < 0.12
	switch kind {
	case Pied, RedPied:
		c.patch = solid.SRGB(30, 28, 28)
		if kind == RedPied {
			c.patch = solid.SRGB(108+18*r.NormFloat64(), 62+9*r.NormFloat64(), 44)
		}
		c.share = 0.3 + 0.42*r.Float64()
		c.socks, c.face = r.Float64() < 0.7, r.Float64() < 0.4
	case Belted:
		c.belt = true
	case Roan:
		c.patch, c.share, c.size = solid.SRGB(222, 212, 202), 0.5, 6
	case Black:
		if r.Float64() < 0.3 { // sun-bleached
			c.main = solid.SRGB(52, 42, 36)
		}
	}
	if breed == Buffalo {
		c.main = c.main.Mix(solid.SRGB(62, 58, 56), 0.6)
		c.horn, c.gloss, c.face, c.socks = solid.SRGB(66, 62, 58), 0.4+0.6*r.Float64(), false, false
	}
	if breed == Yak {
		c.horn = solid.SRGB(150, 146, 138)
	}
	return c
}

// Shade returns the shader of the animal under a light.
func (b *Beast) Shade(light Light) solid.Shader {
	return func(s *solid.Surface) (solid.RGB, bool) {
		if s.Part == partHair && s.Facing < 0.35 && b.grain.At3(s.Tex.X*16, s.Tex.Y*16, s.Tex.Z*5) > 0.35+1.5*s.Facing {
			return solid.RGB{}, false // between the strands
		}
		c := b.reflects(s)
		out := light(c, s)
		if b.coat.gloss > 0 && s.Part <= partHead {
			// A smooth coat reflects some of the sky.
			sheen := light(solid.RGB{R: 1, G: 1, B: 1}, s).Scale(0.035 * b.coat.gloss * grain.Clamp(s.N.Z, 0, 1))
			out = out.Add(sheen)
		}
		return out, true
	}
}

// Values of all coats.
var (
	white     = solid.SRGB(222, 218, 210)
	pinkSkin  = solid.SRGB(150, 110, 100)
	darkSkin  = solid.SRGB(40, 36, 36)
	udderSkin = solid.SRGB(205, 160, 145)
	dirt      = solid.SRGB(92, 76, 58)
)

func (b *Beast) reflects(s *solid.Surface) solid.RGB {
	k, t := &b.coat, s.Tex
	c := k.main
	// Patches cross the spine and are stretched along the sides.
	if k.share < 1 {
		n := b.grain.At3(t.X*k.size+9, t.Y*k.size*0.9+4, t.Z*k.size*0.8) + 0.25*(b.grain.At3(t.X*k.size*3, t.Y*k.size*3, t.Z*k.size*3)-0.5)
		if s.Part != partLeg || !k.socks {
			c = c.Mix(k.patch, grain.Ramp(k.share-0.02, k.share+0.02, n))
		}
	}
	switch s.Part {
	case partTrunk:
		if k.belt && math.Abs(t.X+0.02) < 0.24 {
			c = white
		}
		c = c.Scale(1 + k.spine*math.Exp(-t.Y*t.Y*180))
	case partMuzzle:
		c = c.Mix(pinkSkin, 0.5*k.pink).Mix(darkSkin, 0.45*(1-k.pink))
	case partHead:
		if k.face {
			c = white
		}
	case partEar:
		c = c.Scale(0.85)
	case partHorn:
		return k.horn
	case partLeg:
		if k.socks && t.Z < 0.45 {
			c = white
		}
		c = c.Scale(0.9)
	case partHoof:
		return k.hoof
	case partUdder:
		return udderSkin
	case partTail:
		c = c.Scale(0.9)
	case partHair:
		strand := b.grain.At3(t.X*26, t.Y*26, t.Z*3)
		c = c.Scale(0.55 + 0.9*strand)
	}
	// Hair, dirt and muscles vary the tone of plain coats. Bellies and legs are muddier.
	mottle := b.grain.At3(t.X*5+20, t.Y*5, t.Z*5)*0.6 + b.grain.At3(t.X*22, t.Y*22, t.Z*22)*0.4
	c = c.Scale(0.8 + 0.4*mottle)
	if t.Z < 0.5 && b.Pose != Lying {
		c = c.Mix(dirt, 0.3*(0.5-t.Z)*mottle*2)
	}
	// No hair reflects more than fresh snow.
	return c.Scale(min(1, 0.9/max(c.R, c.G, c.B)))
}
