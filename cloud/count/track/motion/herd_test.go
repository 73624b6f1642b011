package motion

import "testing"

// The animals cover about 60 % of the picture, have much more texture than the ground and walk all one way.
func TestWalkingHerdDoesNotCarryTheCameraAway(t *testing.T) {
	const w, h = 640, 360
	g := field()
	d := herd{side: 140, gap: 40, vx: 5, vy: 3, seed: 9}
	for name, path := range map[string]func(i int) Transform{
		"standing":        func(int) Transform { return at(400, 300, 0, 1) },
		"pan":             func(i int) Transform { return at(200+18*float64(i), 300, 0, 1) },
		"with the herd":   func(i int) Transform { return at(200+5*float64(i), 300+3*float64(i), 0, 1) },
		"against the way": func(i int) Transform { return at(1200-20*float64(i), 300, 0, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r Registrar
			for i := range 20 {
				camera := path(i)
				f := g.render(camera, w, h, 1)
				faint(f, 0.12, uint64(i))
				animals := d.rects(camera, i, w, h)
				d.draw(f, animals)
				pose := r.Register(f, animals)
				want := camera.Then(path(0).Inverse())
				if e := worstCorner(pose.ToGround, want, w, h); e > 3 || pose.Segment != 0 || pose.Inliers == 0 {
					t.Fatalf("frame %d: wrong by %.1f pixels, segment %d, inliers %.2f", i, e, pose.Segment, pose.Inliers)
				}
			}
		})
	}
}

func TestMaskLeavesGroundBetweenCrowdedAnimals(t *testing.T) {
	m := newMask(640, 360)
	var herd []Rect
	for y := 0.0; y < 360; y += 60 {
		for x := 0.0; x < 640; x += 60 {
			herd = append(herd, Rect{x, y, x + 44, y + 44})
		}
	}
	m.hide(herd, 1)
	if v := m.visible(); v == 0 {
		t.Errorf("nothing is visible between the animals")
	}
	m.hide(nil, 1)
	if v := m.visible(); v != 1 {
		t.Errorf("%.2f visible without animals, want 1", v)
	}
	m.hide([]Rect{{100, 100, 200, 180}}, 1)
	if !m.at(Point{90, 140}) || m.at(Point{20, 140}) {
		t.Errorf("the margin around an animal is wrong")
	}
}
