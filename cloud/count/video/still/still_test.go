package still

import (
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"cattlecounter/cloud/count/video"
)

// picture has red growing to the right and blue growing down.
func picture() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, 40, 30))
	for y := range 30 {
		for x := range 40 {
			img.Set(x, y, color.RGBA{byte(x * 6), 100, byte(y * 8), 255})
		}
	}
	return img
}

func save(t *testing.T, name string, encode func(io.Writer, image.Image) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := encode(f, picture()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		encode func(io.Writer, image.Image) error
		slack  float64
	}{
		"a.png": {png.Encode, 0},
		"a.jpg": {func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 98}) }, 12},
	} {
		var f video.Frame
		if err := Read(save(t, name, c.encode), &f); err != nil {
			t.Fatal(err)
		}
		if err := f.Validate(); err != nil || f.Width != 40 || f.Height != 30 {
			t.Fatal(f.Width, f.Height, err)
		}
		o := (20*40 + 30) * 3
		for i, want := range []byte{160, 100, 180} {
			if math.Abs(float64(f.Pix[o+i])-float64(want)) > c.slack {
				t.Errorf("%s: channel %d is %d, want %d", name, i, f.Pix[o+i], want)
			}
		}
		if back := f.Image().RGBAAt(30, 20); c.slack == 0 && back != (color.RGBA{180, 100, 160, 255}) {
			t.Errorf("the pixel of the frame's image is %v", back)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	whole := save(t, "a.jpg", func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) })
	b, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"empty": {nil, ErrPicture}, "text": {[]byte("hello"), ErrPicture}, "cut": {b[:len(b)/2], ErrPicture},
		"bomb": {[]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x00\x00\x00\x01\x00\x00\x08\x02\x00\x00\x00\x8f\x1b\xee\x5a"), ErrPicture},
	} {
		path := filepath.Join(t.TempDir(), name+".jpg")
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Read(path, new(video.Frame)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Read(filepath.Join(t.TempDir(), "none.jpg"), new(video.Frame)); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestIsPicture(t *testing.T) {
	for name, want := range map[string]bool{"a.jpg": true, "a.JPEG": true, "a.Png": true, "a.mp4": false, "jpg": false} {
		if IsPicture(name) != want {
			t.Error(name)
		}
	}
}
