package solid

import (
	"math"
	"slices"
	"testing"
)

var (
	ax = Vec{X: 1}
	ay = Vec{Y: 1}
	az = Vec{Z: 1}
)

func white(*Surface) (RGB, bool) { return RGB{1, 1, 1}, true }

func shapes() map[string]*Mesh {
	tube, ball, box := &Mesh{}, &Mesh{}, &Mesh{}
	tube.Limb([]Joint{{Vec{-1, 0, 1}, 0.3, 0.2}, {Vec{0, 0.2, 1.2}, 0.4, 0.3}, {Vec{1, 0, 0.6}, 0.2, 0.2}}, ay, 12, 0)
	ball.Ball(Vec{0, 0, 1}, ax, ay.Scale(0.5), az.Scale(0.7), 16, 10, nil, 0)
	box.Box(Vec{0, 0, 0.5}, ax, ay.Scale(0.5), az.Scale(0.5), 2, 0)
	return map[string]*Mesh{"tube": tube, "ball": ball, "box": box}
}

// TestSurfacesFaceOutwards checks the signed volume of closed surfaces. It is positive only for counter-clockwise
// corners, seen from outside.
func TestSurfacesFaceOutwards(t *testing.T) {
	for name, m := range shapes() {
		m.Place(Vec{3, 4, 0}, 0.7, 1)
		volume := 0.0
		edges := map[[2]Vec]int{}
		for _, f := range m.Faces {
			a, b, c := m.Verts[f[0]].P, m.Verts[f[1]].P, m.Verts[f[2]].P
			volume += a.Dot(b.Cross(c)) / 6
			for _, e := range [][2]Vec{{a, b}, {b, c}, {c, a}} {
				edges[e]++
				edges[[2]Vec{e[1], e[0]}]--
			}
		}
		if volume < 0.2 {
			t.Errorf("%s: volume %v", name, volume)
		}
		for e, n := range edges {
			if n != 0 && e[0].Sub(e[1]).Len() > 1e-9 {
				t.Errorf("%s: the edge %v is not between two faces of the same orientation", name, e)
			}
		}
	}
}

// TestFarSidesAreInvisible checks that pictures and shadows are the same without the faces that point away.
func TestFarSidesAreInvisible(t *testing.T) {
	cam := NewCamera(120, 100, 300, 12, 0.7, 0.4)
	sun := Vec{0.5, 0.3, 0.8}.Unit()
	for name, m := range shapes() {
		m.Place(Vec{}, 0.5, 1)
		var ids [2][]uint16
		var masks [2][]uint8
		for i, open := range []bool{false, true} {
			m.Open = open
			c, k := NewCanvas(120, 100), NewMask(120, 100)
			c.Draw(cam, m, 1, white)
			k.Cast(cam, m, sun)
			k.Resolve(0)
			ids[i], masks[i] = c.ID, k.Cover
		}
		if !slices.Equal(ids[0], ids[1]) {
			t.Errorf("%s: the pictures differ", name)
		}
		if got := total(masks[0]); got == 0 || math.Abs(float64(got-total(masks[1]))) > 0.02*float64(got) {
			t.Errorf("%s: shadows of %d and %d", name, total(masks[0]), total(masks[1]))
		}
	}
}

func total(mask []uint8) (sum int) {
	for _, v := range mask {
		sum += int(v)
	}
	return sum
}

func TestCameraInverse(t *testing.T) {
	for _, tilt := range []float64{0, 0.4, 1.1} {
		cam := NewCamera(640, 480, 700, 50, tilt, 0.8)
		for _, p := range [][2]float64{{320, 240}, {12, 470}, {600, 300}} {
			g, ok := cam.Ground(p[0], p[1])
			if !ok {
				continue // above the horizon
			}
			x, y, depth, ok := cam.Project(g)
			if !ok || math.Abs(x-p[0]) > 1e-6 || math.Abs(y-p[1]) > 1e-6 || math.Abs(cam.PerMetre(g)-700/depth) > 1e-9 {
				t.Errorf("tilt %v: %v is projected to %v %v", tilt, p, x, y)
			}
		}
	}
	cam := NewCamera(640, 480, 300, 50, 1.2, 0)
	if _, ok := cam.Ground(320, 0); ok {
		t.Error("ground above the horizon")
	}
	if _, _, _, ok := cam.Project(cam.Pos().Sub(cam.forward)); ok {
		t.Error("a place behind the camera is visible")
	}
}

// TestCoverageAndDepth checks the number of samples of a box, that the nearer of two boxes hides the other, and that
// the parts outside of the picture count.
func TestCoverageAndDepth(t *testing.T) {
	cam := NewCamera(100, 100, 1000, 100, 0, 0) // 10 pixels a metre on the ground
	box := func(at Vec, half float64) *Mesh {
		m := &Mesh{}
		m.Box(Vec{}, ax.Scale(half), ay.Scale(half), az.Scale(0.001), 1, 0)
		m.Place(at, 0, 1)
		return m
	}
	c := NewCanvas(100, 100)
	if n := c.Draw(cam, box(Vec{}, 2), 1, white); n != 80*80 {
		t.Errorf("%d samples, want %d", n, 80*80)
	}
	c.Draw(cam, box(Vec{Z: 1}, 1), 2, white)
	c.Draw(cam, box(Vec{Z: -1}, 1.5), 3, white)
	if got := c.ID[100*c.Width+100]; got != 2 {
		t.Errorf("the middle shows %d, want 2", got)
	}
	if slices.Contains(c.ID, 3) {
		t.Error("the lower box is visible")
	}
	if n := c.Draw(cam, box(Vec{X: 5}, 2), 4, white); n != 80*80 {
		t.Errorf("at the edge %d samples, want %d", n, 80*80)
	}
	if n := c.Draw(cam, box(Vec{X: 50}, 2), 5, white); n != 0 {
		t.Errorf("out of view %d samples", n)
	}
	c.Clear()
	if slices.Max(c.ID) != 0 {
		t.Error("the canvas is not empty after Clear")
	}
}

func TestShadowFallsAwayFromTheSun(t *testing.T) {
	cam := NewCamera(100, 100, 1000, 100, 0, 0)
	m := &Mesh{}
	m.Ball(Vec{Z: 1}, ax.Scale(0.3), ay.Scale(0.3), az.Scale(0.3), 12, 8, nil, 0)
	m.Place(Vec{}, 0, 1)
	k := NewMask(100, 100)
	k.Cast(cam, m, Vec{1, 0, 1}.Unit()) // from +x at 45 degrees: one metre to -x
	k.Resolve(0)
	if k.Cover[50*100+40] != 255 || k.Cover[50*100+50] != 0 {
		t.Errorf("shadow %d, foot %d", k.Cover[50*100+40], k.Cover[50*100+50])
	}
	if !k.Hit(cam, Vec{X: -1}) || k.Hit(cam, Vec{}) || k.Hit(cam, Vec{X: 500}) {
		t.Error("Hit differs from the shadow of Cast")
	}
	hard := slices.Clone(k.Cover)
	k.Resolve(2)
	if slices.Equal(hard, k.Cover) {
		t.Error("the edge is not softened")
	}
	for i, v := range k.Cover {
		if v > 0 && (i%100 < 25 || i%100 > 55) {
			t.Fatalf("softening reached column %d", i%100)
		}
	}
}
