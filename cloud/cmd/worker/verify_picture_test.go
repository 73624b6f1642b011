package main

import (
	"bytes"
	"flag"
	"image/jpeg"
	"os"
	"testing"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic"
)

var update = flag.Bool("update", false, "render the stored picture of model verify again")

// renderVerifyPicture renders the picture that verify.jpg holds.
func renderVerifyPicture(t *testing.T) *video.Frame {
	t.Helper()
	clip, err := synthetic.New(synthetic.Config{Seed: 7, Animals: 60, Seconds: 1, FPS: 1, Width: 1280, Height: 640})
	if err != nil {
		t.Fatal(err)
	}
	f := new(video.Frame)
	if err := clip.Next(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestVerifyPictureIsRendered compares the stored picture with the simulator's. Processors round differently, and JPEG
// loses details, so the mean difference is compared.
func TestVerifyPictureIsRendered(t *testing.T) {
	rendered := renderVerifyPicture(t)
	if *update {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, rendered.Image(), &jpeg.Options{Quality: 80}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("verify.jpg", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("verify.jpg is rendered; run the test again")
	}
	stored, err := verifyFrame(rendered.Width, rendered.Height)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, v := range rendered.Pix {
		sum += max(float64(v)-float64(stored.Pix[i]), float64(stored.Pix[i])-float64(v))
	}
	if mean := sum / float64(len(rendered.Pix)); mean > 6 {
		t.Errorf("the stored picture differs from the rendered one by %.1f of 255 on average; run the test with -update", mean)
	}
}

// TestVerifyFrameRepeatsThePicture checks frames that are smaller and larger than the stored picture.
func TestVerifyFrameRepeatsThePicture(t *testing.T) {
	whole, err := verifyFrame(1280, 640)
	if err != nil {
		t.Fatal(err)
	}
	pixel := func(f *video.Frame, x, y int) [3]byte { return [3]byte(f.Pix[3*(y*f.Width+x):]) }
	for _, size := range [][2]int{{128, 64}, {1300, 700}, {4096, 2048}} {
		f, err := verifyFrame(size[0], size[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, at := range [][2]int{{0, 0}, {size[0] - 1, 0}, {size[0] / 2, size[1] / 3}, {size[0] - 1, size[1] - 1}} {
			if got, want := pixel(f, at[0], at[1]), pixel(whole, at[0]%1280, at[1]%640); got != want {
				t.Errorf("%v pixels: %v at %v, want %v", size, got, at, want)
			}
		}
	}
}
