package flight

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/footage"
)

const (
	frameW, frameH = 960, 540
	boxW, boxH     = 60, 36
	stepSeconds    = 0.25
	fps            = 30
)

// animal walks over the ground, in pixels and pixels a second.
type animal struct{ x, y, vx, vy float64 }

func herd(n int, length, walk float64) []animal {
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	var all []animal
	for len(all) < n {
		a := animal{x: rng.Float64() * length, y: 40 + rng.Float64()*(frameH-80), vx: walk, vy: walk * 0.2 * rng.NormFloat64()}
		if !slices.ContainsFunc(all, func(b animal) bool { return math.Hypot(a.x-b.x, a.y-b.y) < 80 }) {
			all = append(all, a)
		}
	}
	return all
}

// world is a herd under a camera that flies to the right.
type world struct {
	animals []animal
	speed   float64 // of the camera, pixels a second
}

// film records the seconds from..to of the flight as part n, with the ground of its own first frame, turned a little.
func (w world) film(n int, from, to float64) Part {
	rng := rand.New(rand.NewPCG(uint64(n), 3))
	own := w.ground(n, from).Inverse()
	tr := track.New(track.Options{Threshold: 0.3})
	var rec Recorder
	for i := 0; float64(i)*stepSeconds < to-from; i++ {
		sec := float64(i) * stepSeconds
		at := motion.Transform{A: 1, TX: w.speed * (from + sec)} // frame -> ground of the world
		o := track.Observation{Index: int(sec * fps), Seconds: sec, Width: frameW, Height: frameH,
			Pose: motion.Pose{ToGround: at.Then(own), Inliers: 1}}
		for _, a := range w.animals {
			c := at.Inverse().Apply(motion.Point{X: a.x + a.vx*(from+sec), Y: a.y + a.vy*(from+sec)})
			x1, x2 := max(c.X-boxW/2, 0), min(c.X+boxW/2, frameW)
			y1, y2 := max(c.Y-boxH/2, 0), min(c.Y+boxH/2, frameH)
			if x2-x1 < boxW/3 || y2-y1 < boxH/3 || rng.Float64() > 0.9 {
				continue
			}
			o.Boxes = append(o.Boxes, detect.Box{X1: float32(x1), Y1: float32(y1), X2: float32(x2), Y2: float32(y2), Score: 0.6,
				Label: "cow"})
		}
		tr.Observe(o)
		rec.See(crossing.Step{Frame: o.Index, Seconds: sec, Width: frameW, Height: frameH, Pose: o.Pose})
	}
	c := tally.Count(tr.Tracks())
	name := fmt.Sprintf("DJI_%04d.MP4", n)
	t := rec.Trace(Trace{Width: frameW, Height: frameH, FPS: fps, Frames: int((to - from) * fps), Seconds: to - from,
		Codec: "h264"}, tr.Tracks(), motion.Map{Width: n})
	return Part{Key: name, Unique: c.Unique, Low: c.Low, High: c.High, ByClass: c.ByClass, Trace: t, About: footage.Part{
		Path: name, Duration: time.Duration((to - from) * float64(time.Second)), Width: frameW, Height: frameH, FPS: fps, Codec: "h264"}}
}

// ground maps the ground of part n, which begins at a second, to that of the world.
func (w world) ground(n int, from float64) motion.Transform {
	turn := 0.3 * float64(n)
	return motion.Transform{A: math.Cos(turn), B: math.Sin(turn), TX: w.speed*from + 17*float64(n), TY: -9}
}

// aligner knows the true ground of parts, by the width of their maps. starts are the seconds at which they begin.
func (w world) aligner(starts map[int]float64) Aligner {
	return func(a, b motion.Map) []motion.Alignment {
		sa, oka := starts[a.Width]
		sb, okb := starts[b.Width]
		if !oka || !okb {
			return nil
		}
		return []motion.Alignment{{Join: motion.Join{Map: w.ground(b.Width, sb).Then(w.ground(a.Width, sa).Inverse())},
			Confidence: 0.9}}
	}
}

func (w world) filmed(from, to float64) int {
	n := 0
	for _, a := range w.animals {
		seen := false
		for sec := from; sec < to; sec += stepSeconds {
			x, y := a.x+a.vx*sec-w.speed*sec, a.y+a.vy*sec
			seen = seen || x > 20 && x < frameW-20 && y > 10 && y < frameH-10
		}
		if seen {
			n++
		}
	}
	return n
}

func near(got, want, slop int) bool { return got >= want-slop && got <= want+slop }

// A flight that is cut anywhere has one count, near that of the whole herd, with and without a break, also when the herd
// walks. Its parts may be given in any order.
func TestFlightIsCountedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		w    world
		cuts [][2]float64
		slop int
	}{
		"standing herd, two parts":       {world{herd(90, 5000, 0), 200}, [][2]float64{{0, 10}, {10, 20}}, 2},
		"standing herd, three parts":     {world{herd(90, 5000, 0), 200}, [][2]float64{{0, 6}, {6, 13}, {13, 20}}, 2},
		"standing herd, 3 s missing":     {world{herd(90, 5000, 0), 200}, [][2]float64{{0, 9}, {12, 20}}, 2},
		"standing herd, standing camera": {world{herd(25, 900, 0), 0}, [][2]float64{{0, 10}, {10, 20}}, 1},
		"walking herd, two parts":        {world{herd(60, 4000, 30), 150}, [][2]float64{{0, 10}, {10, 20}}, 3},
		"walking herd, 3 s missing":      {world{herd(60, 4000, 30), 150}, [][2]float64{{0, 9}, {12, 20}}, 4},
		"a very short part":              {world{herd(90, 5000, 0), 200}, [][2]float64{{0, 10}, {10, 10.5}, {10.5, 20}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var parts []Part
			starts := map[int]float64{}
			sum := 0
			for i, cut := range c.cuts {
				parts = append(parts, c.w.film(i+1, cut[0], cut[1]))
				starts[i+1] = cut[0]
				sum += parts[i].Unique
			}
			want := c.w.film(9, 0, 20).Unique
			got := Join(parts, c.w.aligner(starts))
			if len(got) != 1 || len(got[0].Parts) != len(parts) {
				t.Fatalf("flights %+v", got)
			}
			f := got[0]
			if !near(f.Unique, want, c.slop) || sum <= want {
				t.Errorf("%d animals, want %d; the sum of the parts is %d", f.Unique, want, sum)
			}
			if f.Low > f.Unique || f.High < f.Unique || len(f.Animals) != f.Unique || f.ByClass["cow"] != f.Unique {
				t.Errorf("count %d [%d, %d], %d animals, %v", f.Unique, f.Low, f.High, len(f.Animals), f.ByClass)
			}
			checkAnimals(t, parts, f)
			slices.Reverse(parts)
			back := Join(parts, c.w.aligner(starts))
			if len(back) != 1 || back[0].Unique != f.Unique || !reflect.DeepEqual(back[0].Animals, f.Animals) {
				t.Errorf("parts in reverse give %d animals, not %d", back[0].Unique, f.Unique)
			}
		})
	}
}

// checkAnimals demands that each track is in one animal at most, and exists.
func checkAnimals(t *testing.T, parts []Part, f Flight) {
	t.Helper()
	seen := map[Sighting]int{}
	several := 0
	for _, a := range f.Animals {
		in := map[int]bool{}
		for _, s := range a.Tracks {
			if other, ok := seen[s]; ok {
				t.Errorf("track %+v is animal %d and %d", s, other, a.ID)
			}
			seen[s] = a.ID
			in[s.Part] = true
			if !slices.ContainsFunc(parts[f.Parts[s.Part-1]].Trace.Tracks, func(k track.Saved) bool { return k.ID == s.Track }) {
				t.Errorf("animal %d names track %+v, which does not exist", a.ID, s)
			}
		}
		if len(in) > 1 {
			several++
		}
	}
	if several == 0 {
		t.Error("no animal is in two parts")
	}
}

// Pieces of one recording without common ground stay one flight with a wide interval.
func TestGroundOfAPieceIsLost(t *testing.T) {
	w := world{herd(90, 5000, 0), 200}
	parts := []Part{w.film(1, 0, 10), w.film(2, 10, 20)}
	day := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	parts[0].About.Started, parts[1].About.Started = day, day.Add(10*time.Second)
	f := Join(parts, w.aligner(nil))
	if len(f) != 1 {
		t.Fatalf("flights %+v", f)
	}
	sum, largest := parts[0].Unique+parts[1].Unique, max(parts[0].Unique, parts[1].Unique)
	if f[0].Low > largest || f[0].High < sum || f[0].Unique >= sum || f[0].Unique < largest {
		t.Errorf("count %d [%d, %d], parts %d and %d", f[0].Unique, f[0].Low, f[0].High, parts[0].Unique, parts[1].Unique)
	}
	if !near(f[0].Unique, w.filmed(0, 20), 6) {
		t.Errorf("count %d, want about %d", f[0].Unique, w.filmed(0, 20))
	}
	if !hasWarning(f[0], Apart) {
		t.Errorf("warnings %+v", f[0].Warnings)
	}
}

func hasWarning(f Flight, code string) bool {
	return slices.ContainsFunc(f.Warnings, func(w Warning) bool { return w.Code == code })
}

// Following names alone make no flight, and known times far apart refuse one whose pictures fit.
func TestTwoFlightsStayTwo(t *testing.T) {
	w := world{herd(90, 5000, 0), 200}
	a, b := w.film(1, 0, 10), w.film(2, 10, 20)
	known := w.aligner(map[int]float64{1: 0, 2: 10})
	day := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	at := func(p Part, started time.Time) Part { p.About.Started = started; return p }
	named := func(p Part, name string) Part { p.Key, p.About.Path = name, name; return p }
	far := w.film(3, 100, 110)
	for name, c := range map[string]struct {
		parts []Part
		align Aligner
		want  int
	}{
		"pictures do not fit":            {[]Part{a, b}, w.aligner(nil), 2},
		"an hour between":                {[]Part{at(a, day), at(b, day.Add(time.Hour))}, known, 2},
		"a minute between":               {[]Part{at(a, day), at(b, day.Add(70*time.Second))}, known, 1},
		"other names, pictures fit":      {[]Part{named(a, "x.mp4"), named(b, "y.mp4")}, known, 1},
		"other names, wrong order":       {[]Part{named(a, "y.mp4"), named(b, "x.mp4")}, known, 2},
		"same ground, far from the end":  {[]Part{a, named(far, "DJI_0002.MP4")}, w.aligner(map[int]float64{1: 0, 3: 100}), 2},
		"a part between them is missing": {[]Part{a, named(b, "DJI_0003.MP4")}, known, 1},
		"nothing":                        {nil, known, 0},
	} {
		if got := Join(c.parts, c.align); len(got) != c.want {
			t.Errorf("%s: %d flights, want %d", name, len(got), c.want)
		}
	}
}

// The work grows with the number of parts, not with its square, and a part finds the ground of the first one.
func TestGroundOfALongFlight(t *testing.T) {
	const n = 12
	var parts []Part
	for i := range n {
		name := fmt.Sprintf("GX%02d0123.MP4", i+1)
		parts = append(parts, Part{Key: name, About: footage.Part{Path: name}, Trace: &Trace{Map: motion.Map{Width: i + 1}}})
	}
	pairs := 0
	f := Join(parts, func(a, b motion.Map) []motion.Alignment {
		pairs++
		if b.Width == n && a.Width != 1 {
			return nil
		}
		return []motion.Alignment{{Join: motion.Join{Map: motion.Identity}, Confidence: 0.9}}
	})
	if len(f) != 1 || hasWarning(f[0], Apart) || pairs > n*(lookBack+1) {
		t.Errorf("%d pairs of parts compared, flights %+v", pairs, f)
	}
}

// A part whose trace is lost does not fail the flight.
func TestLostTrace(t *testing.T) {
	w := world{herd(90, 5000, 0), 200}
	parts := []Part{w.film(1, 0, 10), w.film(2, 10, 20)}
	day := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	parts[0].About.Started, parts[1].About.Started = day, day.Add(10*time.Second)
	parts[1].Trace = nil
	f := Join(parts, w.aligner(nil))
	if len(f) != 1 || !hasWarning(f[0], NoTrace) || f[0].Unique < parts[1].Unique ||
		f[0].High < parts[0].Unique+parts[1].Unique {
		t.Errorf("%+v", f)
	}
}

func TestTraceSurvivesItsEncoding(t *testing.T) {
	tr := world{herd(40, 2000, 10), 100}.film(1, 0, 10).Trace
	b, err := tr.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeTrace(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("the trace differs after a round trip: %v", err)
	}
	if len(got.Tracks) != len(tr.Tracks) || !got.Begin.Known || got.End.ToGround == got.Begin.ToGround {
		t.Errorf("%d tracks, views %+v and %+v", len(got.Tracks), got.Begin, got.End)
	}
	for n := range b {
		if _, err := DecodeTrace(b[:n]); err == nil {
			t.Fatalf("a trace of %d of %d bytes is read", n, len(b))
		}
	}
}

func FuzzDecodeTrace(f *testing.F) {
	b, err := world{herd(3, 400, 10), 100}.film(1, 0, 2).Trace.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := DecodeTrace(b)
		if err != nil {
			return
		}
		parts := []Part{{Key: "a", About: footage.Part{Path: "GX010001.MP4"}, Trace: &tr},
			{Key: "b", About: footage.Part{Path: "GX020001.MP4"}, Trace: &tr}}
		same := func(a, b motion.Map) []motion.Alignment {
			return []motion.Alignment{{Join: motion.Join{Map: motion.Identity}, Confidence: 1}}
		}
		for _, f := range Join(parts, same) {
			if f.Low > f.Unique || f.High < f.Unique {
				t.Errorf("count %d [%d, %d]", f.Unique, f.Low, f.High)
			}
		}
	})
}

// Ground that only a part in the middle shows is found in a long flight, and parts that are placed are not compared with
// all others.
func TestGroundOfTheMiddle(t *testing.T) {
	const n, middle = 14, 3
	var parts []Part
	for i := range n {
		name := fmt.Sprintf("GX%02d0123.MP4", i+1)
		parts = append(parts, Part{Key: name, GroundKey: name, About: footage.Part{Path: name}, Trace: &Trace{Map: motion.Map{Width: i + 1}}})
	}
	pairs := 0
	align := func(a, b motion.Map) []motion.Alignment {
		pairs++
		if b.Width == n && a.Width != middle {
			return nil
		}
		return []motion.Alignment{{Join: motion.Join{Map: motion.Transform{A: 1, TX: 5}}, Confidence: 0.9}}
	}
	f := Join(parts, align)
	if len(f) != 1 || hasWarning(f[0], Apart) || pairs > n*(lookBack+1)+n {
		t.Errorf("%d pairs of parts compared, warnings %+v", pairs, f[0].Warnings)
	}
	// The next joining knows the grounds, also those without anything in common, and damaged ones are compared again.
	text, err := json.Marshal(f[0].Grounds)
	if err != nil {
		t.Fatal(err)
	}
	var known []Ground
	if err := json.Unmarshal(text, &known); err != nil {
		t.Fatal(err)
	}
	all := pairs
	pairs = 0
	again := Join(parts, align, known...)
	if pairs != 0 || len(known) != all || !reflect.DeepEqual(again[0].Grounds, f[0].Grounds) {
		t.Errorf("%d pairs compared again of %d; %d grounds known", pairs, all, len(known))
	}
	known[0].Alignments[0].Map = motion.Transform{}
	if Join(parts, align, known...); pairs != 1 {
		t.Errorf("%d pairs compared again, want the damaged one", pairs)
	}
}

// A recording of more parts than a flight can have continues in another flight, and says so.
func TestFlightHasAMost(t *testing.T) {
	day := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	var parts []Part
	for i := range MostParts + 3 {
		name := fmt.Sprintf("DJI_%04d.MP4", i+1)
		parts = append(parts, Part{Key: name, Unique: 1, Low: 1, High: 1, About: footage.Part{Path: name, Duration: time.Minute,
			Started: day.Add(time.Duration(i) * time.Minute)}})
	}
	f := Join(parts, func(a, b motion.Map) []motion.Alignment { return nil })
	if len(f) != 2 || len(f[0].Parts) != MostParts || len(f[1].Parts) != 3 || !hasWarning(f[0], Full) || hasWarning(f[1], Full) {
		t.Errorf("%d flights, the first of %d parts", len(f), len(f[0].Parts))
	}
}
