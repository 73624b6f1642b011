package solid

import (
	"math"
	"testing"
)

func ball(at Vec, r float64) *Mesh {
	m := &Mesh{}
	m.Ball(at, Vec{X: r}, Vec{Y: r}, Vec{Z: r}, 48, 24, nil, 0)
	m.Place(Vec{}, 0, 1)
	return m
}

// TestTraceSeesABall measures a ball from above and from aside: its area, its place and its surface.
func TestTraceSeesABall(t *testing.T) {
	for _, v := range []Slant{{PerMetre: 20}, {X: 0.5, Y: -0.3, PerMetre: 20}} {
		n, sx, sy := 0.0, 0.0, 0.0
		var w Window
		v.Trace(ball(Vec{X: 3, Y: 2, Z: 1.5}, 1), func(win Window) { w = win }, func(x, y int, s *Surface) {
			if x < w.X || y < w.Y || x >= w.X+w.W || y >= w.Y+w.H {
				t.Fatalf("sample %d, %d is outside of %+v", x, y, w)
			}
			if d := s.N.Dot(s.P.Sub(Vec{X: 3, Y: 2, Z: 1.5}).Unit()); d < 0.95 || s.Facing < 0 {
				t.Fatalf("the surface at %v has the direction %v", s.P, s.N)
			}
			n, sx, sy = n+1, sx+float64(x)+0.5, sy+float64(y)+0.5
		})
		// A slanted shadow of a ball is an ellipse.
		want := math.Pi * 400 * math.Sqrt(1+v.X*v.X+v.Y*v.Y)
		if math.Abs(n/want-1) > 0.05 {
			t.Errorf("%+v: %v samples, want about %.0f", v, n, want)
		}
		if x, y := sx/n/20, sy/n/20; math.Abs(x-3-1.5*v.X) > 0.05 || math.Abs(y+2-1.5*v.Y) > 0.05 {
			t.Errorf("%+v: the ball is at %.2f, %.2f", v, x, y)
		}
	}
	Slant{PerMetre: 1}.Trace(&Mesh{}, func(w Window) {
		if w != (Window{}) {
			t.Errorf("an empty mesh has the window %+v", w)
		}
	}, func(int, int, *Surface) { t.Error("an empty mesh has a sample") })
}

// TestShadowOfABall compares place and area of a shadow with those of a ball. Its edge is soft.
func TestShadowOfABall(t *testing.T) {
	sun := Vec{X: -0.5, Z: 1}.Unit()
	w, cover := Shadow(ball(Vec{Z: 2}, 1), sun, 20, 0.3)
	sum, sx, soft := 0.0, 0.0, 0
	for i, c := range cover {
		if c < 0 || c > 1.0001 {
			t.Fatalf("cover %v", c)
		}
		if c > 0.1 && c < 0.9 {
			soft++
		}
		sum += float64(c)
		sx += float64(c) * (float64(w.X+i%w.W) + 0.5)
	}
	if want := math.Pi * 400 * math.Sqrt(1.25); math.Abs(sum/want-1) > 0.05 {
		t.Errorf("area %v, want about %.0f", sum, want)
	}
	if x := sx / sum / 20; math.Abs(x-1) > 0.05 {
		t.Errorf("the shadow is at %.2f m, want 1", x)
	}
	if soft < 300 {
		t.Errorf("%d samples at the edge are soft", soft)
	}
	n := 0
	w.Inside(w.X+2, w.Y+3, 5, func(square, window int) {
		if square%5 != window%w.W-2 || square/5 != window/w.W-3 {
			t.Errorf("sample %d of the square is %d of the window", square, window)
		}
		n++
	})
	if n != 25 {
		t.Errorf("%d samples inside, want 25", n)
	}
}
