package motion

import (
	"cattlecounter/cloud/count/video"
)

// Pose is the place of a frame on the ground plane.
type Pose struct {
	// ToGround maps pixels of the frame to ground coordinates: the pixels of the first frame of the segment.
	ToGround Transform
	// Segment numbers the pieces of footage between which the motion of the camera was lost (a cut, minutes of fog).
	// Ground coordinates of different segments are unrelated.
	Segment int
	// Inliers is the share of followed corners that agree with ToGround, 0 when ToGround is a guess from the speed of
	// the camera.
	Inliers float64
	// Joined is set on the frame in which a later segment was recognised as part of an earlier one, and nil otherwise.
	Joined *Join
}

// Join says that the ground of one segment is a part of the ground of another.
type Join struct {
	// From is the segment that ends with the join, To the segment that it is a part of. In a Pose, From was the current
	// segment, and from this frame on the current segment is To: Pose.Segment is To, and Pose.ToGround maps to its ground.
	From, To int
	// Map takes ground coordinates of From into those of To.
	Map Transform
}

// Rect is a rectangle of a frame in pixels: X1 <= x < X2, Y1 <= y < Y2. It may reach over the edge of the frame.
type Rect struct{ X1, Y1, X2, Y2 float64 }

const (
	workSide     = 640 // pixels of the longer side during registration
	levels       = 5
	cornerCell   = 32 // pixels
	minInliers   = 12
	minShare     = 0.25
	goodShare    = 0.5
	keepOverlap  = 0.45 // the least overlap of a frame with its keyframe
	newOverlap   = 0.65 // with less overlap with every keyframe the frame becomes one
	maxKeyframes = 128  // about 35 MB; then the second oldest is dropped
	maxGuessed   = 6    // consecutive frames with a guessed motion
)

type keyframe struct {
	pyr     pyramid
	corners []Point
	pose    Transform // work pixels -> ground, in work pixels
}

// Registrar follows the camera through the frames of one clip, in order. The zero value is ready to use. It is not safe
// for concurrent use.
type Registrar struct {
	factor  int
	keys    []*keyframe
	last    *keyframe // the previous frame
	step    Transform // motion between the previous two frames, the guess for the next
	segment int
	guessed int
}

// Register returns the pose of the next frame. animals are the places in f where animals are expected, in pixels of f;
// the motion of the camera is not read from there. It retains neither f nor animals.
func (r *Registrar) Register(f *video.Frame, animals []Rect) Pose {
	if r.factor == 0 {
		r.factor = max(1, (max(f.Width, f.Height)+workSide-1)/workSide)
		r.step = Identity
	}
	now := &keyframe{pyr: newPyramid(shrink(f, r.factor), levels)}
	if r.last == nil {
		return r.startSegment(now)
	}
	guess := r.step.Then(r.last.pose)
	pose, share, ok := r.registerAgainst(r.candidates(now, guess), now, guess)
	if !ok {
		if shift, found := coarseShift(r.last.pyr, now.pyr); found {
			guess = Transform{A: 1, TX: -shift.X, TY: -shift.Y}.Then(r.last.pose)
			pose, share, ok = r.registerAgainst([]*keyframe{r.last}, now, guess)
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
		return r.startSegment(now)
	}
	r.add(now, pose, ok)
	return Pose{ToGround: pose.scaled(float64(r.factor)), Segment: r.segment, Inliers: share}
}

func (r *Registrar) startSegment(now *keyframe) Pose {
	r.add(now, Identity, true)
	return Pose{ToGround: Identity, Segment: r.segment, Inliers: 1}
}

// add makes the frame the previous one, and a keyframe when no keyframe overlaps enough.
func (r *Registrar) add(now *keyframe, pose Transform, sure bool) {
	now.pose = pose
	now.corners = corners(now.pyr, cornerCell)
	r.last = now
	if !sure || r.largestOverlap(now, pose) >= newOverlap {
		return
	}
	if len(r.keys) >= maxKeyframes {
		r.keys = append(r.keys[:1], r.keys[2:]...)
	}
	r.keys = append(r.keys, now)
}

func (r *Registrar) largestOverlap(now *keyframe, pose Transform) float64 {
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

// candidates returns the references to try, in order: the earliest keyframe that overlaps enough, the latest keyframe,
// the previous frame.
func (r *Registrar) candidates(now *keyframe, guess Transform) []*keyframe {
	var list []*keyframe
	for _, k := range r.keys {
		if overlapOf(k, now, guess) >= keepOverlap {
			list = append(list, k)
			break
		}
	}
	if n := len(r.keys); n > 0 && (len(list) == 0 || list[0] != r.keys[n-1]) && overlapOf(r.keys[n-1], now,
		guess) >= keepOverlap {
		list = append(list, r.keys[n-1])
	}
	return append(list, r.last)
}

// registerAgainst registers now with the first reference that fits well, else with the best one that fits at all.
func (r *Registrar) registerAgainst(refs []*keyframe, now *keyframe, guess Transform) (Transform, float64, bool) {
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

// Map returns the known ground of the clip so far. It shares no memory with the Registrar.
func (r *Registrar) Map() Map { return Map{} }
