// Package still reads single pictures as frames: JPEG, PNG, TIFF, WebP and BMP. A picture is turned as its EXIF
// orientation says, so boxes are in the pixels that a person sees. What is transparent becomes black, and of 16 bits the
// upper 8 are used.
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

	"github.com/bep/imagemeta"
	_ "golang.org/x/image/bmp"  // registers the format
	_ "golang.org/x/image/tiff" // registers the format
	_ "golang.org/x/image/webp" // registers the format

	"cattlecounter/cloud/count/video"
)

// ErrPicture marks a file that is not a picture of a known format, or is damaged.
var ErrPicture = errors.New("not a readable picture")

// maxPixels bounds the memory that one picture can take; the largest drone sensors have a quarter of it.
const maxPixels = 400e6

var extensions = []string{".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"}

// Formats names the formats for messages to people.
const Formats = "JPEG, PNG, TIFF, WebP or BMP"

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
	head, format, err := image.DecodeConfig(bufio.NewReader(r))
	if errors.Is(err, image.ErrFormat) {
		return fmt.Errorf("picture %s: %w: its content is not %s", name, ErrPicture, Formats)
	}
	if err != nil {
		return fmt.Errorf("picture %s: %w: %w", name, err, ErrPicture)
	}
	if head.Width <= 0 || head.Height <= 0 || float64(head.Width)*float64(head.Height) > maxPixels {
		return fmt.Errorf("picture %s: %w: %dx%d pixels, at most %.0f million; cut it into pieces", name, ErrPicture,
			head.Width, head.Height, maxPixels/1e6)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("picture %s: %w", name, err)
	}
	img, _, err := image.Decode(bufio.NewReader(r))
	if err != nil {
		return fmt.Errorf("picture %s: %w: damaged or cut off: %w", name, ErrPicture, err)
	}
	fromImage(img, orientation(r, format), f)
	return nil
}

// exifFormats can have an EXIF orientation.
var exifFormats = map[string]imagemeta.ImageFormat{"jpeg": imagemeta.JPEG, "png": imagemeta.PNG, "tiff": imagemeta.TIFF,
	"webp": imagemeta.WebP}

// orientation returns the EXIF orientation of a picture, 1 to 8. It is 1, for upright, when there is none or it cannot be
// read: the pixels are still right.
func orientation(r io.ReadSeeker, format string) int {
	f, ok := exifFormats[format]
	if !ok {
		return 1
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return 1
	}
	found := 1
	isOrientation := func(t imagemeta.TagInfo) bool { return t.Tag == "Orientation" && t.Namespace == "IFD0" }
	// What is damaged behind the orientation changes nothing.
	_, _ = imagemeta.Decode(imagemeta.Options{R: r, ImageFormat: f, Sources: imagemeta.EXIF,
		ShouldHandleTag: isOrientation, Warnf: func(string, ...any) {},
		HandleTag: func(t imagemeta.TagInfo) error {
			if n, ok := t.Value.(uint16); ok && n >= 1 && n <= 8 {
				found = int(n)
			}
			return imagemeta.ErrStopWalking
		}})
	return found
}

// order is where the pixels of a picture go in a frame: pixel x, y to first + x*stepX + y*stepY.
type order struct{ width, height, first, stepX, stepY int }

// orderOf returns the order for an EXIF orientation of a picture of w x h pixels.
func orderOf(orientation, w, h int) order {
	switch orientation {
	case 2: // mirrored
		return order{w, h, w - 1, -1, w}
	case 3: // upside down
		return order{w, h, w*h - 1, -1, -w}
	case 4:
		return order{w, h, (h - 1) * w, 1, -w}
	case 5:
		return order{h, w, 0, h, 1}
	case 6: // to be turned clockwise
		return order{h, w, h - 1, h, -1}
	case 7:
		return order{h, w, w*h - 1, -h, -1}
	case 8: // to be turned counterclockwise
		return order{h, w, (w - 1) * h, -h, 1}
	}
	return order{w, h, 0, 1, w}
}

// fromImage copies img into f, turned upright.
func fromImage(img image.Image, orientation int, f *video.Frame) {
	b := img.Bounds()
	to := orderOf(orientation, b.Dx(), b.Dy())
	f.Resize(to.width, to.height)
	ycc, _ := img.(*image.YCbCr) // what JPEG decodes to
	for y := range b.Dy() {
		for x := range b.Dx() {
			var r, g, bl byte
			if ycc != nil {
				yi, ci := ycc.YOffset(b.Min.X+x, b.Min.Y+y), ycc.COffset(b.Min.X+x, b.Min.Y+y)
				r, g, bl = color.YCbCrToRGB(ycc.Y[yi], ycc.Cb[ci], ycc.Cr[ci])
			} else {
				r16, g16, b16, _ := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
				r, g, bl = byte(r16>>8), byte(g16>>8), byte(b16>>8)
			}
			o := 3 * (to.first + x*to.stepX + y*to.stepY)
			f.Pix[o], f.Pix[o+1], f.Pix[o+2] = bl, g, r
		}
	}
}
