package examples

import (
	"cmp"
	"math"
	"slices"

	"cattlecounter/cloud/count/detect"
)

// placed is an animal in one frame.
type placed struct {
	*animal
	box   box
	exact bool // the box was seen in this frame; otherwise it is computed from other frames
}

// longestGap is the time in seconds between two sights over which the place between them is computed.
const longestGap = 6

// placeAll returns where the animals are in a frame. Animals that are out of view then, or whose place is not known, are
// left out.
func placeAll(list []*animal, frame int, seconds float64) []placed {
	p, known := poseAt(list, frame)
	var out []placed
	for _, a := range list {
		i, found := slices.BinarySearchFunc(a.sights, frame, func(s sight, f int) int { return s.frame - f })
		if found {
			out = append(out, placed{a, a.sights[i].box, true})
			continue
		}
		if known && a.segment == p.segment {
			if b, ok := a.onGround(p, i, seconds); ok {
				out = append(out, placed{a, b, false})
				continue
			}
		}
		if b, ok := a.inPicture(i, seconds); ok {
			out = append(out, placed{a, b, false})
		}
	}
	return out
}

// inPicture interpolates the box between the sights before and after, or near one of them.
func (a *animal) inPicture(i int, seconds float64) (box, bool) {
	const alone = 0.7 // seconds
	if i > 0 && i < len(a.sights) {
		from, to := a.sights[i-1], a.sights[i]
		span := to.seconds - from.seconds
		if span > longestGap || span <= 0 {
			return box{}, false
		}
		k := (seconds - from.seconds) / span
		var b box
		for n := range b {
			b[n] = from.box[n] + (to.box[n]-from.box[n])*k
		}
		return b, true
	}
	if i < len(a.sights) && a.sights[i].seconds-seconds < alone {
		return a.sights[i].box, true
	}
	if i > 0 && seconds-a.sights[i-1].seconds < alone {
		return a.sights[i-1].box, true
	}
	return box{}, false
}

// pose maps the ground of a segment to a frame: u = a*x - b*y + tx, v = b*x + a*y + ty.
type pose struct {
	segment      int
	a, b, tx, ty float64
}

func (p pose) apply(x, y float64) (u, v float64) { return p.a*x - p.b*y + p.tx, p.b*x + p.a*y + p.ty }

// poseAt fits the pose of a frame to the animals that were seen in it. It needs three of one segment that agree.
func poseAt(list []*animal, frame int) (pose, bool) {
	type pair struct{ x, y, u, v float64 }
	bySegment := map[int][]pair{}
	size := 0.0
	for _, a := range list {
		i, found := slices.BinarySearchFunc(a.sights, frame, func(s sight, f int) int { return s.frame - f })
		if !found || !a.sights[i].ground {
			continue
		}
		u, v := a.sights[i].box.centre()
		bySegment[a.segment] = append(bySegment[a.segment], pair{a.sights[i].x, a.sights[i].y, u, v})
		size = max(size, a.sights[i].box.length())
	}
	var segment int
	var pairs []pair
	for s, p := range bySegment {
		if len(p) > len(pairs) || len(p) == len(pairs) && s < segment {
			segment, pairs = s, p
		}
	}
	const least = 3
	if len(pairs) < least {
		return pose{}, false
	}
	var mx, my, mu, mv float64
	n := float64(len(pairs))
	for _, q := range pairs {
		mx, my, mu, mv = mx+q.x/n, my+q.y/n, mu+q.u/n, mv+q.v/n
	}
	var dot, cross, norm float64
	for _, q := range pairs {
		x, y, u, v := q.x-mx, q.y-my, q.u-mu, q.v-mv
		dot, cross, norm = dot+x*u+y*v, cross+x*v-y*u, norm+x*x+y*y
	}
	if norm < size*size {
		return pose{}, false // too close together for an angle
	}
	p := pose{segment: segment, a: dot / norm, b: cross / norm}
	p.tx, p.ty = mu-p.a*mx+p.b*my, mv-p.b*mx-p.a*my
	worst := 0.0
	for _, q := range pairs {
		u, v := p.apply(q.x, q.y)
		worst = max(worst, math.Hypot(u-q.u, v-q.v))
	}
	return p, worst < size/2
}

// onGround computes the box from the place on the ground at a time. i is the index of the next sight.
func (a *animal) onGround(p pose, i int, seconds float64) (box, bool) {
	var x, y float64
	var near sight
	switch {
	case len(a.sights) == 0:
		return box{}, false
	case i > 0 && i < len(a.sights) && a.sights[i-1].ground && a.sights[i].ground:
		from, to := a.sights[i-1], a.sights[i]
		k := 0.0
		if span := to.seconds - from.seconds; span > 0 {
			k = (seconds - from.seconds) / span
		}
		x, y, near = from.x+(to.x-from.x)*k, from.y+(to.y-from.y)*k, from
	default: // it stands still before the first and after the last look
		near = a.sights[min(i, len(a.sights)-1)]
		if !near.ground || math.Abs(near.seconds-seconds) > longestGap {
			return box{}, false
		}
		x, y = near.x, near.y
	}
	u, v := p.apply(x, y)
	w, h := near.box.width()/2, near.box.height()/2
	return box{u - w, v - h, u + w, v + h}, true
}

// label is one region of a picture.
type label struct {
	box   box
	kind  kind // cattle, other, or unknown for a region that training leaves out
	track int
}

// labelsOf decides what is an animal in the view of a frame. found are the detections there, in any order.
func labelsOf(all []placed, found []detect.Box, view box) []label {
	var out []label
	rest := make([]box, 0, len(found))
	for _, d := range found {
		b := box{float64(d.X1), float64(d.Y1), float64(d.X2), float64(d.Y2)}
		if !slices.ContainsFunc(all, func(p placed) bool { return p.exact && same(p.box, b) }) {
			rest = append(rest, b)
		}
	}
	var doubtful []label
	taken := assign(all, rest)
	for i, p := range all {
		b := p.box
		if !p.exact {
			k, seen := taken[i]
			if !seen {
				if p.kind != none {
					doubtful = append(doubtful, label{b.grown(0.3), unknown, p.id})
				}
				continue
			}
			b = rest[k]
		}
		switch p.kind {
		case none:
		case unknown:
			doubtful = append(doubtful, label{b.grown(0.1), unknown, p.id})
		default:
			out = append(out, label{b, p.kind, p.id})
		}
	}
	used := map[int]bool{}
	for _, k := range taken {
		used[k] = true
	}
	for k, b := range rest {
		if !used[k] {
			doubtful = append(doubtful, label{b.grown(0.1), unknown, 0})
		}
	}
	sure := out
	for _, d := range doubtful { // a second box of a labeled animal hides nothing
		if !slices.ContainsFunc(sure, func(l label) bool { return covered(d.box, l.box) > 0.5 }) {
			out = append(out, d)
		}
	}
	return inView(out, view)
}

// same reports whether a detection shows what a box shows.
func same(a, b box) bool {
	return overlap(a, b) > 0.4 || covered(b, a) > 0.8
}

// assign joins computed places with detections, the nearest pairs first. The keys are indices of all, the values of rest.
func assign(all []placed, rest []box) map[int]int {
	type pair struct {
		i, k int
		far  float64 // in lengths of the animal
	}
	var pairs []pair
	for i, p := range all {
		if p.exact {
			continue
		}
		u, v := p.box.centre()
		for k, b := range rest {
			x, y := b.centre()
			const near = 0.6
			if far := math.Hypot(x-u, y-v) / max(p.box.length(), 1); far < near {
				pairs = append(pairs, pair{i, k, far})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.far, b.far) })
	taken, used := map[int]int{}, map[int]bool{}
	for _, p := range pairs {
		if _, has := taken[p.i]; !has && !used[p.k] {
			taken[p.i], used[p.k] = p.k, true
		}
	}
	return taken
}

// inView cuts labels at the edges of a view. Animals of which the view shows little are left out of training.
func inView(list []label, view box) (out []label) {
	const leastPart, leastSide = 0.4, 4 // of the area; pixels
	for _, l := range list {
		b := l.box.cut(view)
		if b.width() < leastSide || b.height() < leastSide {
			continue
		}
		if b.area() < leastPart*l.box.area() {
			l.kind = unknown
		}
		l.box = b.moved(-view[0], -view[1])
		out = append(out, l)
	}
	return out
}
