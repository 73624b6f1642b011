package motion

import (
	"cmp"
	"math"
	"slices"
)

const (
	turnStep   = 4.0  // degrees between two tried turns
	turnReach  = 0.3  // of the picture: the largest shift of its middle
	turnKept   = 12   // turns that are looked at more closely
	turnTries  = 3    // of them, compared in full
	turnLeast  = 0.15 // correlation
	turnCoarse = 18   // pixels of the shorter side of the smallest level that is compared
)

// locateTurned finds the place of a frame in the newest one when the camera has turned fast: it compares small pictures
// at every turn. The places of the animals follow from the guess, which is wrong then, so they are found again for each
// tried turn. On success now hides them at their true places.
func (r *Registrar) locateTurned(now *keyframe, guess Transform) (location, bool) {
	if now.base == nil {
		return location{}, false
	}
	open := now.hiding(nil)
	leans := []float64{0, 0.15, 0.3}
	if r.lean.turned > 0 {
		leans = []float64{r.lean.shortened}
	}
	for _, shortened := range leans {
		if l, ok := r.locateLeaning(now, open, guess, shortened); ok {
			return l, true
		}
	}
	return location{}, false
}

// locateLeaning is locateTurned for a lean of the camera. open is now without the animals' places.
func (r *Registrar) locateLeaning(now, open *keyframe, guess Transform, shortened float64) (location, bool) {
	for _, t := range coarseTurns(r.last, open, shortened) {
		pose := t.Inverse().Then(r.last.pose)
		k := open
		if !r.last.bare {
			k = now.hiding(movedRects(now.animals, guess.Then(pose.Inverse())))
		}
		f := register(r.last, k, t, nearLevel)
		if f.sound() && unique(r.last, k, f.t) {
			*now = *k
			now.bare = r.last.bare
			return locationBy(r.last, now, f), true
		}
	}
	return location{}, false
}

// hiding is the same picture with other places of animals, in work pixels.
func (k *keyframe) hiding(animals []Rect) *keyframe {
	o := &keyframe{base: k.base, animals: animals, lean: k.lean, hidden: newMask(k.base.w, k.base.h)}
	o.hidden.hide(animals, 1)
	o.prepare(k.base)
	return o
}

// movedRects moves rectangles; they stay upright, and large enough for an animal in any direction.
func movedRects(list []Rect, t Transform) []Rect {
	out := make([]Rect, len(list))
	for i, a := range list {
		c := t.Apply(Point{(a.X1 + a.X2) / 2, (a.Y1 + a.Y2) / 2})
		half := max(a.X2-a.X1, a.Y2-a.Y1) / 2 * t.Scale()
		out[i] = Rect{c.X - half, c.Y - half, c.X + half, c.Y + half}
	}
	return out
}

// turned is a turn around the middle of the picture and a shift.
type turned struct {
	degrees, shortened float64
	dx, dy             int // pixels of the level
	alike              float64
}

// transform takes pixels of the earlier picture into the later one, both of level 0.
func (c turned) transform(k *keyframe, level int) Transform {
	w, h := k.size()
	sin, cos := math.Sincos(c.degrees * math.Pi / 180)
	mid := Transform{A: 1, TX: -w / 2, TY: -h / 2}
	t := mid.Then(seenLeaning(Transform{A: cos, B: sin}, c.shortened)).Then(mid.Inverse())
	f := float64(int(1) << level)
	return t.Then(Transform{A: 1, TX: float64(c.dx) * f, TY: float64(c.dy) * f})
}

// coarseTurns returns the likeliest turns from k to now, the likeliest first.
func coarseTurns(k, now *keyframe, shortened float64) []Transform {
	level := min(len(k.pyr), len(now.pyr)) - 1
	for level > 0 && level > k.pyr.finest() && min(now.pyr[level].w, now.pyr[level].h) < turnCoarse {
		level--
	}
	var list []turned
	g, weights := now.pyr[level], now.weights(level)
	rx, ry := int(turnReach*float64(g.w)), int(turnReach*float64(g.h))
	for d := -180.0; d < 180; d += turnStep {
		c := tryShifts(k, now, weights, turned{degrees: d, shortened: shortened}, level, [4]int{-rx, rx, -ry, ry})
		if c.alike > turnLeast {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b turned) int { return cmp.Compare(b.alike, a.alike) })
	list = list[:min(len(list), turnKept)]
	if level > max(k.pyr.finest(), now.pyr.finest()) {
		level--
		weights = now.weights(level)
		for i := range list {
			list[i] = finerTurn(k, now, weights, list[i], level)
		}
	}
	slices.SortStableFunc(list, func(a, b turned) int { return cmp.Compare(b.alike, a.alike) })
	var out []Transform
	for _, c := range list[:min(len(list), turnTries)] {
		out = append(out, c.transform(k, level))
	}
	return out
}

// tryShifts is the turn c with its best shift between x0, x1, y0 and y1. weights are those of now.
func tryShifts(k, now *keyframe, weights []int32, c turned, level int, within [4]int) turned {
	c.dx, c.dy = 0, 0
	g := now.pyr[level]
	ref, seen := k.seenTurned(c.transform(k, level), level, g.w, g.h)
	for dy := within[2]; dy <= within[3]; dy++ {
		for dx := within[0]; dx <= within[1]; dx++ {
			if v := correlation(ref, g, seen, weights, dx, dy); v > c.alike {
				c.alike, c.dx, c.dy = v, dx, dy
			}
		}
	}
	return c
}

// finerTurn looks for the best turn and shift near those found on the next smaller level.
func finerTurn(k, now *keyframe, weights []int32, c turned, level int) turned {
	best := turned{}
	x, y := 2*c.dx, 2*c.dy
	for _, d := range [...]float64{-0.5, -0.25, 0, 0.25, 0.5} {
		try := turned{degrees: c.degrees + d*turnStep, shortened: c.shortened}
		const around = 2
		if try = tryShifts(k, now, weights, try, level, [4]int{x - around, x + around, y - around, y + around}); try.alike > best.alike {
			best = try
		}
	}
	return best
}

// seenTurned is the picture of a level as t takes it, with 1 for each pixel that shows ground.
func (k *keyframe) seenTurned(t Transform, level, w, h int) (*gray, []int32) {
	back := t.Inverse()
	g := k.pyr[level].seenBy(back, level, w, h)
	weights := make([]int32, w*h)
	for y := range h {
		for x := range w {
			p := back.Apply(fromLevel(Point{float64(x), float64(y)}, level))
			q := toLevel(p, level)
			if q.X >= 0 && q.Y >= 0 && q.X < float64(k.pyr[level].w-1) && q.Y < float64(k.pyr[level].h-1) && !k.hidden.at(p) {
				weights[y*w+x] = 1
			}
		}
	}
	return g, weights
}
