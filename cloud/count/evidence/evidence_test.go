package evidence_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"
	"time"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
)

const (
	width, height = 320, 180
	ground        = 90 // gray of the ground
)

// flight is a camera over a level ground with dark squares as animals.
type flight struct {
	animals []motion.Point // centres on the ground
	tracks  []*track.Track
	sizes   float64
}

func newFlight(animals ...motion.Point) *flight {
	f := &flight{animals: animals, sizes: 40}
	for i := range animals {
		f.tracks = append(f.tracks, &track.Track{ID: i + 1, Evidence: 5, W: f.sizes, H: f.sizes})
	}
	return f
}

// step is the frame i, whose upper left corner is at x, y on the ground of a segment.
func (f *flight) step(i int, x, y float64, segment int) *evidence.Step {
	frame := &video.Frame{}
	frame.Resize(width, height)
	frame.Index = i
	for k := range frame.Pix {
		frame.Pix[k] = ground
	}
	s := &evidence.Step{Frame: frame, Seconds: float64(i) / 6, Count: len(f.animals)}
	s.Pose = motion.Pose{ToGround: motion.Transform{A: 1, TX: x, TY: y}, Segment: segment, Inliers: 1}
	s.Looked = []motion.Rect{{X2: width, Y2: height}}
	for n, a := range f.animals {
		t := f.tracks[n]
		h := f.sizes / 2
		b := motion.Rect{X1: a.X - x - h, Y1: a.Y - y - h, X2: a.X - x + h, Y2: a.Y - y + h}
		if b.X1 < 0 || b.Y1 < 0 || b.X2 > width || b.Y2 > height || (t.Hits > 0 && t.Segment != segment) {
			continue
		}
		for py := int(b.Y1); py < int(b.Y2); py++ {
			for px := int(b.X1); px < int(b.X2); px++ {
				frame.Pix[(py*width+px)*3+2] = 250 // red
			}
		}
		t.X, t.Y, t.Segment, t.Last = a.X, a.Y, segment, i
		t.Hits, t.Strong = t.Hits+1, t.Strong+1
		t.Way = append(t.Way, track.Fix{Frame: i, Seconds: s.Seconds, X: a.X, Y: a.Y, Box: detect.Box{
			X1: float32(b.X1), Y1: float32(b.Y1), X2: float32(b.X2), Y2: float32(b.Y2), Score: 0.9}})
		s.Tracks = append(s.Tracks, track.Placed{Track: t, Box: b, Whole: true})
	}
	return s
}

// result counts every track that was seen.
func (f *flight) result() tally.Result {
	r := tally.Result{}
	for _, t := range f.tracks {
		if t.Hits > 0 {
			r.Counted = append(r.Counted, t)
		}
	}
	r.Unique, r.Low, r.High = len(r.Counted), len(r.Counted), len(r.Counted)
	return r
}

func open(t *testing.T, b []byte) image.Image {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// share is the part of a picture whose pixels pass.
func share(img image.Image, pass func(r, g, b int) bool) float64 {
	n := 0
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			c := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
			if pass(int(c.R), int(c.G), int(c.B)) {
				n++
			}
		}
	}
	return float64(n) / float64(img.Bounds().Dx()*img.Bounds().Dy())
}

func isRed(r, g, b int) bool    { return r > 180 && g < 130 && b < 130 }
func isUnseen(r, g, b int) bool { return abs(r-118) < 8 && abs(g-118) < 8 && abs(b-118) < 8 }
func isAmber(r, g, b int) bool  { return r > 190 && g > 140 && b < 110 }
func abs(v int) int             { return max(v, -v) }

// film keeps the pictures of the annotated video.
type film struct {
	times  []time.Duration
	last   *image.RGBA
	fail   error
	closed int
}

func (f *film) Write(img *image.RGBA, at time.Duration) error {
	f.times = append(f.times, at)
	f.last = &image.RGBA{Pix: bytes.Clone(img.Pix), Stride: img.Stride, Rect: img.Rect}
	return f.fail
}

func (f *film) Close() error { f.closed++; return nil }

func TestEveryAnimalOnceOnTheSheet(t *testing.T) {
	f := newFlight(motion.Point{X: 60, Y: 50}, motion.Point{X: 200, Y: 120}, motion.Point{X: 420, Y: 60},
		motion.Point{X: 700, Y: 100}, motion.Point{X: 745, Y: 140}, motion.Point{X: 1000, Y: 90})
	r := evidence.New(evidence.Options{Sheets: true}, 6)
	for i := range 60 {
		r.Observe(f.step(i, float64(i)*14, 0, 0))
	}
	e, err := r.Finish("a.mp4", f.result())
	if err != nil {
		t.Fatal(err)
	}
	img := open(t, e.Sheet)
	// Every animal is 1600 pixels; a seam through one, or a second picture of one, would change the sum.
	red := share(img, isRed) * float64(img.Bounds().Dx()*img.Bounds().Dy())
	want := 1600.0 * float64(len(f.animals))
	if math.Abs(red-want) > 0.4*want {
		t.Errorf("%v red pixels, want about %v", red, want)
	}
	if len(e.Contact) != 1 {
		t.Fatalf("%d pages", len(e.Contact))
	}
	if s := share(open(t, e.Contact[0]), isRed); s < 0.1 {
		t.Errorf("the contact sheet shows animals on %v of it", s)
	}
}

func TestGroundThatWasNotSeenIsBlank(t *testing.T) {
	f := newFlight(motion.Point{X: 60, Y: 50})
	r := evidence.New(evidence.Options{Sheets: true}, 6)
	for i := range 40 { // an L: a corner of its rectangle stays unseen
		r.Observe(f.step(i, min(float64(i), 20)*20, max(float64(i)-20, 0)*20, 0))
	}
	e, err := r.Finish("a.mp4", f.result())
	if err != nil {
		t.Fatal(err)
	}
	// 720 x 560 of ground, of which 400 x 380 are unseen, on a sheet with a title.
	if s := share(open(t, e.Sheet), isUnseen); s < 0.2 || s > 0.4 {
		t.Errorf("%v of the sheet is blank", s)
	}
}

func TestALongFlightFitsTheSheet(t *testing.T) {
	if testing.Short() {
		t.Skip("compresses hundreds of pictures")
	}
	f := newFlight(motion.Point{X: 100, Y: 90}, motion.Point{X: 29_900, Y: 90})
	r := evidence.New(evidence.Options{Sheets: true}, 6)
	for i := range 300 {
		r.Observe(f.step(i, float64(i)*100, 0, 0))
	}
	e, err := r.Finish("a.mp4", f.result())
	if err != nil {
		t.Fatal(err)
	}
	size := open(t, e.Sheet).Bounds()
	if size.Dx() > 6000 || size.Dy() > 6000 || size.Dx() < 2000 || size.Dy() < 2000 {
		t.Errorf("the sheet has %v pixels", size)
	}
	if s := share(open(t, e.Sheet), isAmber); s == 0 {
		t.Error("no animal is marked")
	}
}

func TestSegmentsAndJoins(t *testing.T) {
	f := newFlight(motion.Point{X: 60, Y: 50}, motion.Point{X: 100, Y: 100})
	sizes := map[bool]image.Rectangle{}
	for _, joined := range []bool{false, true} {
		r := evidence.New(evidence.Options{Sheets: true}, 6)
		r.Observe(f.step(0, 0, 0, 0))
		r.Observe(f.step(1, 1000, 1000, 1))
		s := f.step(2, 0, 0, 1)
		if joined {
			s.Pose.Segment = 0
			s.Pose.Joined = &motion.Join{From: 1, To: 0, Map: motion.Transform{A: 1, TX: -1000, TY: -1000}}
		}
		r.Observe(s)
		e, err := r.Finish("a.mp4", f.result())
		if err != nil {
			t.Fatal(err)
		}
		sizes[joined] = open(t, e.Sheet).Bounds()
	}
	if sizes[true].Dy() >= sizes[false].Dy() {
		t.Errorf("joined segments take %v, apart %v", sizes[true], sizes[false])
	}
}

func TestVideo(t *testing.T) {
	f := newFlight(motion.Point{X: 160, Y: 90})
	out := &film{}
	r := evidence.New(evidence.Options{Video: func(w, h int, rate float64) (evidence.VideoWriter, error) {
		if w != 160 || h != 90 || rate != 6 {
			t.Errorf("video of %dx%d at %v", w, h, rate)
		}
		return out, nil
	}, Side: 160}, 6)
	for i := range 12 {
		r.Observe(f.step(i, float64(i), 0, 0))
	}
	r.Observe(f.step(11, 11, 0, 0)) // a time that does not grow
	e, err := r.Finish("a.mp4", f.result())
	if err != nil {
		t.Fatal(err)
	}
	if len(out.times) != 12 || out.closed != 1 || e.Video == nil || e.Video.Pictures != 12 {
		t.Fatalf("%d pictures, closed %d times, %+v", len(out.times), out.closed, e.Video)
	}
	if want := 1833 * time.Millisecond; out.times[11] != want {
		t.Errorf("last picture at %v, want %v", out.times[11], want)
	}
	red := share(out.last, isRed)
	if want := 400.0 / (160 * 90); math.Abs(red-want) > 0.5*want {
		t.Errorf("the animal takes %v of the picture, want about %v", red, want)
	}
	if e.Sheet != nil || e.Contact != nil {
		t.Error("sheets were not asked for")
	}
}

func TestAFaultOfTheVideoIsNoFaultOfTheRest(t *testing.T) {
	fault := errors.New("disk full")
	for name, open := range map[string]func(int, int, float64) (evidence.VideoWriter, error){
		"open":  func(int, int, float64) (evidence.VideoWriter, error) { return nil, fault },
		"write": func(int, int, float64) (evidence.VideoWriter, error) { return &film{fail: fault}, nil },
	} {
		f := newFlight(motion.Point{X: 160, Y: 90})
		r := evidence.New(evidence.Options{Video: open, Sheets: true}, 6)
		for i := range 20 {
			r.Observe(f.step(i, float64(i), 0, 0))
		}
		e, err := r.Finish("a.mp4", f.result())
		if !errors.Is(err, fault) || e.Video != nil || e.Sheet == nil || len(e.Contact) != 1 {
			t.Errorf("%s: %v, %+v", name, err, e.Video)
		}
		r.Discard()
	}
}

// A camera that turns fast has up to 30 steps a second. The video keeps about its rate.
func TestVideoOfManySteps(t *testing.T) {
	f := newFlight(motion.Point{X: 160, Y: 90})
	out := &film{}
	r := evidence.New(evidence.Options{Video: func(int, int, float64) (evidence.VideoWriter, error) { return out, nil }}, 6)
	for i := range 60 {
		s := f.step(i, 0, 0, 0)
		s.Seconds = float64(i) / 30
		r.Observe(s)
	}
	if _, err := r.Finish("a.mp4", f.result()); err != nil {
		t.Fatal(err)
	}
	if n := len(out.times); n < 12 || n > 22 {
		t.Errorf("%d pictures in two seconds, want about 12", n)
	}
}

// TestNothingSeen has no frame at all, and frames without animals.
func TestNothingSeen(t *testing.T) {
	out := &film{}
	o := evidence.Options{Sheets: true, Video: func(int, int, float64) (evidence.VideoWriter, error) { return out, nil }}
	r := evidence.New(o, 6)
	if e, err := r.Finish("a.mp4", tally.Result{}); err != nil || e.Sheet != nil || e.Video != nil || out.closed != 0 {
		t.Errorf("%v %+v", err, e)
	}
	r = evidence.New(o, 6)
	r.Observe(newFlight().step(0, 0, 0, 0))
	if e, err := r.Finish("a.mp4", tally.Result{}); err != nil || e.Sheet == nil || len(e.Contact) != 0 || e.Video == nil {
		t.Errorf("%v %+v", err, e)
	}
}
