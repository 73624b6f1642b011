package motion

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"cattlecounter/cloud/count/video"
)

// ground is a large picture with texture at several scales.
type ground struct {
	w, h int
	v    []float64
}

func newGround(w, h int) *ground {
	rng := rand.New(rand.NewPCG(7, 7))
	g := &ground{w: w, h: h, v: make([]float64, w*h)}
	for _, cell := range []int{6, 17, 60} {
		nx := w/cell + 3
		grid := make([]float64, nx*(h/cell+3))
		for i := range grid {
			grid[i] = rng.Float64()
		}
		for y := range h {
			for x := range w {
				fx, fy := float64(x)/float64(cell), float64(y)/float64(cell)
				i := int(fy)*nx + int(fx)
				ax, ay := fx-math.Floor(fx), fy-math.Floor(fy)
				top := grid[i]*(1-ax) + grid[i+1]*ax
				bottom := grid[i+nx]*(1-ax) + grid[i+nx+1]*ax
				g.v[y*w+x] += 85 * (top*(1-ay) + bottom*ay)
			}
		}
	}
	return g
}

// field is the ground of most tests.
var field = sync.OnceValue(func() *ground { return newGround(2200, 1300) })

// render returns the frame of a camera with the given pose (frame -> ground).
func (g *ground) render(pose Transform, w, h int, gain float64) *video.Frame {
	f := &video.Frame{}
	f.Resize(w, h)
	for y := range h {
		for x := range w {
			p := pose.Apply(Point{float64(x), float64(y)})
			v := 0.0
			if p.X >= 0 && p.Y >= 0 && p.X < float64(g.w-1) && p.Y < float64(g.h-1) {
				gr := g.v[int(p.Y)*g.w+int(p.X)]
				v = min(255, gain*gr)
			}
			i := (y*w + x) * 3
			f.Pix[i], f.Pix[i+1], f.Pix[i+2] = byte(v), byte(v), byte(v)
		}
	}
	return f
}

func at(x, y, degrees, zoom float64) Transform {
	s, c := math.Sincos(degrees * math.Pi / 180)
	return Transform{A: zoom * c, B: zoom * s, TX: x, TY: y}
}

// worstCorner is the largest distance of a frame's corners between two poses.
func worstCorner(a, b Transform, w, h float64) float64 {
	worst := 0.0
	for _, p := range []Point{{0, 0}, {w, 0}, {0, h}, {w, h}} {
		q, r := a.Apply(p), b.Apply(p)
		worst = max(worst, math.Hypot(q.X-r.X, q.Y-r.Y))
	}
	return worst
}

func TestFollowsTheCamera(t *testing.T) {
	const w, h = 640, 360
	g := field()
	paths := map[string]func(i int) Transform{
		"pan":           func(i int) Transform { return at(50+40*float64(i), 200, 0, 1) },
		"fast pan":      func(i int) Transform { return at(50+130*float64(10-abs(10-i%20)), 200+12*float64(i), 0, 1) },
		"drift":         func(i int) Transform { return at(300+10*float64(i), 200+15*float64(i), 0.8*float64(i), 1) },
		"climb":         func(i int) Transform { return at(700-12*float64(i), 500-7*float64(i), 0, 1+0.02*float64(i)) },
		"out and back":  func(i int) Transform { return at(50+60*float64(15-abs(15-i)), 300, 0, 1) },
		"standing":      func(int) Transform { return at(500, 500, 0, 1) },
		"light changes": func(i int) Transform { return at(50+30*float64(i), 300, 0, 1) },
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r Registrar
			start := path(0).Inverse()
			for i := range 22 {
				gain := 1.0
				if name == "light changes" {
					gain = 0.8 + 0.01*float64(i)
				}
				pose := r.Register(g.render(path(i), w, h, gain), nil)
				want := path(i).Then(start)
				if e := worstCorner(pose.ToGround, want, w, h); e > 4 {
					t.Fatalf("frame %d: the pose is wrong by %.1f pixels at a corner", i, e)
				}
				if pose.Segment != 0 {
					t.Fatalf("frame %d: the motion of the camera was lost", i)
				}
			}
		})
	}
}

func abs(i int) int { return max(i, -i) }

func TestLostCameraStartsASegment(t *testing.T) {
	g := field()
	var r Registrar
	for i := range 4 {
		r.Register(g.render(at(20*float64(i), 100, 0, 1), 480, 320, 1), nil)
	}
	fog := &video.Frame{}
	fog.Resize(480, 320)
	var p Pose
	for range maxBlind {
		if p = r.Register(fog, nil); p.Segment != 0 || p.Inliers != 0 {
			t.Fatalf("pose %+v in a fog, want a guess in segment 0", p)
		}
	}
	if p = r.Register(fog, nil); p.Segment != 1 {
		t.Fatalf("segment %d after a long fog, want 1", p.Segment)
	}
}

func TestTransform(t *testing.T) {
	a, b := at(3, -4, 20, 1.3), at(-70, 12, -50, 0.7)
	p := Point{11, 5}
	got, want := a.Then(b).Apply(p), b.Apply(a.Apply(p))
	if math.Hypot(got.X-want.X, got.Y-want.Y) > 1e-9 {
		t.Errorf("Then: %v, want %v", got, want)
	}
	if back := a.Inverse().Apply(a.Apply(p)); math.Hypot(back.X-p.X, back.Y-p.Y) > 1e-9 {
		t.Errorf("Inverse: %v", back)
	}
	if o := at(32, 0, 0, 1).overlap(64, 64); o != 0.5 {
		t.Errorf("overlap %v, want 0.5", o)
	}
}

func TestFitIgnoresWalkers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	want := at(12, -7, 4, 1.02)
	var pairs []pair
	for i := range 100 {
		p := Point{rng.Float64() * 600, rng.Float64() * 300}
		q := want.Apply(p)
		if i%5 < 2 { // 40 % are walking animals
			q.X, q.Y = q.X+rng.Float64()*40-20, q.Y+10
		}
		pairs = append(pairs, pair{p, q, inlierPixels})
	}
	got, n := fit(pairs, Identity, ransacRounds)
	if e := worstCorner(got, want, 600, 300); e > 0.5 || n < 55 {
		t.Errorf("wrong by %.2f pixels with %d inliers", e, n)
	}
}

func BenchmarkRegister(b *testing.B) {
	g := field()
	var r Registrar
	frames := make([]*video.Frame, 20)
	for i := range frames {
		frames[i] = g.render(at(10*float64(i), 100, 0, 1), 1920, 1080, 1)
	}
	for i := 0; b.Loop(); i++ {
		r.Register(frames[abs(i%38-19)], nil)
	}
}

// One try of a keyframe while the ground is lost.
func BenchmarkRecognise(b *testing.B) {
	var r Registrar
	a, _ := r.see(field().render(at(300, 300, 0, 1), 640, 360, 1), nil)
	a.describe()
	for b.Loop() {
		c, _ := r.see(field().render(at(500, 400, 30, 1), 640, 360, 1), nil)
		if _, ok := recogniseIn(a, c); !ok {
			b.Fatal("not recognised")
		}
	}
}
