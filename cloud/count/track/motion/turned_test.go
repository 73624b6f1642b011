package motion

import (
	"math"
	"testing"
)

// over looks at a place of the ground in the middle of the picture, turned by degrees, with a camera that shortens the
// upright of its picture.
func over(x, y, degrees, shortened, w, h float64) Transform {
	t := straighten(shortened).Then(at(0, 0, degrees, 1))
	m := t.Apply(Point{w / 2, h / 2})
	return t.Then(Transform{A: 1, TX: x - m.X, TY: y - m.Y})
}

// yaw is the heading of a camera that turns by degrees within a second of six frames, from frame from on.
func yaw(i, from int, degrees float64) float64 {
	f := min(1, max(0, float64(i-from)/6))
	return degrees * f * f * (3 - 2*f)
}

// A leaning camera that turns sees the ground neither turned nor zoomed alone.
func TestTurnOfALeaningCamera(t *testing.T) {
	const w, h, from = 640, 360, 3
	g := field()
	for name, c := range map[string]struct{ shortened, degrees, speed float64 }{
		"leaning, by 90 degrees":     {0.2, 90, 8},
		"leaning far, by 60 degrees": {0.3, -60, 4},
		"leaning, half a circle":     {0.15, 180, 0},
		"straight down":              {0, 90, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := func(i int) Transform {
				return over(700+c.speed*float64(i), 600, yaw(i, from, c.degrees), c.shortened, w, h)
			}
			var r Registrar
			for i := range 14 {
				p := r.Register(g.render(path(i), w, h, 1), nil)
				// The ground is drawn as the first frame shows it.
				want := path(i).Then(path(0).Inverse())
				if e := worstCorner(p.ToGround, want, w, h); e > 12 || p.Segment != 0 || p.Inliers == 0 {
					t.Fatalf("frame %d: wrong by %.1f pixels, segment %d, inliers %.2f", i, e, p.Segment, p.Inliers)
				}
			}
			if math.Abs(r.lean.shortened-c.shortened) > 0.03 {
				t.Errorf("a camera that shortens its picture by %.2f seems to shorten it by %.2f", c.shortened, r.lean.shortened)
			}
		})
	}
}

// The animals walk with the camera, hide much of the faint ground and turn in the picture. Their places are expected
// where they would be without the turn.
func TestFastTurnOverAWalkingHerd(t *testing.T) {
	const w, h, from = 640, 360, 4
	g := field()
	d := herd{side: 90, gap: 100, vx: 7, seed: 3}
	for name, degrees := range map[string]float64{"by 90 degrees": 90, "by 180 degrees": -180, "by 30 degrees": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heading := func(i int) float64 { return yaw(2*i, 2*from, degrees) } // within half a second
			path := func(i int) Transform { return over(600+7*float64(i), 600, heading(i), 0, w, h) }
			var r Registrar
			for i := range 12 {
				f := g.render(path(i), w, h, 1)
				faint(f, 0.2, uint64(i))
				d.drawTurned(f, path(i), i)
				var expected []Rect
				if guess, ok := r.Guess(f); ok {
					expected = d.rectsBy(guess.ToGround.Then(path(0)), i, w, h)
				} else {
					expected = d.rectsBy(path(0), 0, w, h)
				}
				p := r.Register(f, expected)
				want := path(i).Then(path(0).Inverse())
				if e := worstCorner(p.ToGround, want, w, h); e > 10 || p.Segment != 0 || p.Inliers == 0 {
					t.Fatalf("frame %d: wrong by %.1f pixels, segment %d, inliers %.2f", i, e, p.Segment, p.Inliers)
				}
			}
		})
	}
}
