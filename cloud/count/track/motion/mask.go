package motion

import "math"

// mask tells which parts of a picture are not ground, in squares of maskCell pixels of level 0.
type mask struct {
	w, h   int // squares
	hidden []bool
}

const maskCell = 8

func newMask(w, h int) *mask {
	m := &mask{w: (w + maskCell - 1) / maskCell, h: (h + maskCell - 1) / maskCell}
	m.hidden = make([]bool, m.w*m.h)
	return m
}

// at reports whether a place of level 0 is hidden; places outside of the picture are.
func (m *mask) at(p Point) bool {
	if p.X < 0 || p.Y < 0 {
		return true
	}
	x, y := int(p.X)/maskCell, int(p.Y)/maskCell
	return x >= m.w || y >= m.h || m.hidden[y*m.w+x]
}

// anyIn reports whether a part of the square of half size r around p is hidden or outside of the picture.
func (m *mask) anyIn(p Point, r float64) bool {
	x1, y1 := int(math.Floor((p.X-r)/maskCell)), int(math.Floor((p.Y-r)/maskCell))
	x2, y2 := int((p.X+r)/maskCell), int((p.Y+r)/maskCell)
	if x1 < 0 || y1 < 0 || x2 >= m.w || y2 >= m.h {
		return true
	}
	for y := y1; y <= y2; y++ {
		for _, h := range m.hidden[y*m.w+x1 : y*m.w+x2+1] {
			if h {
				return true
			}
		}
	}
	return false
}

// visibleAt has 1 for each visible pixel of a w x h picture of a level.
func (m *mask) visibleAt(w, h, level int) []uint8 {
	see := make([]uint8, w*h)
	for i := range see {
		see[i] = 1
	}
	for i, hidden := range m.hidden {
		if !hidden {
			continue
		}
		x1, y1 := i%m.w*maskCell>>level, i/m.w*maskCell>>level
		x2, y2 := max(x1+1, (i%m.w+1)*maskCell>>level), max(y1+1, (i/m.w+1)*maskCell>>level)
		for y := y1; y < min(y2, h); y++ {
			clear(see[y*w+min(x1, w) : y*w+min(x2, w)])
		}
	}
	return see
}

// visible is the share that is not hidden.
func (m *mask) visible() float64 {
	n := 0
	for _, h := range m.hidden {
		if !h {
			n++
		}
	}
	return float64(n) / float64(max(1, len(m.hidden)))
}

// margins are the widths by which rectangles of animals are widened, as shares of their size. A shadow moves with its
// animal and lies beside it, and the place of an animal is a forecast; where animals stand so close that little ground
// is left, less is hidden.
var margins = [...]float64{0.35, 0.15, 0.05}

// enoughGround is the share of a picture that must stay visible for a margin to be used.
const enoughGround = 0.3

// hide hides the rectangles, given in units of the frame; a pixel of level 0 is factor of them.
func (m *mask) hide(animals []Rect, factor float64) {
	for _, margin := range margins {
		clear(m.hidden)
		for _, a := range animals {
			m.hideRect(a, margin, factor)
		}
		if m.visible() >= enoughGround {
			return
		}
	}
}

func (m *mask) hideRect(a Rect, margin, factor float64) {
	if !(a.X2 > a.X1 && a.Y2 > a.Y1) { // also refuses NaN
		return
	}
	d := margin * math.Sqrt((a.X2-a.X1)*(a.Y2-a.Y1))
	unit := factor * maskCell
	x1, x2 := cells(a.X1-d, a.X2+d, unit, m.w)
	y1, y2 := cells(a.Y1-d, a.Y2+d, unit, m.h)
	for y := y1; y < y2; y++ {
		for x := x1; x < x2; x++ {
			m.hidden[y*m.w+x] = true
		}
	}
}

// cells returns the squares that [from, to) touches.
func cells(from, to, unit float64, n int) (first, end int) {
	limit := float64(n)
	return int(max(0, min(limit, math.Floor(from/unit)))), int(max(0, min(limit, math.Ceil(to/unit))))
}
