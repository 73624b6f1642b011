package flight

import (
	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// Recorder collects the views and the steps of a trace while a recording is counted. The zero value is ready for use. It
// is not safe for concurrent use.
type Recorder struct {
	begin, end View
	recent     []View // of the last moments before end, the oldest first
	steps      Steps  // at most maxSteps and one more, which says that there were too many
}

// moments is the time over which the speed of the camera is measured, in seconds.
const moments = 1.0

// See notes the next step. It keeps Looked.
func (r *Recorder) See(s crossing.Step) {
	p, seconds := s.Pose, s.Seconds
	if p.Joined != nil {
		r.begin = r.begin.moved(*p.Joined)
		for i := range r.recent {
			r.recent[i] = r.recent[i].moved(*p.Joined)
		}
		for i := range r.steps {
			if q := &r.steps[i].Pose; q.Segment == p.Joined.From {
				q.Segment, q.ToGround = p.Joined.To, q.ToGround.Then(p.Joined.Map)
			}
		}
		s.Pose.Joined = nil
	}
	if len(r.steps) <= maxSteps {
		r.steps = append(r.steps, s)
	}
	r.end = View{Segment: p.Segment, ToGround: p.ToGround, Known: true, Seconds: seconds}
	for len(r.recent) > 1 && r.recent[0].Seconds < seconds-moments {
		r.recent = r.recent[1:]
	}
	r.recent = append(r.recent, r.end)
	if !r.begin.Known {
		r.begin = r.end
	}
}

// Hasty is Steps.Hasty of the steps so far.
func (r *Recorder) Hasty() float64 { return r.steps.Hasty() }

// moved is the view after its segment became a part of another one.
func (v View) moved(j motion.Join) View {
	if v.Known && v.Segment == j.From {
		v.Segment, v.ToGround = j.To, v.ToGround.Then(j.Map)
	}
	return v
}

// Trace completes t, which describes the recording, with the views, the steps, the tracks and the map of the ground. Steps
// and tracks that cannot be used are left out.
func (r *Recorder) Trace(t Trace, tracks []*track.Track, ground motion.Map) *Trace {
	t.Begin, t.End, t.Map = r.begin, r.end, ground
	if len(r.recent) > 0 {
		t.Before = r.recent[0]
	}
	if len(r.steps) <= maxSteps {
		t.Steps = r.steps
	}
	t.Tracks = make([]track.Saved, 0, min(len(tracks), maxTracks))
	for _, k := range tracks[:min(len(tracks), maxTracks)] {
		t.Tracks = append(t.Tracks, k.Save())
	}
	t.sift()
	return &t
}
