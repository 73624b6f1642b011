package synthetic

import "cattlecounter/cloud/synthetic/grain"

// colour is red, green and blue, 0..1.
type colour struct{ r, g, b float64 }

func (c colour) mix(o colour, t float64) colour {
	return colour{grain.Mix(c.r, o.r, t), grain.Mix(c.g, o.g, t), grain.Mix(c.b, o.b, t)}
}

func (c colour) scale(f float64) colour { return colour{c.r * f, c.g * f, c.b * f} }

func level(v float64) byte { return byte(grain.Clamp(v*255+0.5, 0, 255)) }

// put writes the colour as blue, green and red bytes.
func (c colour) put(p []byte) { p[0], p[1], p[2] = level(c.b), level(c.g), level(c.r) }

// over blends the colour over the pixel p with opacity a, 0..1.
func (c colour) over(p []byte, a float64) {
	p[0] = level(grain.Mix(float64(p[0])/255, c.b, a))
	p[1] = level(grain.Mix(float64(p[1])/255, c.g, a))
	p[2] = level(grain.Mix(float64(p[2])/255, c.r, a))
}

// darken multiplies the pixel p by f.
func darken(p []byte, f float64) {
	for i := range 3 {
		p[i] = byte(float64(p[i]) * f)
	}
}
