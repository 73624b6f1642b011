package scene

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"

	"cattlecounter/cloud/count/video"
)

// Conditions that change the frames of a film.
const (
	clear = iota
	fog
	dark
	blurred
	compressed
	lost // white pictures for a second in the middle
	conditionKinds
)

var conditionNames = [conditionKinds]string{"clear", "fog", "dark", "blurred", "compressed", "lost ground"}

// changed is a film under a condition.
type changed struct {
	Film
	condition int
	strength  float64 // 0..1
	noise     *rand.Rand
	frame     int
	buffer    []byte
}

// Render implements Film.
func (c *changed) Render(ctx context.Context, f *video.Frame) error {
	if err := c.Film.Render(ctx, f); err != nil {
		return err
	}
	info := c.Info()
	at := float64(c.frame) / float64(max(info.Frames, 1))
	c.frame++
	switch c.condition {
	case fog:
		share := 0.35 + 0.35*c.strength
		remap(f.Pix, func(v float64) float64 { return v*(1-share) + 200*share })
	case dark:
		k := 0.45 - 0.3*c.strength
		remap(f.Pix, func(v float64) float64 { return v * k })
		for i := range f.Pix {
			f.Pix[i] = byte(min(max(float64(f.Pix[i])+3*c.noise.NormFloat64(), 0), 255))
		}
	case blurred:
		for range 2 {
			c.blur(f, 1+int(2*c.strength))
		}
	case compressed:
		return c.compress(f)
	case lost:
		span := 1 / max(float64(info.Frames)/info.FPS, 1) * (0.5 + c.strength)
		if at > 0.5-span/2 && at < 0.5+span/2 {
			remap(f.Pix, func(float64) float64 { return 250 })
		}
	}
	return nil
}

func remap(pix []byte, to func(float64) float64) {
	var table [256]byte
	for i := range table {
		table[i] = byte(min(max(to(float64(i)), 0), 255))
	}
	for i, v := range pix {
		pix[i] = table[v]
	}
}

// blur averages along rows and then along columns over 2*radius+1 pixels.
func (c *changed) blur(f *video.Frame, radius int) {
	c.buffer = append(c.buffer[:0], f.Pix...)
	line := func(dst, src []byte, n, step int) {
		for ch := range 3 {
			sum := 0
			for i := -2 * radius; i < n; i++ {
				sum += int(src[min(max(i+radius, 0), n-1)*step+ch])
				if i > 0 {
					sum -= int(src[max(i-radius-1, 0)*step+ch])
				}
				if i >= 0 {
					dst[i*step+ch] = byte(sum / (2*radius + 1))
				}
			}
		}
	}
	for y := range f.Height {
		line(f.Pix[y*f.Width*3:], c.buffer[y*f.Width*3:], f.Width, 3)
	}
	c.buffer = append(c.buffer[:0], f.Pix...)
	for x := range f.Width {
		line(f.Pix[x*3:], c.buffer[x*3:], f.Height, f.Width*3)
	}
}

// compress loses what a strongly compressed video loses.
func (c *changed) compress(f *video.Frame) error {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, f.Image(), &jpeg.Options{Quality: 30 - int(20*c.strength)}); err != nil {
		return fmt.Errorf("compress frame %d: %w", c.frame, err)
	}
	m, err := jpeg.Decode(&b)
	if err != nil {
		return fmt.Errorf("compress frame %d: %w", c.frame, err)
	}
	y, ok := m.(*image.YCbCr)
	if !ok {
		return fmt.Errorf("compress frame %d: the picture is a %T", c.frame, m)
	}
	for i := range f.Width * f.Height {
		r, g, b, _ := y.YCbCrAt(i%f.Width, i/f.Width).RGBA()
		f.Pix[i*3], f.Pix[i*3+1], f.Pix[i*3+2] = byte(b>>8), byte(g>>8), byte(r>>8)
	}
	return nil
}
