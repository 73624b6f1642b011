package flight

import (
	"testing"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track/motion"
)

// flown are the steps of a flight along x that looks at the whole frame of 1600 x 900 in every step.
func flown(steps int, perStep float64) Steps {
	var s Steps
	for i := range steps {
		s = append(s, crossing.Step{Frame: i, Width: 1600, Height: 900,
			Pose: motion.Pose{Inliers: 50, ToGround: motion.Transform{A: 1, TX: perStep * float64(i)}}})
	}
	return s
}

func TestHastyGround(t *testing.T) {
	blind := flown(12, 0)
	for i := range blind {
		blind[i].Looked = []motion.Rect{{X2: 800, Y2: 900}}
	}
	for _, c := range []struct {
		name      string
		steps     Steps
		low, high float64
	}{
		{"no steps", nil, 0, 0},
		{"a hover", flown(12, 0), 0, 0},
		{"a slow pass: both ends are in view briefly", flown(60, 100), 0.02, 0.1},
		{"a fast pass", flown(12, 700), 0.9, 1},
		{"one look", flown(1, 0), 1, 1},
		{"looks at one half", blind, 0.45, 0.55},
	} {
		if got := c.steps.Hasty(); got < c.low || got > c.high {
			t.Errorf("%s: %.3f of the ground, want %.2f to %.2f", c.name, got, c.low, c.high)
		}
	}
}
