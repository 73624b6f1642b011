package crossing

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// pen is the middle of the picture: x 300 to 700, y 150 to 450.
func pen(f boundary.Frame, stay float64) boundary.Set {
	return boundary.Set{Zones: []boundary.Zone{{Name: "pen", Stay: stay, Place: boundary.Place{Frame: f},
		Polygon: []boundary.Point{{0.3, 0.25}, {0.7, 0.25}, {0.7, 0.75}, {0.3, 0.75}}}}}
}

func TestZone(t *testing.T) {
	stands := func(x, y float64) animal { return walk(x, y, x, y, 0, 1) }
	type totals struct{ most, end, passed, entered, left int }
	for name, c := range map[string]struct {
		scene scene
		set   boundary.Set
		want  totals
	}{
		"one passes":         {scene{seconds: 8, animals: []animal{walk(100, 300, 900, 300, 0, 8)}}, pen("", 0), totals{1, 0, 1, 1, 1}},
		"one stays":          {scene{seconds: 8, animals: []animal{walk(100, 300, 500, 300, 0, 4)}}, pen("", 0), totals{1, 1, 1, 1, 0}},
		"two stand":          {scene{seconds: 8, jitter: 5, animals: []animal{stands(400, 300), stands(600, 300)}}, pen("", 0), totals{2, 2, 2, 0, 0}},
		"stands beside":      {scene{seconds: 8, jitter: 5, animals: []animal{stands(200, 300)}}, pen("", 0), totals{}},
		"stands on the edge": {scene{seconds: 20, jitter: 5, animals: []animal{walk(200, 300, 302, 300, 0, 4)}}, pen("", 0), totals{}},
		"one after the other": {scene{seconds: 16, animals: []animal{walk(100, 300, 900, 300, 0, 8), walk(100, 300, 900, 300, 8, 16)}},
			pen("", 0), totals{1, 0, 2, 2, 2}},
		"too short a stay": {scene{seconds: 8, animals: []animal{walk(100, 300, 900, 300, 0, 8)}}, pen("", 10), totals{1, 0, 0, 1, 1}},
		"goes out and in again": {scene{seconds: 12, animals: []animal{through([2]float64{500, 300}, [2]float64{200, 300},
			[2]float64{500, 300}, [2]float64{200, 300})}}, pen("", 0), totals{1, 0, 1, 1, 2}},
		"camera passes, picture": {scene{seconds: 20, animals: []animal{stands(900, 300), stands(1000, 310)},
			camera: func(t float64) (float64, float64, float64) { return 50 * t, 0, 1 }}, pen("", 0), totals{2, 0, 2, 2, 2}},
		"camera passes, ground": {scene{seconds: 20, animals: []animal{stands(500, 300), stands(1300, 310)},
			camera: func(t float64) (float64, float64, float64) { return 50 * t, 0, 1 }}, pen(boundary.Ground, 0), totals{1, 1, 1, 0, 0}},
		"not detected any more": {scene{seconds: 8, animals: []animal{stands(500, 300)},
			unseen: func(_ int, t float64) bool { return t > 4 }}, pen("", 0), totals{1, 0, 1, 0, 0}},
		"not looked at any more": {scene{seconds: 8, animals: []animal{stands(500, 300)},
			unseen: func(_ int, t float64) bool { return t > 4 },
			looked: func(i int) []motion.Rect {
				if i > 4*perSecond {
					return []motion.Rect{{X2: 100, Y2: 100}}
				}
				return nil
			}}, pen("", 0), totals{1, 1, 1, 0, 0}},
		"missed once or twice": {scene{seconds: 8, animals: []animal{stands(500, 300)},
			unseen: func(_ int, t float64) bool { return t > 7.7 }}, pen("", 0), totals{1, 1, 1, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			r := c.scene.judge(t, c.set).Zones[0]
			got := totals{r.Most, r.End, r.Passed, r.Entered, r.Left}
			if got != c.want || r.Low > r.Passed || r.High < r.Passed || r.NotJudged != 0 {
				t.Errorf("%+v, want %+v: %+v", got, c.want, r)
			}
		})
	}
}

func TestVisits(t *testing.T) {
	r := scene{seconds: 8, animals: []animal{walk(100, 300, 900, 300, 0, 8), walk(100, 320, 900, 320, -1, 7)}}.
		judge(t, pen("", 0)).Zones[0]
	if len(r.Visits) != 2 || r.Visits[0].Track != 2 || math.Abs(r.Visits[1].From-2) > 0.2 || math.Abs(r.Visits[1].To-6) > 0.2 ||
		r.Most != 2 || math.Abs(r.MostAt-2) > 0.2 {
		t.Errorf("%+v", r)
	}
}

// A zone that is narrower than an animal still has animals in it.
func TestNarrowZone(t *testing.T) {
	set := boundary.Set{Zones: []boundary.Zone{{Name: "lane", Polygon: []boundary.Point{{0, 0.48}, {1, 0.48}, {1, 0.52}, {0, 0.52}}}}}
	if r := (scene{seconds: 6, animals: []animal{walk(500, 100, 500, 500, 0, 12)}}).judge(t, set).Zones[0]; r.Passed != 1 {
		t.Errorf("%+v", r)
	}
}

func TestZoneBounds(t *testing.T) {
	s := scene{seconds: 8, animals: []animal{walk(100, 300, 500, 300, 0, 4), walk(305, 300, 305, 300, 0, 1), walk(295, 300, 295, 300, 0, 1)}}
	if r := s.judge(t, pen("", 0)).Zones[0]; r.Passed != 2 || r.Low != 1 || r.High != 3 {
		t.Errorf("%+v", r)
	}
	j, animals := s.run(pen("", 0))
	animals[0].Counted = false
	if r := j.Result(animals).Zones[0]; r.Passed != 1 || r.High != 3 || r.Most != 1 {
		t.Errorf("%+v", r)
	}
}

func TestDepth(t *testing.T) {
	arrow := []motion.Point{{X: 0, Y: 0}, {X: 10, Y: 0}, {X: 5, Y: 5}, {X: 10, Y: 10}, {X: 0, Y: 10}} // not convex
	for p, want := range map[motion.Point]float64{{X: 2, Y: 5}: 2, {X: 9, Y: 5}: -math.Sqrt(8), {X: -3, Y: 5}: -3, {X: 5, Y: 0}: 0} {
		if got := depth(arrow, p); math.Abs(got-want) > 1e-9 {
			t.Errorf("%+v: %g, want %g", p, got, want)
		}
	}
}
