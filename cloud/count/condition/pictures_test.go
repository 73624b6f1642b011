package condition

import (
	"bytes"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"testing"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/still"
	"cattlecounter/cloud/synthetic"
)

// change turns a picture by daylight into another condition.
type change func(*video.Frame)

// pixels is a change of every pixel, in the order blue, green, red.
func pixels(do func(b, g, r float64) (float64, float64, float64)) change {
	return func(f *video.Frame) {
		for i := 0; i < len(f.Pix); i += 3 {
			b, g, r := do(float64(f.Pix[i]), float64(f.Pix[i+1]), float64(f.Pix[i+2]))
			f.Pix[i], f.Pix[i+1], f.Pix[i+2] = level(b), level(g), level(r)
		}
	}
}

func level(v float64) byte { return byte(math.Round(min(max(v, 0), 255))) }

func brightness(b, g, r float64) float64 { return 0.114*b + 0.587*g + 0.299*r }

// exposed multiplies and shifts the light, and adds noise of a standard deviation.
func exposed(gain, shift, noise float64) change {
	rng := rand.New(rand.NewPCG(1, 2))
	return pixels(func(b, g, r float64) (float64, float64, float64) {
		return b*gain + shift + rng.NormFloat64()*noise, g*gain + shift + rng.NormFloat64()*noise,
			r*gain + shift + rng.NormFloat64()*noise
	})
}

// filled replaces the picture by one color.
func filled(b, g, r float64) change {
	return pixels(func(_, _, _ float64) (float64, float64, float64) { return b, g, r })
}

// colored maps the brightness to a palette, after the blur of a thermal lens and the gain control of its sensor.
func colored(palette ...[3]float64) change {
	paint := pixels(func(b, g, r float64) (float64, float64, float64) {
		x := brightness(b, g, r) / 255 * float64(len(palette)-1)
		i := min(int(x), len(palette)-2)
		w := x - float64(i)
		mix := func(c int) float64 { return palette[i][c]*(1-w) + palette[i+1][c]*w }
		return mix(0), mix(1), mix(2)
	})
	return func(f *video.Frame) {
		blurred(1.5)(f)
		stretch(f)
		paint(f)
	}
}

// stretch spreads the brightness over the whole range.
func stretch(f *video.Frame) {
	m := measure(f)
	gain := 255 / max(1, m.high-m.low)
	pixels(func(b, g, r float64) (float64, float64, float64) {
		return (b - m.low) * gain, (g - m.low) * gain, (r - m.low) * gain
	})(f)
}

// blurred is a Gaussian blur: three moving means of width w have the variance (w*w-1)/4.
func blurred(sigma float64) change {
	w := int(math.Round(math.Sqrt(4*sigma*sigma + 1)))
	return func(f *video.Frame) {
		for range 3 {
			moved(1, 0, w)(f)
			moved(0, 1, w)(f)
		}
	}
}

// moved is the blur of a camera that moves n pixels along a direction while the shutter is open.
func moved(dx, dy, n int) change {
	return func(f *video.Frame) {
		out := make([]byte, len(f.Pix))
		half := n / 2
		for y := range f.Height {
			for x := range f.Width {
				if x-dx >= 0 && y-dy >= 0 {
					continue // not the start of a line
				}
				var line []int
				for px, py := x, y; px < f.Width && py < f.Height; px, py = px+dx, py+dy {
					line = append(line, (py*f.Width+px)*3)
				}
				for c := range 3 {
					meanAlong(f.Pix, out, line, c, half)
				}
			}
		}
		f.Pix = out
	}
}

func meanAlong(from, to []byte, line []int, channel, half int) {
	sum, n := 0, 0
	for i := 0; i < min(half, len(line)); i++ {
		sum, n = sum+int(from[line[i]+channel]), n+1
	}
	for i, at := range line {
		if i+half < len(line) {
			sum, n = sum+int(from[line[i+half]+channel]), n+1
		}
		if i-half-1 >= 0 {
			sum, n = sum-int(from[line[i-half-1]+channel]), n-1
		}
		to[at+channel] = byte((sum + n/2) / n)
	}
}

// both applies changes in order.
func both(all ...change) change {
	return func(f *video.Frame) {
		for _, c := range all {
			c(f)
		}
	}
}

// compressed is the frame as a JPEG of medium quality shows it: with blocks, and color at half the resolution.
func compressed(t testing.TB, f *video.Frame) *video.Frame {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, f.Image(), &jpeg.Options{Quality: 75}); err != nil {
		t.Fatal(err)
	}
	var g video.Frame
	if err := still.Decode("picture", bytes.NewReader(b.Bytes()), &g); err != nil {
		t.Fatal(err)
	}
	return &g
}

// pasture is a rendered frame by daylight.
func pasture(t testing.TB, c synthetic.Config) *video.Frame {
	t.Helper()
	clip, err := synthetic.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var f video.Frame
	if err := clip.Next(t.Context(), &f); err != nil {
		t.Fatal(err)
	}
	return &f
}

// Palettes of thermal cameras, from cold to hot, in the order blue, green, red.
var (
	whiteHot = [][3]float64{{0, 0, 0}, {255, 255, 255}}
	blackHot = [][3]float64{{255, 255, 255}, {0, 0, 0}}
	ironbow  = [][3]float64{{0, 0, 0}, {100, 0, 30}, {150, 0, 120}, {110, 20, 200}, {20, 90, 240}, {10, 170, 255},
		{90, 225, 255}, {255, 255, 255}}
	hotIron = [][3]float64{{0, 0, 0}, {0, 0, 110}, {0, 30, 220}, {0, 130, 255}, {60, 220, 255}, {255, 255, 255}}
	rainbow = [][3]float64{{120, 0, 0}, {255, 60, 0}, {255, 255, 0}, {0, 255, 0}, {0, 255, 255}, {0, 120, 255},
		{0, 0, 255}}
	plasma = [][3]float64{{135, 8, 13}, {168, 1, 84}, {165, 10, 139}, {137, 50, 185}, {104, 87, 219}, {72, 128, 244},
		{49, 173, 254}, {37, 223, 253}, {33, 249, 240}}
	turbo = [][3]float64{{59, 18, 48}, {224, 110, 70}, {237, 183, 40}, {153, 244, 27}, {80, 254, 164}, {55, 217, 241},
		{43, 124, 248}, {8, 47, 210}, {3, 4, 122}}
	arctic = [][3]float64{{60, 0, 0}, {255, 60, 0}, {255, 200, 60}, {160, 160, 160}, {60, 160, 220}, {0, 230, 255}}
)
