package synthetic

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/count/video"
)

// first renders the first frame of a clip.
func first(t *testing.T, c Config) (*Clip, *video.Frame) {
	t.Helper()
	clip, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	f := new(video.Frame)
	if err := clip.Next(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return clip, f
}

// tiny is a picture of about 8 m by 6 m.
var tiny = Config{Seed: 3, Animals: 4, Width: 160, Height: 120, Scale: 20, Tilt: -1, Seconds: 2, FPS: 4}

// TestKindsDiffer renders each ground, light and coat, the same twice and different from the others.
func TestKindsDiffer(t *testing.T) {
	var list []Config
	add := func(change func(*Config)) {
		c := tiny
		change(&c)
		list = append(list, c)
	}
	for _, g := range Grounds() {
		add(func(c *Config) { c.Ground = g })
	}
	for _, l := range Lights()[1:] {
		add(func(c *Config) { c.Light = l })
	}
	for _, k := range Coats()[1:] {
		add(func(c *Config) { c.Coat, c.Herd = k, Follow })
	}
	add(func(c *Config) { c.Lane = 3 })
	add(func(c *Config) { c.Noise = 3 })
	add(func(c *Config) { c.Blur = 1 })
	add(func(c *Config) { c.Exposure = 0.3 })
	add(func(c *Config) { c.Herd = Follow })
	add(func(c *Config) { c.Opening, c.Herd = 70, Follow })
	var frames []*video.Frame
	for i, c := range list {
		_, f := first(t, c)
		if _, again := first(t, c); !bytes.Equal(f.Pix, again.Pix) {
			t.Errorf("%+v: two runs differ", c)
		}
		for k, o := range frames {
			if bytes.Equal(o.Pix, f.Pix) {
				t.Errorf("%+v and %+v look the same", list[i], list[k])
			}
		}
		frames = append(frames, f)
	}
}

// TestTextureAtEveryScale wants neighbouring pixels of bare ground to differ, so that motion can be seen from it.
func TestTextureAtEveryScale(t *testing.T) {
	for _, g := range Grounds() {
		for _, scale := range []float64{4, 22, 80, 200} {
			_, f := first(t, Config{
				Ground: g, Animals: -1, Clutter: -1, Width: 96, Height: 96, Scale: scale, Tilt: -1, Speed: -1,
			})
			sum, n := 0.0, 0
			for y := range f.Height {
				for x := 3; x < f.Width; x += 2 {
					o := (y*f.Width + x) * 3
					sum += math.Abs(float64(f.Pix[o+1]) - float64(f.Pix[o-8]))
					n++
				}
			}
			if mean := sum / float64(n); mean < 1 {
				t.Errorf("%s at %v pixels per metre: pixels differ by %.2f from their third neighbours", g, scale, mean)
			}
		}
	}
}

// TestGroundIsFixed maps pixels of one frame to the ground and on to another frame by the poses of the truth. The same
// ground looks the same there.
func TestGroundIsFixed(t *testing.T) {
	for _, k := range []Camera{Pass, Turn, Zoom, Gust} {
		c := tiny
		c.Animals, c.Camera, c.Speed, c.Seconds, c.Ground, c.Turn = -1, k, 2, 3, Soil, 40
		clip, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		var frames []video.Frame
		for range 6 {
			var f video.Frame
			if err := clip.Next(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
			frames = append(frames, f)
		}
		a, b := clip.Truth().PerFrame[0].Camera.ToGround, clip.Truth().PerFrame[5].Camera.ToGround
		same, other, n := 0.0, 0.0, 0
		for y := 2.5; y < 118; y++ {
			for x := 2.5; x < 158; x++ {
				gx, gy := a[0]*x+a[1]*y+a[2]-b[2], a[3]*x+a[4]*y+a[5]-b[5]
				d := b[0]*b[4] - b[1]*b[3]
				px, py := (gx*b[4]-gy*b[1])/d, (gy*b[0]-gx*b[3])/d
				if px < 1 || py < 1 || px > 158 || py > 118 {
					continue
				}
				v := float64(frames[0].Pix[(int(y)*160+int(x))*3+1])
				same += math.Abs(v - float64(frames[5].Pix[(int(py)*160+int(px))*3+1]))
				other += math.Abs(v - float64(frames[5].Pix[(int(y)*160+int(x))*3+1]))
				n++
			}
		}
		if n < 3000 || same > 0.75*other {
			t.Errorf("%s: %d pixels differ by %.1f from where the truth puts them, by %.1f from the same pixel",
				k, n, same/float64(n), other/float64(n))
		}
	}
}

// TestShadowsFallAsTheLightSays compares pictures with and without one animal.
func TestShadowsFallAsTheLightSays(t *testing.T) {
	shift := func(light Light) (dx, dy float64) {
		c := Config{Seed: 4, Animals: 1, Herd: Follow, Width: 240, Height: 240, Scale: 24, Tilt: -1, Speed: -1, Wind: -1,
			Sun: 90, Light: light, Clutter: -1, Young: -1}
		clip, with := first(t, c)
		c.Animals = -1
		_, without := first(t, c)
		if len(clip.herd) != 1 {
			t.Fatal("no animal")
		}
		cam := clip.flight.at(0)
		mx, my := cam.project(clip.herd[0].at, 0)
		n := 0.0
		for i := range with.Width * with.Height {
			if with.Pix[i*3+1]+12 < without.Pix[i*3+1] {
				dx, dy, n = dx+float64(i%240)-mx, dy+float64(i/240)-my, n+1
			}
		}
		return dx / n / 24, dy / n / 24
	}
	_, day := shift(Day)
	_, noon := shift(Noon)
	if dx, evening := shift(Evening); !(evening > day && day > noon && noon > 0) || math.Abs(dx) > 1 {
		t.Errorf("darkness lies %.2f, %.2f and %.2f m below the animal in the evening, by day and at noon, %.2f m beside it",
			evening, day, noon, dx)
	}
}

// TestAnimalsHaveTheirSize measures grown animals from straight above.
func TestAnimalsHaveTheirSize(t *testing.T) {
	c := Config{Seed: 2, Animals: 30, Herd: Follow, Width: 1000, Height: 600, Scale: 20, Tilt: -1, Speed: 1, Wind: -1,
		Young: -1}
	clip, _ := first(t, c)
	var long []float64
	for _, s := range clip.Truth().PerFrame[0].Animals {
		if s.Visible == 1 {
			long = append(long, (s.Box[2]-s.Box[0])/c.Scale)
		}
	}
	if len(long) < 8 {
		t.Fatalf("%d animals in view", len(long))
	}
	slices.Sort(long)
	if m := long[len(long)/2]; m < 2.1 || m > 2.6 || long[0] < 1.7 || long[len(long)-1] > 3 {
		t.Errorf("animals are %.2f m long, %.2f to %.2f", m, long[0], long[len(long)-1])
	}
	for _, young := range []float64{-1, 1} {
		c.Young = young
		clip, _ := first(t, c)
		for _, a := range clip.Truth().Animals {
			want := map[float64]string{-1: "adult", 1: "young"}[young]
			if a.Class != want || (a.Size < 0.85) != (want == "young") {
				t.Errorf("share %v: %+v", young, a)
			}
		}
	}
}

// TestHerdsKeepApart follows the ways of every herd without drawing.
func TestHerdsKeepApart(t *testing.T) {
	for _, k := range []Herd{Oneway, Lane, Crossing, Follow, Return, Tight} {
		c := Config{Seed: 5, Animals: 24, Herd: k, Width: 1280, Height: 720, Scale: 40, Tilt: -1, Speed: 1.5, Seconds: 12}
		clip, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if len(clip.herd) < 12 {
			t.Errorf("%s: %d of 24 animals have a place", k, len(clip.herd))
		}
		moved := 0
		for _, a := range clip.herd {
			if a.way(0).at.dist(a.way(12).at) > 2 || a.way(0).at.dist(a.way(6).at) > 2 {
				moved++
			}
			for s := 0.0; s < 12; s += 0.1 {
				p, q := a.way(s), a.way(s+0.1)
				if p.at.dist(q.at) > 0.25 || math.Abs(q.heading-p.heading) > 0.35 {
					t.Fatalf("%s: animal %d jumps at %.1f s from %+v to %+v", k, a.id, s, p, q)
				}
			}
		}
		if k != Return && k != Tight && moved < len(clip.herd)*3/4 || k == Return && moved == 0 {
			t.Errorf("%s: %d of %d animals walk", k, moved, len(clip.herd))
		}
		for i, a := range clip.herd {
			for _, b := range clip.herd[:i] {
				for _, s := range clip.instants() {
					if overlap(a.way(s), a.size, b.way(s), b.size, 0.84) {
						t.Fatalf("%s: animals %d and %d touch at %.1f s", k, a.id, b.id, s)
					}
				}
			}
		}
	}
}

// TestReturnLeavesAndComesBack wants animals that were in view, then out of it, then in view again.
func TestReturnLeavesAndComesBack(t *testing.T) {
	clip, err := New(Config{
		Seed: 1, Animals: 16, Herd: Return, Camera: Hover, Wind: -1, Width: 640, Height: 480, Scale: 24, Tilt: -1, Seconds: 16,
	})
	if err != nil {
		t.Fatal(err)
	}
	cam := clip.flight.at(0)
	view := cam.view(0)
	back := 0
	for _, a := range clip.herd {
		if in := view.holds(a.way(0).at); !in {
			continue
		}
		for s := 0.0; s < 16; s += 0.5 {
			if !view.holds(a.way(s).at) && view.holds(a.way(16).at) {
				back++
				break
			}
		}
	}
	if back < 3 {
		t.Errorf("%d animals leave and come back", back)
	}
}

func TestCamerasFlyTheirWay(t *testing.T) {
	at := func(c Config, when float64) camera {
		c.Wind, c.Tilt = -1, -1
		f := flight{c: c.withDefaults()}
		return f.at(when)
	}
	out := Config{Camera: Back, Seconds: 10, Speed: 3}
	if c, home := at(out, 10), at(out, 0); c.at.dist(home.at) > 0.01 {
		t.Errorf("back ends at %+v", c.at)
	}
	if c := at(Config{Camera: Turn, Seconds: 10, Turn: 180}, 10); math.Abs(c.heading-math.Pi) > 1e-9 {
		t.Errorf("turn ends with the heading %v", c.heading)
	}
	if c := at(Config{Camera: Zoom, Seconds: 10, Zoom: 1.5}, 5); math.Abs(c.scale-33) > 1e-9 {
		t.Errorf("zoom has the scale %v in the middle", c.scale)
	}
	if c := at(Config{Camera: Hover}, 5); c.at != (point{}) {
		t.Errorf("hover is at %v", c.at)
	}
	serpentine := Config{Camera: Serpentine, Seconds: 20, Speed: 5}
	if a, b := at(serpentine, 0), at(serpentine, 20); b.at.y < 10 || math.Abs(a.at.x-b.at.x) > 1 {
		t.Errorf("serpentine goes from %v to %v", a.at, b.at)
	}
}

func TestLineCrossings(t *testing.T) {
	type step struct {
		left    float64
		visible bool
	}
	for name, c := range map[string]struct {
		steps []step
		want  []CrossingTruth
	}{
		"straight":           {[]step{{2, true}, {1, true}, {-1, true}, {-2, true}}, []CrossingTruth{{1, 1.5, "in"}}},
		"back":               {[]step{{-2, true}, {2, true}}, []CrossingTruth{{1, 0.5, "out"}}},
		"turns in the band":  {[]step{{2, true}, {-0.4, true}, {2, true}}, nil},
		"starts in the band": {[]step{{0.3, true}, {-2, true}}, nil},
		"out of view":        {[]step{{2, false}, {-2, false}}, nil},
		"over and back":      {[]step{{2, true}, {-2, true}, {2, true}}, []CrossingTruth{{1, 0.5, "in"}, {1, 1.5, "out"}}},
		"trembles, then goes": {[]step{{1, true}, {-0.1, true}, {0.1, true}, {-0.1, true}, {-1, true}},
			[]CrossingTruth{{1, 2.5, "in"}}},
	} {
		l, k := LineTruth{}, crosser{state: map[int]*aspect{}}
		for i, s := range c.steps {
			l.follow(&k, &animal{id: 1}, float64(i), s.left, s.visible)
		}
		if !reflect.DeepEqual(l.Crossings, c.want) || l.In+l.Out != len(c.want) {
			t.Errorf("%s: %+v, want %+v", name, l, c.want)
		}
	}
	// From the top of the picture to its bottom, the left side is at the right of the picture.
	if d := leftOf([2]point{{0, 0}, {0, 5}}, point{2, 1}); d != 2 {
		t.Errorf("left by %v, want 2", d)
	}
}

func TestLaneIsCrossed(t *testing.T) {
	clip, _ := play(t, Config{
		Seed: 6, Animals: 30, Herd: Lane, Camera: Hover, Width: 320, Height: 160, Scale: 12, Tilt: -1, Seconds: 8, FPS: 5,
	})
	lines := clip.Truth().Lines
	if len(lines) != 2 || lines[1].Frame != "ground" || lines[1].In == 0 || lines[1].Out == 0 {
		t.Errorf("%+v", lines)
	}
}

func TestTilesAreForgotten(t *testing.T) {
	clip, err := New(tiny)
	if err != nil {
		t.Fatal(err)
	}
	f := clip.world.floor
	f.limit = 12
	for i := range 40 {
		cam := clip.flight.at(float64(i))
		f.inView(&cam, i)
		if len(f.tiles) > 12 {
			t.Fatalf("%d tiles after frame %d", len(f.tiles), i)
		}
	}
}

func TestAllFaultsAreReported(t *testing.T) {
	_, err := New(Config{Ground: "ice", Light: "dark", Scale: 1, Zoom: 9, Opening: 40})
	for _, want := range []string{"ground \"ice\"", "light \"dark\"", "scale of 1", "zoom of 9", "opening of 40"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}
