package evidence

import (
	"image"
	"testing"

	"cattlecounter/cloud/count/video"
)

// BenchmarkShrink scales a frame for the annotated video.
func BenchmarkShrink(b *testing.B) {
	for name, size := range map[string]image.Point{"1080p": {1920, 1080}, "4K": {3840, 2160}} {
		b.Run(name, func(b *testing.B) {
			f := &video.Frame{}
			f.Resize(size.X, size.Y)
			img := image.NewRGBA(image.Rect(0, 0, 1280, 720))
			for b.Loop() {
				shrink(img, f)
			}
		})
	}
}

// TestShrinkKeepsColours scales a frame of one colour, and one that is half black and half white.
func TestShrinkKeepsColours(t *testing.T) {
	for _, size := range []image.Point{{1280, 720}, {1920, 1080}, {2560, 1440}, {3840, 2160}, {1282, 722}} {
		f := &video.Frame{}
		f.Resize(size.X, size.Y)
		for i := 0; i < len(f.Pix); i += 3 {
			f.Pix[i], f.Pix[i+1], f.Pix[i+2] = 10, 120, 250
			if i/3%size.X >= size.X/2 {
				f.Pix[i], f.Pix[i+1], f.Pix[i+2] = 200, 40, 30
			}
		}
		img := image.NewRGBA(image.Rect(0, 0, 1280, 720))
		shrink(img, f)
		for _, y := range []int{0, 333, 719} {
			for _, x := range []int{0, 630, 650, 1279} {
				want := [4]byte{250, 120, 10, 255}
				if x > 640 {
					want = [4]byte{30, 40, 200, 255}
				}
				if got := [4]byte(img.Pix[img.PixOffset(x, y):]); got != want {
					t.Errorf("%v: pixel %d,%d is %v, want %v", size, x, y, got, want)
				}
			}
		}
	}
}
