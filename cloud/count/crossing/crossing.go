// Package crossing judges lines and zones (shared/boundary) on the tracks of one clip: which animals crossed a line, in
// which direction and when, and which animals were in a zone.
//
// # What a crossing is
//
// An animal crosses a line when the centre of its box moves from clearly one side to clearly the other one, between the
// ends of the line. Clearly is a distance from the line of 0.3 sizes of the animal; the strip between is a dead band.
// Jitter of the boxes and an animal that turns back within the band are no crossing. An animal that walks round an end of
// the line does not cross it: what decides is where its way meets the line, and a way may meet it several times within
// the band. An animal that is first seen beyond the line does not count.
//
// A way is followed between two sightings too. There the animal is taken to walk straight on the ground, and the camera
// moves as its poses say. So a line that is fixed in the picture is crossed by an animal that stands while the camera
// passes over it, and a line that is fixed on the ground is not.
//
// It is pure Go, does no I/O and is deterministic.
package crossing

import (
	"cmp"
	"slices"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// Step is one step of the clip: a frame whose camera pose is known, whether or not the detector looked at it.
type Step struct {
	Frame         int     // frame index
	Seconds       float64 // from the start of the clip
	Width, Height int     // pixels of the frame
	Pose          motion.Pose
	// Looked has the parts of the frame that the detector looked at, in pixels; nil stands for the whole frame, and an
	// empty list for none of it.
	Looked []motion.Rect
}

// Animal is one animal with all its detections, in order of frame. A broken track that another one continues is one
// animal.
type Animal struct {
	ID      int         // of its track
	Counted bool        // false for what is probably no animal; it counts only in the upper bounds
	Fixes   []track.Fix // of steps that the Judge knows
	// Partial says that the animal has other fixes too: what it did there is not judged.
	Partial bool
}

// Animals returns the animals of a count. The pieces of a broken track are one animal, and parts of an animal are none.
// Other animals and what has another size are none either.
func Animals(r tally.Result) []Animal {
	pieces := map[int][]track.Fix{}
	for _, u := range r.Uncounted {
		if u.Reason == tally.SameAs {
			pieces[u.Of] = append(pieces[u.Of], u.Track.Way...)
		}
	}
	animal := func(t *track.Track, counted bool) Animal {
		a := Animal{ID: t.ID, Counted: counted, Fixes: t.Way}
		if more := pieces[t.ID]; len(more) > 0 {
			a.Fixes = slices.Concat(t.Way, more)
			slices.SortStableFunc(a.Fixes, func(a, b track.Fix) int { return cmp.Compare(a.Frame, b.Frame) })
			// Of two detections in one frame the first is that of the longer track.
			a.Fixes = slices.CompactFunc(a.Fixes, func(a, b track.Fix) bool { return a.Frame == b.Frame })
		}
		return a
	}
	var all []Animal
	for _, t := range r.Counted {
		all = append(all, animal(t, true))
	}
	for _, u := range r.Uncounted {
		switch u.Reason {
		case tally.SameAs, tally.PartOf, tally.OtherAnimal, tally.Size:
		default:
			all = append(all, animal(u.Track, false))
		}
	}
	return all
}

// Result is what a Judge found, in the order of the definitions.
type Result struct {
	Lines []report.Line
	Zones []report.Zone
}

// Judge judges one clip. It keeps every step, about 200 bytes and its looks. It is not safe for concurrent use.
type Judge struct {
	set   boundary.Set
	steps []step
	// drawnAt is the step that a definition on the ground is drawn in, by its number among lines and zones.
	drawnAt map[int]int
	unknown [][2]float64 // from and to, in seconds
}

// step is a Step whose pose belongs to the ground after every join so far.
type step struct {
	Step
	toFrame motion.Transform // inverse of Pose.ToGround
}

// New returns a Judge for a valid set.
func New(s boundary.Set) *Judge {
	return &Judge{set: s, drawnAt: map[int]int{}}
}

// Add adds the next step, in order of frame.
func (j *Judge) Add(s Step) {
	if join := s.Pose.Joined; join != nil {
		for i := range j.steps {
			if p := &j.steps[i]; p.Pose.Segment == join.From {
				p.Pose.Segment, p.Pose.ToGround = join.To, p.Pose.ToGround.Then(join.Map)
				p.toFrame = p.Pose.ToGround.Inverse()
			}
		}
		s.Pose.Joined = nil
	}
	j.steps = append(j.steps, step{Step: s, toFrame: s.Pose.ToGround.Inverse()})
}

// Unknown says that the steps from one second to before another one are not known. What is drawn on the ground at such
// a time is not judged.
func (j *Judge) Unknown(from, to float64) { j.unknown = append(j.unknown, [2]float64{from, to}) }

// Result judges the animals. It may be called at any time; it judges the steps so far. An animal without a fix is not
// judged.
func (j *Judge) Result(animals []Animal) Result {
	ways := make([]way, 0, len(animals))
	unplaced := 0
	for _, a := range animals {
		if w := j.place(a); len(w.fixes) > 0 {
			ways = append(ways, w)
		} else if a.Counted {
			unplaced++
		}
	}
	var r Result
	for _, l := range j.set.Lines {
		found := j.judgeLine(l, ways)
		found.NotJudged += unplaced
		r.Lines = append(r.Lines, found)
	}
	for _, z := range j.set.Zones {
		found := j.judgeZone(z, ways)
		found.NotJudged += unplaced
		r.Zones = append(r.Zones, found)
	}
	return r
}

// at returns the index of the step of a frame, and the last step before it when there is none.
func (j *Judge) at(frame int) (int, bool) {
	if len(j.steps) == 0 {
		return 0, false
	}
	i, found := slices.BinarySearchFunc(j.steps, frame, func(s step, frame int) int { return cmp.Compare(s.Frame, frame) })
	if !found {
		i = max(i-1, 0)
	}
	return i, true
}
