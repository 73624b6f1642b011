package synthetic

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"cattlecounter/cloud/count/video"
)

var small = Config{Seed: 7, Animals: 12, Seconds: 1, FPS: 5, Width: 320, Height: 240, Scale: 12, Moving: 0.6}

// play renders a clip and returns its last frame and the truth.
func play(t *testing.T, c Config) (*Clip, video.Frame) {
	t.Helper()
	clip, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	var f video.Frame
	for i := 0; ; i++ {
		err := clip.Next(t.Context(), &f)
		if errors.Is(err, io.EOF) {
			if i != clip.Frames() {
				t.Errorf("%d frames, want %d", i, clip.Frames())
			}
			return clip, f
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Validate(); err != nil || f.Index != i || f.Time != time.Duration(i)*time.Second/5 {
			t.Errorf("frame %d: %v, index %d, time %v", i, err, f.Index, f.Time)
		}
	}
}

func TestSameSeedSamePixels(t *testing.T) {
	a, fa := play(t, small)
	_, fb := play(t, small)
	if !bytes.Equal(fa.Pix, fb.Pix) {
		t.Error("two runs differ")
	}
	other := small
	other.Seed++
	_, fc := play(t, other)
	if bytes.Equal(fa.Pix, fc.Pix) {
		t.Error("two seeds give the same picture")
	}
	if n := len(a.Truth().PerFrame); n != 5 || a.Truth().Frames != 5 {
		t.Errorf("truth of %d frames", n)
	}
}

// TestTruthMatchesPixels compares pictures with and without the herd. They differ only at an animal or its shadow.
func TestTruthMatchesPixels(t *testing.T) {
	clip, err := New(Config{Seed: 5, Animals: 15, Width: 640, Height: 480, Tilt: 30})
	if err != nil {
		t.Fatal(err)
	}
	var with, without video.Frame
	if err := clip.Next(t.Context(), &with); err != nil {
		t.Fatal(err)
	}
	without.Resize(640, 480)
	cam := clip.flight.at(0)
	clip.world.floor.inView(&cam, 0).draw(&without, &cam, 0, 480)
	seen := clip.Truth().PerFrame[0].Animals
	if len(seen) < 3 {
		t.Fatalf("only %d animals in view", len(seen))
	}
	for _, s := range seen {
		changed := 0
		for y := int(s.Box[1]); y < int(s.Box[3]); y++ {
			for x := int(s.Box[0]); x < int(s.Box[2]); x++ {
				o := (y*640 + x) * 3
				if !bytes.Equal(with.Pix[o:o+3], without.Pix[o:o+3]) {
					changed++
				}
			}
		}
		if area := (s.Box[2] - s.Box[0]) * (s.Box[3] - s.Box[1]); float64(changed) < 0.3*area {
			t.Errorf("animal %d fills %d of %.0f pixels of its box", s.ID, changed, area)
		}
	}
	shadow := 2.0 * clip.config.Scale
	for y := range 480 {
		for x := range 640 {
			o := (y*640 + x) * 3
			if bytes.Equal(with.Pix[o:o+3], without.Pix[o:o+3]) {
				continue
			}
			near := false
			for _, s := range seen {
				near = near || float64(x) > s.Box[0]-shadow && float64(x) < s.Box[2]+shadow && float64(y) > s.Box[1]-shadow && float64(y) < s.Box[3]+shadow
			}
			// The shadow of an animal just outside of the frame may be inside.
			edge := float64(min(x, y, 639-x, 479-y)) < 2*shadow
			if !near && !edge {
				t.Fatalf("pixel %d,%d changed without an animal near", x, y)
			}
		}
	}
}

func TestUniqueCount(t *testing.T) {
	clip, _ := play(t, small)
	truth := clip.Truth()
	ids := map[int]bool{}
	for _, f := range truth.PerFrame {
		for _, s := range f.Animals {
			if s.Visible < 0 || s.Visible > 1 || s.Box[0] >= s.Box[2] || s.Box[1] >= s.Box[3] || s.Box[0] < 0 || s.Box[3] > 240 {
				t.Errorf("%+v", s)
			}
			if s.Visible >= inView {
				ids[s.ID] = true
			}
		}
	}
	if len(ids) != truth.UniqueAnimals || truth.UniqueAnimals == 0 {
		t.Errorf("%d unique animals, the frames have %d", truth.UniqueAnimals, len(ids))
	}
}

func TestAnimalsKeepTheirDistance(t *testing.T) {
	c := small
	c.Animals, c.Moving, c.Seconds = 30, 1, 4
	clip, _ := play(t, c)
	for i, a := range clip.herd {
		for _, b := range clip.herd[:i] {
			if d := a.at.dist(b.at); d < personalSpace*0.8 {
				t.Errorf("animals %d and %d are %.2f m apart", a.id, b.id, d)
			}
		}
	}
}

func TestCameraInverse(t *testing.T) {
	for _, c := range []Config{{Speed: 5, Scale: 20, Tilt: 34, Width: 640, Height: 480, Wind: 1}, {Scale: 80, Opening: 70, Width: 640, Height: 480}} {
		f := flight{c: c}
		cam := f.at(3.3)
		g := cam.ground(123, 345)
		if x, y := cam.project(g, 0); math.Abs(x-123) > 1e-6 || math.Abs(y-345) > 1e-6 {
			t.Errorf("%+v: %v %v", c, x, y)
		}
		m := cam.toGround()
		if x, y := m[0]*123+m[1]*345+m[2], m[3]*123+m[4]*345+m[5]; (point{x, y}).dist(g) > 1e-9 {
			t.Errorf("%+v: the map gives %v %v, want %v", c, x, y, g)
		}
		// What is high is farther from the middle in a central projection, and farther up in a tilted one.
		low, high := cam.depth(g), 0.0
		_, y0 := cam.project(g, 0)
		_, y1 := cam.project(g, 1)
		if high = y1 - y0; c.Tilt > 0 && high >= 0 || c.Tilt == 0 && high*low <= 0 {
			t.Errorf("%+v: a metre of height moves the point by %v down", c, high)
		}
	}
}

func TestNewRefusesConfigs(t *testing.T) {
	for name, c := range map[string]Config{
		"animals": {Animals: 6000}, "herd": {Herd: "flock"}, "replay": {Herd: Replay}, "seconds": {Seconds: -1}, "fps": {FPS: 1000}, "size": {Width: 1}, "scale": {Scale: 1},
		"tilt": {Tilt: 80}, "nan": {Seconds: math.NaN()}, "moving": {Moving: 2}, "speed": {Speed: 99},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNextIsCanceled(t *testing.T) {
	clip, err := New(small)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := clip.Next(ctx, new(video.Frame)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkFrame(b *testing.B) {
	clip, err := New(Config{Seed: 1, Seconds: 3000, Speed: -1})
	if err != nil {
		b.Fatal(err)
	}
	var f video.Frame
	for b.Loop() {
		if err := clip.Next(b.Context(), &f); err != nil {
			b.Fatal(err)
		}
	}
}
