package motion

import "math"

// location is the place of a frame by its likeness to a keyframe.
type location struct {
	fitted
	ref   *keyframe
	pose  Transform
	drift float64
}

const (
	keepOverlap   = 0.45 // the least overlap of a frame with its reference
	returnOverlap = 0.2  // the least overlap with a place that the camera returned to
	returned      = 5.0  // pixels of drift above which an older keyframe is a return
	driftPerPixel = 0.004
	driftPerStep  = 0.3
)

// locationBy is the place of now when it lies in ref as f says.
func locationBy(ref, now *keyframe, f fitted) location {
	l := location{fitted: f, ref: ref, pose: f.t.Inverse().Then(ref.pose)}
	w, h := now.size()
	c := Point{w / 2, h / 2}
	a, b := l.pose.Apply(c), ref.pose.Apply(c)
	l.drift = ref.drift + driftPerStep + driftPerPixel*math.Hypot(a.X-b.X, a.Y-b.Y)
	return l
}

func (f fitted) good() bool {
	return f.share >= goodShare && f.spread >= goodSpread && f.inliers >= minInliers
}

func (f fitted) fair() bool {
	return f.share >= minShare && f.spread >= minSpread && f.inliers >= minInliers
}

// sound is fair enough for a place that nothing else speaks for.
func (f fitted) sound() bool {
	const inliers, share, spread = 25, 0.4, 0.5
	return f.inliers >= inliers && f.share >= share && f.spread >= spread
}

// certain needs no second frame that confirms it.
func (f fitted) certain() bool {
	const inliers, share, spread = 70, 0.6, 0.7
	return f.inliers >= inliers && f.share >= share && f.spread >= spread
}

// locate finds the place of a frame near the guess, else anywhere near the newest frames.
func (r *Registrar) locate(now *keyframe, guess Transform) (location, bool) {
	if len(now.corners) < minInliers {
		return location{}, false
	}
	if l, ok := r.locateReturn(now, guess); ok {
		return l, true
	}
	refs := r.references(now, guess)
	best, ok := firstGood(refs, now, guess, nearLevel)
	if ok && best.good() {
		return best, true
	}
	if l, far := firstGood([]*keyframe{r.last}, now, guess, farLevel); far && l.share > best.share {
		best, ok = l, true
	}
	if ok || !now.textured() {
		return best, ok
	}
	if shift, found := coarseShift(r.last, now); found {
		shifted := Transform{A: 1, TX: -shift.X, TY: -shift.Y}.Then(r.last.pose)
		if l, near := firstGood([]*keyframe{r.last}, now, shifted, farLevel); near {
			return l, true
		}
	}
	if l, found := r.locateTurned(now, guess); found {
		return l, true
	}
	for _, k := range []*keyframe{r.last, r.ground.latest(r.segment)} {
		if k == nil {
			continue
		}
		if l, like := recogniseIn(k, now); like {
			return l, true
		}
	}
	return location{}, false
}

// follows reports whether a frame continues the way of the frame before it, wherever that was.
func follows(k, now *keyframe) bool {
	if register(k, now, Identity, farLevel).good() {
		return true
	}
	shift, ok := coarseShift(k, now)
	return ok && register(k, now, Transform{A: 1, TX: shift.X, TY: shift.Y}, farLevel).good()
}

// firstGood is the first good place by one of the references, else the best fair one.
func firstGood(refs []*keyframe, now *keyframe, guess Transform, from int) (best location, ok bool) {
	for _, k := range refs {
		f := register(k, now, guess.Then(k.pose.Inverse()).Inverse(), from)
		if f.fair() && f.share > best.share {
			best, ok = locationBy(k, now, f), true
		}
		if ok && best.good() {
			break
		}
	}
	return best, ok
}

// references returns the pictures to try, in order: the earliest keyframe that overlaps enough, the latest keyframe, the
// newest frame. The earliest comes first so that errors do not add up.
func (r *Registrar) references(now *keyframe, guess Transform) []*keyframe {
	var list []*keyframe
	if k := r.ground.earliest(now, guess, r.segment, r.last.drift); k != nil {
		list = append(list, k)
	}
	if k := r.ground.latest(r.segment); k != nil && (len(list) == 0 || list[0] != k) &&
		k.drift <= r.last.drift+returned && overlapOf(k, now, guess) >= keepOverlap {
		list = append(list, k)
	}
	if len(list) == 0 || list[len(list)-1] != r.last {
		list = append(list, r.last)
	}
	return list
}

// locateReturn finds the place of a frame on ground that the camera left long ago. The way since then may have drifted,
// so the place can be away from the guess.
func (r *Registrar) locateReturn(now *keyframe, guess Transform) (location, bool) {
	const patience = 5 // steps between two tries of a keyframe
	k, doubt := r.ground.returnedTo(now, guess, r.segment, r.last.drift, r.step-patience)
	if k == nil {
		return location{}, false
	}
	f := register(k, now, guess.Then(k.pose.Inverse()).Inverse(), nearLevel)
	if l := locationBy(k, now, f); f.sound() && f.good() && apart(l.pose, guess, now) < doubt+returnSlack {
		return l, true
	}
	k.tried = r.step
	if doubt < returnSlack {
		return location{}, false
	}
	l, ok := recogniseIn(k, now)
	return l, ok && apart(l.pose, guess, now) < 3*doubt+returnSlack
}

const returnSlack = 12.0 // work pixels by which the guess may be wrong besides the drift

// apart is the distance of a frame's middle between two poses.
func apart(a, b Transform, now *keyframe) float64 {
	w, h := now.size()
	p, q := a.Apply(Point{w / 2, h / 2}), b.Apply(Point{w / 2, h / 2})
	return math.Hypot(p.X-q.X, p.Y-q.Y)
}

// ease lets the pose glide from the place by the newest frames to the place by an old keyframe, so that animals in view
// do not jump.
func (r *Registrar) ease(now *keyframe) {
	f := register(r.last, now, now.pose.Then(r.last.pose.Inverse()).Inverse(), nearLevel)
	if !f.good() {
		return
	}
	chained := f.t.Inverse().Then(r.last.pose)
	w, _ := now.size()
	if apart(chained, now.pose, now) < w/4 {
		r.easing = easing{drifted: now.pose.Inverse().Then(chained), left: easeSteps}
	}
}

const easeSteps = 4

// easing spreads the correction of a drift over several steps.
type easing struct {
	drifted Transform // corrected ground -> ground by the newest frames
	left    int       // steps until the correction is complete
}

func (e *easing) next() { e.left = max(0, e.left-1) }

func (e *easing) apply(pose Transform) Transform {
	if e.left == 0 {
		return pose
	}
	return pose.Then(Identity.mixed(e.drifted, float64(e.left)/(easeSteps+1)))
}
