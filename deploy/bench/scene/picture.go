package scene

import (
	"encoding/csv"
	"errors"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg" // the hand-outs are JPEG
	_ "image/png"  // and PNG
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// point is a place in a picture in pixels from its top left corner.
type point struct{ x, y float64 }

func (p point) dist(q point) float64 { return math.Hypot(p.x-q.x, p.y-q.y) }

// picture is a raster of blue, green, red and opacity (4 bytes a pixel). The colours are multiplied by the opacity.
type picture struct {
	w, h int
	pix  []byte
}

// readPicture decodes a JPEG or PNG file.
func readPicture(path string) (*picture, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("picture %s: %w", path, err)
	}
	rgba := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(rgba, rgba.Bounds(), img, img.Bounds().Min, draw.Src)
	return fromRGBA(rgba), nil
}

func fromRGBA(m *image.RGBA) *picture {
	p := &picture{w: m.Rect.Dx(), h: m.Rect.Dy(), pix: m.Pix}
	for o := 0; o+3 < len(p.pix); o += 4 {
		p.pix[o], p.pix[o+2] = p.pix[o+2], p.pix[o]
	}
	return p
}

// sample returns the colour and opacity at a place, bilinear between the middles of pixels. Outside of a picture is
// nothing.
func (p *picture) sample(x, y float64) (b, g, r, a float64) {
	x, y = x-0.5, y-0.5
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := int(fx), int(fy)
	if ix < -1 || iy < -1 || ix >= p.w || iy >= p.h {
		return 0, 0, 0, 0
	}
	dx, dy := x-fx, y-fy
	for k, weight := range [4]float64{(1 - dx) * (1 - dy), dx * (1 - dy), (1 - dx) * dy, dx * dy} {
		cx, cy := ix+k&1, iy+k>>1
		if cx < 0 || cy < 0 || cx >= p.w || cy >= p.h || weight == 0 {
			continue
		}
		o := (cy*p.w + cx) * 4
		b += weight * float64(p.pix[o])
		g += weight * float64(p.pix[o+1])
		r += weight * float64(p.pix[o+2])
		a += weight * float64(p.pix[o+3])
	}
	return b, g, r, a / 255
}

// readPoints reads a table of points with the columns x and y.
func readPoints(path string) ([]point, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("points: %w", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("points %s: %w", path, err)
	}
	if len(rows) == 0 || len(rows[0]) < 2 || rows[0][0] != "x" {
		return nil, fmt.Errorf("points %s: want a table that begins with x,y", path)
	}
	var all []point
	for i, row := range rows[1:] {
		x, errX := strconv.ParseFloat(row[0], 64)
		y, errY := strconv.ParseFloat(row[1], 64)
		if err := errors.Join(errX, errY); err != nil {
			return nil, fmt.Errorf("points %s line %d: %w", path, i+2, err)
		}
		all = append(all, point{x, y})
	}
	return all, nil
}

// stem is the name of a file without folder and extension.
func stem(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }
