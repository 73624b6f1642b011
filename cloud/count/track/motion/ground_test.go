package motion

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/count/video"
)

// herd is a group of animals that walk together: textured rectangles with a place on the ground.
type herd struct {
	side, gap, vx, vy float64 // ground pixels, and ground pixels a frame
	seed              uint64
}

// rects returns the animals in the view of a camera that stands upright, in frame pixels, at time i.
func (d herd) rects(camera Transform, i, w, h int) []Rect {
	pitch := d.side + d.gap
	dx, dy := d.vx*float64(i), d.vy*float64(i)
	var list []Rect
	first := camera.Apply(Point{})
	x0, y0 := math.Floor((first.X-dx)/pitch)-1, math.Floor((first.Y-dy)/pitch)-1
	for y := y0; y*pitch+dy < first.Y+float64(h)+pitch; y++ {
		for x := x0; x*pitch+dx < first.X+float64(w)+pitch; x++ {
			p := Point{x*pitch + dx - first.X, y*pitch + dy - first.Y}
			list = append(list, Rect{p.X, p.Y, p.X + d.side, p.Y + d.side})
		}
	}
	return list
}

// draw paints the animals with strong texture that moves with them.
func (d herd) draw(f *video.Frame, rects []Rect) {
	coat := make([]byte, 64*64)
	rng := rand.New(rand.NewPCG(d.seed, 1))
	for i := range coat {
		coat[i] = byte(rng.IntN(256))
	}
	for _, a := range rects {
		for y := max(0, int(a.Y1)); y < min(f.Height, int(a.Y2)); y++ {
			for x := max(0, int(a.X1)); x < min(f.Width, int(a.X2)); x++ {
				u, v := int(float64(x)-math.Floor(a.X1))/4%64, int(float64(y)-math.Floor(a.Y1))/4%64
				i := (y*f.Width + x) * 3
				f.Pix[i+1] = coat[v*64+u]
			}
		}
	}
}

// faint lowers the contrast of a picture to a share, with noise of a sensor.
func faint(f *video.Frame, share float64, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for i := 1; i < len(f.Pix); i += 3 {
		f.Pix[i] = byte(110 + share*(float64(f.Pix[i])-110) + rng.Float64()*4)
	}
}

// blank is a picture of one gray level.
func blank(w, h int, level byte) *video.Frame {
	f := &video.Frame{}
	f.Resize(w, h)
	for i := range f.Pix {
		f.Pix[i] = level
	}
	return f
}

// places lists the middles of the animals on the ground near a place.
func (d herd) places(near Point, reach float64, i int) []Point {
	pitch := d.side + d.gap
	dx, dy := d.vx*float64(i), d.vy*float64(i)
	var list []Point
	for y := math.Floor((near.Y - reach - dy) / pitch); y*pitch+dy < near.Y+reach; y++ {
		for x := math.Floor((near.X - reach - dx) / pitch); x*pitch+dx < near.X+reach; x++ {
			list = append(list, Point{x*pitch + dx + d.side/2, y*pitch + dy + d.side/2})
		}
	}
	return list
}

// rectsBy returns the upright boxes of the animals in the view of a camera that may be turned.
func (d herd) rectsBy(camera Transform, i, w, h int) []Rect {
	back := camera.Inverse()
	var list []Rect
	for _, p := range d.places(camera.Apply(Point{float64(w) / 2, float64(h) / 2}), float64(w), i) {
		q, half := back.Apply(p), d.side/2
		list = append(list, Rect{q.X - half, q.Y - half, q.X + half, q.Y + half})
	}
	return list
}

// drawTurned paints the animals for a camera that may be turned: discs with strong texture that moves and turns with
// them.
func (d herd) drawTurned(f *video.Frame, camera Transform, i int) {
	coat := make([]byte, 64*64)
	rng := rand.New(rand.NewPCG(d.seed, 1))
	for i := range coat {
		coat[i] = byte(rng.IntN(256))
	}
	back, half := camera.Inverse(), d.side/2
	for _, p := range d.places(camera.Apply(Point{float64(f.Width) / 2, float64(f.Height) / 2}), float64(f.Width), i) {
		q := back.Apply(p)
		own := int(math.Round((p.X-d.vx*float64(i))/(d.side+d.gap)))*17 + int(math.Round(p.Y/(d.side+d.gap)))*5
		for y := max(0, int(q.Y-half)); y < min(f.Height, int(q.Y+half)); y++ {
			for x := max(0, int(q.X-half)); x < min(f.Width, int(q.X+half)); x++ {
				g := camera.Apply(Point{float64(x), float64(y)})
				u, v := g.X-p.X, g.Y-p.Y
				if u*u+v*v < half*half {
					f.Pix[(y*f.Width+x)*3+1] = coat[(int(v+half)/4+own)%64*64+(int(u+half)/4+own/3)%64]
				}
			}
		}
	}
}
