package evidence

import (
	"math/rand/v2"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
)

// TestBudgets flies over ground of noise, which compresses badly, with a new animal in each step.
func TestBudgets(t *testing.T) {
	if testing.Short() {
		t.Skip("compresses hundreds of pictures")
	}
	g, c := newGround(), newCrops()
	g.side, g.budget, c.budget = 640, 1<<20, 64<<10
	r := rand.New(rand.NewPCG(1, 2))
	f := &video.Frame{}
	f.Resize(640, 360)
	for i := range f.Pix {
		f.Pix[i] = byte(r.UintN(256))
	}
	counted := tally.Result{}
	const steps = 120
	for i := range steps {
		f.Index = i
		a := &track.Track{ID: i + 1, Hits: 2, X: float64(i)*400 + 150, Y: 150, W: 100, H: 100, Last: i}
		a.Way = []track.Fix{{Frame: i, Seconds: float64(i), X: a.X, Y: a.Y,
			Box: detect.Box{X1: 100, Y1: 100, X2: 200, Y2: 200, Score: 0.9}}}
		counted.Counted = append(counted.Counted, a)
		s := &Step{Frame: f, Seconds: float64(i), Tracks: []track.Placed{{Track: a}}, Looked: []motion.Rect{{X2: 640, Y2: 360}},
			Pose: motion.Pose{ToGround: motion.Transform{A: 1, TX: float64(i) * 400}, Inliers: 1}}
		g.add(s)
		c.add(s)
		// One picture may exceed a budget before the others are made smaller.
		if g.bytes > 2*g.budget || c.bytes > 2*c.budget && c.side > leastSide {
			t.Fatalf("step %d: %d bytes of ground, %d of animals", i, g.bytes, c.bytes)
		}
	}
	if g.side == 640 || c.side == cropSide {
		t.Errorf("the budgets were never reached: %d and %d bytes", g.bytes, c.bytes)
	}
	sum := 0
	for _, k := range g.keys {
		sum += len(k.jpeg)
	}
	if sum != g.bytes {
		t.Errorf("%d bytes of ground are accounted for, %d are held", g.bytes, sum)
	}
	sum = 0
	for _, p := range c.best {
		sum += len(p.jpeg)
	}
	if sum != c.bytes || len(c.best) != steps {
		t.Errorf("%d bytes of animals are accounted for, %d are held by %d animals", c.bytes, sum, len(c.best))
	}
	if b, err := g.sheet("a.mp4", counted, &c); err != nil || b == nil {
		t.Errorf("sheet: %v", err)
	}
	if p, err := c.pages("a.mp4", counted); err != nil || len(p) != 2 {
		t.Errorf("%d pages, %v", len(p), err)
	}
}
