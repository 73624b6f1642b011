package flight

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// lane is a camera that stands, or flies at a speed, over animals that walk past the middle of its first picture: in of
// them to the right, and out to the left, one every two seconds.
func lane(speed float64, in, out int) world {
	w := world{speed: speed}
	const walk = 60.0
	add := func(n int, direction, y float64) {
		for i := range n {
			at := 2 + 2*float64(i) // crosses then
			w.animals = append(w.animals, animal{x: frameW/2 - direction*walk*at, y: y + 40*float64(i%3), vx: direction * walk})
		}
	}
	add(in, 1, 60)
	add(out, -1, 320)
	return w
}

// upright is a line over the middle of the picture from the bottom to the top: what walks to the right comes in.
func upright(f boundary.Frame, seconds float64) boundary.Set {
	return boundary.Set{Lines: []boundary.Line{{Name: "gate", From: boundary.Point{0.5, 1}, To: boundary.Point{0.5, 0},
		Place: boundary.Place{Frame: f, Seconds: seconds}}}}
}

// cutFlight films the parts and joins them.
func cutFlight(t *testing.T, w world, cuts ...[2]float64) (Flight, []Part) {
	t.Helper()
	var parts []Part
	starts := map[int]float64{}
	for i, c := range cuts {
		parts = append(parts, w.film(i+1, c[0], c[1]))
		starts[i+1] = c[0]
	}
	fs := Join(parts, w.aligner(starts))
	if len(fs) != 1 {
		t.Fatalf("%d flights", len(fs))
	}
	return fs[0], parts
}

// An animal crosses once wherever the flight is cut: within the last second of a part, on the line, and when it is seen
// on one side of it in the first part and on the other side in the second one.
func TestCrossingAtACut(t *testing.T) {
	for _, frame := range []boundary.Frame{boundary.Picture, boundary.Ground} {
		for _, cut := range []float64{5, 5.5, 5.75, 6, 6.25, 6.5, 7, 9.9, 10.1} {
			w := lane(0, 8, 5)
			f, parts := cutFlight(t, w, [2]float64{0, cut}, [2]float64{cut, 20})
			f.Judge(Drawing{Set: upright(frame, 0)})
			l := f.Lines[0]
			if l.In != 8 || l.Out != 5 || l.Net != 3 || l.NotJudged != 0 || len(l.Crossings) != 13 {
				t.Errorf("%s, cut at %g: %+v, want 8 in and 5 out", frame, cut, l.LineTotal)
			}
			checkCrossings(t, f, parts, cut)
		}
	}
}

// checkCrossings demands the time of each crossing, in the flight and in its part, and a track of that part.
func checkCrossings(t *testing.T, f Flight, parts []Part, cut float64) {
	t.Helper()
	for _, c := range f.Lines[0].Crossings {
		even := math.Mod(c.Seconds+0.3, 2) // they cross at 2, 4, 6 … seconds
		if even > 0.6 || c.Animal < 1 || c.Animal > f.Unique {
			t.Errorf("crossing %+v", c)
		}
		want := Where{c.Animal, 1, c.Seconds}
		if c.Seconds >= cut {
			want = Where{c.Animal, 2, c.Seconds - cut}
		}
		if c.Part != want.Part || math.Abs(c.PartSeconds-want.PartSeconds) > 0.01 {
			t.Errorf("crossing %+v, want %+v", c, want)
		}
		if !slices.Contains(f.Animals[c.Animal-1].Tracks, Sighting{c.Part, c.Track}) {
			t.Errorf("crossing %+v of animal %+v", c, f.Animals[c.Animal-1])
		}
	}
}

// A line on the ground stays on the ground of the picture that it is drawn into, in every part and while the camera
// flies. A line in the picture moves with it.
func TestLineOfAMovingCamera(t *testing.T) {
	w := world{speed: 100, animals: []animal{{x: 300, y: 100, vx: 60}, {x: 700, y: 200, vx: -60}, {x: 900, y: 400}}}
	for i := range 6 { // stand in the way of the camera
		w.animals = append(w.animals, animal{x: 1100 + 150*float64(i), y: 300})
	}
	f, _ := cutFlight(t, w, [2]float64{0, 3}, [2]float64{3, 8}, [2]float64{8, 12})
	f.Judge(Drawing{Set: upright(boundary.Ground, 0)})
	if l := f.Lines[0]; l.In != 1 || l.Out != 1 || l.NotJudged != 0 {
		t.Errorf("on the ground of the first picture: %+v", l.LineTotal)
	}
	f.Judge(Drawing{Set: upright(boundary.Ground, 6)}) // at 1080: the second part, nothing walks there
	if l := f.Lines[0]; l.In != 0 || l.Out != 0 {
		t.Errorf("on the ground of second 6: %+v", l.LineTotal)
	}
	f.Judge(Drawing{Set: upright(boundary.Picture, 0)})
	if l := f.Lines[0]; l.Out < 6 || l.In != 0 {
		t.Errorf("in the picture: %+v", l.LineTotal)
	}
}

// The ground of a line stays when a part arrives before the one that it was drawn into.
func TestAnchorOfALine(t *testing.T) {
	w := lane(0, 8, 5)
	f, _ := cutFlight(t, w, [2]float64{0, 7}, [2]float64{7, 20})
	pan := world{speed: 100, animals: []animal{{x: 1500, y: 100, vx: 60}, {x: 1000, y: 300, vx: 60}}}
	g, parts := cutFlight(t, pan, [2]float64{0, 10}, [2]float64{10, 20})
	for anchor, want := range map[string]int{"": 0, parts[0].Key: 0, parts[1].Key: 1} {
		g.Judge(Drawing{upright(boundary.Ground, 0), anchor}) // at 480 or at 1480 on the ground
		if l := g.Lines[0]; l.In != want || l.NotJudged != 0 || l.Definition.Seconds != 0 {
			t.Errorf("anchor %q: %+v, want %d in", anchor, l, want)
		}
	}
	g.Judge(Drawing{upright(boundary.Ground, 0), "gone"})
	if l := g.Lines[0]; l.NotJudged != g.Unique || !hasWarning(g, LineLost) {
		t.Errorf("anchor that has left: %+v", l.LineTotal)
	}
	g.Judge(Drawing{upright(boundary.Picture, 0), "gone"})
	if l := g.Lines[0]; l.NotJudged != 0 || hasWarning(g, LineLost) {
		t.Errorf("line in the picture with an anchor that has left: %+v", l.LineTotal)
	}
	f.Judge(Drawing{})
	if f.Lines != nil || len(f.Warnings) != 0 {
		t.Errorf("without lines: %+v", f.Lines)
	}
}

// The order of arrival changes nothing.
func TestLinesInEveryOrder(t *testing.T) {
	w := lane(0, 8, 5)
	starts := map[int]float64{1: 0, 2: 6, 3: 12}
	parts := []Part{w.film(1, 0, 6), w.film(2, 6, 12), w.film(3, 12, 20)}
	var first []Line
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		list := []Part{parts[order[0]], parts[order[1]], parts[order[2]]}
		fs := Join(list, w.aligner(starts))
		if len(fs) != 1 {
			t.Fatalf("%d flights", len(fs))
		}
		fs[0].Judge(Drawing{Set: upright(boundary.Ground, 0)})
		if first == nil {
			first = fs[0].Lines
		}
		if !reflect.DeepEqual(fs[0].Lines, first) || first[0].In != 8 || first[0].Out != 5 {
			t.Errorf("order %v: %+v, not %+v", order, fs[0].Lines[0].LineTotal, first[0].LineTotal)
		}
	}
}

// A part that repeats the last moments of the one before adds no crossing, over a camera that stands and one that flies.
func TestRepeatedMoments(t *testing.T) {
	for _, repeat := range []float64{0.25, 1, 2} {
		w := lane(0, 8, 5)
		f, _ := cutFlight(t, w, [2]float64{0, 6.5}, [2]float64{6.5 - repeat, 20})
		f.Judge(Drawing{Set: upright(boundary.Picture, 0)})
		if l := f.Lines[0]; l.In != 8 || l.Out != 5 {
			t.Errorf("%g s again, camera stands: %+v, want 8 in and 5 out", repeat, l.LineTotal)
		}
		pan := world{speed: 100, animals: []animal{{x: 480 + 650, y: 100}, {x: 480 + 620, y: 300}, {x: 480 + 590, y: 450}}}
		f, _ = cutFlight(t, pan, [2]float64{0, 6.75}, [2]float64{6.75 - repeat, 12})
		f.Judge(Drawing{Set: upright(boundary.Picture, 0)})
		if l := f.Lines[0]; l.Out != 3 || l.In != 0 {
			t.Errorf("%g s again, camera flies: %+v, want 3 out", repeat, l.LineTotal)
		}
	}
}

// Parts of earlier versions have no steps, and lost traces no tracks. What is drawn there, and their animals, are not
// judged; the rest is.
func TestPartsWithoutSteps(t *testing.T) {
	w := lane(0, 8, 5)
	starts := map[int]float64{1: 0, 2: 7}
	for name, c := range map[string]struct {
		spoil func(p *Part)
		part  int
		place boundary.Place
		in    int // crossings at 2, 4, 6 | 8, 10, 12, 14, 16
		lost  bool
	}{
		"first, in the picture":        {func(p *Part) { p.Trace.Steps = nil }, 0, boundary.Place{}, 5, true},
		"first, drawn there":           {func(p *Part) { p.Trace.Steps = nil }, 0, boundary.Place{Frame: boundary.Ground}, 0, true},
		"first, drawn later":           {func(p *Part) { p.Trace.Steps = nil }, 0, boundary.Place{Frame: boundary.Ground, Seconds: 8}, 5, true},
		"second, drawn into the first": {func(p *Part) { p.Trace.Steps = nil }, 1, boundary.Place{Frame: boundary.Ground}, 3, true},
		"first has no trace":           {func(p *Part) { p.Trace = nil }, 0, boundary.Place{}, 5, true},
		"all have steps":               {func(*Part) {}, 0, boundary.Place{Frame: boundary.Ground}, 8, false},
	} {
		parts := []Part{w.film(1, 0, 7), w.film(2, 7, 20)}
		for i := range parts { // no pictures are needed
			parts[i].About.Path = fmt.Sprintf("GX%02d0001.MP4", i+1)
		}
		c.spoil(&parts[c.part])
		fs := Join(parts, w.aligner(starts))
		fs[0].Judge(Drawing{Set: upright(c.place.Frame, c.place.Seconds)})
		l := fs[0].Lines[0]
		if l.In != c.in || (l.NotJudged > 0) != c.lost || hasWarning(fs[0], NoSteps) != c.lost || hasWarning(fs[0], LineLost) != c.lost {
			t.Errorf("%s: %+v, want %d in; warnings %+v", name, l.LineTotal, c.in, fs[0].Warnings)
		}
	}
}

// Ground that cannot be joined: animals of the other part are not judged at a line on the ground.
func TestLineOverApartGround(t *testing.T) {
	w := lane(0, 8, 5)
	parts := []Part{w.film(1, 0, 7), w.film(2, 7, 20)}
	for i := range parts {
		parts[i].About.Path = fmt.Sprintf("GX%02d0001.MP4", i+1)
	}
	fs := Join(parts, w.aligner(nil))
	fs[0].Judge(Drawing{Set: upright(boundary.Ground, 0)})
	if l := fs[0].Lines[0]; l.In != 3 || l.NotJudged == 0 || !hasWarning(fs[0], LineLost) || hasWarning(fs[0], NoSteps) {
		t.Errorf("%+v, warnings %+v", l.LineTotal, fs[0].Warnings)
	}
}

// A zone has each animal once, with the time of the whole visit.
func TestZoneOverACut(t *testing.T) {
	w := lane(0, 8, 0)
	f, _ := cutFlight(t, w, [2]float64{0, 6}, [2]float64{6, 20})
	f.Judge(Drawing{Set: boundary.Set{Zones: []boundary.Zone{{Name: "pen",
		Polygon: []boundary.Point{{0.4, 0}, {0.6, 0}, {0.6, 1}, {0.4, 1}}, Stay: 1}}}})
	z := f.Zones[0]
	if z.Passed != 8 || z.Entered != 8 || z.Left != 8 || len(z.Visits) != 8 || z.NotJudged != 0 {
		t.Errorf("%+v", z)
	}
	for _, v := range z.Visits {
		if long := v.To - v.From; math.Abs(long-0.2*frameW/60) > 0.4 || v.Animal == 0 || v.Track == 0 {
			t.Errorf("visit %+v of %.1f s", v, long)
		}
	}
}

// The table has a row for each crossing with its part.
func TestCrossingsOfAFlight(t *testing.T) {
	f, parts := cutFlight(t, lane(0, 2, 1), [2]float64{0, 3}, [2]float64{3, 10})
	f.Judge(Drawing{Set: upright(boundary.Picture, 0)})
	d := DocumentOf(f, func(i int) DocumentPart { return DocumentPart{Name: parts[i].Key} })
	var table, doc bytes.Buffer
	if err := d.WriteCrossingsCSV(&table); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteJSON(&doc); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(table.String()), "\n")
	if len(rows) != 4 || !strings.HasPrefix(rows[0], "name,kind,event,seconds,track,at,doubt,counted,animal,part,") ||
		!strings.HasPrefix(rows[3], "gate,line,in,4.") && !strings.HasPrefix(rows[3], "gate,line,in,3.") ||
		!strings.Contains(rows[3], ",2,DJI_0002.MP4,") {
		t.Errorf("%s", table.String())
	}
	var read struct {
		Lines []struct {
			In        int
			NotJudged int `json:"not_judged"`
			Crossings []struct {
				Seconds     float64
				Part        int
				PartSeconds float64 `json:"part_seconds"`
			}
		}
	}
	if err := json.Unmarshal(doc.Bytes(), &read); err != nil || len(read.Lines) != 1 || read.Lines[0].In != 2 ||
		len(read.Lines[0].Crossings) != 3 || read.Lines[0].Crossings[2].Part != 2 {
		t.Errorf("%v: %+v", err, read)
	}
}

// The steps survive their encoding. Those of a flight of 20 minutes are far below a megabyte.
func TestStepsSurviveTheirEncoding(t *testing.T) {
	var r Recorder
	for i := range 7200 {
		s := crossing.Step{Frame: 5 * i, Seconds: float64(i) / 6, Width: 3840, Height: 2160,
			Pose: motion.Pose{Inliers: 0.9, ToGround: motion.Transform{A: math.Cos(float64(i) / 999), B: math.Sin(float64(i) / 999),
				TX: 30 * float64(i) * math.Sin(float64(i)), TY: 7 * float64(i)}}}
		switch i % 4 {
		case 0:
			s.Looked = []motion.Rect{}
		case 1:
			for k := range 6 {
				x := float64(100*k + i%1000)
				s.Looked = append(s.Looked, motion.Rect{X1: x, Y1: 10, X2: x + 960, Y2: 970})
			}
		case 2:
			s.Looked = []motion.Rect{{X1: 1, Y1: 2, X2: 3, Y2: 4}}
		}
		if i > 3000 {
			s.Pose.Segment, s.Pose.ToGround.PX, s.Pose.ToGround.C = 1, 1e-5, 0.01
		}
		if i == 5000 {
			s.Width, s.Height = 1920, 1080
		}
		if i%100 == 0 {
			s.Pose.Inliers = 0
		}
		r.See(s)
	}
	text, err := json.Marshal(r.steps)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes for 7200 steps", len(text))
	if len(text) > 400<<10 {
		t.Errorf("%d bytes", len(text))
	}
	var got Steps
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for i, s := range got {
		want := r.steps[i]
		p, q := s.Pose.ToGround.Apply(motion.Point{X: 3000, Y: 2000}), want.Pose.ToGround.Apply(motion.Point{X: 3000, Y: 2000})
		if s.Frame != want.Frame || math.Abs(s.Seconds-want.Seconds) > 1e-6 || s.Width != want.Width || s.Height != want.Height ||
			s.Pose.Segment != want.Pose.Segment || (s.Pose.Inliers == 0) != (want.Pose.Inliers == 0) ||
			math.Hypot(p.X-q.X, p.Y-q.Y) > 0.05 || (s.Looked == nil) != (want.Looked == nil) || !slices.Equal(s.Looked, want.Looked) {
			t.Fatalf("step %d is %+v, want %+v", i, s, want)
		}
	}
}

// A recording that is too long for its trace leaves no steps instead of some.
func TestTooManySteps(t *testing.T) {
	var r Recorder
	for i := range maxSteps + 10 {
		r.See(crossing.Step{Frame: i, Width: 4, Height: 4, Pose: motion.Pose{ToGround: motion.Identity}})
	}
	if tr := r.Trace(Trace{}, nil, motion.Map{}); tr.Steps != nil || len(r.steps) > maxSteps+1 {
		t.Errorf("%d steps in the trace, %d kept", len(tr.Steps), len(r.steps))
	}
}

// A segment that turns out to be a part of an earlier one takes its steps along.
func TestStepsFollowAJoin(t *testing.T) {
	var r Recorder
	step := func(i, segment int, join *motion.Join) {
		r.See(crossing.Step{Frame: i, Width: 4, Height: 4,
			Pose: motion.Pose{ToGround: motion.Transform{A: 1, TX: float64(i)}, Segment: segment, Joined: join}})
	}
	step(0, 0, nil)
	step(1, 1, nil)
	step(2, 0, &motion.Join{From: 1, To: 0, Map: motion.Transform{A: 1, TX: 100}})
	s := r.Trace(Trace{}, nil, motion.Map{}).Steps
	if s[1].Pose.Segment != 0 || s[1].Pose.ToGround.TX != 101 || s[2].Pose.Joined != nil || s[0].Pose.ToGround.TX != 0 {
		t.Errorf("%+v", s)
	}
}

func FuzzSteps(f *testing.F) {
	steps := lane(20, 2, 1).film(1, 0, 2).Trace.Steps
	steps[1].Looked = []motion.Rect{{X1: 1, Y1: 2, X2: 300, Y2: 400}}
	text, err := json.Marshal(steps)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(steps.records())
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Steps
		if s.UnmarshalJSON(b) != nil {
			r := stepReader{b: b}
			for !r.cut && len(s) < 100 {
				if c, ok := r.step(); ok {
					s = append(s, c)
				}
			}
		}
		for i, c := range s {
			if i > 0 && c.Frame <= s[i-1].Frame || c.Width < 1 || math.IsNaN(c.Pose.ToGround.Inverse().TX) {
				t.Fatalf("step %+v", c)
			}
		}
		j := crossing.New(upright(boundary.Ground, 1))
		for _, c := range s {
			j.Add(c)
		}
		if r := j.Result(nil); len(r.Lines) != 1 || r.Lines[0].In != 0 {
			t.Fatalf("%+v", r)
		}
	})
}

// After a break that no time tells, animals that walk in a file stand where others were. That is no repeat.
func TestFileOfAnimalsIsNoRepeat(t *testing.T) {
	for gap := 0.5; gap < 5; gap += 0.5 {
		w := world{}
		for i, x := range []float64{0, 130, 240, 390, 470, 610} { // at uneven distances, to the right
			w.animals = append(w.animals, animal{x: x - 200, y: 200 + 3*float64(i%2), vx: 60})
		}
		first, second := w.film(1, 0, 5), w.film(2, 5+gap, 14)
		tracks := first.Trace.restored(0, 0)
		now := second.Trace.restored(150, 5)
		own := w.ground(2, 5+gap).Then(w.ground(1, 0).Inverse())
		for _, k := range now {
			k.MoveTo(0, own)
		}
		if again := repeatedByAnimals(tracks, now, 5); again > 0 {
			t.Errorf("%g s are missing, but %g s are taken for a repeat", gap, again)
		}
	}
}

// What a flight leaves and costs: the steps of 20 minutes, and the time to judge them again.
func BenchmarkJudge(b *testing.B) {
	w := lane(2, 60, 60)
	parts := []Part{w.film(1, 0, 600), w.film(2, 600, 1200)}
	f := Join(parts, w.aligner(map[int]float64{1: 0, 2: 600}))
	text, err := json.Marshal(parts[0].Trace.Steps)
	if err != nil || len(f) != 1 {
		b.Fatal(err, len(f))
	}
	for b.Loop() {
		f[0].Judge(Drawing{Set: upright(boundary.Ground, 0)})
	}
	b.ReportMetric(float64(len(text))/float64(len(parts[0].Trace.Steps)), "bytes/step")
}
