// Package still reads single pictures, JPEG or PNG, as frames. It ignores the orientation mark of a camera: pixels are
// in the stored order.
package still

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // registers the format
	_ "image/png"  // registers the format
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cattlecounter/cloud/count/video"
)

// ErrPicture marks a file that is not a picture of a known format, or is damaged.
var ErrPicture = errors.New("not a readable picture")

// maxPixels bounds the memory that one picture can take; the largest drone sensors have a quarter of it.
const maxPixels = 400e6

var extensions = []string{".jpg", ".jpeg", ".png"}

// IsPicture reports whether a file may be a picture, from the end of its name.
func IsPicture(name string) bool {
	return slices.Contains(extensions, strings.ToLower(filepath.Ext(name)))
}

// Read decodes the picture of a file into f and reuses the memory of f. The error wraps ErrPicture, except when the
// file cannot be opened or read.
func Read(path string, f *video.Frame) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	defer file.Close()
	return Decode(path, file, f)
}

// Decode is Read for a picture from a reader. name is for errors.
func Decode(name string, r io.ReadSeeker, f *video.Frame) error {
	head, _, err := image.DecodeConfig(bufio.NewReader(r))
	if err != nil {
		return fmt.Errorf("picture %s: %w: %w", name, err, ErrPicture)
	}
	if head.Width <= 0 || head.Height <= 0 || float64(head.Width)*float64(head.Height) > maxPixels {
		return fmt.Errorf("picture %s: %dx%d pixels, at most %.0f million: %w", name, head.Width, head.Height,
			maxPixels/1e6, ErrPicture)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("picture %s: %w", name, err)
	}
	img, _, err := image.Decode(bufio.NewReader(r))
	if err != nil {
		return fmt.Errorf("picture %s: %w: %w", name, err, ErrPicture)
	}
	fromImage(img, f)
	return nil
}

// fromImage copies img into f.
func fromImage(img image.Image, f *video.Frame) {
	b := img.Bounds()
	f.Resize(b.Dx(), b.Dy())
	o := 0
	if ycc, ok := img.(*image.YCbCr); ok { // what JPEG decodes to
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				yi, ci := ycc.YOffset(x, y), ycc.COffset(x, y)
				f.Pix[o+2], f.Pix[o+1], f.Pix[o] = color.YCbCrToRGB(ycc.Y[yi], ycc.Cb[ci], ycc.Cr[ci])
				o += 3
			}
		}
		return
	}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			f.Pix[o+2], f.Pix[o+1], f.Pix[o] = byte(r>>8), byte(g>>8), byte(bl>>8)
			o += 3
		}
	}
}
