package track

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track/motion"
)

const cutW, cutH = 1000, 600 // pixels of the frame

// cutBox is the part inside the frame of the box of an animal of 200 by 80 pixels; ok is false when too little is.
func cutBox(x, y float64) (detect.Box, bool) {
	b := detect.Box{X1: float32(max(x-100, 0)), X2: float32(min(x+100, cutW)), Y1: float32(max(y-40, 0)),
		Y2: float32(min(y+40, cutH)), Score: 0.9, Label: "cow"}
	return b, b.Width() > 30 && b.Height() > 20
}

func watch(tr *Tracker, index int, seconds float64, pose motion.Transform, boxes ...detect.Box) []int {
	return tr.Observe(Observation{Index: index, Seconds: seconds, Width: cutW, Height: cutH, Boxes: boxes,
		Pose: motion.Pose{ToGround: pose, Inliers: 1}})
}

// An animal that walks over the edge of the frame walks on with its speed, whatever the heading of the camera is.
func TestAnimalsThatLeaveKeepTheirSpeed(t *testing.T) {
	for name, pose := range map[string]motion.Transform{
		"as the ground": {A: 1}, "turned": {B: 1, TX: 300, TY: -50}, "turned by half a right angle": {A: math.Sqrt2 / 2, B: math.Sqrt2 / 2},
	} {
		tr := New(Options{Threshold: 0.4})
		const speed = 100.0 // pixels a second
		last := 0.0
		for i := range 20 {
			s := float64(i) / 3
			x := 600 + speed*s
			b, ok := cutBox(x, 300)
			if !ok {
				break
			}
			watch(tr, i*10, s, pose, b)
			last = x
		}
		if len(tr.Tracks()) != 1 {
			t.Errorf("%s: %d tracks of one animal", name, len(tr.Tracks()))
			continue
		}
		a := tr.Tracks()[0]
		at := pose.Inverse().Apply(motion.Point{X: a.X, Y: a.Y})
		const near = 0.2 * 126 // sizes
		if math.Abs(at.X-last) > near || math.Abs(at.Y-300) > near/4 {
			t.Errorf("%s: the middle of the animal is at %.0f, %.0f; want %.0f, 300", name, at.X, at.Y, last)
		}
		if v := math.Hypot(a.kx.vel, a.ky.vel); math.Abs(v-speed) > 0.2*speed {
			t.Errorf("%s: %.0f pixels a second, want %.0f", name, v, speed)
		}
	}
}

// In a lane animals leave the view one after the other at one place. The sightings of the second one are not those of the
// first, which was seen there seconds ago.
func TestTheBetterKnownTrackGetsTheSighting(t *testing.T) {
	tr := New(Options{Threshold: 0.4})
	second := 0
	for i := range 14 {
		s := float64(i) / 3
		var boxes []detect.Box
		first := -1
		if b, ok := cutBox(940+200*s, 300); ok && i < 2 {
			boxes, first = append(boxes, b), 0
		}
		b, ok := cutBox(600+100*s, 305)
		if !ok {
			break
		}
		ids := watch(tr, i*10, s, motion.Identity, append(boxes, b)...)
		if id := ids[first+1]; second == 0 {
			second = id
		} else if id != second {
			t.Fatalf("second %.1f: the animal of track %d is taken for that of track %d", s, second, id)
		}
	}
	if n := len(tr.Tracks()); n != 2 {
		t.Errorf("%d tracks of two animals", n)
	}
}

// An animal walks out of the frame, and some seconds later one comes in. On the line of the first it is the first, which has
// turned. Aside of that line it is another one, as in a lane with traffic in both directions.
func TestWhoComesInWhereAnAnimalWalkedOut(t *testing.T) {
	for name, c := range map[string]struct {
		aside, away float64 // sizes, seconds
		drift       float64 // sizes that the camera moves back from the animal meanwhile
		want        int
	}{
		"it turns and comes back":                {0, 2, 0, 1},
		"it turns after a while":                 {0, 3.7, 0, 1},
		"it comes back half a size aside":        {0.5, 3.7, 0, 1},
		"another one comes in":                   {1.35, 3.7, 0, 2},
		"another one comes in on the other side": {-1.35, 3.7, 0, 2},
		"another one under a camera that hovers": {1.35, 3.7, 0.3, 2},
		"it turns while the camera looks away":   {1.35, 3.7, 1.5, 1},
	} {
		for turn, pose := range map[string]motion.Transform{"": {A: 1}, ", turned camera": {B: 1, TX: 300, TY: -50}} {
			const speed, size = 45.0, 126.5 // pixels a second, pixels
			tr := New(Options{Threshold: 0.4})
			frames := 0
			see := func(seconds, moved float64, boxes ...detect.Box) {
				at := pose
				at.TX, at.TY = at.TX-moved*size*at.A, at.TY-moved*size*at.B
				watch(tr, frames, seconds, at, boxes...)
				frames++
			}
			at := 0.0
			for b, ok := cutBox(960, 300); ok; b, ok = cutBox(960+speed*at, 300) {
				see(at, 0, b)
				at += 1.0 / 3
			}
			left := at
			for ; at < left+c.away; at += 1.0 / 3 {
				see(at, c.drift*math.Sin(math.Pi*(at-left)/c.away))
			}
			for n := range 9 {
				b, _ := cutBox(1050-speed*float64(n)/3, 300+c.aside*size)
				see(at+float64(n)/3, 0, b)
			}
			if got := len(tr.Tracks()); got != c.want {
				t.Errorf("%s%s: %d tracks, want %d", name, turn, got, c.want)
			}
		}
	}
}

// The noise across the edge of the frame is that of the axis of the ground that lies across it.
func TestNoiseTurnsWithTheCamera(t *testing.T) {
	b, _ := cutBox(950, 300)
	for _, c := range []struct {
		pose   motion.Transform
		nx, ny float64
	}{
		{motion.Identity, cutNoise, alongNoise},
		{motion.Transform{B: 2}, alongNoise, cutNoise},
		{motion.Transform{A: -1}, cutNoise, alongNoise},
	} {
		o := Observation{Width: cutW, Height: cutH, Boxes: []detect.Box{b}, Pose: motion.Pose{ToGround: c.pose}}
		s := newView(o).sightings(o, 0.4)
		if nx, ny := s[0].noise(cutNoise); math.Abs(nx-c.nx) > 1e-6 || math.Abs(ny-c.ny) > 1e-6 {
			t.Errorf("%+v: noise %.2f, %.2f; want %.2f, %.2f", c.pose, nx, ny, c.nx, c.ny)
		}
	}
}
