package track

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track/motion"
)

// animal stands or walks on the ground.
type animal struct{ x, y, vx, vy float64 }

// field films animals with a moving camera and an imperfect detector.
type field struct {
	animals []animal
	camera  func(i int) motion.Transform
	frames  int
	recall  float64
	jitter  float64 // pixels
	w, h    int
}

const (
	boxW, boxH  = 40, 24
	secondsStep = 1.0 / 3
)

func (f field) observe(seed uint64) (tr *Tracker, inView int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	tr = New(Options{})
	framesInView := map[int]int{}
	for i := range f.frames {
		sec := float64(i) * secondsStep
		pose := f.camera(i)
		back := pose.Inverse()
		o := Observation{Index: i * 10, Seconds: sec, Width: f.w, Height: f.h, Pose: motion.Pose{ToGround: pose, Inliers: 1}}
		for k, a := range f.animals {
			c := back.Apply(motion.Point{X: a.x + a.vx*sec, Y: a.y + a.vy*sec})
			x1, x2 := max(c.X-boxW/2, 0), min(c.X+boxW/2, float64(f.w))
			y1, y2 := max(c.Y-boxH/2, 0), min(c.Y+boxH/2, float64(f.h))
			if x2-x1 < boxW/2 || y2-y1 < boxH/2 {
				continue
			}
			framesInView[k]++
			if rng.Float64() > f.recall {
				continue
			}
			j := func(v float64) float32 { return float32(v + rng.NormFloat64()*f.jitter) }
			o.Boxes = append(o.Boxes, detect.Box{X1: j(x1), Y1: j(y1), X2: j(x2), Y2: j(y2), Score: 0.6, Label: "cow"})
		}
		tr.Observe(o)
	}
	for _, n := range framesInView {
		if n >= 4 {
			inView++
		}
	}
	return tr, inView
}

func herd(n int, spread float64, walk float64) []animal {
	rng := rand.New(rand.NewPCG(uint64(n), 2))
	var as []animal
	for len(as) < n {
		a := animal{x: rng.Float64() * spread, y: rng.Float64() * 500, vx: walk * rng.NormFloat64(), vy: walk * rng.NormFloat64()}
		near := false
		for _, b := range as {
			near = near || math.Hypot(a.x-b.x, a.y-b.y) < 45
		}
		if !near {
			as = append(as, a)
		}
	}
	return as
}

func solid(tr *Tracker) int {
	n := 0
	for _, t := range tr.Tracks() {
		if t.Hits >= 3 {
			n++
		}
	}
	return n
}

func pan(i int) motion.Transform { return motion.Transform{A: 1, TX: 25 * float64(i)} }

func TestOneTrackPerAnimal(t *testing.T) {
	still := func(int) motion.Transform { return motion.Identity }
	thereAndBack := func(i int) motion.Transform {
		return motion.Transform{A: 1, TX: 25 * float64(min(i, 60-i))}
	}
	for name, c := range map[string]struct {
		f    field
		slop int
	}{
		"standing camera, standing herd": {field{animals: herd(40, 900, 0), camera: still, frames: 20, recall: 1, jitter: 1}, 0},
		"pan over a standing herd":       {field{animals: herd(80, 2000, 0), camera: pan, frames: 50, recall: 0.85, jitter: 2}, 2},
		"pan over a walking herd":        {field{animals: herd(60, 2000, 8), camera: pan, frames: 50, recall: 0.85, jitter: 2}, 3},
		"standing camera, walking herd":  {field{animals: herd(30, 900, 12), camera: still, frames: 30, recall: 0.9, jitter: 2}, 3},
		"there and back":                 {field{animals: herd(60, 2000, 0), camera: thereAndBack, frames: 60, recall: 0.85, jitter: 2}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c.f.w, c.f.h = 960, 540
			tr, want := c.f.observe(1)
			if got := solid(tr); abs(got-want) > c.slop {
				t.Errorf("%d tracks for %d animals", got, want)
			}
		})
	}
}

func abs(i int) int { return max(i, -i) }

func TestDeterministic(t *testing.T) {
	f := field{animals: herd(50, 1500, 6), camera: pan, frames: 30, recall: 0.8, jitter: 2, w: 960, h: 540}
	a, _ := f.observe(9)
	b, _ := f.observe(9)
	if !reflect.DeepEqual(a.Tracks(), b.Tracks()) {
		t.Error("two runs over the same footage differ")
	}
}

func TestWeakDetectionsContinueButNeverStartTracks(t *testing.T) {
	tr := New(Options{Threshold: 0.25})
	box := func(x float32, score float32) detect.Box {
		return detect.Box{X1: x, Y1: 100, X2: x + 40, Y2: 130, Score: score, Label: "cow"}
	}
	for i := range 6 {
		score := float32(0.15)
		if i == 0 {
			score = 0.5
		}
		tr.Observe(Observation{Index: i, Seconds: float64(i) / 3, Width: 900, Height: 500,
			Boxes: []detect.Box{box(100, score), box(600, 0.15)}, Pose: motion.Pose{ToGround: motion.Identity}})
	}
	ts := tr.Tracks()
	if len(ts) != 1 || ts[0].Hits != 6 || ts[0].Strong != 1 {
		t.Errorf("got %d tracks, first %+v", len(ts), ts[0])
	}
}

func TestSegmentsDoNotMix(t *testing.T) {
	tr := New(Options{})
	for i := range 6 {
		tr.Observe(Observation{Index: i, Seconds: float64(i) / 3, Width: 900, Height: 500,
			Boxes: []detect.Box{{X1: 100, Y1: 100, X2: 140, Y2: 130, Score: 0.6, Label: "cow"}},
			Pose:  motion.Pose{ToGround: motion.Identity, Segment: i / 3}})
	}
	ts := tr.Tracks()
	if len(ts) != 2 || ts[0].Segment != 0 || ts[1].Segment != 1 || ts[0].Hits != 3 || ts[1].Hits != 3 {
		t.Errorf("%+v", ts)
	}
}

// A cut to other ground and back: the animals of the first ground are the same ones.
func TestReturnToASegmentContinuesItsTracks(t *testing.T) {
	for name, joined := range map[string]*motion.Join{
		"the segment itself": nil, "joined at once": {From: 2, To: 0, Map: motion.Identity},
	} {
		tr := New(Options{})
		for i, segment := range []int{0, 0, 0, 1, 1, 1, 0, 0, 0} {
			pose := motion.Pose{ToGround: motion.Identity, Segment: segment}
			if i == 6 {
				pose.Joined = joined
			}
			tr.Observe(Observation{Index: i, Seconds: float64(i) / 3, Width: 900, Height: 500, Pose: pose,
				Boxes: []detect.Box{{X1: 100, Y1: 100, X2: 140, Y2: 130, Score: 0.6, Label: "cow"}}})
		}
		ts := tr.Tracks()
		if len(ts) != 2 || ts[0].Hits != 6 || ts[1].Hits != 3 || ts[1].Segment != 1 {
			t.Errorf("%s: %d tracks, first %+v", name, len(ts), ts[0])
		}
	}
}

func TestSolveIsOptimal(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for range 200 {
		n := 1 + rng.IntN(5)
		c := make([][]float64, n)
		for i := range c {
			c[i] = make([]float64, n)
			for j := range c[i] {
				c[i][j] = float64(rng.IntN(30))
			}
		}
		got := 0.0
		for i, j := range solve(c) {
			got += c[i][j]
		}
		if want := cheapest(c, 0, 0); got != want {
			t.Fatalf("cost %v, want %v for %v", got, want, c)
		}
	}
}

func cheapest(c [][]float64, row int, used uint) float64 {
	if row == len(c) {
		return 0
	}
	best := math.Inf(1)
	for j := range c {
		if used&(1<<j) == 0 {
			best = min(best, c[row][j]+cheapest(c, row+1, used|1<<j))
		}
	}
	return best
}

func BenchmarkObserve(b *testing.B) {
	f := field{animals: herd(400, 9000, 5), camera: pan, frames: 60, recall: 0.85, jitter: 2, w: 1920, h: 1080}
	for b.Loop() {
		f.observe(1)
	}
}
