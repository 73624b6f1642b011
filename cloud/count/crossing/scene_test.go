package crossing

import (
	"math"
	"math/rand/v2"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// scene is a clip with known ways: a camera over animals of 100 x 60 pixels on the ground, 6 steps a second. The frame
// has 1000 x 600 pixels.
type scene struct {
	seconds float64
	// camera is the place of the frame's left top on the ground, and the ground pixels per frame pixel; nil stands still.
	camera  func(t float64) (x, y, scale float64)
	animals []animal
	jitter  float64                      // standard deviation of the boxes in pixels
	unseen  func(id int, t float64) bool // not detected at a time; nil is always detected
	pose    func(i int, p *motion.Pose)  // changes the pose of a step
	looked  func(i int) []motion.Rect
}

// animal returns the place of its centre on the ground.
type animal func(t float64) (x, y float64)

const (
	width, height = 1000, 600
	long, wide    = 100, 60 // of an animal; its size is 77
	perSecond     = 6
)

// walk goes straight from one place to another in the given seconds, and stands before and after.
func walk(x1, y1, x2, y2, from, to float64) animal {
	return func(t float64) (float64, float64) {
		part := min(max((t-from)/(to-from), 0), 1)
		return x1 + part*(x2-x1), y1 + part*(y2-y1)
	}
}

// through goes from one place to the next, one second each.
func through(points ...[2]float64) animal {
	return func(t float64) (float64, float64) {
		i := min(int(max(t, 0)), len(points)-2)
		part := min(max(t-float64(i), 0), 1)
		a, b := points[i], points[i+1]
		return a[0] + part*(b[0]-a[0]), a[1] + part*(b[1]-a[1])
	}
}

// judge runs the scene.
func (s scene) judge(t *testing.T, set boundary.Set) Result {
	t.Helper()
	if err := set.Validate(); err != nil {
		t.Fatal(err)
	}
	j, animals := s.run(set)
	return j.Result(animals)
}

func (s scene) run(set boundary.Set) (*Judge, []Animal) {
	j := New(set)
	random := rand.New(rand.NewPCG(1, 2))
	animals := make([]Animal, len(s.animals))
	for i := range int(s.seconds*perSecond) + 1 {
		at := float64(i) / perSecond
		x, y, scale := 0.0, 0.0, 1.0
		if s.camera != nil {
			x, y, scale = s.camera(at)
		}
		pose := motion.Pose{ToGround: motion.Transform{A: scale, TX: x, TY: y}, Inliers: 1}
		if s.pose != nil {
			s.pose(i, &pose)
		}
		step := Step{Frame: 5 * i, Seconds: at, Width: width, Height: height, Pose: pose}
		if s.looked != nil {
			step.Looked = s.looked(i)
		}
		j.Add(step)
		for k, a := range s.animals {
			animals[k].ID, animals[k].Counted = k+1, true
			if s.unseen != nil && s.unseen(k+1, at) {
				continue
			}
			gx, gy := a(at)
			noise := func() float64 { return s.jitter * random.NormFloat64() }
			b := detect.Box{
				X1: clip((gx-x-long/2)/scale+noise(), width), X2: clip((gx-x+long/2)/scale+noise(), width),
				Y1: clip((gy-y-wide/2)/scale+noise(), height), Y2: clip((gy-y+wide/2)/scale+noise(), height),
			}
			if b.Width() > 20 && b.Height() > 20 {
				animals[k].Fixes = append(animals[k].Fixes, track.Fix{Frame: 5 * i, Box: b})
			}
		}
	}
	return j, animals
}

func clip(v, most float64) float32 { return float32(math.Min(math.Max(v, 0), most)) }

// line is a line of shares.
func line(x1, y1, x2, y2 float64, f boundary.Frame) boundary.Set {
	return boundary.Set{Lines: []boundary.Line{{Name: "gate", From: boundary.Point{x1, y1}, To: boundary.Point{x2, y2},
		Place: boundary.Place{Frame: f}}}}
}

// across is a line over the middle from the left to the right: what moves down comes in.
func across(f boundary.Frame) boundary.Set { return line(0, 0.5, 1, 0.5, f) }
