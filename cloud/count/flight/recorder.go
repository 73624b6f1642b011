package flight

import (
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// Recorder collects the views of a trace while a recording is counted. The zero value is ready for use. It is not safe
// for concurrent use.
type Recorder struct {
	begin, end View
	recent     []View // of the last moments before end, the oldest first
}

// moments is the time over which the speed of the camera is measured, in seconds.
const moments = 1.0

// See notes the pose of the next frame; seconds is its time in the recording.
func (r *Recorder) See(p motion.Pose, seconds float64) {
	if p.Joined != nil {
		r.begin = r.begin.moved(*p.Joined)
		for i := range r.recent {
			r.recent[i] = r.recent[i].moved(*p.Joined)
		}
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

// moved is the view after its segment became a part of another one.
func (v View) moved(j motion.Join) View {
	if v.Known && v.Segment == j.From {
		v.Segment, v.ToGround = j.To, v.ToGround.Then(j.Map)
	}
	return v
}

// Trace completes t, which describes the recording, with the views, the tracks and the map of the ground.
func (r *Recorder) Trace(t Trace, tracks []*track.Track, ground motion.Map) *Trace {
	t.Begin, t.End, t.Map = r.begin, r.end, ground
	if len(r.recent) > 0 {
		t.Before = r.recent[0]
	}
	t.Tracks = make([]track.Saved, 0, min(len(tracks), maxTracks))
	for _, k := range tracks[:min(len(tracks), maxTracks)] {
		t.Tracks = append(t.Tracks, k.Save())
	}
	return &t
}
