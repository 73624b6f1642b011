package track

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track/motion"
)

func row(n int, x float32) (boxes []detect.Box) {
	for i := range n {
		x := x + float32(i)*150
		boxes = append(boxes, detect.Box{X1: x, Y1: 100, X2: x + 100, Y2: 140, Score: 0.9, Label: "cow"})
	}
	return boxes
}

// A guessed place starts no track beside the known ones: the same animals would count twice.
func TestGuessedPlacesStartNoTracks(t *testing.T) {
	tr := New(Options{Threshold: 0.4})
	o := Observation{Width: 1000, Height: 600, Pose: motion.Pose{ToGround: motion.Identity, Inliers: 1}, Boxes: row(5, 100)}
	tr.Observe(o)
	o.Seconds, o.Index = 1, 30
	o.Pose = motion.Pose{ToGround: motion.Transform{A: 1, TX: 70, TY: 300}}
	tr.Observe(o)
	if n := len(tr.Tracks()); n != 5 {
		t.Errorf("%d tracks of 5 animals", n)
	}
	first := New(Options{Threshold: 0.4})
	first.Observe(o)
	if n := len(first.Tracks()); n != 5 {
		t.Errorf("%d tracks where nothing is known yet, want 5", n)
	}
}

// The usual length of an animal is that of the segment.
func TestLengthsBelongToTheSegment(t *testing.T) {
	tr := New(Options{Threshold: 0.4})
	o := Observation{Width: 1000, Height: 600, Pose: motion.Pose{ToGround: motion.Identity, Inliers: 1}, Boxes: row(6, 100)}
	tr.Observe(o)
	tr.Follow(motion.Pose{ToGround: motion.Identity, Segment: 1, Inliers: 1})
	if n := len(tr.lengths.recent); n != 0 {
		t.Errorf("%d lengths of another segment", n)
	}
	o.Pose.Segment = 1
	tr.Observe(o)
	tr.Follow(motion.Pose{ToGround: motion.Identity, Inliers: 1,
		Joined: &motion.Join{From: 1, To: 0, Map: motion.Transform{A: 2}}})
	if got := tr.lengths.recent[0]; math.Abs(got-200) > 2 {
		t.Errorf("a length of %.0f after the join, want 200", got)
	}
}

func TestSavedTracksStayOutside(t *testing.T) {
	tr := New(Options{Threshold: 0.4})
	o := Observation{Width: 1000, Height: 600, Pose: motion.Pose{ToGround: motion.Identity, Inliers: 1}, Boxes: row(6, 100)}
	o.Boxes = append(o.Boxes, detect.Box{X1: 0, Y1: 300, X2: 30, Y2: 340, Score: 0.9, Label: "cow"})
	tr.Observe(o)
	for _, a := range tr.Tracks() {
		if got := a.Save().Restore().Outside; got != a.Outside {
			t.Errorf("track %d: outside is %v after it was stored, was %v", a.ID, got, a.Outside)
		}
	}
}
