package place

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/flightlog"
)

// counted is the result document and the trace of a simulated flight. The first animal has a track that broke.
func (s *sim) counted() (report.Result, *flight.Trace) {
	t := &flight.Trace{Width: simWidth, Height: simHeight, FPS: 30, Frames: len(s.steps) * 10,
		Seconds: s.seconds, Steps: s.steps}
	res := report.Result{Schema: report.Schema, Video: report.Video{Width: simWidth, Height: simHeight},
		Warnings: []report.Warning{{Code: report.NoTelemetry}}}
	save := func(id int, fixes []track.Fix) {
		t.Tracks = append(t.Tracks, track.Saved{ID: id, W: 40, H: 20, First: fixes[0].Frame,
			Last: fixes[len(fixes)-1].Frame, Way: fixes})
	}
	for i, a := range s.animals {
		if n := len(a.Fixes); i == 0 && n > 1 {
			save(a.ID, a.Fixes[:n/2])
			save(100, a.Fixes[n/2:])
			res.NotCounted = append(res.NotCounted, report.NotCounted{ID: 100, Of: a.ID, Reason: string(tally.SameAs)})
		} else {
			save(a.ID, a.Fixes)
		}
		res.Tracks = append(res.Tracks, report.Track{ID: a.ID, Label: "cow"})
	}
	return res, t
}

// TestStoredCount places the animals of a count without counting again, when its log comes late.
func TestStoredCount(t *testing.T) {
	s := newSim(4, "pass", 40, 10, logErrors{})
	res, trace := s.counted()
	trace.Map = motion.Map{}
	doc, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := trace.Encode()
	if err != nil {
		t.Fatal(err)
	}
	before, err := Stored(doc, stored, nil)
	if err != nil {
		t.Fatal(err)
	}
	if before.Place.Way != string(Relative) || before.Tracks[0].Offset == nil || before.Tracks[0].Position != nil ||
		len(before.Warnings) != 1 {
		t.Errorf("without a log: %+v %+v", before.Place, before.Tracks[0])
	}
	after, err := Stored(doc, stored, &s.log)
	if err != nil {
		t.Fatal(err)
	}
	if p := after.Place; p.Way != string(Camera) || p.Placed != len(s.animals) || p.Radius <= 0 || p.Log != "simulated" ||
		len(p.Path) == 0 || len(p.Footprint) == 0 || len(after.Warnings) != 0 {
		t.Errorf("with a log: %+v, warnings %v", p, after.Warnings)
	}
	for _, k := range after.Tracks {
		e, n := s.frame.Metres(k.Position.Latitude, k.Position.Longitude)
		if d := math.Hypot(e-s.truth[k.ID][0], n-s.truth[k.ID][1]); d > 1 {
			t.Errorf("animal %d is off by %.2f m", k.ID, d)
		}
	}
	without(&s.log, func(m *flightlog.Sample) { m.Lat, m.Lon = math.NaN(), math.NaN() })
	none, err := Stored(doc, stored, &s.log)
	if w := none.Warnings; err != nil || len(w) != 1 || !strings.HasPrefix(w[0].Text, "the flight log has no position;") {
		t.Errorf("a log without a fix: %v %v", err, w)
	}
	for name, b := range map[string][2][]byte{"document": {[]byte("{"), stored}, "trace": {doc, []byte("CTRC")}} {
		if _, err := Stored(b[0], b[1], nil); !errors.Is(err, ErrStored) {
			t.Errorf("a broken %s: %v", name, err)
		}
	}
}

// TestLogOfAWholeFlight places a recording by the part of the log that belongs to it.
func TestLogOfAWholeFlight(t *testing.T) {
	s := newSim(4, "pass", 40, 10, logErrors{})
	start := time.Date(2026, 5, 17, 8, 0, 0, 0, time.UTC)
	s.log.OfVideo = false
	for i := range s.log.Samples {
		m := &s.log.Samples[i]
		m.Time, m.Offset = start.Add(m.Offset), m.Offset+time.Hour // the flight began an hour before
	}
	for name, c := range map[string]struct {
		recorded time.Time
		placed   int
		warning  string
	}{
		"its time": {start, len(s.animals), ""},
		"another":  {start.Add(24 * time.Hour), 0, "the flight log is not used: the log covers 2026-05-17 07:00:00 to "},
		"none": {time.Time{}, 0, "the flight log is not used: the log covers a whole flight, and the time or " +
			"length of the video is not known; there are no ground positions"},
	} {
		res, trace := s.counted()
		res.Reading.Recorded = c.recorded
		Add(&res, trace, &s.log, nil)
		warning := ""
		if len(res.Warnings) > 0 {
			warning = res.Warnings[0].Text
		}
		if res.Place.Placed != c.placed || !strings.HasPrefix(warning, c.warning) || c.warning == "" && warning != "" {
			t.Errorf("%s: %d placed, %q", name, res.Place.Placed, warning)
		}
		for _, k := range res.Tracks {
			if k.Position == nil {
				continue
			}
			e, n := s.frame.Metres(k.Position.Latitude, k.Position.Longitude)
			if d := math.Hypot(e-s.truth[k.ID][0], n-s.truth[k.ID][1]); d > 1 {
				t.Errorf("%s: animal %d is off by %.2f m", name, k.ID, d)
			}
		}
	}
	if s.log.OfVideo || s.log.Samples[0].Offset < time.Hour {
		t.Error("the log was changed")
	}
}

func TestKeep(t *testing.T) {
	res := report.Result{Tracks: []report.Track{{ID: 1, Offset: &report.Offset{Right: 3}}, {ID: 2}}}
	Keep(&res, "camera", []Position{{ID: 1, Lat: -31, Lon: 24, Radius: 2, Seconds: 5}, {ID: 9}}, [][][][2]float64{{{{24, -31}}}})
	p := res.Tracks[0].Position
	if p == nil || *p != (report.Position{Latitude: -31, Longitude: 24, Radius: 2, Seconds: 5}) || res.Tracks[0].Offset != nil ||
		res.Tracks[1].Position != nil || res.Place.Placed != 1 || res.Place.Way != "camera" || len(res.Place.Footprint) != 1 {
		t.Errorf("%+v, place %+v", res.Tracks, res.Place)
	}
}
