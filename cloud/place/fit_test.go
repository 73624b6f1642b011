package place

import (
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/flightlog"
)

func TestFit(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	whole := func() *flightlog.Log { // of ten minutes
		l := &flightlog.Log{End: 10 * time.Minute}
		for i := range 601 {
			s := flightlog.NewSample(time.Duration(i) * time.Second)
			s.Time, s.Lat, s.Lon = noon.Add(s.Offset), -31, 24
			l.Samples = append(l.Samples, s)
		}
		return l
	}
	for _, c := range []struct {
		name     string
		log      *flightlog.Log
		captured time.Time
		length   time.Duration
		why      string
	}{
		{"same length", &flightlog.Log{OfVideo: true, End: 60 * time.Second}, noon, time.Minute, ""},
		{"a cue longer", &flightlog.Log{OfVideo: true, End: 61 * time.Second}, noon, time.Minute, ""},
		{"not counted yet", &flightlog.Log{OfVideo: true, End: time.Hour}, noon, 0, ""},
		{"of a longer video", &flightlog.Log{OfVideo: true, End: 5 * time.Minute}, noon, time.Minute, "the log lasts 5m0s and the video 1m0s"},
		{"of a shorter video", &flightlog.Log{OfVideo: true, End: time.Minute}, noon, 5 * time.Minute, "the log lasts 1m0s"},
		{"part of a flight", whole(), noon.Add(3 * time.Minute), time.Minute, ""},
		{"of another flight", whole(), noon.Add(time.Hour), time.Minute, "the log covers 2026-05-01 12:00:00 to 2026-05-01 12:10:00"},
		{"of an unknown part", whole(), time.Time{}, time.Minute, "is not known"},
		{"without times", &flightlog.Log{End: time.Minute}, noon, time.Minute, "has no times"},
	} {
		if why := Fit(c.log, c.captured, c.length); !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
			t.Errorf("%s: %q, want %q", c.name, why, c.why)
		}
	}
	l := whole()
	if Fit(l, noon.Add(3*time.Minute), time.Minute); !l.OfVideo || l.Samples[5].Offset != 0 {
		t.Errorf("offset of the sixth sample %s, want that of the first picture", l.Samples[5].Offset)
	}
}
