package motion

import (
	"math"
	"math/rand/v2"
	"testing"
)

// tilted maps the pixels of a camera that is tilted by degrees and stands at (x, y) above the ground to the ground.
func tilted(x, y, degrees, w, h float64) Transform {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	f := w // of the lens, in pixels: a view of 53 degrees
	// A ray through a pixel, turned by the tilt, cut with the ground at a distance of f.
	m := matrix{f, 0, -f * w / 2, 0, f * cos, -f*cos*h/2 - f*f*sin, 0, sin, f*cos - sin*h/2}
	return m.transform().Then(Transform{A: 1, TX: x, TY: y})
}

func TestObliqueViewIsFollowed(t *testing.T) {
	const w, h = 640, 360
	g := field()
	path := func(i int) Transform { return tilted(500+24*float64(i), 900, 30, w, h) }
	var r Registrar
	last, inliers := Point{}, 0.0
	for i := range 24 {
		p := r.Register(g.render(path(i), w, h, 1), nil)
		if p.Segment != 0 || p.Inliers == 0 {
			t.Fatalf("frame %d: the motion of the camera was lost: %+v", i, p)
		}
		// The middle of the picture moves over the ground as the camera does.
		now := p.ToGround.Apply(Point{w / 2, h / 2})
		back := path(i - 1).Inverse().Apply(path(i).Apply(Point{w / 2, h / 2}))
		want := back.X - w/2
		if step := now.X - last.X; i > 1 && math.Abs(step-want) > 0.12*want {
			t.Errorf("frame %d: a step of %.1f pixels, want about %.1f", i, step, want)
		}
		last, inliers = now, inliers+p.Inliers/24
	}
	if inliers < 0.6 {
		t.Errorf("only %.2f of the corners agree: near and far ground were not seen as one plane", inliers)
	}
}

func TestLeastSquaresHomography(t *testing.T) {
	want := tilted(0, 0, 20, 640, 360).Then(tilted(30, 4, 20, 640, 360).Inverse())
	rng := rand.New(rand.NewPCG(5, 5))
	var pairs []pair
	for range 80 {
		p := Point{rng.Float64() * 640, rng.Float64() * 360}
		pairs = append(pairs, pair{p, want.Apply(p), inlierPixels})
	}
	got, ok := leastSquaresHomography(pairs, 640, 360)
	if e := worstCorner(got, want, 640, 360); !ok || e > 0.01 {
		t.Errorf("wrong by %.3f pixels", e)
	}
	if back := worstCorner(want.Then(want.Inverse()), Identity, 640, 360); back > 1e-6 {
		t.Errorf("a homography and its inverse are wrong by %v", back)
	}
	if _, ok := leastSquaresHomography(pairs[:3], 640, 360); ok {
		t.Error("a homography from three pairs")
	}
}
