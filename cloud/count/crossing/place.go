package crossing

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// edgePixels is the distance to the frame's edge within which a box counts as cut by it.
const edgePixels = 4

// fix is a detection on the ground.
type fix struct {
	step    int // index in Judge.steps
	segment int
	ground  motion.Point // centre of the whole animal
}

// way is an animal on the ground.
type way struct {
	id      int
	counted bool
	partial bool
	size    float64 // geometric mean of the sides of its box, in ground pixels
	fixes   []fix
}

// place puts the detections of an animal on the ground. A box that the edge of the frame cuts shows only a part of the
// animal, so its centre is not that of the animal. The whole animal is put behind the edge.
func (j *Judge) place(a Animal) way {
	w := way{id: a.ID, counted: a.Counted, partial: a.Partial}
	var widths, heights []float64 // of boxes that are whole in that direction, in ground pixels
	var cutWidth, cutHeight float64
	at := make([]int, 0, len(a.Fixes))
	for _, f := range a.Fixes {
		i, ok := j.at(f.Frame)
		at = append(at, i)
		if !ok {
			return w
		}
		s := &j.steps[i]
		scale := s.Pose.ToGround.ScaleAt(centre(f))
		width, height := float64(f.Box.Width())*scale, float64(f.Box.Height())*scale
		edges := cut(f, s)
		if cutWidth = max(cutWidth, width); !edges.left && !edges.right {
			widths = append(widths, width)
		}
		if cutHeight = max(cutHeight, height); !edges.top && !edges.bottom {
			heights = append(heights, height)
		}
	}
	width, height := median(widths, cutWidth), median(heights, cutHeight)
	w.size = math.Sqrt(width * height)
	for k, f := range a.Fixes {
		s := &j.steps[at[k]]
		c := centre(f)
		scale := s.Pose.ToGround.ScaleAt(c)
		c = cut(f, s).complete(f, c, width/scale, height/scale)
		g := s.Pose.ToGround.Apply(c)
		if w.size > 0 && finite(g) {
			w.fixes = append(w.fixes, fix{at[k], s.Pose.Segment, g})
		}
	}
	return w
}

func centre(f track.Fix) motion.Point {
	return motion.Point{X: float64(f.Box.X1+f.Box.X2) / 2, Y: float64(f.Box.Y1+f.Box.Y2) / 2}
}

// sides are the edges of the frame that cut a box.
type sides struct{ left, top, right, bottom bool }

func cut(f track.Fix, s *step) sides {
	return sides{f.Box.X1 < edgePixels, f.Box.Y1 < edgePixels,
		float64(f.Box.X2) > float64(s.Width)-edgePixels, float64(f.Box.Y2) > float64(s.Height)-edgePixels}
}

// complete returns the centre of an animal of the given size whose box is cut.
func (s sides) complete(f track.Fix, c motion.Point, width, height float64) motion.Point {
	if beyond := (width - float64(f.Box.Width())) / 2; beyond > 0 && s.left != s.right {
		c.X += map[bool]float64{true: -beyond, false: beyond}[s.left]
	}
	if beyond := (height - float64(f.Box.Height())) / 2; beyond > 0 && s.top != s.bottom {
		c.Y += map[bool]float64{true: -beyond, false: beyond}[s.top]
	}
	return c
}

// median returns the median of values, or other without values.
func median(values []float64, other float64) float64 {
	if len(values) == 0 {
		return other
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// finite reports whether both coordinates are numbers.
func finite(p motion.Point) bool {
	return !math.IsNaN(p.X-p.X) && !math.IsNaN(p.Y-p.Y)
}

// sample is the place of an animal at one time, in the plane of a line or a zone: pixels of the frame or of the ground.
type sample struct {
	step    int
	seconds float64
	at      motion.Point
	size    float64 // of the animal in pixels of the plane
	pause
	guessed bool // the pose of the camera is a guess
	beyond  int  // -1 before the first sighting, 1 after the last one, 0 between
	// presumed marks a place beyond that may be wrong: the animal walks, or was seen only once.
	presumed bool
}

// pause is the time between the sightings before and after a sample.
type pause struct {
	gap    float64 // seconds
	walked float64 // on the ground, in sizes of the animal
}

// plane is what the points of a line or a zone are given in.
type plane struct {
	ground  bool
	segment int // of the ground
}

// samples follows an animal through all steps between its first and its last sighting. On the ground it gives only those
// of the plane's segment.
func (j *Judge) samples(w way, p plane) []sample {
	var out []sample
	for k, f := range w.fixes {
		var since pause
		if k > 0 {
			before := w.fixes[k-1]
			since.gap = j.steps[f.step].Seconds - j.steps[before.step].Seconds
			since.walked = math.Hypot(f.ground.X-before.ground.X, f.ground.Y-before.ground.Y) / w.size
			out = j.between(out, w, k, since, p)
		}
		out = j.sampleAt(out, w, f, since, p)
	}
	return out
}

// between adds the steps between the sightings k-1 and k. The animal walks straight on the ground.
func (j *Judge) between(out []sample, w way, k int, since pause, p plane) []sample {
	a, b := w.fixes[k-1], w.fixes[k]
	if p.ground || a.segment != b.segment || since.gap <= 0 {
		return out // on the ground the way between is straight
	}
	for i := a.step + 1; i < b.step; i++ {
		if j.steps[i].Pose.Segment != a.segment {
			continue
		}
		part := (j.steps[i].Seconds - j.steps[a.step].Seconds) / since.gap
		g := motion.Point{X: a.ground.X + part*(b.ground.X-a.ground.X), Y: a.ground.Y + part*(b.ground.Y-a.ground.Y)}
		out = j.sampleAt(out, w, fix{i, a.segment, g}, since, p)
	}
	return out
}

func (j *Judge) sampleAt(out []sample, w way, f fix, since pause, p plane) []sample {
	s := &j.steps[f.step]
	o := sample{step: f.step, seconds: s.Seconds, at: f.ground, size: w.size, pause: since, guessed: s.Pose.Inliers == 0}
	if p.ground {
		if f.segment != p.segment {
			return out
		}
		return append(out, o)
	}
	o.at = s.toFrame.Apply(f.ground)
	o.size *= s.toFrame.ScaleAt(f.ground)
	if !finite(o.at) || !(o.size > 0) || math.IsInf(o.size, 0) {
		return out
	}
	return append(out, o)
}

// locate finds the plane of a definition. A definition on the ground is drawn into the first step at or after its time.
// It returns false when the clip ends before.
func (j *Judge) locate(p boundary.Place) (plane, *step, bool) {
	if len(j.steps) == 0 {
		return plane{}, nil, false
	}
	if !p.OnGround() {
		return plane{}, &j.steps[0], true
	}
	for _, u := range j.unknown {
		if p.Seconds >= u[0] && p.Seconds < u[1] {
			return plane{}, nil, false
		}
	}
	for i := range j.steps {
		if s := &j.steps[i]; s.Seconds >= p.Seconds || i == 0 && p.Seconds == 0 {
			return plane{true, s.Pose.Segment}, s, true
		}
	}
	return plane{}, nil, false
}

// shape is the points of a definition in their plane. In the picture they change with the size of the frame only.
type shape struct {
	place  boundary.Place
	points []boundary.Point
	drawn  *step

	width, height int            // of the frame of at
	at            []motion.Point // nil at first
	inner         float64        // innerRadius of at
}

// in returns the points at a step. The caller must not change them.
func (s *shape) in(now *step) []motion.Point {
	if s.place.OnGround() {
		now = s.drawn
	}
	if s.at != nil && s.width == now.Width && s.height == now.Height {
		return s.at
	}
	s.width, s.height, s.at = now.Width, now.Height, make([]motion.Point, len(s.points))
	for i, p := range s.points {
		s.at[i] = inPlane(s.place, p, now, s.drawn)
	}
	s.inner = innerRadius(s.at)
	return s.at
}

// inPlane returns a point of a definition in the plane, at a step: in pixels of its frame, or on the ground.
func inPlane(place boundary.Place, p boundary.Point, s, drawn *step) motion.Point {
	p = place.Share(p, float64(drawn.Width), float64(drawn.Height)) // the size of the picture may change later
	at := motion.Point{X: p[0] * float64(s.Width), Y: p[1] * float64(s.Height)}
	if place.OnGround() {
		at = s.Pose.ToGround.Apply(at)
	}
	return at
}
