package motion

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// feature is a place that is recognised in another picture whatever the camera's heading, and at a zoom that differs.
type feature struct {
	at       Point   // level 0
	size     float32 // of its scale, in pixels of level 0
	angle    float32 // radians, of its brighter side
	strength float32
	code     [4]uint64
}

// distance is the number of bits that differ.
func (f *feature) distance(g *feature) int {
	return bits.OnesCount64(f.code[0]^g.code[0]) + bits.OnesCount64(f.code[1]^g.code[1]) +
		bits.OnesCount64(f.code[2]^g.code[2]) + bits.OnesCount64(f.code[3]^g.code[3])
}

const (
	featureZoom = 1.33 // between two scales
	centreHalf  = 9    // the disc whose brighter side is the angle
	codeReach   = 11   // pixels from the place to the compared spots
	spotHalf    = 2    // spots are means of 5 x 5 pixels
	featureEdge = codeReach + spotHalf + 1
)

// featureCounts are the most features of each scale, from level 0 on. A picture without level 0 begins with the third.
var featureCounts = [...]int{110, 100, 90, 70, 60, 50, 40}

// spots are the places whose brightness each bit of a code compares (Calonder et al., "BRIEF", 2010), turned by the
// angle of the feature (Rublee et al., "ORB", 2011).
var spots = func() (s [256][2]Point) {
	rng := rand.New(rand.NewPCG(11, 5)) // a fixed pattern: codes of two programs must agree
	draw := func() Point {
		for {
			p := Point{rng.NormFloat64() * 5, rng.NormFloat64() * 5}
			if math.Hypot(p.X, p.Y) <= codeReach-0.5 {
				return p
			}
		}
	}
	for i := range s {
		s[i] = [2]Point{draw(), draw()}
	}
	return s
}()

// features finds the features of a picture outside of what is hidden, the strongest of each scale.
func features(p pyramid, hidden *mask) []feature {
	level := p.finest()
	g, size := p[level], float64(int(1)<<level)
	var list []feature
	for i, n := range featureCounts[min(2*level, len(featureCounts)):] {
		if i > 0 {
			g = g.resized(featureZoom)
			size *= featureZoom
		}
		if min(g.w, g.h) < 3*featureEdge {
			break
		}
		list = append(list, scaleFeatures(g, size, n, hidden)...)
	}
	return list
}

// resized is the picture smaller by the factor f.
func (g *gray) resized(f float64) *gray {
	o := &gray{w: int(float64(g.w) / f), h: int(float64(g.h) / f)}
	o.pix = make([]byte, o.w*o.h)
	for y := range o.h {
		sy := min((float64(y)+0.5)*f-0.5, float64(g.h)-1.001)
		iy := int(sy)
		fy := int((sy - float64(iy)) * 256)
		r0, r1 := g.pix[iy*g.w:][:g.w], g.pix[(iy+1)*g.w:][:g.w]
		for x := range o.w {
			sx := min((float64(x)+0.5)*f-0.5, float64(g.w)-1.001)
			ix := int(sx)
			fx := int((sx - float64(ix)) * 256)
			top := int(r0[ix])*(256-fx) + int(r0[ix+1])*fx
			bottom := int(r1[ix])*(256-fx) + int(r1[ix+1])*fx
			o.pix[y*o.w+x] = byte((top*(256-fy) + bottom*fy + 1<<15) >> 16)
		}
	}
	return o
}

// scaleFeatures finds at most n features of one scale; a pixel of g is size pixels of level 0.
func scaleFeatures(g *gray, size float64, n int, hidden *mask) []feature {
	sums := newSums(g)
	list := strongest(g, size, n, hidden)
	for i := range list {
		f := &list[i]
		x, y := int(f.at.X), int(f.at.Y)
		angle := brightSide(g, x, y)
		f.angle, f.code = float32(angle), sums.code(x, y, angle)
		f.at = Point{(f.at.X+0.5)*size - 0.5, (f.at.Y+0.5)*size - 0.5}
	}
	return list
}

// strongest returns the strongest local peaks of texture, in pixels of g, spread over the picture.
func strongest(g *gray, size float64, n int, hidden *mask) []feature {
	t := newTensor(g, size, hidden)
	strength := make([]float32, g.w*g.h)
	for y := featureEdge - 1; y <= g.h-featureEdge; y++ {
		for x := featureEdge - 1; x <= g.w-featureEdge; x++ {
			strength[y*g.w+x] = float32(t.strength(x, y))
		}
	}
	const parts = 4
	var room [parts * parts]int
	for i := range room {
		room[i] = max(2, n/(parts*parts/2))
	}
	var peaks []feature
	for y := featureEdge; y < g.h-featureEdge; y++ {
		for x := featureEdge; x < g.w-featureEdge; x++ {
			s := strength[y*g.w+x]
			if s < cornerFloor || !isPeak(strength, g.w, x, y) {
				continue
			}
			if hidden.at(Point{(float64(x) + 0.5) * size, (float64(y) + 0.5) * size}) {
				continue
			}
			peaks = append(peaks, feature{at: Point{float64(x), float64(y)}, size: float32(size), strength: s})
		}
	}
	slices.SortStableFunc(peaks, func(a, b feature) int { return cmp.Compare(b.strength, a.strength) })
	kept := peaks[:0]
	for _, f := range peaks {
		part := int(f.at.Y)*parts/g.h*parts + int(f.at.X)*parts/g.w
		if room[part] == 0 {
			continue
		}
		room[part]--
		if kept = append(kept, f); len(kept) == n {
			break
		}
	}
	return kept
}

// isPeak reports whether a value is the largest of its 5 x 5 neighbours.
func isPeak(v []float32, w, x, y int) bool {
	s := v[y*w+x]
	for dy := -2; dy <= 2; dy++ {
		for dx := -2; dx <= 2; dx++ {
			if o := v[(y+dy)*w+x+dx]; o > s || o == s && (dy < 0 || dy == 0 && dx < 0) {
				return false
			}
		}
	}
	return true
}

// brightSide is the direction from a place to the centre of brightness of the disc around it.
func brightSide(g *gray, x, y int) float64 {
	var mx, my int
	for dy := -centreHalf; dy <= centreHalf; dy++ {
		reach := int(math.Sqrt(float64(centreHalf*centreHalf - dy*dy)))
		row := g.pix[(y+dy)*g.w+x-reach:][:2*reach+1]
		sum := 0
		for i, v := range row {
			mx += (i - reach) * int(v)
			sum += int(v)
		}
		my += dy * sum
	}
	return math.Atan2(float64(my), float64(mx))
}

// sums is the integral image of a picture.
type sums struct {
	w int
	s []uint32
}

func newSums(g *gray) sums {
	w := g.w + 1
	o := sums{w: w, s: make([]uint32, w*(g.h+1))}
	for y := range g.h {
		row := uint32(0)
		for x, v := range g.pix[y*g.w:][:g.w] {
			row += uint32(v)
			o.s[(y+1)*w+x+1] = o.s[y*w+x+1] + row
		}
	}
	return o
}

// spot is the sum of the pixels around (x, y).
func (s sums) spot(x, y int) uint32 {
	top, bottom := (y-spotHalf)*s.w, (y+spotHalf+1)*s.w
	x0, x1 := x-spotHalf, x+spotHalf+1
	return s.s[bottom+x1] - s.s[bottom+x0] - s.s[top+x1] + s.s[top+x0]
}

func (s sums) code(x, y int, angle float64) (code [4]uint64) {
	sin, cos := math.Sincos(angle)
	place := func(p Point) (int, int) {
		return x + int(math.Round(cos*p.X-sin*p.Y)), y + int(math.Round(sin*p.X+cos*p.Y))
	}
	for i := range spots {
		ax, ay := place(spots[i][0])
		bx, by := place(spots[i][1])
		if s.spot(ax, ay) < s.spot(bx, by) {
			code[i/64] |= 1 << (i % 64)
		}
	}
	return code
}
