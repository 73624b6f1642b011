package still

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
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

// withOrientation returns img as a JPEG whose EXIF mark says how to turn it.
func withOrientation(t *testing.T, img image.Image, orientation byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 98}); err != nil {
		t.Fatal(err)
	}
	exif := append([]byte("Exif\x00\x00II*\x00\x08\x00\x00\x00\x02\x00\x12\x01\x03\x00\x01\x00\x00\x00"),
		orientation, 0, 0, 0)
	exif = append(exif, "\x13\x02\x77\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"...) // a damaged entry
	mark := append([]byte{0xff, 0xe1, 0, byte(len(exif) + 2)}, exif...)
	return slices.Concat(b.Bytes()[:2], mark, b.Bytes()[2:])
}

// Each of the eight orientations shows the same upright picture.
func TestOrientation(t *testing.T) {
	upright := picture()
	w, h := upright.Bounds().Dx(), upright.Bounds().Dy()
	stored := map[byte]struct { // where the camera stores the pixel x, y of the upright picture
		width, height int
		at            func(x, y int) (int, int)
	}{
		0: {w, h, func(x, y int) (int, int) { return x, y }}, // not a known orientation
		1: {w, h, func(x, y int) (int, int) { return x, y }},
		2: {w, h, func(x, y int) (int, int) { return w - 1 - x, y }},
		3: {w, h, func(x, y int) (int, int) { return w - 1 - x, h - 1 - y }},
		4: {w, h, func(x, y int) (int, int) { return x, h - 1 - y }},
		5: {h, w, func(x, y int) (int, int) { return y, x }},
		6: {h, w, func(x, y int) (int, int) { return y, w - 1 - x }},
		7: {h, w, func(x, y int) (int, int) { return h - 1 - y, w - 1 - x }},
		8: {h, w, func(x, y int) (int, int) { return h - 1 - y, x }},
		9: {w, h, func(x, y int) (int, int) { return x, y }},
	}
	for orientation, s := range stored {
		img := image.NewRGBA(image.Rect(0, 0, s.width, s.height))
		for y := range h {
			for x := range w {
				sx, sy := s.at(x, y)
				img.Set(sx, sy, upright.At(x, y))
			}
		}
		var f video.Frame
		if err := Decode("a.jpg", bytes.NewReader(withOrientation(t, img, orientation)), &f); err != nil {
			t.Fatal(err)
		}
		if f.Width != w || f.Height != h {
			t.Errorf("orientation %d: %dx%d pixels", orientation, f.Width, f.Height)
			continue
		}
		for _, p := range []image.Point{{2, 3}, {37, 2}, {3, 27}, {36, 26}} {
			got, want := f.Image().RGBAAt(p.X, p.Y), upright.RGBAAt(p.X, p.Y)
			if math.Abs(float64(got.R)-float64(want.R)) > 20 || math.Abs(float64(got.B)-float64(want.B)) > 20 {
				t.Errorf("orientation %d: pixel %v is %v, want %v", orientation, p, got, want)
			}
		}
	}
}

// Pictures of all kinds of pixels come out as three channels of 8 bits.
func TestPixelFormats(t *testing.T) {
	at := image.Rect(0, 0, 3, 2)
	fill := func(img draw.Image, c color.Color) image.Image {
		for y := range 2 {
			for x := range 3 {
				img.Set(x, y, c)
			}
		}
		return img
	}
	for name, c := range map[string]struct {
		img  image.Image
		want color.RGBA
	}{
		"gray":         {fill(image.NewGray(at), color.Gray{90}), color.RGBA{90, 90, 90, 255}},
		"gray, 16 bit": {fill(image.NewGray16(at), color.Gray16{90<<8 | 7}), color.RGBA{90, 90, 90, 255}},
		"16 bit":       {fill(image.NewRGBA64(at), color.RGBA64{9 << 8, 80 << 8, 200 << 8, 65535}), color.RGBA{9, 80, 200, 255}},
		"palette":      {fill(image.NewPaletted(at, color.Palette{color.RGBA{9, 80, 200, 255}}), color.RGBA{9, 80, 200, 255}), color.RGBA{9, 80, 200, 255}},
		"transparent":  {fill(image.NewNRGBA(at), color.NRGBA{9, 80, 200, 0}), color.RGBA{0, 0, 0, 255}},
	} {
		var b bytes.Buffer
		if err := png.Encode(&b, c.img); err != nil {
			t.Fatal(err)
		}
		var f video.Frame
		if err := Decode(name, bytes.NewReader(b.Bytes()), &f); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := f.Image().RGBAAt(1, 1); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var whole bytes.Buffer
	_ = png.Encode(&whole, picture())
	f.Add(whole.Bytes())
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x22Exif\x00\x00II*\x00\x08\x00\x00\x00"))
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x01\x00"))
	f.Add([]byte("RIFF\x24\x00\x00\x00WEBPVP8L"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if head, _, err := image.DecodeConfig(bytes.NewReader(b)); err == nil && head.Width*head.Height > 1e6 {
			t.Skip("its pixels take long")
		}
		var frame video.Frame
		if err := Decode("a", bytes.NewReader(b), &frame); err != nil {
			if !errors.Is(err, ErrPicture) {
				t.Errorf("%v is not an ErrPicture", err)
			}
			return
		}
		if err := frame.Validate(); err != nil {
			t.Error(err)
		}
	})
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
	for name, want := range map[string]bool{"a.jpg": true, "a.JPEG": true, "a.Png": true, "a.TIFF": true, "a.webp": true, "a.dng": false, "a.mp4": false, "jpg": false} {
		if IsPicture(name) != want {
			t.Error(name)
		}
	}
}
