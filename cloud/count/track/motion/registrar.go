package motion

import (
	"bytes"
	"math"

	"cattlecounter/cloud/count/video"
)

// Pose is the place of a frame on the ground plane.
type Pose struct {
	// ToGround maps pixels of the frame to ground coordinates: the pixels of the first frame of the segment.
	ToGround Transform
	// Segment numbers the pieces of footage between which the motion of the camera was lost (a cut, minutes of fog).
	// Ground coordinates of different segments are unrelated.
	Segment int
	// Inliers is the share of followed corners that agree with ToGround, halved where animals had to serve as marks, and
	// 0 when ToGround is a guess from the speed of the camera.
	Inliers float64
	// Joined is set on the frame in which a later segment was recognised as part of an earlier one, and nil otherwise.
	Joined *Join
}

// Join says that the ground of one segment is a part of the ground of another.
type Join struct {
	// From is the segment that ends with the join, To the segment that it is a part of. In a Pose, From was the current
	// segment, and from this frame on the current segment is To: Pose.Segment is To, and Pose.ToGround maps to its
	// ground. From may be a segment that no earlier frame had: a camera that is back on ground of an earlier segment at
	// once after a cut.
	From, To int
	// Map takes ground coordinates of From into those of To.
	Map Transform
}

// Rect is a rectangle of a frame in pixels: X1 <= x < X2, Y1 <= y < Y2. It may reach over the edge of the frame.
type Rect struct{ X1, Y1, X2, Y2 float64 }

const (
	workSide   = 640 // pixels of the longer side during registration
	levels     = 5
	minInliers = 12
	minShare   = 0.25
	goodShare  = 0.5
	minSpread  = 0.3
	goodSpread = 0.5
	maxGuessed = 8  // consecutive frames with texture that cannot be placed
	maxBlind   = 36 // consecutive frames without texture: about 6 seconds
)

// Registrar follows the camera through the frames of one clip, in order. The zero value is ready to use. It is not safe
// for concurrent use. It uses at most about 60 MB, however long the clip is.
type Registrar struct {
	factor        float64 // frame pixels per work pixel of the first frame
	width, height int     // of the first frame
	ground        atlas
	last          *keyframe // the newest frame with a sure pose; nil while nothing of the segment is known
	since         float64   // usual steps since last
	stray         *keyframe // the previous frame, when it could not be placed
	speed         Transform // motion of the camera in a usual step: pixels of a frame -> pixels of the frame before
	swiftness     float64   // see Swiftness
	usual         int       // frames from one step to the next, at first
	index         int       // of the newest frame
	passed        float64   // usual steps from the frame before to the newest one
	segment       int
	segments      int     // numbers given so far
	step          int     // number of the frame
	age           int     // steps since the segment began
	unplaced      float64 // usual steps in a row with texture that could not be placed
	easing        easing
	pending       *Join // a join that another frame must confirm, in work pixels
	lean          lean
}

// Register returns the pose of the next frame. animals are the places in f where animals are expected, in pixels of f;
// the motion of the camera is not read from there. It retains neither f nor animals.
func (r *Registrar) Register(f *video.Frame, animals []Rect) Pose {
	r.step++
	r.passed = r.stepsTo(f)
	r.index = f.Index
	now, factor := r.see(f, animals)
	p := r.place(now)
	now.base, now.animals = nil, nil
	if now.bare {
		const doubtful = 0.5
		p.Inliers *= doubtful
	}
	p.ToGround = Transform{A: 1 / factor}.Then(p.ToGround).Then(Transform{A: r.factor})
	return p
}

// stepsTo is the number of usual steps from the newest frame to f.
func (r *Registrar) stepsTo(f *video.Frame) float64 {
	frames := f.Index - r.index
	if r.step < 2 || frames <= 0 {
		return 1
	}
	if r.usual == 0 {
		r.usual = frames
	}
	const least, most = 0.05, 4
	return min(most, max(least, float64(frames)/float64(r.usual)))
}

// Swiftness is how far the newest frame moved against the one before, as a share of the picture's width and for a usual
// step: the number of frames between the first two. It is 0 while the way is unknown.
func (r *Registrar) Swiftness() float64 { return r.swiftness }

// see prepares a frame for registration. factor is the number of its pixels per work pixel.
func (r *Registrar) see(f *video.Frame, animals []Rect) (now *keyframe, factor float64) {
	n := max(1, (max(f.Width, f.Height)+workSide-1)/workSide)
	factor = float64(n)
	if r.factor == 0 {
		r.factor, r.width, r.height = factor, f.Width, f.Height
		r.speed, r.easing = Identity, easing{}
		r.segments = 1
	}
	g := shrink(f, n)
	now = &keyframe{base: g, hidden: newMask(g.w, g.h), lean: &r.lean}
	for _, a := range animals {
		now.animals = append(now.animals, Rect{a.X1 / factor, a.Y1 / factor, a.X2 / factor, a.Y2 / factor})
	}
	now.hidden.hide(animals, factor)
	now.prepare(g)
	if len(animals) > 0 && !now.textured() {
		// Snow, or a herd that fills the picture: the animals are the only marks that there are.
		now.bare = true
		now.hidden.hide(nil, factor)
		now.prepare(g)
	}
	return now, factor
}

func (k *keyframe) prepare(g *deep) {
	k.pyr = newPyramid(g, k.hidden)
	k.corners = corners(k.pyr, k.hidden)
}

// place returns the pose of a frame in work pixels.
func (r *Registrar) place(now *keyframe) Pose {
	r.age++
	if r.last == nil {
		return r.placeFirst(now)
	}
	r.since += r.passed
	if r.last.shows(now) {
		r.since -= r.passed
		const slower = 0.5 // a picture that repeats again and again is a camera that stands
		r.speed = r.speed.part(slower)
		return r.pose(r.last.pose, 1)
	}
	guess := r.predicted(r.since)
	if l, ok := r.locate(now, guess); ok {
		return r.accept(now, l)
	}
	return r.placeUnsure(now, guess)
}

// shows reports whether two frames are the same picture: a camera or a file that repeats a frame.
func (k *keyframe) shows(now *keyframe) bool {
	a, b := k.pyr[1:], now.pyr[1:]
	return len(a) > 0 && len(a) == len(b) && bytes.Equal(a[0].pix, b[0].pix)
}

// placeFirst places a frame of a segment of which nothing is known yet.
func (r *Registrar) placeFirst(now *keyframe) Pose {
	if !now.textured() {
		return Pose{ToGround: Identity, Segment: r.segment}
	}
	if l, ok := r.recognise(now, func(k *keyframe) bool { return true }); ok {
		return r.join(now, Identity, l)
	}
	r.startAt(now)
	return Pose{ToGround: Identity, Segment: r.segment, Inliers: 1}
}

// startAt makes the frame the first of the current segment.
func (r *Registrar) startAt(now *keyframe) {
	now.pose, now.segment, now.drift = Identity, r.segment, 0
	r.last, r.since, r.unplaced, r.stray, r.speed, r.age = now, 0, 0, nil, Identity, 0
	r.easing, r.pending = easing{}, nil
	r.ground.add(now)
}

// predicted is the pose some steps after the last sure frame, by the speed of the camera.
func (r *Registrar) predicted(steps float64) Transform {
	pose := r.last.pose
	steps = min(steps, maxBlind)
	for ; steps >= 1; steps-- {
		pose = r.speed.Then(pose)
	}
	return r.speed.part(steps).Then(pose)
}

func (r *Registrar) pose(t Transform, inliers float64) Pose {
	return Pose{ToGround: r.easing.apply(t), Segment: r.segment, Inliers: inliers}
}

// accept makes a frame with a sure pose the newest one.
func (r *Registrar) accept(now *keyframe, l location) Pose {
	now.pose, now.segment, now.drift = l.pose, r.segment, l.drift
	r.easing.next()
	if l.ref.drift+returned < r.last.drift && l.drift < r.last.drift {
		r.ease(now)
	}
	r.setSpeed(now)
	r.last, r.since, r.unplaced, r.stray = now, 0, 0, nil
	added := r.ground.offer(now, l.share)
	const young = 15
	if others := r.ground.others(r.segment); others > 0 && (l.ref.search.due(r.step, others) || added || r.age < young) {
		if p, ok := r.rejoin(now); ok {
			return p
		}
	}
	return r.pose(now.pose, l.share)
}

// setSpeed updates the smoothed speed of the camera with the way from the last frame.
func (r *Registrar) setSpeed(now *keyframe) {
	moved := now.pose.Then(r.last.pose.Inverse())
	w, h := now.size()
	far := 0.0
	for _, p := range [...]Point{{}, {w, 0}, {0, h}, {w, h}} {
		q := moved.Apply(p)
		far = max(far, math.Hypot(p.X-q.X, p.Y-q.Y))
	}
	steps := max(r.since, r.passed)
	r.swiftness = far / w / steps
	moved = moved.part(1 / steps)
	const newest = 0.6
	r.speed = r.speed.mixed(moved, newest)
}

// placeUnsure places a frame that fits no reference.
func (r *Registrar) placeUnsure(now *keyframe, guess Transform) Pose {
	if !now.textured() {
		if r.stray = nil; r.since > maxBlind {
			return r.lose()
		}
		return r.pose(guess, 0)
	}
	if l, ok := r.recognise(now, func(k *keyframe) bool { return true }); ok {
		if l.ref.segment == r.segment {
			r.easing = easing{}
			return r.accept(now, l)
		}
		r.lose()
		return r.join(now, Identity, l)
	}
	cut := r.stray != nil && follows(r.stray, now)
	if r.unplaced += r.passed; cut || r.unplaced > maxGuessed {
		r.lose()
		r.startAt(now)
		return Pose{ToGround: Identity, Segment: r.segment, Inliers: 1}
	}
	r.stray = now
	return r.pose(guess, 0)
}

// lose begins a segment of which nothing is known.
func (r *Registrar) lose() Pose {
	r.segment = r.segments
	r.segments++
	r.last, r.stray, r.unplaced, r.since, r.age, r.pending = nil, nil, 0, 0, 0, nil
	r.speed, r.swiftness, r.easing = Identity, 0, easing{}
	return Pose{ToGround: Identity, Segment: r.segment}
}

// rejoin looks for ground of other segments in a frame of the current one.
func (r *Registrar) rejoin(now *keyframe) (Pose, bool) {
	l, ok := r.recognise(now, func(k *keyframe) bool { return k.segment != r.segment })
	if !ok {
		return Pose{}, false
	}
	found := &Join{From: r.segment, To: l.ref.segment, Map: now.pose.Inverse().Then(l.pose)}
	if !l.certain() && !r.confirms(found, now) {
		r.pending = found
		return Pose{}, false
	}
	return r.join(now, now.pose, l), true
}

// confirms reports whether a join agrees with the one that waits for it.
func (r *Registrar) confirms(j *Join, now *keyframe) bool {
	if r.pending == nil || r.pending.To != j.To {
		return false
	}
	w, h := now.size()
	const same = 10.0 // work pixels
	for _, p := range [...]Point{{}, {w, 0}, {0, h}, {w, h}} {
		p = now.pose.Apply(p)
		a, b := j.Map.Apply(p), r.pending.Map.Apply(p)
		if math.Hypot(a.X-b.X, a.Y-b.Y) > same {
			return false
		}
	}
	return true
}

// join ends the current segment, in which the frame has the pose was, and continues the one of l.
func (r *Registrar) join(now *keyframe, was Transform, l location) Pose {
	from, m := r.segment, was.Inverse().Then(l.pose)
	to := l.ref.segment
	r.ground.join(from, to, m, l.drift)
	now.pose, now.segment, now.drift = l.pose, to, l.drift
	r.segment, r.last, r.since, r.unplaced, r.stray, r.pending = to, now, 0, 0, nil, nil
	r.easing, r.age = easing{}, 0
	r.ground.offer(now, l.share)
	work := Transform{A: 1 / r.factor}
	p := r.pose(now.pose, l.share)
	p.Joined = &Join{From: from, To: to, Map: work.Then(m).Then(work.Inverse())}
	return p
}
