package motion

import "math"

// keyframe is a picture with its place on the ground.
type keyframe struct {
	base     *deep  // what pyr was made of; nil once the frame has its place
	animals  []Rect // places of animals in work pixels; nil once the frame has its place
	lean     *lean  // of the clip's camera; nil for one straight down
	pyr      pyramid
	hidden   *mask
	bare     bool // animals are not hidden, because the ground between them has no texture
	corners  []Point
	features []feature // nil until they are needed
	pose     Transform // work pixels -> ground, in work pixels
	segment  int
	drift    float64 // how far the pose may be wrong against the start of its segment, in work pixels
	tried    int     // number of the step in which the picture was last tried as a place that the camera returned to
	search   search
}

// size is the width and height of level 0.
func (k *keyframe) size() (w, h float64) {
	level := k.pyr.finest()
	g := k.pyr[level]
	return float64(g.w << level), float64(g.h << level)
}

func (k *keyframe) describe() []feature {
	if k.features == nil {
		k.features = features(k.pyr, k.hidden)
	}
	return k.features
}

// textured reports whether the picture has enough texture to be registered.
func (k *keyframe) textured() bool {
	const few = 20
	return len(k.corners) >= few
}

// fitted is how one picture lies in another.
type fitted struct {
	t       Transform // from the reference to the new picture
	inliers int
	share   float64 // of the followed corners that agree
	spread  float64 // share of the parts of the common ground that have an inlier
}

const (
	nearLevel = 2 // where following begins when the guess is good
	farLevel  = levels - 1
)

// register follows the corners of k into now; guess maps k to now. from is the coarsest level.
func register(k, now *keyframe, guess Transform, from int) fitted {
	ref, start := k, guess
	turned := turns(guess)
	if turned {
		ref, start = warped(k, now, guess), Identity
	}
	pairs := make([]pair, 0, len(ref.corners))
	tried := 0
	var parts, hit blocks
	w, h := now.size()
	for _, c := range ref.corners {
		g := start.Apply(c)
		if now.hidden.at(g) || g.X >= w || g.Y >= h {
			continue
		}
		tried++
		parts.add(g, w, h)
		m, ok := follow(ref, now, c, g, from)
		if ok && !now.hidden.at(m.at) {
			pairs = append(pairs, pair{c, m.at, inlierPixels * float64(1+max(0, m.level))})
		}
	}
	if turned {
		back := guess.Inverse()
		for i := range pairs {
			pairs[i].from = back.Apply(pairs[i].from)
		}
	}
	t, n := now.lean.fit(pairs, guess, ransacRounds)
	if n < minInliers {
		return fitted{t: guess}
	}
	t, n = now.lean.learn(pairs, t, n)
	in := make([]pair, 0, n)
	agreeing(t, pairs, &in)
	if 2*n < tried {
		if wide := oblique(t, n, pairs, w, h); wide != nil {
			// The ground stays a plane seen from above: the similarity that fits all of the view best describes the way.
			if mean, ok := now.lean.leastSquares(wide); ok {
				t, n, in = mean, len(wide), wide
			}
		}
	}
	for _, p := range in {
		hit.add(p.to, w, h)
	}
	return fitted{t: t, inliers: n, share: float64(n) / float64(tried), spread: hit.share(&parts)}
}

// turns reports whether a transform turns or zooms so far that windows of pixels do not look alike.
func turns(t Transform) bool {
	const angle, zoom, skew = 0.06, 1.06, 0.03
	s := t.Scale()
	return math.Abs(math.Atan2(t.B, t.A)) > angle || s > zoom || s < 1/zoom || math.Hypot(t.C, t.D) > skew ||
		t.PX != 0 || t.PY != 0
}

// warped is the reference as it looks in the frame of now.
func warped(k, now *keyframe, guess Transform) *keyframe {
	back := guess.Inverse()
	first := max(1, k.pyr.finest(), now.pyr.finest())
	o := &keyframe{pyr: make(pyramid, min(len(k.pyr), len(now.pyr))), hidden: &mask{w: now.hidden.w, h: now.hidden.h}}
	for level := first; level < len(o.pyr); level++ {
		o.pyr[level] = k.pyr[level].seenBy(back, level, now.pyr[level].w, now.pyr[level].h)
	}
	w, h := k.size()
	o.hidden.hidden = make([]bool, len(now.hidden.hidden))
	for y := range o.hidden.h {
		for x := range o.hidden.w {
			p := back.Apply(Point{(float64(x) + 0.5) * maskCell, (float64(y) + 0.5) * maskCell})
			const edge = 8
			o.hidden.hidden[y*o.hidden.w+x] = p.X < edge || p.Y < edge || p.X > w-edge || p.Y > h-edge || k.hidden.at(p)
		}
	}
	o.corners = corners(o.pyr, o.hidden)
	return o
}

// seenBy samples the picture of a level at the places where back takes the pixels of a w x h picture of that level.
func (g *gray) seenBy(back Transform, level, w, h int) *gray {
	o := &gray{w: w, h: h, pix: make([]byte, w*h)}
	limX, limY := float64(g.w-1), float64(g.h-1)
	for y := range h {
		for x := range w {
			p := toLevel(back.Apply(fromLevel(Point{float64(x), float64(y)}, level)), level)
			if !(p.X >= 0 && p.Y >= 0 && p.X < limX && p.Y < limY) {
				o.pix[y*w+x] = normalGrey
				continue
			}
			ix, iy := int(p.X), int(p.Y)
			fx, fy := int((p.X-float64(ix))*256), int((p.Y-float64(iy))*256)
			i := iy*g.w + ix
			top := int(g.pix[i])*(256-fx) + int(g.pix[i+1])*fx
			bottom := int(g.pix[i+g.w])*(256-fx) + int(g.pix[i+g.w+1])*fx
			o.pix[y*w+x] = byte((top*(256-fy) + bottom*fy + 1<<15) >> 16)
		}
	}
	return o
}

// blocks are the parts of a picture, 6 x 6.
type blocks [blockSide * blockSide]int

const blockSide = 6

func (b *blocks) add(p Point, w, h float64) {
	x, y := int(p.X/w*blockSide), int(p.Y/h*blockSide)
	b[max(0, min(blockSide-1, y))*blockSide+max(0, min(blockSide-1, x))]++
}

// share is the share of the parts of all that b has too.
func (b *blocks) share(all *blocks) float64 {
	n, of := 0, 0
	for i, a := range all {
		if a > 0 {
			of++
			if b[i] > 0 {
				n++
			}
		}
	}
	return float64(n) / float64(max(1, of))
}

// shifts finds the shift of b against a without a good guess. It compares the smallest levels at every shift of up
// to 60 % of the picture, where both show ground. The shift is in pixels of level 0.
func coarseShift(a, b *keyframe) (Point, bool) {
	level := min(len(a.pyr), len(b.pyr)) - 1
	g, h := a.pyr[level], b.pyr[level]
	wa, wb := a.weights(level), b.weights(level)
	const reach = 0.6
	rx, ry := int(reach*float64(g.w)), int(reach*float64(g.h))
	best, at := 0.0, Point{}
	for dy := -ry; dy <= ry; dy++ {
		for dx := -rx; dx <= rx; dx++ {
			if c := correlation(g, h, wa, wb, dx, dy); c > best {
				best, at = c, Point{float64(dx), float64(dy)}
			}
		}
	}
	f := float64(int(1) << level)
	const enough = 0.3
	return Point{at.X * f, at.Y * f}, best > enough
}

// weights has 1 for each pixel of a level that shows ground.
func (k *keyframe) weights(level int) []int32 {
	g := k.pyr[level]
	o := make([]int32, g.w*g.h)
	for y := range g.h {
		for x := range g.w {
			if !k.hidden.at(fromLevel(Point{float64(x), float64(y)}, level)) {
				o[y*g.w+x] = 1
			}
		}
	}
	return o
}

// correlation is the normalised correlation of a(x, y) with b(x+dx, y+dy) in their overlap, where both weights are 1. A
// large overlap gives a slightly higher value.
func correlation(a, b *gray, wa, wb []int32, dx, dy int) float64 {
	x0, x1 := max(0, -dx), min(a.w, b.w-dx)
	y0, y1 := max(0, -dy), min(a.h, b.h-dy)
	var n, sa, sb, saa, sbb, sab int64
	for y := y0; y < y1; y++ {
		i, j := y*a.w+x0, (y+dy)*b.w+x0+dx
		ra, va := a.pix[i:i+x1-x0], wa[i:i+x1-x0]
		rb, vb := b.pix[j:j+x1-x0], wb[j:j+x1-x0]
		var in, ia, ib, iaa, ibb, iab int32
		for i := range ra {
			m := va[i] * vb[i]
			p, q := (int32(ra[i])-normalGrey)*m, (int32(rb[i])-normalGrey)*m
			in, ia, ib, iaa, ibb, iab = in+m, ia+p, ib+q, iaa+p*p, ibb+q*q, iab+p*q
		}
		n, sa, sb = n+int64(in), sa+int64(ia), sb+int64(ib)
		saa, sbb, sab = saa+int64(iaa), sbb+int64(ibb), sab+int64(iab)
	}
	va, vb := n*saa-sa*sa, n*sbb-sb*sb
	if va <= 0 || vb <= 0 {
		return 0
	}
	share := float64(n) / float64(a.w*a.h)
	return float64(n*sab-sa*sb) / math.Sqrt(float64(va)*float64(vb)) * math.Pow(share, 0.1)
}
