package motion

import (
	"cmp"
	"math"
	"slices"
)

// Alignment is a join between two maps, with how sure it is.
type Alignment struct {
	Join
	// Confidence is 0..1: 0.5 for the weakest alignment that is reported, 0.8 for one pair of pictures that agree over
	// most of their common ground, and above 0.9 when several pairs of pictures agree.
	Confidence float64
}

const (
	alignEnds   = 6   // pictures at the end of a and the start of b that are compared first
	alignA      = 200 // pictures of a that are compared with those of b
	alignB      = 64  // pictures of b
	alignTries  = 3   // pictures of a that a picture of b is compared with in full
	alignEnough = 3   // agreeing pairs after which the search ends
	alignSame   = 0.04
)

// Align returns how the segments of b lie in the ground of a: at most one alignment for each segment of b, From is a
// segment of b and To a segment of a. A segment without a place in a is absent. The result is empty when nothing fits:
// a false alignment is worse than none. The frames of both maps may have different sizes; Map takes ground pixels of b
// to ground pixels of a. The end of a and the start of b are compared first; to find that two long maps have nothing in
// common takes a few seconds. The result depends on the maps only.
func Align(a, b Map) []Alignment {
	if a.Empty() || b.Empty() {
		return nil
	}
	s := aligner{a: a.open(), b: b.open()}
	na, nb := len(s.a.keys), len(s.b.keys)
	for i := range min(alignEnds, nb) {
		for j := na - 1; j >= max(0, na-alignEnds); j-- {
			s.try(s.a.key(j), s.b.key(i))
		}
	}
	s.tryAll()
	return s.result()
}

// openMap reads the pictures of a map when they are needed.
type openMap struct {
	Map
	factor float64 // frame pixels per work pixel
	keys   []*keyframe
}

func (m Map) open() *openMap {
	n := max(1, (max(m.Width, m.Height)+workSide-1)/workSide)
	return &openMap{Map: m, factor: float64(n), keys: make([]*keyframe, len(m.keys))}
}

// key returns a keyframe of the map, or nil when its picture cannot be read.
func (m *openMap) key(i int) *keyframe {
	if m.keys[i] != nil {
		return m.keys[i]
	}
	of := m.Map.keys[i]
	g, err := of.gray()
	if err != nil {
		return nil
	}
	k := &keyframe{pyr: pyramid{nil, g}, hidden: newMask(2*g.w, 2*g.h), segment: of.segment}
	k.hidden.setBits(of.hidden)
	for len(k.pyr) < levels && min(g.w, g.h)/2 >= minLevelSide {
		g = g.half()
		k.pyr = append(k.pyr, g)
	}
	k.corners = corners(k.pyr, k.hidden)
	frame := Transform{A: m.factor}
	k.pose = frame.Then(of.toGround).Then(frame.Inverse())
	m.keys[i] = k
	return k
}

// hint is a pair of pictures that show the same ground.
type hint struct {
	location           // of b's picture in the ground of a; ref is a's picture
	key      *keyframe // of b
	m        Transform // ground of b -> ground of a, in work pixels of a
}

type aligner struct {
	a, b  *openMap
	hints []hint
	done  map[[2]*keyframe]bool
}

// try compares two pictures, once.
func (s *aligner) try(ka, kb *keyframe) {
	pair := [2]*keyframe{ka, kb}
	if ka == nil || kb == nil || s.done[pair] || s.enough(kb.segment) {
		return
	}
	if s.done == nil {
		s.done = map[[2]*keyframe]bool{}
	}
	s.done[pair] = true
	if l, ok := recogniseIn(ka, kb); ok {
		s.hints = append(s.hints, hint{location: l, key: kb, m: kb.pose.Inverse().Then(l.pose)})
	}
}

// enough reports whether a segment of b has an alignment that several pairs confirm.
func (s *aligner) enough(segment int) bool {
	for _, h := range s.hints {
		if h.key.segment == segment && s.support(h) >= alignEnough {
			return true
		}
	}
	return false
}

// tryAll compares pictures of b with the pictures of a that share most features with them.
func (s *aligner) tryAll() {
	var of []*keyframe
	for _, i := range thinned(indexes(len(s.a.keys)), alignA, alignEnds) {
		of = append(of, s.a.key(i))
	}
	for _, i := range thinned(indexes(len(s.b.keys)), alignB, alignEnds) {
		kb := s.b.key(i)
		if kb == nil || s.enough(kb.segment) {
			continue
		}
		sketch := sketchOf(kb.describe(), len(of))
		likeness := make(map[*keyframe]int, len(of))
		var list []*keyframe
		for _, ka := range of {
			if ka == nil || likeness[ka] > 0 {
				continue
			}
			if n := alike(sketch, ka.describe()); n >= sketchLeast {
				likeness[ka] = n
				list = append(list, ka)
			}
		}
		slices.SortStableFunc(list, func(x, y *keyframe) int { return cmp.Compare(likeness[y], likeness[x]) })
		for _, ka := range list[:min(alignTries, len(list))] {
			s.try(ka, kb)
		}
	}
}

func indexes(n int) []int {
	o := make([]int, n)
	for i := range o {
		o[i] = i
	}
	return o
}

// agree reports whether the alignment of h places the picture of another hint where that hint says. Both maps may have
// drifted on the way between the pictures.
func (h hint) agree(o hint) bool {
	if h.key.segment != o.key.segment || h.ref.segment != o.ref.segment {
		return false
	}
	w, hh := o.key.size()
	worst := 0.0
	for _, p := range [...]Point{{}, {w, 0}, {0, hh}, {w, hh}} {
		p = o.key.pose.Apply(p)
		x, y := h.m.Apply(p), o.m.Apply(p)
		worst = max(worst, math.Hypot(x.X-y.X, x.Y-y.Y))
	}
	c, d := h.key.pose.Apply(Point{w / 2, hh / 2}), o.key.pose.Apply(Point{w / 2, hh / 2})
	return worst < alignSame*w+0.02*math.Hypot(c.X-d.X, c.Y-d.Y)
}

// support is the number of pairs of pictures that agree with a hint, with itself.
func (s *aligner) support(h hint) int {
	n := 0
	for _, o := range s.hints {
		if h.agree(o) {
			n++
		}
	}
	return n
}

// result returns the best alignment of each segment of b. An alignment that other pairs contradict is left out.
func (s *aligner) result() []Alignment {
	best := map[int]hint{}
	for _, h := range s.hints {
		old, ok := best[h.key.segment]
		if !ok {
			best[h.key.segment] = h
			continue
		}
		if n, m := s.support(h), s.support(old); n > m || n == m && h.inliers > old.inliers {
			best[h.key.segment] = h
		}
	}
	work := func(f float64) Transform { return Transform{A: 1 / f} }
	var list []Alignment
	for segment, h := range best {
		votes, against := s.support(h), 0
		for _, o := range s.hints {
			if o.key.segment == segment && !h.agree(o) {
				against++
			}
		}
		if 2*against >= votes && against > 0 {
			continue
		}
		doubt := 0.5
		if h.certain() {
			doubt = 0.2
		}
		list = append(list, Alignment{
			Join: Join{From: segment, To: h.ref.segment,
				Map: work(s.b.factor).Then(h.m).Then(work(s.a.factor).Inverse())},
			Confidence: 1 - doubt*math.Pow(0.5, float64(votes-1)),
		})
	}
	slices.SortFunc(list, func(x, y Alignment) int { return cmp.Compare(x.From, y.From) })
	return list
}
