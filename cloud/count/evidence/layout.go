package evidence

import (
	"image"
	"math"

	"cattlecounter/cloud/count/track/motion"
)

// Limits of the count sheet.
const (
	sheetSide   = 6000     // pixels, the longest side
	sheetPixels = 12 << 20 // of ground, which bounds the memory
	sheetHead   = 64       // height of the title and the legend
	captionRow  = 24       // height of the caption of a piece
	sheetGap    = 12
	leastWidth  = 900 // of the sheet
	pieceMargin = 0.04
)

// piece is a part of the ground of one segment on the sheet.
type piece struct {
	segment   int // index in the list of segments
	part, of  int // of the segment, from 1
	keys      []*key
	at        image.Rectangle  // on the sheet
	toSheet   motion.Transform // ground -> pixels of the sheet
	from, to  float64          // share of the segment's length that belongs to this piece alone
	placement placement
}

// placement is the extent of a segment along its longest direction and across it.
type placement struct {
	cos, sin       float64
	u1, u2, v1, v2 float64 // ground pixels, in the turned coordinates
	scale          float64 // ground pixels -> pixels of its finest picture
}

func (p placement) length() float64  { return p.u2 - p.u1 }
func (p placement) breadth() float64 { return p.v2 - p.v1 }

// turn maps ground coordinates to the turned ones.
func (p placement) turn() motion.Transform { return motion.Transform{A: p.cos, B: -p.sin} }

// place finds the extent of a segment. A long way is turned so that it lies level.
func place(keys []*key) placement {
	var points []motion.Point
	p := placement{cos: 1}
	for _, k := range keys {
		for _, c := range (rect{0, 0, k.width, k.height}).corners() {
			points = append(points, k.toGround.Apply(c))
		}
		s := k.toGround.ScaleAt(motion.Point{X: k.width / 2, Y: k.height / 2})
		p.scale = max(p.scale, float64(k.size.X)/k.width/s)
	}
	p.measure(points)
	var mx, my, xx, yy, xy float64
	n := float64(len(points))
	for _, q := range points {
		mx, my = mx+q.X/n, my+q.Y/n
	}
	for _, q := range points {
		dx, dy := q.X-mx, q.Y-my
		xx, yy, xy = xx+dx*dx, yy+dy*dy, xy+dx*dy
	}
	angle := math.Atan2(2*xy, xx-yy) / 2
	turned := placement{cos: math.Cos(angle), sin: math.Sin(angle), scale: p.scale}
	turned.measure(points)
	const elongated, less = 1.8, 0.8
	if turned.length() > elongated*turned.breadth() && turned.length()*turned.breadth() < less*p.length()*p.breadth() ||
		turned.length() > elongated*turned.breadth() && p.length() < p.breadth() {
		return turned
	}
	return p
}

func (p *placement) measure(points []motion.Point) {
	p.u1, p.v1, p.u2, p.v2 = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, q := range points {
		t := p.turn().Apply(q)
		p.u1, p.u2 = min(p.u1, t.X), max(p.u2, t.X)
		p.v1, p.v2 = min(p.v1, t.Y), max(p.v2, t.Y)
	}
}

// layout is the sheet before it is drawn.
type layout struct {
	size   image.Point
	pieces []piece
}

// plan cuts the segments into pieces and puts them side by side.
func plan(segments [][]*key) layout {
	places := make([]placement, len(segments))
	area := 0.0
	for i, keys := range segments {
		places[i] = place(keys)
		s := places[i].scale
		area += places[i].length() * places[i].breadth() * s * s
	}
	shrink := min(1, math.Sqrt(sheetPixels/max(area, 1)))
	for {
		l := pack(segments, places, shrink, area)
		if l.size.X <= sheetSide && l.size.Y <= sheetSide || shrink < 1e-4 {
			return l
		}
		shrink *= 0.92
	}
}

// pack places the pieces at a scale, in rows.
func pack(segments [][]*key, places []placement, shrink, area float64) layout {
	width := min(sheetSide-2*sheetGap, max(leastWidth, 1.6*math.Sqrt(area)*shrink))
	var l layout
	x, y, row := sheetGap, sheetHead, 0
	l.size.X = leastWidth
	for i, keys := range segments {
		p := places[i]
		s := p.scale * shrink
		parts := max(1, int(math.Ceil(p.length()*s/width)))
		h := max(1, int(math.Ceil(p.breadth()*s)))
		for k := range parts {
			from, to := float64(k)/float64(parts), float64(k+1)/float64(parts)
			margin := pieceMargin / float64(parts)
			u1 := p.u1 + max(0, from-margin)*p.length()
			u2 := p.u1 + min(1, to+margin)*p.length()
			w := max(1, int(math.Ceil((u2-u1)*s)))
			if x > sheetGap && x+w+sheetGap > int(width*(1+2*pieceMargin))+2*sheetGap {
				x, y, row = sheetGap, y+row+sheetGap, 0
			}
			at := image.Rect(x, y+captionRow, x+w, y+captionRow+h)
			toSheet := p.turn().Then(motion.Transform{A: s, TX: float64(at.Min.X) - u1*s, TY: float64(at.Min.Y) - p.v1*s})
			l.pieces = append(l.pieces, piece{segment: i, part: k + 1, of: parts, keys: keys, at: at, toSheet: toSheet,
				from: from, to: to, placement: p})
			x, row = at.Max.X+sheetGap, max(row, h+captionRow)
			l.size.X = max(l.size.X, x)
			l.size.Y = max(l.size.Y, at.Max.Y+sheetGap)
		}
	}
	return l
}

// owns reports whether a place on the ground belongs to this piece of its segment.
func (p *piece) owns(g motion.Point) bool {
	u := (p.placement.turn().Apply(g).X - p.placement.u1) / p.placement.length()
	return (u >= p.from || p.part == 1) && (u < p.to || p.part == p.of)
}
