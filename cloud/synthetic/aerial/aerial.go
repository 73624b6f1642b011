// Package aerial renders labelled pictures of pastures and pens from above, to train and test detectors. Each picture
// has its own ground, clutter, herd, light and camera. The same seed and index give the same picture on every machine
// of one processor family. It is pure Go.
package aerial

import (
	"errors"
	"fmt"
	"image"
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/cattle"
	"cattlecounter/cloud/synthetic/solid"
)

// ErrSize marks a picture size outside the bounds.
var ErrSize = errors.New("picture size is not valid")

// Bounds of a picture's side in pixels.
const (
	MinSide = 64
	MaxSide = 4096
)

// LeastVisible is the share of an animal that must be visible for a label: neither outside of the picture nor hidden.
const LeastVisible = 0.35

// Animal is the truth about an animal that is at least partly visible.
type Animal struct {
	// Box is left, top, width and height in pixels of the visible parts of body, legs, head and tail, without the
	// shadow. It lies inside the picture.
	Box     [4]float64
	Visible float64 // visible share of the animal's outline
	Pixels  float64 // visible area in pixels
}

// Labelled reports whether a data set has a label for the animal.
func (a Animal) Labelled() bool { return a.Visible >= LeastVisible }

// Picture is one rendered view.
type Picture struct {
	Image   *image.RGBA
	Animals []Animal // visible animals in the order of the herd
}

// Painter renders pictures of one size. It belongs to one goroutine at a time. All painters give the same pictures.
type Painter struct {
	width, height  int
	canvas         *solid.Canvas
	shadow, roofed *solid.Mask // cover from the sun, and from the open sky
	light          [][3]float32
}

// CheckSize checks the size of a picture. The error wraps ErrSize.
func CheckSize(width, height int) error {
	if width < MinSide || height < MinSide || width > MaxSide || height > MaxSide {
		return fmt.Errorf("%dx%d pixels, want %d to %d a side: %w", width, height, MinSide, MaxSide, ErrSize)
	}
	return nil
}

// NewPainter returns a painter. The error wraps ErrSize.
func NewPainter(width, height int) (*Painter, error) {
	if err := CheckSize(width, height); err != nil {
		return nil, err
	}
	return &Painter{width: width, height: height, canvas: solid.NewCanvas(width, height), shadow: solid.NewMask(width, height),
		roofed: solid.NewMask(width, height), light: make([][3]float32, width*height)}, nil
}

// Paint renders picture index of the series of a seed.
func (p *Painter) Paint(seed uint64, index int) *Picture {
	r := rand.New(rand.NewPCG(seed, uint64(index)))
	s := newScene(r, p.width, p.height)
	p.canvas.Clear()
	p.shadow.Clear()
	p.roofed.Clear()
	up := xyz(0.05, 0.05, 1)
	for _, t := range s.things {
		p.shadow.Cast(s.cam, t.mesh, s.light.sun)
		p.roofed.Cast(s.cam, t.mesh, up)
	}
	meshes, shaded := make([]*solid.Mesh, len(s.herd)), make([]float64, len(s.herd))
	for i := range s.herd {
		m := &s.herd[i]
		meshes[i] = m.Mesh(cattle.Length * s.cam.PerMetre(m.at))
		meshes[i].Place(m.at, m.heading, m.Size)
		shaded[i] = p.shadedShare(s, m)
	}
	for i := range meshes {
		p.shadow.Cast(s.cam, meshes[i], s.light.sun)
		p.roofed.Cast(s.cam, meshes[i], up)
	}
	scale := s.cam.PerMetre(solid.Vec{})
	p.shadow.Resolve(int(math.Round(s.penumbra * scale)))
	p.roofed.Resolve(int(math.Round(0.3 * scale)))
	for _, t := range s.things {
		p.canvas.Draw(s.cam, t.mesh, clutterID, s.hazed(t.shade(s.light)))
	}
	whole := make([]int, len(s.herd))
	for i := range s.herd {
		whole[i] = p.canvas.Draw(s.cam, meshes[i], uint16(i+1), s.hazed(s.herd[i].Shade(s.lit(shaded[i]))))
	}
	p.compose(s)
	pic := &Picture{Image: image.NewRGBA(image.Rect(0, 0, p.width, p.height)), Animals: p.truth(whole)}
	s.lens.develop(p.light, p.width, p.height, pic.Image.Pix)
	return pic
}

// clutterID is the number of all clutter on the canvas.
const clutterID = math.MaxUint16

// shadedShare is the share of an animal in the shadow of trees and sheds.
func (p *Painter) shadedShare(s *scene, m *member) float64 {
	sin, cos := math.Sincos(m.heading)
	sun := s.light.sun
	hits := 0.0
	const n = 5
	for i := range n {
		along := (float64(i)/(n-1) - 0.4) * 1.6 * m.Size
		// The sun's ray to the back of the animal hits the ground behind it.
		const back = 1.2
		if p.shadow.Hit(s.cam, xyz(m.at.X+cos*along-sun.X/sun.Z*back, m.at.Y+sin*along-sun.Y/sun.Z*back, 0)) {
			hits++
		}
	}
	return hits / n
}

// compose adds ground or sky with the shadows behind the canvas, and averages the samples of each pixel.
func (p *Painter) compose(s *scene) {
	const n = solid.Samples
	var spots []*decal
	for y := range p.height {
		spots = s.onRow(spots[:0], float64(y))
		for x := range p.width {
			var sum [3]float32
			bare := 0
			for k := range n * n {
				o := (y*n+k/n)*p.canvas.Width + x*n + k%n
				if p.canvas.ID[o] == 0 {
					bare++
					continue
				}
				for c := range 3 {
					sum[c] += p.canvas.Colour[o][c]
				}
			}
			if bare > 0 {
				o := y*p.width + x
				g := s.background(float64(x)+0.5, float64(y)+0.5, float64(p.shadow.Cover[o])/255, float64(p.roofed.Cover[o])/255, spots)
				sum[0] += float32(bare) * float32(g.R)
				sum[1] += float32(bare) * float32(g.G)
				sum[2] += float32(bare) * float32(g.B)
			}
			p.light[y*p.width+x] = [3]float32{sum[0] / (n * n), sum[1] / (n * n), sum[2] / (n * n)}
		}
	}
}

// truth reads the boxes and visible shares from the canvas. whole has the samples of each animal without the others.
func (p *Painter) truth(whole []int) []Animal {
	type extent struct{ x0, y0, x1, y1, n int }
	extents := make([]extent, len(whole))
	for y := range p.canvas.Height {
		for x, id := range p.canvas.ID[y*p.canvas.Width : (y+1)*p.canvas.Width] {
			if id == 0 || id == clutterID {
				continue
			}
			e := &extents[id-1]
			if e.n == 0 {
				*e = extent{x, y, x, y, 0}
			}
			e.x0, e.x1, e.y1 = min(e.x0, x), max(e.x1, x), y
			e.n++
		}
	}
	const n = float64(solid.Samples)
	list := []Animal{}
	for i, e := range extents {
		if e.n > 0 {
			list = append(list, Animal{Box: [4]float64{float64(e.x0) / n, float64(e.y0) / n, float64(e.x1-e.x0+1) / n, float64(e.y1-e.y0+1) / n},
				Visible: min(1, float64(e.n)/float64(max(whole[i], 1))), Pixels: float64(e.n) / (n * n)})
		}
	}
	return list
}
