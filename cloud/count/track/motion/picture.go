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

// deep is a picture in parts of a gray level: the grain of smooth ground is fainter than one level.
type deep struct {
	w, h int
	pix  []uint16 // deepUnit for each gray level
}

const deepUnit = 64

// shrink averages factor x factor pixels of a frame into one value. It reads only green: green has most of the
// brightness, and a third of the bytes. Of large squares it reads every second pixel of every second row.
func shrink(f *video.Frame, factor int) *deep {
	g := &deep{w: f.Width / factor, h: f.Height / factor}
	g.pix = make([]uint16, g.w*g.h)
	step := 1
	if factor > 3 {
		step = 2
	}
	side := (factor + step - 1) / step
	unit := uint32(deepUnit<<16) / uint32(side*side)
	sums := make([]uint32, g.w)
	for y := range g.h {
		clear(sums)
		for dy := 0; dy < factor; dy += step {
			row := f.Pix[(y*factor+dy)*f.Width*3+1:][: f.Width*3-1 : f.Width*3-1]
			addGreen(sums, row, factor, step)
		}
		out := g.pix[y*g.w:][:g.w]
		for x, s := range sums {
			out[x] = uint16(uint64(s) * uint64(unit) >> 16)
		}
	}
	return g
}

// addGreen adds every step-th of factor pixels of a row to each sum; row begins at the first pixel's green.
func addGreen(sums []uint32, row []byte, factor, step int) {
	if factor == 3 {
		for x := range sums {
			p := row[x*9:][:7:7]
			sums[x] += uint32(p[0]) + uint32(p[3]) + uint32(p[6])
		}
		return
	}
	i, after := 0, factor-(factor+step-1)/step*step
	for x := range sums {
		s := uint32(0)
		for d := 0; d < factor; d += step {
			s += uint32(row[i])
			i += 3 * step
		}
		i += 3 * after
		sums[x] += s
	}
}

func (g *deep) half() *deep {
	o := &deep{w: g.w / 2, h: g.h / 2}
	o.pix = make([]uint16, o.w*o.h)
	for y := range o.h {
		r0, r1 := g.pix[2*y*g.w:][:g.w], g.pix[(2*y+1)*g.w:][:g.w]
		out := o.pix[y*o.w:][:o.w]
		for x := range out {
			out[x] = uint16((uint32(r0[2*x]) + uint32(r0[2*x+1]) + uint32(r1[2*x]) + uint32(r1[2*x+1]) + 2) / 4)
		}
	}
	return o
}

const (
	normalHalf  = 12   // local contrast is that of a window of 25 x 25 pixels
	normalGain  = 40.0 // gray levels for one standard deviation
	normalGrey  = 128
	faintest    = 0.3 // gray levels: noise of a codec and of rounding
	faintFactor = 0.3 // of the picture's usual contrast
)

// normalised makes every part of the picture equally bright and equally rich in contrast, so that a light that
// changes and shadows matter little and faint grain counts. What is fainter than noise stays faint. What is hidden does
// not take part and becomes gray.
func (g *deep) normalised(hidden *mask, level int) *gray {
	out := &gray{w: g.w, h: g.h, pix: make([]byte, g.w*g.h)}
	see := hidden.visibleAt(g.w, g.h, level)
	mean, dev := g.localMoments(see, normalHalf)
	noise := float32(max(faintest*deepUnit, faintFactor*medianOf(dev, see)))
	noise *= noise
	for i, v := range g.pix {
		if d := dev[i]; see[i] == 1 {
			n := normalGrey + normalGain*(float32(v)-mean[i])*d/(d*d+noise)
			out.pix[i] = byte(max(0, min(255, n+0.5)))
		} else {
			out.pix[i] = normalGrey
		}
	}
	return out
}

// window sums of a picture, by running sums over rows of columns.
type moments struct {
	count, sum []uint32
	square     []uint64
}

func (m *moments) add(pix []uint16, see []uint8) {
	for x, v := range pix {
		w := uint32(see[x])
		s := w * uint32(v)
		m.count[x], m.sum[x], m.square[x] = m.count[x]+w, m.sum[x]+s, m.square[x]+uint64(s)*uint64(s)
	}
}

func (m *moments) remove(pix []uint16, see []uint8) {
	for x, v := range pix {
		w := uint32(see[x])
		s := w * uint32(v)
		m.count[x], m.sum[x], m.square[x] = m.count[x]-w, m.sum[x]-s, m.square[x]-uint64(s)*uint64(s)
	}
}

// localMoments returns the mean and the standard deviation of the visible pixels in the window around every pixel.
func (g *deep) localMoments(see []uint8, half int) (mean, dev []float32) {
	mean, dev = make([]float32, len(g.pix)), make([]float32, len(g.pix))
	m := &moments{count: make([]uint32, g.w), sum: make([]uint32, g.w), square: make([]uint64, g.w)}
	row := func(y int) ([]uint16, []uint8) { return g.pix[y*g.w:][:g.w], see[y*g.w:][:g.w] }
	for y := range min(half, g.h) {
		m.add(row(y))
	}
	for y := range g.h {
		if y+half < g.h {
			m.add(row(y + half))
		}
		if y-half-1 >= 0 {
			m.remove(row(y - half - 1))
		}
		m.row(half, mean[y*g.w:][:g.w], dev[y*g.w:][:g.w])
	}
	return mean, dev
}

// row sums the columns to windows.
func (m *moments) row(half int, mean, dev []float32) {
	var n, s uint32
	var q uint64
	w := len(mean)
	for x := range min(half, w) {
		n, s, q = n+m.count[x], s+m.sum[x], q+m.square[x]
	}
	for x := range w {
		if i := x + half; i < w {
			n, s, q = n+m.count[i], s+m.sum[i], q+m.square[i]
		}
		if i := x - half - 1; i >= 0 {
			n, s, q = n-m.count[i], s-m.sum[i], q-m.square[i]
		}
		if n == 0 {
			continue
		}
		inv := 1 / float64(n)
		mu := float64(s) * inv
		mean[x] = float32(mu)
		dev[x] = float32(math.Sqrt(max(0, float64(q)*inv-mu*mu)))
	}
}

// medianOf is the median of every 16th visible value, to a part of a gray level.
func medianOf(v []float32, see []uint8) float64 {
	const bins, fine = 2048, 8 // up to 64 gray levels, in eighths of a deep unit
	var count [bins]int
	n := 0
	for i := 0; i < len(v); i += 16 {
		if see[i] == 1 {
			count[min(bins-1, int(v[i]*fine/16))]++
			n++
		}
	}
	for i, c := range count {
		if n -= 2 * c; c > 0 && n <= 0 {
			return (float64(i) + 0.5) * 16 / fine
		}
	}
	return 0
}

// pyramid holds a picture at full, half, quarter … size. The first levels are nil in a keyframe that is kept small.
type pyramid []*gray

// smallest side of a pyramid's last level, in pixels.
const minLevelSide = 20

// newPyramid normalises every level by itself.
func newPyramid(base *deep, hidden *mask) pyramid {
	var p pyramid
	for {
		p = append(p, base.normalised(hidden, len(p)))
		if len(p) == levels || min(base.w, base.h)/2 < minLevelSide {
			return p
		}
		base = base.half()
	}
}

// finest is the first level that is there.
func (p pyramid) finest() int {
	for i, g := range p {
		if g != nil {
			return i
		}
	}
	return len(p)
}

// toLevel maps a place of level 0 to a level, with pixel centres at whole numbers on both.
func toLevel(p Point, level int) Point {
	f := 1 / float64(int(1)<<level)
	return Point{(p.X+0.5)*f - 0.5, (p.Y+0.5)*f - 0.5}
}

// fromLevel undoes toLevel.
func fromLevel(p Point, level int) Point {
	f := float64(int(1) << level)
	return Point{(p.X+0.5)*f - 0.5, (p.Y+0.5)*f - 0.5}
}
