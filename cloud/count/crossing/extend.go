package crossing

import (
	"math"

	"cattlecounter/cloud/count/track/motion"
)

// The detector does not look at every step, so an animal is there before its first and after its last sighting. It is
// followed on from there through steps in which the detector did not look at its place, while it is in the picture.
const (
	paceTime    = 2.0 // seconds of sightings that show the pace of an animal
	longestWalk = 3.0 // seconds for which a walking animal keeps its pace
	still       = 0.3 // sizes; an animal that has moved by less is where it was
)

// extend follows an animal from its first sighting backwards (by -1) or from its last one on (by 1), and adds samples in
// that order.
func (j *Judge) extend(out []sample, w way, by int, p plane) []sample {
	from := w.fixes[0]
	if by > 0 {
		from = w.fixes[len(w.fixes)-1]
	}
	if p.ground && from.segment != p.segment {
		return out
	}
	pace, known := j.pace(w, from, by)
	for i := from.step + by; i >= 0 && i < len(j.steps); i += by {
		s := &j.steps[i]
		if s.Pose.Segment != from.segment {
			return out
		}
		t := s.Seconds - j.steps[from.step].Seconds
		g := motion.Point{X: from.ground.X + t*pace.X, Y: from.ground.Y + t*pace.Y}
		walked := math.Abs(t) * math.Hypot(pace.X, pace.Y) / w.size
		at := s.toFrame.Apply(g)
		if walked > still && math.Abs(t) > longestWalk || !s.shows(at) || lookedAt(s, at) {
			return out
		}
		n := len(out)
		if out = j.sampleAt(out, w, fix{i, from.segment, g}, pause{}, p); len(out) > n {
			out[n].presumed = !known || walked > still
			out[n].beyond = by
		}
	}
	return out
}

// pace returns the speed of an animal on the ground around its first or last sighting, in pixels per second. It is not
// known from one sighting, or from sightings in one moment.
func (j *Judge) pace(w way, from fix, by int) (v motion.Point, known bool) {
	at := j.steps[from.step].Seconds
	far := from
	for k := range w.fixes {
		f := w.fixes[k]
		if by > 0 {
			f = w.fixes[len(w.fixes)-1-k]
		}
		if f.segment != from.segment {
			break
		}
		far = f
		if math.Abs(j.steps[f.step].Seconds-at) >= paceTime {
			break
		}
	}
	t := at - j.steps[far.step].Seconds
	if math.Abs(t) < paceTime/4 {
		return v, false
	}
	return motion.Point{X: (from.ground.X - far.ground.X) / t, Y: (from.ground.Y - far.ground.Y) / t}, true
}

// shows reports whether a place is in the frame.
func (s *step) shows(p motion.Point) bool {
	return p.X >= 0 && p.Y >= 0 && p.X < float64(s.Width) && p.Y < float64(s.Height)
}
