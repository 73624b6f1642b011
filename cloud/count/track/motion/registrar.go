package motion

import (
	"cattlecounter/cloud/count/video"
)

// Pose says where a frame lies on the ground plane.
type Pose struct {
	// ToGround maps pixels of the frame to ground coordinates, which are the
	// pixels of the segment's first frame.
	ToGround Transform
	// Segment counts the pieces of footage between which the camera's way could
	// not be followed (a cut, minutes of fog). Ground coordinates of different
	// segments have nothing to do with each other.
	Segment int
	// Inliers is the share of followed corners that agree with ToGround, 0 when
	// the camera's way was guessed from its speed.
	Inliers float64
}

const (
	workSide     = 640 // pixels of the longer side that registration works on
	levels       = 5
	cornerCell   = 32 // pixels
	minInliers   = 12
	minShare     = 0.25
	goodShare    = 0.5
	keepOverlap  = 0.45 // a keyframe serves while this share of the frame overlaps
	newOverlap   = 0.65 // below this with every keyframe, a new one is made
	maxKeyframes = 128  // about 35 MB; then the second oldest makes room
	maxGuessed   = 6    // frames in a row whose motion may be guessed
)

type keyframe struct {
	pyr     pyramid
	corners []Point
	pose    Transform // work pixels -> ground, in work pixels
}

// Registrar follows the camera through the frames of one clip, in order. The
// zero value is ready. It is not safe for concurrent use.
type Registrar struct {
	factor  int
	keys    []*keyframe
	last    *keyframe // the frame before
	step    Transform // motion between the two frames before: the guess for the next
	segment int
	guessed int
}

// Register places the next frame. It reads f and does not keep it.
func (r *Registrar) Register(f *video.Frame) Pose {
	if r.factor == 0 {
		r.factor = max(1, (max(f.Width, f.Height)+workSide-1)/workSide)
		r.step = Identity
	}
	now := &keyframe{pyr: newPyramid(shrink(f, r.factor), levels)}
	if r.last == nil {
		return r.begin(now)
	}
	guess := r.step.Then(r.last.pose)
	pose, share, ok := r.against(r.candidates(now, guess), now, guess)
	if !ok {
		if shift, found := coarseShift(r.last.pyr, now.pyr); found {
			guess = Transform{A: 1, TX: -shift.X, TY: -shift.Y}.Then(r.last.pose)
			pose, share, ok = r.against([]*keyframe{r.last}, now, guess)
		}
	}
	switch {
	case ok:
		r.guessed = 0
		r.step = pose.Then(r.last.pose.Inverse())
	case r.guessed < maxGuessed:
		r.guessed++
		pose, share = guess, 0
	default:
		r.segment++
		r.keys, r.guessed, r.step = nil, 0, Identity
		return r.begin(now)
	}
	r.keep(now, pose, ok)
	return Pose{ToGround: pose.scaled(float64(r.factor)), Segment: r.segment, Inliers: share}
}

func (r *Registrar) begin(now *keyframe) Pose {
	r.keep(now, Identity, true)
	return Pose{ToGround: Identity, Segment: r.segment, Inliers: 1}
}

// keep makes the frame the last one, and a keyframe where there is none near.
func (r *Registrar) keep(now *keyframe, pose Transform, sure bool) {
	now.pose = pose
	now.corners = corners(now.pyr, cornerCell)
	r.last = now
	if !sure || r.nearest(now, pose) >= newOverlap {
		return
	}
	if len(r.keys) >= maxKeyframes {
		r.keys = append(r.keys[:1], r.keys[2:]...)
	}
	r.keys = append(r.keys, now)
}

func (r *Registrar) nearest(now *keyframe, pose Transform) float64 {
	best := 0.0
	for _, k := range r.keys {
		best = max(best, overlapOf(k, now, pose))
	}
	return best
}

func overlapOf(k, now *keyframe, pose Transform) float64 {
	g := now.pyr[0]
	return pose.Then(k.pose.Inverse()).overlap(float64(g.w), float64(g.h))
}

// candidates are the references to try, in order: the earliest keyframe that
// overlaps enough, the latest keyframe, the frame before.
func (r *Registrar) candidates(now *keyframe, guess Transform) []*keyframe {
	var list []*keyframe
	for _, k := range r.keys {
		if overlapOf(k, now, guess) >= keepOverlap {
			list = append(list, k)
			break
		}
	}
	if n := len(r.keys); n > 0 && (len(list) == 0 || list[0] != r.keys[n-1]) && overlapOf(r.keys[n-1], now, guess) >= keepOverlap {
		list = append(list, r.keys[n-1])
	}
	return append(list, r.last)
}

// against registers now with the first reference that fits well, else with the
// best that fits at all.
func (r *Registrar) against(refs []*keyframe, now *keyframe, guess Transform) (Transform, float64, bool) {
	var best Transform
	share := 0.0
	for _, k := range refs {
		t, s := register(k, now, guess.Then(k.pose.Inverse()).Inverse())
		if s > share {
			best, share = t.Inverse().Then(k.pose), s
		}
		if share >= goodShare {
			break
		}
	}
	return best, share, share >= minShare
}

// register follows the corners of k into now; guess and result map k to now.
func register(k, now *keyframe, guess Transform) (Transform, float64) {
	pairs := make([]pair, 0, len(k.corners))
	tried := 0
	for _, c := range k.corners {
		g := guess.Apply(c)
		if !now.pyr[0].inside(g.X, g.Y, 1) {
			continue
		}
		tried++
		if p, ok := follow(k.pyr, now.pyr, c, g); ok {
			pairs = append(pairs, pair{c, p})
		}
	}
	t, n := fit(pairs)
	if n < minInliers || tried == 0 {
		return Identity, 0
	}
	return t, float64(n) / float64(tried)
}
