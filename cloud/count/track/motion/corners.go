package motion

import "math"

// tensor holds the integral images of the products of a picture's gradients.
type tensor struct {
	w             int // of the integral images
	ixx, ixy, iyy []int32
}

const (
	tensorHalf    = 3 // window of 7 x 7 pixels
	tensorSamples = (2*tensorHalf + 1) * (2*tensorHalf + 1)
)

// newTensor leaves out what is hidden, so that the edges of animals are no texture; a pixel of g is size pixels of level
// 0.
func newTensor(g *gray, size float64, m *mask) *tensor {
	columns := make([]int, g.w)
	for x := range columns {
		columns[x] = min(m.w-1, int((float64(x)+0.5)*size/maskCell))
	}
	w := g.w + 1
	n := w * (g.h + 1)
	t := &tensor{w: w, ixx: make([]int32, n), ixy: make([]int32, n), iyy: make([]int32, n)}
	for y := range g.h {
		var sxx, sxy, syy int32
		hidden := m.hidden[min(m.h-1, int((float64(y)+0.5)*size/maskCell))*m.w:][:m.w]
		for x := range g.w {
			if x > 0 && y > 0 && x < g.w-1 && y < g.h-1 && !hidden[columns[x]] {
				i := y*g.w + x
				dx := int32(g.pix[i+1]) - int32(g.pix[i-1])
				dy := int32(g.pix[i+g.w]) - int32(g.pix[i-g.w])
				sxx, sxy, syy = sxx+dx*dx, sxy+dx*dy, syy+dy*dy
			}
			o := (y+1)*w + x + 1
			t.ixx[o], t.ixy[o], t.iyy[o] = t.ixx[o-w]+sxx, t.ixy[o-w]+sxy, t.iyy[o-w]+syy
		}
	}
	return t
}

// strength is the smaller eigenvalue of the structure tensor around a pixel, per pixel (Shi and Tomasi, "Good Features
// to Track", 1994). The window must lie inside of the picture.
func (t *tensor) strength(x, y int) float64 {
	top, bottom := (y-tensorHalf)*t.w, (y+tensorHalf+1)*t.w
	x0, x1 := x-tensorHalf, x+tensorHalf+1
	// Sums wrap around in 32 bits; differences of them are right all the same.
	a := float64(t.ixx[bottom+x1] - t.ixx[top+x1] - t.ixx[bottom+x0] + t.ixx[top+x0])
	b := float64(t.ixy[bottom+x1] - t.ixy[top+x1] - t.ixy[bottom+x0] + t.ixy[top+x0])
	c := float64(t.iyy[bottom+x1] - t.iyy[top+x1] - t.iyy[bottom+x0] + t.iyy[top+x0])
	return ((a+c)/2 - math.Sqrt((a-c)*(a-c)/4+b*b)) / tensorSamples
}

const (
	cornerCell  = 24    // pixels of level 0: at most one corner in each square of this side
	cornerFloor = 150.0 // strength in a normalised picture below which there is no texture
	cornerLevel = 1     // half size is enough to find corners; follow is exact to parts of a pixel
)

// corners finds the place with the best texture in each square, among those that are not hidden.
func corners(p pyramid, hidden *mask) []Point {
	level := max(min(cornerLevel, len(p)-1), p.finest())
	g := p[level]
	t := newTensor(g, float64(int(1)<<level), hidden)
	const border = tensorHalf + 2
	cell := cornerCell >> level
	var list []Point
	for cy := border; cy+cell/2 < g.h-border; cy += cell {
		for cx := border; cx+cell/2 < g.w-border; cx += cell {
			best, place := cornerFloor, Point{}
			for y := cy; y < min(cy+cell, g.h-border); y++ {
				for x := cx; x < min(cx+cell, g.w-border); x++ {
					s := t.strength(x, y)
					if s <= best {
						continue
					}
					at := fromLevel(Point{float64(x), float64(y)}, level)
					if !hidden.at(at) {
						best, place = s, at
					}
				}
			}
			if best > cornerFloor {
				list = append(list, place)
			}
		}
	}
	return list
}
