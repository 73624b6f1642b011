package track

import (
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track/motion"
)

// The animals are 100 pixels long and 40 wide. The frame is 1000 x 600.
func TestMiddleOutsideOfTheFrame(t *testing.T) {
	for name, c := range map[string]struct {
		box     detect.Box
		outside bool
	}{
		"in the frame":                         {detect.Box{X1: 300, Y1: 300, X2: 400, Y2: 340}, false},
		"across the left edge, most in":        {detect.Box{X1: 0, Y1: 300, X2: 70, Y2: 340}, false},
		"across the left edge, most out":       {detect.Box{X1: 0, Y1: 300, X2: 35, Y2: 340}, true},
		"along the left edge, most in":         {detect.Box{X1: 0, Y1: 300, X2: 30, Y2: 400}, false},
		"along the left edge, most out":        {detect.Box{X1: 0, Y1: 300, X2: 12, Y2: 400}, true},
		"across the bottom edge, most out":     {detect.Box{X1: 300, Y1: 570, X2: 340, Y2: 600}, true},
		"aslant over the right edge, most in":  {detect.Box{X1: 950, Y1: 300, X2: 1000, Y2: 385}, false},
		"aslant over the right edge, most out": {detect.Box{X1: 975, Y1: 300, X2: 1000, Y2: 385}, true},
		"in the corner, most in":               {detect.Box{X1: 0, Y1: 0, X2: 80, Y2: 35}, false},
		"in the corner, most out":              {detect.Box{X1: 0, Y1: 565, X2: 45, Y2: 600}, true},
		"in the corner, a strip":               {detect.Box{X1: 900, Y1: 0, X2: 1000, Y2: 15}, true},
	} {
		tr := New(Options{Threshold: 0.4})
		o := Observation{Width: 1000, Height: 600, Pose: motion.Pose{ToGround: motion.Identity, Inliers: 1}}
		for i := range 6 {
			x := float32(100 + 140*i)
			o.Boxes = append(o.Boxes, detect.Box{X1: x, Y1: 100, X2: x + 100, Y2: 140})
		}
		o.Boxes = append(o.Boxes, c.box)
		for i := range o.Boxes {
			o.Boxes[i].Score, o.Boxes[i].Label = 0.9, "cow"
		}
		tr.Observe(o)
		all := tr.Tracks()
		if got := all[len(all)-1].Outside; got != c.outside {
			t.Errorf("%s: outside is %v", name, got)
		}
		// Later the camera moves on, and the whole animal comes into view.
		o.Boxes[6] = detect.Box{X1: 400, Y1: 300, X2: 500, Y2: 340, Score: 0.9, Label: "cow"}
		at := motion.Point{X: float64(c.box.X1+c.box.X2) / 2, Y: float64(c.box.Y1+c.box.Y2) / 2}
		o.Pose.ToGround = motion.Transform{A: 1, TX: at.X - 450, TY: at.Y - 320}
		o.Seconds, o.Boxes = 1, o.Boxes[6:]
		tr.Observe(o)
		for _, a := range tr.Tracks() {
			if a.Hits == 2 && a.Outside {
				t.Errorf("%s: still outside when the whole animal is in view", name)
			}
		}
	}
}

// Animals that stand aslant have shorter boxes than others of their length.
func TestLengthOfAnimalsInAllDirections(t *testing.T) {
	tr := New(Options{Threshold: 0.4})
	o := Observation{Width: 1000, Height: 600, Pose: motion.Pose{ToGround: motion.Identity, Inliers: 1}}
	for i := range 6 { // 100 long and 40 wide, turned by 45 degrees
		x := float32(100 + 140*i)
		o.Boxes = append(o.Boxes, detect.Box{X1: x, Y1: 100, X2: x + 76, Y2: 176})
	}
	o.Boxes = append(o.Boxes, detect.Box{X1: 0, Y1: 300, X2: 46, Y2: 340}) // less than half of one that stands across the edge
	for i := range o.Boxes {
		o.Boxes[i].Score, o.Boxes[i].Label = 0.9, "cow"
	}
	tr.Observe(o)
	all := tr.Tracks()
	if last := all[len(all)-1]; !last.Outside {
		t.Error("less than half of an animal is in the frame; want its middle outside")
	}
}
