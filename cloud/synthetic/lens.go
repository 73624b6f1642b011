package synthetic

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/count/video"
)

// lens holds the effects of lens and sensor: blur, change of the exposure and noise.
type lens struct {
	c      Config
	expose *exposure
	seed   uint64
	phase  float64
	kernel []float32
	rows   []float32 // of the blurred picture
}

func newLens(c Config, e *exposure, r *rand.Rand) *lens {
	l := &lens{c: c, expose: e, seed: r.Uint64(), phase: 2 * math.Pi * r.Float64()}
	if c.Blur > 0 {
		n := int(math.Ceil(2.5 * c.Blur))
		sum := float32(0)
		for i := -n; i <= n; i++ {
			v := float32(math.Exp(-float64(i*i) / (2 * c.Blur * c.Blur)))
			l.kernel = append(l.kernel, v)
			sum += v
		}
		for i := range l.kernel {
			l.kernel[i] /= sum
		}
	}
	return l
}

// record changes a frame as lens and sensor do.
func (l *lens) record(f *video.Frame, index int, now float64) {
	if l.kernel != nil {
		l.blur(f)
	}
	if l.c.Flicker > 0 {
		t := l.expose.scaled(1 + l.c.Flicker*math.Sin(2*math.Pi*now/5+l.phase))
		inBands(f.Height, func(from, to int) {
			pix := f.Pix[from*f.Width*3 : to*f.Width*3]
			for i, v := range pix {
				pix[i] = t[v]
			}
		})
	}
	if l.c.Noise > 0 {
		inBands(f.Height, func(from, to int) {
			for y := from; y < to; y++ {
				l.addNoise(f.Pix[y*f.Width*3:(y+1)*f.Width*3], uint64(index)<<20|uint64(y))
			}
		})
	}
}

// addNoise adds noise to a row. The sum of four random bytes is almost normal, with a standard deviation of 148.
func (l *lens) addNoise(line []uint8, row uint64) {
	state := l.seed ^ row*0x9E3779B97F4A7C15
	gain := l.c.Noise / 148
	for i := range line {
		state += 0x9E3779B97F4A7C15
		h := (state ^ state>>30) * 0xBF58476D1CE4E5B9
		h ^= h >> 27
		n := float64(int(h&255)+int(h>>8&255)+int(h>>16&255)+int(h>>24&255)) - 510
		line[i] = uint8(min(max(float64(line[i])+n*gain+0.5, 0), 255))
	}
}

// blur smooths the rows and then the columns.
func (l *lens) blur(f *video.Frame) {
	n := len(l.kernel) / 2
	l.rows = append(l.rows[:0], make([]float32, len(f.Pix))...)
	inBands(f.Height, func(from, to int) {
		for y := from; y < to; y++ {
			for x := range f.Width {
				for c := range 3 {
					sum := float32(0)
					for k, v := range l.kernel {
						sum += v * float32(f.Pix[(y*f.Width+min(max(x+k-n, 0), f.Width-1))*3+c])
					}
					l.rows[(y*f.Width+x)*3+c] = sum
				}
			}
		}
	})
	inBands(f.Height, func(from, to int) {
		for y := from; y < to; y++ {
			for i := range f.Width * 3 {
				sum := float32(0.5)
				for k, v := range l.kernel {
					sum += v * l.rows[min(max(y+k-n, 0), f.Height-1)*f.Width*3+i]
				}
				f.Pix[y*f.Width*3+i] = uint8(sum)
			}
		}
	})
}
