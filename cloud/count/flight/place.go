package flight

import (
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track/motion"
)

// Place is where a part lies in its flight.
type Place struct {
	Frames  int     // frames of the flight before the part
	Seconds float64 // seconds of the flight before the part
	// Segment tells where a segment of the part lies: the segment of the flight, and ground of the part -> ground of the
	// flight. It is not safe for concurrent use.
	Segment func(segment int) (int, motion.Transform)
}

// Place returns where part k of Parts lies. ok is false for a part without a trace and for a flight of one part.
func (f *Flight) Place(k int) (p Place, ok bool) {
	if f.whole == nil || k >= len(f.whole.parts) || f.whole.parts[k].part.Trace == nil {
		return Place{}, false
	}
	s := f.whole.parts[k]
	return Place{Frames: s.frames, Seconds: s.from, Segment: func(segment int) (int, motion.Transform) {
		at := f.whole.ground.place(k, segment)
		return at.segment, at.to
	}}, true
}

// Tally is the count of the flight with its tracks, in the frames, the seconds and on the ground of the flight. Counted are
// the tracks of Animals, in their order. It is the zero value for a flight of one part.
func (f *Flight) Tally() tally.Result {
	if f.whole == nil {
		return tally.Result{}
	}
	r := f.whole.counted
	r.Unique, r.Low, r.High = f.Unique, f.Low, f.High
	return r
}
