package motion

import (
	"math"
	"slices"
)

const (
	newOverlap   = 0.62 // with less overlap with every keyframe the frame becomes one
	maxKeyframes = 560  // of about 105 kB each; then older ones are thinned out
	wholeFrames  = 8    // newest keyframes that keep their full size
	keptFeatures = 400  // of an older keyframe
)

// atlas holds the keyframes of a clip, in order of time.
type atlas struct {
	keys []*keyframe
	next int // where the search through all keyframes goes on
}

func (a *atlas) add(k *keyframe) {
	if len(a.keys) >= maxKeyframes {
		a.thin()
	}
	a.keys = append(a.keys, k)
	if n := len(a.keys) - 1 - wholeFrames; n >= 0 {
		a.keys[n].shrink()
	}
}

// offer adds a frame that shows enough new ground.
func (a *atlas) offer(now *keyframe, share float64) bool {
	const sure = 0.35
	if share < sure {
		return false
	}
	for _, k := range slices.Backward(a.keys) {
		if k.segment == now.segment && k.drift <= now.drift+returned && overlapOf(k, now, now.pose) >= newOverlap {
			return false
		}
	}
	a.add(now)
	return true
}

// shrink gives up what only a recent keyframe needs.
func (k *keyframe) shrink() {
	pyr := slices.Clone(k.pyr)
	pyr[0] = nil
	k.pyr = pyr
	k.features = coarsest(k.describe(), keptFeatures)
}

// coarsest keeps n features, those of fine scales only where there is room.
func coarsest(list []feature, n int) []feature {
	if len(list) <= n {
		return slices.Clip(list)
	}
	return slices.Clone(list[len(list)-n:])
}

// thin drops every second keyframe of the older half, but not the first one of a segment.
func (a *atlas) thin() {
	kept := a.keys[:0:0]
	for i, k := range a.keys {
		first := i == 0 || a.keys[i-1].segment != k.segment
		if first || i%2 == 0 || i >= len(a.keys)/2 {
			kept = append(kept, k)
		}
	}
	a.keys, a.next = kept, 0
}

// overlapOf is the share of a frame with a pose that lies in the keyframe.
func overlapOf(k, now *keyframe, pose Transform) float64 {
	w, h := now.size()
	c := Point{w / 2, h / 2}
	p, q := pose.Apply(c), k.pose.Apply(c)
	if reach := (w + h) * (pose.ScaleAt(c) + k.pose.ScaleAt(c)) / 2; math.Hypot(p.X-q.X, p.Y-q.Y) > reach {
		return 0
	}
	return pose.Then(k.pose.Inverse()).overlap(w, h)
}

// earliest is the earliest keyframe of a segment that overlaps the frame at least so much, or nil. It skips keyframes
// that drifted more than the newest frames.
func (a *atlas) earliest(now *keyframe, pose Transform, segment int, drift float64) *keyframe {
	for _, k := range a.keys {
		if k.segment == segment && k.drift <= drift+returned && overlapOf(k, now, pose) >= keepOverlap {
			return k
		}
	}
	return nil
}

// latest is the latest keyframe of a segment, or nil.
func (a *atlas) latest(segment int) *keyframe {
	for _, k := range slices.Backward(a.keys) {
		if k.segment == segment {
			return k
		}
	}
	return nil
}

// others is the number of keyframes of other segments.
func (a *atlas) others(segment int) int {
	n := 0
	for _, k := range a.keys {
		if k.segment != segment {
			n++
		}
	}
	return n
}

// search is how often frames at a keyframe were compared with the ground of other segments, and found nothing.
type search struct {
	tries  int
	next   int // number of the step of the next try
	others int // keyframes of other segments at the last try
}

// due reports whether a frame at the keyframe is to be compared with other segments in a step, and notes the try. Where
// nothing was found after all of their keyframes had their turn, the waits become longer and longer: the camera may fly over
// the same ground for the rest of a long clip.
func (s *search) due(step, others int) bool {
	const (
		often = 4    // steps between two tries
		most  = 2400 // steps of the longest wait
		turn  = sketchTries / 2
	)
	if others != s.others {
		*s = search{others: others}
	}
	if step < s.next {
		return false
	}
	s.tries++
	doubled := max(0, s.tries-2*(1+others/turn))
	s.next = step + min(most, often<<min(doubled, 16))
	return true
}

// returnedTo is the earliest keyframe of the segment that the frame may overlap and whose pose is much surer than the
// drift of the newest frames, or nil. It skips keyframes tried after the step before. doubt is how far, in work
// pixels, the frame may be from the guess against the keyframe.
func (a *atlas) returnedTo(now *keyframe, guess Transform, segment int, drift float64, before int) (k *keyframe,
	doubt float64) {
	for _, k := range a.keys {
		doubt := drift - k.drift
		if k.segment != segment || doubt < returned || k.tried > before && k.tried > 0 {
			continue
		}
		if overlapOf(k, now, nearer(guess, k.pose, now, doubt)) >= returnOverlap {
			return k, doubt
		}
	}
	return nil, 0
}

// nearer is the pose moved towards another one by at most a distance.
func nearer(pose, to Transform, now *keyframe, by float64) Transform {
	w, h := now.size()
	c := Point{w / 2, h / 2}
	p, q := pose.Apply(c), to.Apply(c)
	d := math.Hypot(p.X-q.X, p.Y-q.Y)
	if d == 0 {
		return pose
	}
	f := min(by, d) / d
	return pose.Then(Transform{A: 1, TX: f * (q.X - p.X), TY: f * (q.Y - p.Y)})
}

// join moves the keyframes of one segment to another.
func (a *atlas) join(from, to int, m Transform, drift float64) {
	for _, k := range a.keys {
		if k.segment == from {
			k.pose, k.segment, k.drift = k.pose.Then(m), to, k.drift+drift
		}
	}
}
