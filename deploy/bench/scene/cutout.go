package scene

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"slices"

	"golang.org/x/image/draw"
)

// box is a rectangle in a picture in pixels.
type box struct{ x1, y1, x2, y2 float64 }

// readBoxes reads a label file of the YOLO form for a picture of w x h pixels: class, middle and size of each box as
// shares of the picture.
func readBoxes(path string, w, h int) ([]box, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	defer f.Close()
	var all []box
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var class int
		var x, y, bw, bh float64
		if _, err := fmt.Sscan(lines.Text(), &class, &x, &y, &bw, &bh); err != nil {
			return nil, fmt.Errorf("labels %s line %q: %w", path, lines.Text(), err)
		}
		all = append(all, box{(x - bw/2) * float64(w), (y - bh/2) * float64(h), (x + bw/2) * float64(w), (y + bh/2) * float64(h)})
	}
	return all, lines.Err()
}

// Limits of a cut-out. It must look like one whole animal from above.
const (
	leastSide     = 38.0 // pixels of the box's longer side
	leastContrast = 30.0 // levels between animal and ground
	leastFill     = 0.17 // share of the box
	mostFill      = 0.85
	leastSolid    = 0.87 // share of the ellipse with the same spread
	leastLength   = 1.6  // length of the animal by its width
)

var errNotClean = errors.New("no clean cut-out")

// cutOut cuts the animal in a box out of a picture and turns it so that its length lies along x. others are the boxes of
// the other animals. The error is errNotClean when the result would not look like one animal.
func cutOut(p *picture, b box, others []box) (*picture, error) {
	side := max(b.x2-b.x1, b.y2-b.y1)
	pad := 0.3 * side
	outer := box{b.x1 - pad, b.y1 - pad, b.x2 + pad, b.y2 + pad}
	if side < leastSide || outer.x1 < 0 || outer.y1 < 0 || outer.x2 > float64(p.w) || outer.y2 > float64(p.h) {
		return nil, errNotClean
	}
	for _, o := range others {
		if o != b && o.x1 < b.x2 && o.x2 > b.x1 && o.y1 < b.y2 && o.y2 > b.y1 {
			return nil, errNotClean
		}
	}
	part := p.part(int(outer.x1), int(outer.y1), int(outer.x2), int(outer.y2))
	inner := box{pad, pad, pad + b.x2 - b.x1, pad + b.y2 - b.y1}
	mask := animalMask(part, inner)
	if mask == nil {
		return nil, errNotClean
	}
	shape := shapeOf(mask, part.w)
	fill := shape.area / ((b.x2 - b.x1) * (b.y2 - b.y1))
	solid := shape.area / (4 * math.Pi * shape.length * shape.width)
	if fill < leastFill || fill > mostFill || solid < leastSolid || shape.length < leastLength*shape.width {
		return nil, errNotClean
	}
	return part.turned(feathered(mask, part.w, part.h), shape), nil
}

func (p *picture) part(x0, y0, x1, y1 int) *picture {
	q := &picture{w: x1 - x0, h: y1 - y0}
	for y := y0; y < y1; y++ {
		q.pix = append(q.pix, p.pix[(y*p.w+x0)*4:(y*p.w+x1)*4]...)
	}
	return q
}

// animalMask marks the pixels of the animal: those in the box that differ in colour from the ring around it, in one
// piece with the middle. It is nil when nothing differs clearly.
func animalMask(p *picture, inner box) []bool {
	ground := groundColour(p, inner)
	mask := make([]bool, p.w*p.h)
	total, marked := 0.0, 0
	for y := int(inner.y1); y < int(inner.y2); y++ {
		for x := int(inner.x1); x < int(inner.x2); x++ {
			if d := difference(p.pix[(y*p.w+x)*4:], ground); d > leastContrast {
				mask[y*p.w+x] = true
				total += d
				marked++
			}
		}
	}
	if marked == 0 {
		return nil
	}
	return largestPiece(mask, p.w)
}

// groundColour is the median colour of the ring around a box: blue, green and red.
func groundColour(p *picture, inner box) [3]float64 {
	var values [3][]int
	for y := range p.h {
		for x := range p.w {
			if float64(x) > inner.x1 && float64(x) < inner.x2 && float64(y) > inner.y1 && float64(y) < inner.y2 {
				continue
			}
			for c := range 3 {
				values[c] = append(values[c], int(p.pix[(y*p.w+x)*4+c]))
			}
		}
	}
	var m [3]float64
	for c := range 3 {
		slices.Sort(values[c])
		m[c] = float64(values[c][len(values[c])/2])
	}
	return m
}

// difference of a pixel from the colour of the ground. A shadow on the ground has the ground's colour, only darker, and
// differs little.
func difference(pix []byte, ground [3]float64) float64 {
	var dot, norm float64
	for c := range 3 {
		dot += float64(pix[c]) * ground[c]
		norm += ground[c] * ground[c]
	}
	k := dot / max(norm, 1) // brightness relative to the ground
	d := 0.0
	for c := range 3 {
		d += math.Pow(float64(pix[c])-k*ground[c], 2)
	}
	d = math.Sqrt(d)
	const dark, bright, vivid = 0.4, 1.5, 0.12
	green := greenness([3]float64{float64(pix[0]), float64(pix[1]), float64(pix[2])})
	onGrass := greenness(ground)
	if k < dark && (onGrass < vivid || green < 0.35*onGrass) { // black; a shadow on grass is still green
		d += 2 * leastContrast
	}
	if k > bright {
		d += leastContrast
	}
	return d
}

// greenness of blue, green and red, -1..2.
func greenness(c [3]float64) float64 { return (2*c[1] - c[0] - c[2]) / (c[0] + c[1] + c[2] + 15) }

// largestPiece keeps the largest connected piece of a mask and fills its holes.
func largestPiece(mask []bool, w int) []bool {
	best := piecesOf(mask, w, true)
	kept := make([]bool, len(mask))
	for _, i := range best {
		kept[i] = true
	}
	// What is not connected with the outside is a hole.
	outside := make([]bool, len(mask))
	for i := range mask {
		outside[i] = !kept[i]
	}
	around := piecesOf(outside, w, true)
	for i := range kept {
		kept[i] = true
	}
	for _, i := range around {
		kept[i] = false
	}
	return kept
}

// piecesOf returns the indexes of the largest connected piece of the pixels with a value.
func piecesOf(mask []bool, w int, value bool) []int {
	seen := make([]bool, len(mask))
	var best []int
	for i := range mask {
		if seen[i] || mask[i] != value {
			continue
		}
		piece := []int{i}
		seen[i] = true
		for n := 0; n < len(piece); n++ {
			j := piece[n]
			for _, k := range [4]int{j - 1, j + 1, j - w, j + w} {
				beside := k >= 0 && k < len(mask) && (k/w == j/w || k%w == j%w)
				if beside && !seen[k] && mask[k] == value {
					seen[k] = true
					piece = append(piece, k)
				}
			}
		}
		if len(piece) > len(best) {
			best = piece
		}
	}
	return best
}

// shape is the ellipse of a mask.
type shape struct {
	at            point
	angle         float64 // of the length
	length, width float64 // standard deviations
	area          float64 // pixels
}

func shapeOf(mask []bool, w int) shape {
	var s shape
	for i, m := range mask {
		if m {
			s.area++
			s.at.x += float64(i%w) + 0.5
			s.at.y += float64(i/w) + 0.5
		}
	}
	s.at.x, s.at.y = s.at.x/s.area, s.at.y/s.area
	var xx, yy, xy float64
	for i, m := range mask {
		if m {
			dx, dy := float64(i%w)+0.5-s.at.x, float64(i/w)+0.5-s.at.y
			xx, yy, xy = xx+dx*dx, yy+dy*dy, xy+dx*dy
		}
	}
	xx, yy, xy = xx/s.area, yy/s.area, xy/s.area
	mean, root := (xx+yy)/2, math.Hypot((xx-yy)/2, xy)
	s.length, s.width = math.Sqrt(mean+root), math.Sqrt(max(mean-root, 1e-6))
	s.angle = math.Atan2(2*xy, xx-yy) / 2
	return s
}

// feathered is the opacity of a mask, 0..255, with soft edges.
func feathered(mask []bool, w, h int) []byte {
	out := make([]byte, len(mask))
	for y := range h {
		for x := range w {
			n, sum := 0, 0
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					if x+dx < 0 || y+dy < 0 || x+dx >= w || y+dy >= h {
						continue
					}
					n++
					if mask[(y+dy)*w+x+dx] {
						sum++
					}
				}
			}
			// Only the inner half of the edge: the outer one has the colour of the old ground.
			out[y*w+x] = byte(255 * max(0, 2*sum-n) / n)
		}
	}
	return out
}

// turned returns the part with an opacity, with the length of the shape along x and its middle in the middle.
func (p *picture) turned(opacity []byte, s shape) *picture {
	src := &picture{w: p.w, h: p.h, pix: slices.Clone(p.pix)}
	for i, a := range opacity {
		for c := range 3 {
			src.pix[i*4+c] = byte(int(src.pix[i*4+c]) * int(a) / 255)
		}
		src.pix[i*4+3] = a
	}
	const deviations = 2.6 // beyond the ends of a body
	q := &picture{w: int(2 * deviations * s.length), h: int(2 * deviations * s.width * 1.2)}
	q.pix = make([]byte, q.w*q.h*4)
	sin, cos := math.Sincos(s.angle)
	for y := range q.h {
		for x := range q.w {
			dx, dy := float64(x)+0.5-float64(q.w)/2, float64(y)+0.5-float64(q.h)/2
			b, g, r, a := src.sample(s.at.x+dx*cos-dy*sin, s.at.y+dx*sin+dy*cos)
			copy(q.pix[(y*q.w+x)*4:], []byte{byte(b), byte(g), byte(r), byte(255 * a)})
		}
	}
	return q
}

// brightness is the mean level of the opaque pixels, 0..255.
func (p *picture) brightness() float64 {
	sum, n := 0.0, 0.0
	for i := 0; i+3 < len(p.pix); i += 4 {
		if p.pix[i+3] == 255 {
			sum += float64(p.pix[i]) + float64(p.pix[i+1]) + float64(p.pix[i+2])
			n += 3
		}
	}
	return sum / max(n, 1)
}

// dimmed returns the picture in k times the light, 0..1.
func (p *picture) dimmed(k float64) *picture {
	q := &picture{w: p.w, h: p.h, pix: slices.Clone(p.pix)}
	for i := range q.pix {
		if i%4 != 3 {
			q.pix[i] = byte(float64(q.pix[i]) * k)
		}
	}
	return q
}

// bodyLength is the length of the animal of a cut-out in pixels.
func (p *picture) bodyLength() float64 {
	first, last := p.w, 0
	for i := 3; i < len(p.pix); i += 4 {
		if p.pix[i] > 128 {
			first, last = min(first, i/4%p.w), max(last, i/4%p.w)
		}
	}
	return float64(max(last-first, 1))
}

// resized returns the picture k times as large.
func (p *picture) resized(k float64) *picture {
	w, h := max(2, int(math.Round(float64(p.w)*k))), max(2, int(math.Round(float64(p.h)*k)))
	src := &image.RGBA{Pix: p.pix, Stride: p.w * 4, Rect: image.Rect(0, 0, p.w, p.h)}
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(dst, dst.Rect, src, src.Rect, draw.Src, nil)
	return &picture{w: w, h: h, pix: dst.Pix}
}
