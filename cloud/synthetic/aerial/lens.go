package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
)

// lens holds the effects of camera and recording.
type lens struct {
	target            float64    // mean light after the exposure
	gain              [3]float64 // white balance
	curve             float64    // contrast around the middle
	saturation        float64
	veil              float64 // scattered light
	vignette          float64
	blur              int // radius of the defocus in pixels, 0 for sharp
	soft              float64
	moveX, moveY      float64 // pixels during the exposure
	sharpen           float64
	noise, colourGrit float64
	seed              uint64
	table             [4096]float32
}

func newLens(r *rand.Rand) *lens {
	l := &lens{curve: 1 + 0.25*r.NormFloat64(), saturation: grain.Clamp(1+0.14*r.NormFloat64(), 0.5, 1.4), seed: r.Uint64()}
	l.target = 0.19 * math.Exp(0.3*r.NormFloat64())
	for i := range l.gain {
		l.gain[i] = math.Exp(0.035 * r.NormFloat64())
	}
	l.curve = grain.Clamp(l.curve, 0.7, 1.5)
	if r.Float64() < 0.25 {
		l.veil = 0.12 * r.Float64()
	}
	l.vignette = 0.35 * r.Float64() * r.Float64()
	switch v := r.Float64(); {
	case v < 0.15:
		l.blur, l.soft = 1, 0.4+0.6*r.Float64()
	case v < 0.22:
		l.blur, l.soft = 1+r.IntN(2), 1
	case v < 0.55:
		l.blur, l.soft = 1, 0.4*r.Float64()
	}
	if r.Float64() < 0.12 {
		s, c := math.Sincos(2 * math.Pi * r.Float64())
		m := 1.5 + 5*r.Float64()
		l.moveX, l.moveY = m*c, m*s
	}
	if r.Float64() < 0.5 {
		l.sharpen = 0.3 + 0.9*r.Float64()
	}
	l.noise = 0.022 * r.Float64() * r.Float64()
	l.colourGrit = l.noise * r.Float64()
	for i := range l.table {
		l.table[i] = float32(l.tone(float64(i) / 1024))
	}
	return l
}

// tone turns light, 0..4 with 1 as white, into the level of a picture, 0..1.
func (l *lens) tone(v float64) float64 {
	v = v / (1 + 0.18*v) * 1.18 // compresses bright light without clipping
	s := 12.92 * v
	if v > 0.0031308 {
		s = 1.055*math.Pow(v, 1/2.4) - 0.055
	}
	s = grain.Clamp(s, 0, 1)
	// An S through black, the middle and white.
	if s < 0.5 {
		s = 0.5 * math.Pow(2*s, l.curve)
	} else {
		s = 1 - 0.5*math.Pow(2-2*s, l.curve)
	}
	return l.veil + (1-l.veil)*s
}

func (l *lens) level(v float32) float32 {
	return l.table[int(min(max(v, 0), 3.999)*1024)]
}

// develop turns light into the bytes of an RGBA picture. pix is overwritten.
func (l *lens) develop(pix [][3]float32, width, height int, out []uint8) {
	l.expose(pix, width, height)
	work := make([][3]float32, len(pix))
	if l.moveX != 0 || l.moveY != 0 {
		l.smear(pix, work, width, height)
		copy(pix, work)
	}
	if l.blur > 0 {
		copy(work, pix)
		for range l.blur {
			box(work, width, height)
		}
		t := float32(l.soft)
		for i := range pix {
			for c := range 3 {
				pix[i][c] += (work[i][c] - pix[i][c]) * t
			}
		}
	}
	if l.sharpen > 0 {
		copy(work, pix)
		box(work, width, height)
		t := float32(l.sharpen)
		for i := range pix {
			for c := range 3 {
				pix[i][c] += (pix[i][c] - work[i][c]) * t
			}
		}
	}
	l.record(pix, out)
}

// exposure is the gain of a camera that meters the whole picture. It equalises most of the differences in brightness.
func (l *lens) exposure(pix [][3]float32) float64 {
	sum := 0.0
	for i := range pix {
		sum += min(float64(pix[i][1]), 1)
	}
	mean := max(sum/float64(len(pix)), 1e-3)
	return math.Pow(l.target/mean, 0.8)
}

func (l *lens) expose(pix [][3]float32, width, height int) {
	exposure := l.exposure(pix)
	gain := [3]float32{float32(l.gain[0] * exposure), float32(l.gain[1] * exposure), float32(l.gain[2] * exposure)}
	sat := float32(l.saturation)
	for y := range height {
		for x := range width {
			p := &pix[y*width+x]
			dx, dy := float64(2*x-width)/float64(width), float64(2*y-height)/float64(height)
			v := float32(1 - l.vignette*(dx*dx+dy*dy)/2)
			for c := range 3 {
				p[c] = l.level(p[c] * gain[c] * v)
			}
			grey := 0.3*p[0] + 0.59*p[1] + 0.11*p[2]
			for c := range 3 {
				p[c] = grey + (p[c]-grey)*sat
			}
		}
	}
}

// smear is the motion during the exposure: the mean along a short line.
func (l *lens) smear(from, to [][3]float32, width, height int) {
	const steps = 6
	for y := range height {
		for x := range width {
			var sum [3]float32
			for k := range steps {
				t := float64(k)/(steps-1) - 0.5
				sx := min(max(x+int(math.Round(t*l.moveX)), 0), width-1)
				sy := min(max(y+int(math.Round(t*l.moveY)), 0), height-1)
				p := &from[sy*width+sx]
				for c := range 3 {
					sum[c] += p[c]
				}
			}
			for c := range 3 {
				to[y*width+x][c] = sum[c] / steps
			}
		}
	}
}

// box blurs by 1-2-1 in both directions.
func box(pix [][3]float32, width, height int) {
	line := make([][3]float32, max(width, height))
	run := func(first, step, n int) {
		for i := range n {
			line[i] = pix[first+i*step]
		}
		for i := range n {
			a, b, c := &line[max(i-1, 0)], &line[i], &line[min(i+1, n-1)]
			for k := range 3 {
				pix[first+i*step][k] = (a[k] + 2*b[k] + c[k]) / 4
			}
		}
	}
	for y := range height {
		run(y*width, 1, width)
	}
	for x := range width {
		run(x, width, height)
	}
}

// record adds the noise of the sensor and rounds.
func (l *lens) record(pix [][3]float32, out []uint8) {
	state := l.seed
	// grit is roughly normal, -1..1: the sum of four random bytes.
	grit := func() float32 {
		state += 0x9E3779B97F4A7C15
		h := (state ^ state>>30) * 0xBF58476D1CE4E5B9
		h ^= h >> 27
		return (float32(h&255)+float32(h>>8&255)+float32(h>>16&255)+float32(h>>24&255))/510 - 1
	}
	noise, colour := float32(3*l.noise), float32(3*l.colourGrit)
	for i := range pix {
		g := noise * grit()
		for c := range 3 {
			v := pix[i][c] + g
			if colour > 0 {
				v += colour * grit()
			}
			out[i*4+c] = uint8(min(max(v*255+0.5, 0), 255))
		}
		out[i*4+3] = 255
	}
}
