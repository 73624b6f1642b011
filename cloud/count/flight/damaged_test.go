package flight

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/shared/boundary"
)

// One bad value costs the step or the track that has it, and the flight says so. The rest counts as before.
func TestOneBadValueCostsOneStep(t *testing.T) {
	w := lane(0, 8, 5)
	starts := map[int]float64{1: 0, 2: 7}
	count := func(spoil func(*Trace)) Flight {
		parts := []Part{w.film(1, 0, 7), w.film(2, 7, 20)}
		for i := range parts { // no pictures are needed
			parts[i].About.Path = fmt.Sprintf("GX%02d0001.MP4", i+1)
		}
		spoil(parts[1].Trace)
		b, err := parts[1].Trace.Encode()
		if err != nil {
			t.Fatal(err)
		}
		tr, err := DecodeTrace(b)
		if err != nil {
			t.Fatal(err)
		}
		parts[1].Trace = &tr
		fs := Join(parts, w.aligner(starts))
		fs[0].Judge(Drawing{Set: upright(boundary.Picture, 0)})
		return fs[0]
	}
	step := func(change func(*crossing.Step)) func(*Trace) {
		return func(tr *Trace) { change(&tr.Steps[len(tr.Steps)/3]) }
	}
	whole := count(func(*Trace) {})
	for name, c := range map[string]struct {
		spoil         func(*Trace)
		steps, tracks int
	}{
		"pose without a number":  {step(func(s *crossing.Step) { s.Pose.ToGround.TX = math.NaN() }), 1, 0},
		"pose that has no area":  {step(func(s *crossing.Step) { s.Pose.ToGround.A, s.Pose.ToGround.B = 0, 0 }), 1, 0},
		"pose beyond the Earth":  {step(func(s *crossing.Step) { s.Pose.ToGround.TY = 1e12 }), 1, 0},
		"frame of another time":  {step(func(s *crossing.Step) { s.Frame -= 40 }), 1, 0},
		"picture without pixels": {step(func(s *crossing.Step) { s.Width = 0 }), 1, 0},
		"segment below 0":        {step(func(s *crossing.Step) { s.Pose.Segment = -3 }), 1, 0},
		"view without a number":  {func(tr *Trace) { tr.Before.Known, tr.Before.ToGround.A = true, math.Inf(1) }, 0, 0},
		"track of no size": {func(tr *Trace) {
			bad := tr.Tracks[0]
			bad.W = 0
			tr.Tracks = append(slices.Clone(tr.Tracks), bad)
		}, 0, 1},
		"track without a number": {func(tr *Trace) {
			bad := tr.Tracks[0]
			bad.X.Vel = math.NaN()
			tr.Tracks = append(slices.Clone(tr.Tracks), bad)
		}, 0, 1},
	} {
		f := count(c.spoil)
		lost := f.whole.parts[1].part.Trace
		if lost.LostSteps != c.steps || lost.LostTracks != c.tracks || hasWarning(f, Damaged) != (c.steps+c.tracks > 0) {
			t.Errorf("%s: %d steps and %d tracks lost, warnings %+v", name, lost.LostSteps, lost.LostTracks, f.Warnings)
		}
		if f.Unique != whole.Unique || f.Lines[0].In != whole.Lines[0].In || f.Lines[0].NotJudged > 1 {
			t.Errorf("%s: %d animals, line %+v; without it %d, %+v", name, f.Unique, f.Lines[0].LineTotal, whole.Unique,
				whole.Lines[0].LineTotal)
		}
	}
}

// Steps that an earlier version stored, or that are damaged, are read up to the damage, and later ones where that is possible.
func TestDamagedStepsAreReadAsFarAsTheyGo(t *testing.T) {
	steps := lane(20, 2, 1).film(1, 0, 8).Trace.Steps
	store := func(records []byte) []byte {
		var packed bytes.Buffer
		z, _ := flate.NewWriter(&packed, flate.BestSpeed)
		_, _ = z.Write(records)
		_ = z.Close()
		text, err := json.Marshal(packed.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	read := func(text []byte) packedSteps {
		var p packedSteps
		if err := p.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		return p
	}
	bad := slices.Clone(steps)
	bad[4].Pose.ToGround.TX = math.NaN()
	bad[9].Frame = 0
	if p := read(store(bad.records())); p.lost != 2 || len(p.steps) != len(steps)-2 ||
		p.steps[len(p.steps)-1].Frame != steps[len(steps)-1].Frame {
		t.Errorf("two bad steps of %d: %d read, %d lost", len(steps), len(p.steps), p.lost)
	}
	records := steps.records()
	if p := read(store(records[:len(records)/2])); len(p.steps) < len(steps)/4 || p.lost != len(steps)-len(p.steps) {
		t.Errorf("half of %d steps: %d read, %d lost", len(steps), len(p.steps), p.lost)
	}
	var packed []byte
	if err := json.Unmarshal(store(records), &packed); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(packed[:len(packed)/2])
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed[:len(packed)/2]))); err == nil || len(b) == 0 {
		t.Skip("the compression has one block only") // then nothing of it can be read
	}
	if p := read(text); p.lost == 0 || p.lost == len(steps) {
		t.Errorf("stream cut in the middle: %d read, %d lost", len(p.steps), p.lost)
	}
}

// Where seconds of the way are lost, animals that cross in them are not judged, and the line says so.
func TestLostSecondsAreNotJudged(t *testing.T) {
	tr := lane(20, 2, 1).film(1, 0, 20).Trace
	if h := tr.holes(100, 20); h != nil {
		t.Errorf("holes %v in a whole trace", h)
	}
	tr.LostSteps = 1
	if h := tr.holes(100, 20); h != nil {
		t.Errorf("one step is missing: holes %v", h)
	}
	tr.Steps = keep(tr.Steps, func(s crossing.Step) bool { return s.Seconds < 5 || s.Seconds > 9 && s.Seconds < 15 })
	h := tr.holes(100, 20)
	if len(h) != 2 || h[0].from < 104 || h[0].to > 110 || h[1].from < 114 || h[1].to != 120 {
		t.Errorf("holes %v", h)
	}
}
