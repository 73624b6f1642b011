package motion

import (
	"math"
	"slices"
)

const (
	worstCode  = 70   // bits of 256 that may differ
	clearBy    = 0.88 // the best match must differ in fewer bits than this share of the next best at another place
	samePlace  = 8.0  // pixels within which two features show one place
	turnSlack  = 0.45 // radians between the turn of a matched feature and that of the transform
	zoomSlack  = 1.45
	likeRounds = 400
	likeSlack  = 4.0 // pixels of level 0
	leastLike  = 8   // matched features that agree, for a look at the pictures
)

// matchFeatures pairs the features of two pictures that are each other's best match.
func matchFeatures(a, b []feature) []featurePair {
	type best struct{ at, bits int }
	back := make([]best, len(b))
	for j := range back {
		back[j] = best{-1, worstCode + 1}
	}
	forth := make([]best, len(a))
	for i := range a {
		first, second := best{-1, worstCode + 1}, 257
		for j := range b {
			d := a[i].distance(&b[j])
			if d < back[j].bits {
				back[j] = best{i, d}
			}
			switch {
			case d < first.bits:
				if first.at >= 0 && !near(b[first.at].at, b[j].at) {
					second = first.bits
				}
				first = best{j, d}
			case d < second && first.at >= 0 && !near(b[first.at].at, b[j].at):
				second = d
			}
		}
		forth[i] = best{-1, 0}
		if first.at >= 0 && float64(first.bits) < clearBy*float64(second) {
			forth[i] = first
		}
	}
	var pairs []featurePair
	for i, f := range forth {
		if f.at >= 0 && back[f.at].at == i {
			pairs = append(pairs, newFeaturePair(&a[i], &b[f.at]))
		}
	}
	return pairs
}

func near(p, q Point) bool { return math.Abs(p.X-q.X) < samePlace && math.Abs(p.Y-q.Y) < samePlace }

// featurePair is a matched feature with the turn and zoom that it speaks for.
type featurePair struct {
	pair
	turn, zoom float64
}

func newFeaturePair(a, b *feature) featurePair {
	return featurePair{
		pair: pair{a.at, b.at, likeSlack * max(1, float64(max(a.size, b.size))/3)},
		turn: float64(b.angle - a.angle), zoom: float64(b.size / a.size),
	}
}

// speaksFor reports whether the turn and zoom of the pair fit the transform.
func (p featurePair) speaksFor(t Transform) bool {
	d := math.Remainder(p.turn-math.Atan2(t.B, t.A), 2*math.Pi)
	z := p.zoom / t.Scale()
	return math.Abs(d) < turnSlack && z < zoomSlack && z > 1/zoomSlack
}

// likeness finds the transform from a to b that most matched features agree with, and their number.
func likeness(a, b []feature) (Transform, int) {
	matched := matchFeatures(a, b)
	if len(matched) < leastLike {
		return Identity, 0
	}
	best, bestN := Identity, 0
	count := func(t Transform) int {
		n := 0
		for i := range matched {
			if matched[i].agrees(t) && matched[i].speaksFor(t) {
				n++
			}
		}
		return n
	}
	rng := newRand(len(matched))
	for range likeRounds {
		p, q := matched[rng.IntN(len(matched))], matched[rng.IntN(len(matched))]
		t, ok := twoPoint(p.pair, q.pair)
		if !ok || !p.speaksFor(t) || !q.speaksFor(t) {
			continue
		}
		if n := count(t); n > bestN {
			best, bestN = t, n
		}
	}
	if bestN < leastLike {
		return Identity, 0
	}
	in := make([]pair, 0, bestN)
	for i := range matched {
		if matched[i].agrees(best) && matched[i].speaksFor(best) {
			in = append(in, matched[i].pair)
		}
	}
	if t, ok := leastSquares(in); ok {
		if n := count(t); n >= bestN {
			return t, n
		}
	}
	return best, bestN
}

// recogniseIn finds the place of a frame in the picture of a keyframe, without a guess.
func recogniseIn(k, now *keyframe) (location, bool) {
	t, n := likeness(k.describe(), now.describe())
	if n < leastLike {
		return location{}, false
	}
	f := register(k, now, t, nearLevel)
	if !f.sound() || !unique(k, now, f.t) {
		return location{}, false
	}
	return locationBy(k, now, f), true
}

const (
	fullTries   = 4   // keyframes that a frame is compared with in full
	sketchTries = 160 // keyframes that a frame is compared with in brief
	sketchLen   = 64  // features of a brief comparison with many keyframes
	sketchMost  = 256 // features of a brief comparison with few keyframes
	sketchBits  = 48  // bits that may differ
	sketchLeast = 4   // features that must be alike
)

// recognise finds the place of a frame in any keyframe that is wanted: in the newest ones at every call, and in the
// others by turns.
func (r *Registrar) recognise(now *keyframe, wanted func(*keyframe) bool) (location, bool) {
	for _, k := range r.ground.likely(now, wanted) {
		if l, ok := recogniseIn(k, now); ok {
			return l, true
		}
	}
	return location{}, false
}

// likely returns the keyframes that share most features with a frame, the most alike first.
func (a *atlas) likely(now *keyframe, wanted func(*keyframe) bool) []*keyframe {
	type scored struct {
		k     *keyframe
		alike int
	}
	n := min(sketchTries, len(a.keys))
	newest := min(n/4, len(a.keys))
	sketch := sketchOf(now.describe(), n)
	var list []scored
	try := func(k *keyframe) {
		if !wanted(k) {
			return
		}
		if s := alike(sketch, k.describe()); s >= sketchLeast {
			list = append(list, scored{k, s})
		}
	}
	for _, k := range a.keys[len(a.keys)-newest:] {
		try(k)
	}
	rest := a.keys[:len(a.keys)-newest]
	for range min(n-newest, len(rest)) {
		a.next = (a.next + 1) % len(rest)
		try(rest[a.next])
	}
	slices.SortStableFunc(list, func(x, y scored) int { return y.alike - x.alike })
	var keys []*keyframe
	for _, s := range list[:min(fullTries, len(list))] {
		keys = append(keys, s.k)
	}
	return keys
}

// sketchOf is a part of the features, from all scales, to compare with so many keyframes.
func sketchOf(list []feature, keys int) []*feature {
	var s []*feature
	every := max(1, len(list)/max(sketchLen, min(sketchMost, sketchLen*sketchTries/max(keys, 1))))
	for i := 0; i < len(list); i += every {
		s = append(s, &list[i])
	}
	return s
}

// alike is the number of features of a sketch that are in the list too.
func alike(sketch []*feature, list []feature) int {
	n := 0
	for _, f := range sketch {
		for j := range list {
			if f.distance(&list[j]) <= sketchBits {
				n++
				break
			}
		}
	}
	return n
}

// unique reports whether no other shift of the pictures fits nearly as well: rows of mown grass or slabs look alike at
// many places.
func unique(k, now *keyframe, t Transform) bool {
	const (
		level  = 2
		reach  = 0.25
		around = 4    // pixels of the level that belong to the peak
		second = 0.75 // of the peak
		least  = 0.25
	)
	if len(k.pyr) <= level || len(now.pyr) <= level {
		return false
	}
	ref := warped(k, now, t)
	g, h := ref.pyr[level], now.pyr[level]
	wa, wb := ref.weights(level), now.weights(level)
	peak := correlation(g, h, wa, wb, 0, 0)
	if peak < least {
		return false
	}
	rx, ry := int(reach*float64(g.w)), int(reach*float64(g.h))
	for dy := -ry; dy <= ry; dy++ {
		for dx := -rx; dx <= rx; dx++ {
			if dx*dx+dy*dy > around*around && correlation(g, h, wa, wb, dx, dy) > second*peak {
				return false
			}
		}
	}
	return true
}
