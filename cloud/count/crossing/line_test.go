package crossing

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// herdPan moves the camera 300 pixels down in 10 seconds, over animals that stand.
func herdPan(t float64) (x, y, scale float64) { return 0, 30 * t, 1 }

// untilSecond is a detector that looks at nothing after a time, fromSecond one that looks at nothing before it.
func untilSecond(end float64) func(int) []motion.Rect {
	return func(i int) []motion.Rect {
		if float64(i)/perSecond > end {
			return []motion.Rect{}
		}
		return nil
	}
}

func fromSecond(begin float64) func(int) []motion.Rect {
	return func(i int) []motion.Rect {
		if float64(i)/perSecond < begin {
			return []motion.Rect{}
		}
		return nil
	}
}

func TestLine(t *testing.T) {
	const mid = height / 2
	down, up := walk(500, 100, 500, 500, 0, 6), walk(300, 500, 300, 100, 0, 6)
	for name, c := range map[string]struct {
		scene   scene
		set     boundary.Set
		in, out int
	}{
		"down is in":         {scene{seconds: 6, animals: []animal{down}}, across(""), 1, 0},
		"up is out":          {scene{seconds: 6, animals: []animal{up}}, across(boundary.Ground), 0, 1},
		"swapped ends":       {scene{seconds: 6, animals: []animal{down}}, line(1, 0.5, 0, 0.5, ""), 0, 1},
		"left is in":         {scene{seconds: 6, animals: []animal{walk(800, 300, 200, 300, 0, 6)}}, line(0.5, 0, 0.5, 1, ""), 1, 0},
		"two at the line":    {scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 6), walk(510, 500, 510, 100, 0, 6)}}, across(""), 1, 1},
		"slow drift along":   {scene{seconds: 20, jitter: 4, animals: []animal{walk(100, mid-5, 900, mid+5, 0, 20)}}, across(""), 0, 0},
		"stands on the line": {scene{seconds: 30, jitter: 6, animals: []animal{walk(500, mid, 500, mid, 0, 1)}}, across(""), 0, 0},
		"turns in the band":  {scene{seconds: 6, animals: []animal{through([2]float64{500, 200}, [2]float64{500, mid + 15}, [2]float64{520, mid + 15}, [2]float64{520, 200})}}, across(""), 0, 0},
		"turns beyond the band": {scene{seconds: 6, animals: []animal{through([2]float64{500, 200}, [2]float64{500, mid + 60},
			[2]float64{520, mid + 60}, [2]float64{520, 200})}}, across(""), 1, 1},
		"twice in, once out": {scene{seconds: 6, animals: []animal{through([2]float64{500, 200}, [2]float64{500, 400},
			[2]float64{500, 200}, [2]float64{500, 400})}}, across(""), 2, 1},
		"first seen beyond": {scene{seconds: 6, animals: []animal{walk(500, mid+30, 500, 550, 0, 6)}}, across(""), 0, 0},
		"never there":       {scene{seconds: 6, animals: []animal{walk(500, 200, 500, mid-40, 0, 6)}}, across(""), 0, 0},
		"lost for 2 seconds on the line": {scene{seconds: 6, animals: []animal{down},
			unseen: func(_ int, t float64) bool { return t > 2 && t < 4 }}, across(""), 1, 0},
		"seen every 4 seconds": {scene{seconds: 12, animals: []animal{walk(500, 100, 500, 500, 0, 12)},
			unseen: func(_ int, t float64) bool { return math.Mod(t, 4) != 0 }}, across(""), 1, 0},
		"walks round the end": {scene{seconds: 4, animals: []animal{through([2]float64{300, 200}, [2]float64{650, 200},
			[2]float64{650, 400}, [2]float64{300, 400})}}, line(0, 0.5, 0.5, 0.5, ""), 0, 0},
		"round the end and back through": {scene{seconds: 6, animals: []animal{through([2]float64{300, 200}, [2]float64{650, 200},
			[2]float64{650, 400}, [2]float64{300, 400}, [2]float64{300, 200})}}, line(0, 0.5, 0.5, 0.5, ""), 0, 1},
		"out at the end within the band": {scene{seconds: 6, animals: []animal{through([2]float64{450, 200}, [2]float64{450, mid + 10},
			[2]float64{600, mid + 10}, [2]float64{600, 200})}}, line(0, 0.5, 0.5, 0.5, ""), 0, 0},
		"diagonal": {scene{seconds: 6, animals: []animal{walk(800, 100, 200, 500, 0, 6), walk(300, 500, 700, 100, 0, 6)}},
			line(0, 0, 1, 1, ""), 1, 1},
		"diagonal, along it": {scene{seconds: 6, jitter: 3, animals: []animal{walk(100, 60, 900, 540, 0, 6)}}, line(0, 0, 1, 1, ""), 0, 0},
		"camera over a standing animal, picture": {scene{seconds: 10, camera: herdPan, animals: []animal{walk(500, 450, 500, 450, 0, 1)}},
			across(""), 0, 1},
		"camera over a standing animal, ground": {scene{seconds: 10, camera: herdPan, animals: []animal{walk(500, 350, 500, 350, 0, 1)}},
			across(boundary.Ground), 0, 0},
		"camera follows a walking animal, picture": {scene{seconds: 10, camera: herdPan, animals: []animal{walk(500, 200, 500, 500, 0, 10)}},
			across(""), 0, 0},
		"camera follows a walking animal, ground": {scene{seconds: 10, camera: herdPan, animals: []animal{walk(500, 200, 500, 500, 0, 10)}},
			across(boundary.Ground), 1, 0},
		"camera pauses between two looks": {scene{seconds: 10, camera: herdPan, animals: []animal{walk(500, 450, 500, 450, 0, 1)},
			unseen: func(_ int, t float64) bool { return t > 1 && t < 9 }}, across(""), 0, 1},
		"there and back over a standing animal": {scene{seconds: 20, animals: []animal{walk(500, 350, 500, 350, 0, 1)},
			camera: func(t float64) (float64, float64, float64) { return 0, 300 - 30*math.Abs(t-10), 1 }}, across(""), 1, 1},
		"out of view beside the line": {scene{seconds: 20, animals: []animal{walk(900, 350, 900, 350, 0, 1)},
			unseen: func(_ int, t float64) bool { return t > 0.5 && t < 19.5 },
			// The camera moves left, so that the animal is beside the picture, then down, then right again.
			camera: func(t float64) (float64, float64, float64) {
				return -300*min(t/5, 1) + 300*max(t/5-3, 0), 100 * min(max(t/5-1, 0), 1), 1
			}}, across(""), 0, 0},
		"camera passes after the last look": {scene{seconds: 10, camera: herdPan, animals: []animal{walk(500, 450, 500, 450, 0, 1)},
			looked: untilSecond(3), unseen: func(_ int, t float64) bool { return t > 3 }}, across(""), 0, 1},
		"camera passed before the first look": {scene{seconds: 10, camera: herdPan, animals: []animal{walk(500, 450, 500, 450, 0, 1)},
			looked: fromSecond(7), unseen: func(_ int, t float64) bool { return t < 7 }}, across(""), 0, 1},
		"looked for and not found after the last sighting": {scene{seconds: 10, camera: herdPan, animals: []animal{walk(500, 450, 500, 450, 0, 1)},
			unseen: func(_ int, t float64) bool { return t > 3 }}, across(""), 0, 0},
		"walks over after the last look": {scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 6)},
			looked: untilSecond(2), unseen: func(_ int, t float64) bool { return t > 2 }}, across(""), 1, 0},
		"looked at long before": {scene{seconds: 20, animals: []animal{walk(500, 100, 500, 400, 0, 20)},
			looked: untilSecond(4), unseen: func(_ int, t float64) bool { return t > 4 }}, across(""), 0, 0},
		"line outside of the picture": {scene{seconds: 6, animals: []animal{down}}, line(1.2, 0, 1.2, 1, ""), 0, 0},
		"ground line outside of the first picture": {scene{seconds: 10, animals: []animal{walk(500, 600, 500, 900, 0, 10)},
			camera: func(t float64) (float64, float64, float64) { return 0, 40 * t, 1 }}, line(0, 1.2, 1, 1.2, boundary.Ground), 1, 0},
		"zoom in on a standing animal": {scene{seconds: 6, jitter: 1, animals: []animal{walk(500, 340, 500, 340, 0, 1)},
			camera: func(t float64) (float64, float64, float64) { s := 1 - t/12; return 500 * (1 - s), 300 * (1 - s), s }}, across(""), 0, 0},
		"zoom and walk": {scene{seconds: 6, jitter: 2, animals: []animal{walk(500, 220, 500, 380, 0, 6)},
			camera: func(t float64) (float64, float64, float64) { s := 1 - t/12; return 500 * (1 - s), 300 * (1 - s), s }}, across(""), 1, 0},
		"cut by the edge of the picture":      {scene{seconds: 12, animals: []animal{walk(20, -50, 20, 650, 0, 12)}}, across(boundary.Ground), 1, 0},
		"enters over the edge along the line": {scene{seconds: 6, animals: []animal{walk(-60, 300, 500, 310, 0, 6)}}, across(""), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := c.scene.judge(t, c.set).Lines[0]
			if r.In != c.in || r.Out != c.out || r.Net != c.in-c.out {
				t.Errorf("in %d, out %d, net %d, want %d and %d: %+v", r.In, r.Out, r.Net, c.in, c.out, r.Crossings)
			}
			if r.InLow > r.In || r.InHigh < r.In || r.OutLow > r.Out || r.OutHigh < r.Out || r.NotJudged != 0 {
				t.Errorf("%+v", r.LineTotal)
			}
		})
	}
}

func TestCrossingHasTimeAndPlace(t *testing.T) {
	c := scene{seconds: 6, animals: []animal{walk(250, 100, 250, 500, 0, 6)},
		unseen: func(_ int, t float64) bool { return t > 2.5 && t < 4 }}.judge(t, across("")).Lines[0].Crossings
	if len(c) != 1 || math.Abs(c[0].Seconds-3) > 0.05 || math.Abs(c[0].At-0.25) > 0.01 || c[0].Track != 1 || c[0].Doubt != "" {
		t.Errorf("%+v", c)
	}
}

// A line on the ground is drawn into the picture at its time.
func TestLineDrawnLater(t *testing.T) {
	set := across(boundary.Ground)
	set.Lines[0].Seconds = 5 // the camera is 150 pixels further down: the line is at 450
	s := scene{seconds: 10, camera: herdPan, animals: []animal{walk(500, 200, 500, 420, 0, 8), walk(500, 400, 500, 500, 0, 8)}}
	if r := s.judge(t, set).Lines[0]; r.In != 1 || r.Crossings[0].Track != 2 {
		t.Errorf("%+v", r)
	}
	set.Lines[0].Seconds = 60
	if r := s.judge(t, set).Lines[0]; r.In != 0 || r.NotJudged != 2 {
		t.Errorf("a line after the end of the clip: %+v", r)
	}
	if r := (scene{seconds: 1}).judge(t, set).Lines[0]; r.In != 0 || r.NotJudged != 0 || r.Crossings == nil {
		t.Errorf("no animals: %+v", r)
	}
}

// Weak crossings widen the bounds.
func TestBounds(t *testing.T) {
	const mid = height / 2
	for name, c := range map[string]struct {
		scene         scene
		set           boundary.Set
		low, in, high int
		doubt         string
	}{
		"plain":          {scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 6)}}, across(""), 1, 1, 1, ""},
		"begins half on": {scene{seconds: 6, animals: []animal{walk(500, mid-15, 500, 500, 0, 6)}}, across(""), 0, 1, 1, "start"},
		"begins on it":   {scene{seconds: 6, animals: []animal{walk(500, mid-5, 500, 500, 0, 6)}}, across(""), 0, 0, 1, "start"},
		"ends half on":   {scene{seconds: 6, animals: []animal{walk(500, 100, 500, mid+15, 0, 4)}}, across(""), 0, 1, 1, "finish"},
		"ends on it":     {scene{seconds: 6, animals: []animal{walk(500, 100, 500, mid+5, 0, 4)}}, across(""), 0, 0, 1, "finish"},
		"near the end":   {scene{seconds: 6, animals: []animal{walk(490, 100, 490, 500, 0, 6)}}, line(0, 0.5, 0.5, 0.5, ""), 0, 1, 1, "end"},
		"just beside":    {scene{seconds: 6, animals: []animal{walk(510, 100, 510, 500, 0, 6)}}, line(0, 0.5, 0.5, 0.5, ""), 0, 0, 1, "end"},
		"a long pause": {scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 6)},
			unseen: func(_ int, t float64) bool { return t > 1 && t < 5 }}, across(""), 0, 1, 1, "gap"},
		"walks on unseen": {scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 6)},
			looked: untilSecond(2), unseen: func(_ int, t float64) bool { return t > 2 }}, across(""), 0, 1, 1, "finish"},
		"camera guessed": {scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 6)},
			pose: func(i int, p *motion.Pose) {
				if i >= 15 && i < 21 {
					p.Inliers = 0
				}
			}}, across(""), 0, 1, 1, "camera"},
	} {
		r := c.scene.judge(t, c.set).Lines[0]
		more := unseen(c.in)
		if r.InLow != max(0, c.low-more) || r.In != c.in || r.InHigh != c.high+more || len(r.Crossings) != 1 || string(r.Crossings[0].Doubt) != c.doubt {
			t.Errorf("%s: %+v", name, r)
		}
	}
	s := scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 6)}}
	j, animals := s.run(across(""))
	animals[0].Counted = false
	if r := j.Result(animals).Lines[0]; r.In != 0 || r.InHigh != 1 || r.Crossings[0].Doubt != "track" {
		t.Errorf("a track that is not counted: %+v", r)
	}
}

// Two segments of ground are unrelated until they are joined.
func TestLostGround(t *testing.T) {
	s := scene{seconds: 10, animals: []animal{
		walk(500, 100, 500, 500, 0, 4), walk(500, 100, 500, 500, 6, 10)}}
	s.unseen = func(id int, t float64) bool { return (t < 5) != (id == 1) }
	// From second 5 on the ground has another origin.
	other := func(i int, p *motion.Pose) {
		if i >= 5*perSecond {
			p.Segment, p.ToGround = 1, p.ToGround.Then(motion.Transform{A: 1, TX: 4000})
		}
	}
	s.pose = other
	if r := s.judge(t, across(boundary.Ground)).Lines[0]; r.In != 1 || r.NotJudged != 1 {
		t.Errorf("the line is known in one segment: %+v", r)
	}
	if r := s.judge(t, across(boundary.Picture)).Lines[0]; r.In != 2 || r.NotJudged != 0 {
		t.Errorf("the picture's line is known in both: %+v", r)
	}
	s.pose = func(i int, p *motion.Pose) {
		if i < 8*perSecond {
			other(i, p)
		}
		if i == 8*perSecond {
			p.Joined = &motion.Join{From: 1, To: 0, Map: motion.Transform{A: 1, TX: -4000}}
		}
	}
	for _, f := range []boundary.Frame{boundary.Ground, boundary.Picture} {
		if r := s.judge(t, across(f)).Lines[0]; r.In != 2 || r.NotJudged != 0 {
			t.Errorf("joined, %s: %+v", f, r)
		}
	}
}

// Sizes of lines in pixels are those of the first picture.
func TestPixels(t *testing.T) {
	set := boundary.Set{Lines: []boundary.Line{{Name: "gate", From: boundary.Point{0, 300}, To: boundary.Point{1000, 300},
		Place: boundary.Place{Unit: boundary.Pixels}}}}
	if r := (scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 6)}}).judge(t, set).Lines[0]; r.In != 1 {
		t.Errorf("%+v", r)
	}
}

// Jitter of the boxes changes no number of plain crossings.
func TestJitterDoesNotCount(t *testing.T) {
	var s scene
	s.seconds, s.jitter = 20, 5
	for k := range 10 {
		from := float64(k)
		s.animals = append(s.animals, walk(90*float64(k+1), 100, 90*float64(k+1), 500, from, from+8))
		s.animals = append(s.animals, walk(90*float64(k+1), 220, 90*float64(k+1), 220, 0, 1))
	}
	for _, f := range []boundary.Frame{boundary.Picture, boundary.Ground} {
		if r := s.judge(t, across(f)).Lines[0]; r.In != 10 || r.Out != 0 || r.InLow != 10-unseen(10) || r.InHigh != 10+unseen(10) {
			t.Errorf("%s: %+v", f, r.LineTotal)
		}
	}
}

// The place of an animal whose box is cut by the edge of the picture is that of the whole animal.
func TestCutBoxes(t *testing.T) {
	s := scene{seconds: 10, animals: []animal{walk(980, 610, 980, 610, 0, 1), walk(980, 10, 980, 10, 0, 1)},
		camera: func(t float64) (float64, float64, float64) { return 10 * t, 20 * (t - 5), 1 }}
	j, animals := s.run(across(""))
	for i, a := range animals {
		w := j.place(a)
		for _, f := range w.fixes {
			if math.Abs(f.ground.X-980) > 1 || math.Abs(f.ground.Y-[]float64{610, 10}[i]) > 1 {
				t.Errorf("animal %d at %+v in step %d", a.ID, f.ground, f.step)
			}
		}
		if len(w.fixes) != len(a.Fixes) || math.Abs(w.size-math.Sqrt(long*wide)) > 1 {
			t.Errorf("%d fixes, size %g", len(w.fixes), w.size)
		}
	}
}

func TestUnseenCrossingsGrowWithTheRoot(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 9: 1, 25: 2, 100: 4, 400: 8} {
		if got := unseen(n); got != want {
			t.Errorf("%d crossings: %d unseen, want %d", n, got, want)
		}
	}
}
