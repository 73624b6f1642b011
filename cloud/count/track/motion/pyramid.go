package motion

import (
	"math"

	"cattlecounter/cloud/count/video"
)

// gray is an 8-bit picture.
type gray struct {
	w, h int
	pix  []byte
}

// window samples side x side places from (x, y) on, one pixel apart, bilinear. All places must lie in
// [0,w-1) x [0,h-1).
func (g *gray) window(x, y float64, side int, into []float64) {
	ix, iy := int(x), int(y)
	fx, fy := x-float64(ix), y-float64(iy)
	a, b, c, d := (1-fx)*(1-fy), fx*(1-fy), (1-fx)*fy, fx*fy
	for row := range side {
		i := (iy+row)*g.w + ix
		top, bottom := g.pix[i:i+side+1], g.pix[i+g.w:i+g.w+side+1]
		out := into[row*side : row*side+side]
		for k := range out {
			out[k] = a*float64(top[k]) + b*float64(top[k+1]) + c*float64(bottom[k]) + d*float64(bottom[k+1])
		}
	}
}

// inside reports whether a square of half size r around (x, y) can be sampled.
func (g *gray) inside(x, y, r float64) bool {
	return x-r >= 0 && y-r >= 0 && x+r < float64(g.w-1) && y+r < float64(g.h-1)
}

// shrink averages factor x factor pixels of a frame into one gray value. It reads only green: green has most of the
// brightness, and a third of the bytes.
func shrink(f *video.Frame, factor int) *gray {
	g := &gray{w: f.Width / factor, h: f.Height / factor}
	g.pix = make([]byte, g.w*g.h)
	stride := f.Width * 3
	n := factor * factor
	for y := range g.h {
		for x := range g.w {
			sum := 0
			for dy := range factor {
				i := (y*factor+dy)*stride + x*factor*3
				for range factor {
					sum += int(f.Pix[i+1])
					i += 3
				}
			}
			g.pix[y*g.w+x] = byte(sum / n)
		}
	}
	return g
}

// half averages 2 x 2 pixels into one.
func (g *gray) half() *gray {
	o := &gray{w: g.w / 2, h: g.h / 2}
	o.pix = make([]byte, o.w*o.h)
	for y := range o.h {
		r0, r1 := g.pix[2*y*g.w:], g.pix[(2*y+1)*g.w:]
		for x := range o.w {
			o.pix[y*o.w+x] = byte((int(r0[2*x]) + int(r0[2*x+1]) + int(r1[2*x]) + int(r1[2*x+1]) + 2) / 4)
		}
	}
	return o
}

// pyramid holds a picture at full, half, quarter … size.
type pyramid []*gray

// smallest side of a pyramid's last level, in pixels.
const minLevelSide = 24

func newPyramid(base *gray, levels int) pyramid {
	p := pyramid{base}
	for len(p) < levels {
		last := p[len(p)-1]
		if min(last.w, last.h)/2 < minLevelSide {
			break
		}
		p = append(p, last.half())
	}
	return p
}

// corners finds points with good texture, at most one per cell of level 0: the place with the largest smaller
// eigenvalue of the structure tensor (Shi and Tomasi, "Good Features to Track", 1994).
func corners(p pyramid, cell int) []Point {
	const (
		half    = 3    // window of 7 x 7
		floor   = 60.0 // smaller eigenvalue per pixel below which there is no texture
		border  = half + 2
		samples = (2*half + 1) * (2*half + 1)
	)
	// Half size is enough to find corners; follow is exact to parts of a pixel.
	level := min(1, len(p)-1)
	g, f := p[level], float64(int(1)<<level)
	cell >>= level
	ixx, ixy, iyy := structureSums(g)
	box := func(s []int64, x, y int) float64 {
		w := g.w + 1
		x0, y0, x1, y1 := x-half, y-half, x+half+1, y+half+1
		return float64(s[y1*w+x1]-s[y0*w+x1]-s[y1*w+x0]+s[y0*w+x0]) / samples
	}
	var pts []Point
	for cy := border; cy+cell/2 < g.h-border; cy += cell {
		for cx := border; cx+cell/2 < g.w-border; cx += cell {
			best, at := floor, Point{}
			for y := cy; y < min(cy+cell, g.h-border); y++ {
				for x := cx; x < min(cx+cell, g.w-border); x++ {
					a, b, c := box(ixx, x, y), box(ixy, x, y), box(iyy, x, y)
					if e := (a+c)/2 - math.Sqrt((a-c)*(a-c)/4+b*b); e > best {
						best, at = e, Point{(float64(x)+0.5)*f - 0.5, (float64(y)+0.5)*f - 0.5}
					}
				}
			}
			if best > floor {
				pts = append(pts, at)
			}
		}
	}
	return pts
}

// structureSums returns the integral images of the gradient products.
func structureSums(g *gray) (ixx, ixy, iyy []int64) {
	w := g.w + 1
	n := w * (g.h + 1)
	ixx, ixy, iyy = make([]int64, n), make([]int64, n), make([]int64, n)
	for y := range g.h {
		var sxx, sxy, syy int64
		for x := range g.w {
			if x > 0 && y > 0 && x < g.w-1 && y < g.h-1 {
				i := y*g.w + x
				dx := int64(g.pix[i+1]) - int64(g.pix[i-1])
				dy := int64(g.pix[i+g.w]) - int64(g.pix[i-g.w])
				sxx, sxy, syy = sxx+dx*dx, sxy+dx*dy, syy+dy*dy
			}
			o := (y+1)*w + x + 1
			ixx[o], ixy[o], iyy[o] = ixx[o-w]+sxx, ixy[o-w]+sxy, iyy[o-w]+syy
		}
	}
	return ixx, ixy, iyy
}
