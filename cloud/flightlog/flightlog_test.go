package flightlog

import (
	"testing"
	"time"
)

func TestAlign(t *testing.T) {
	start := time.Date(2026, 5, 17, 8, 0, 0, 0, time.UTC)
	flight := func() *Log {
		l := &Log{Zone: UTC}
		for i := range 600 {
			s := NewSample(time.Duration(i) * time.Second)
			s.Time = start.Add(s.Offset)
			l.Samples = append(l.Samples, s)
		}
		return l
	}
	l := flight()
	if !l.Align(start.Add(100*time.Second), 20*time.Second) || !l.OfVideo {
		t.Fatal("not aligned")
	}
	if n := len(l.Samples); n != 31 || l.Samples[0].Offset != -5*time.Second || l.End != 25*time.Second {
		t.Errorf("got %d samples from %s to %s, want 31 from -5s to 25s", n, l.Samples[0].Offset, l.End)
	}
	if got := l.Captured(); !got.Equal(start.Add(100 * time.Second)) {
		t.Errorf("captured %s", got)
	}
	for name, captured := range map[string]time.Time{"before": start.Add(-time.Hour), "after": start.Add(time.Hour),
		"never": {}} {
		if l := flight(); l.Align(captured, time.Minute) || l.OfVideo || len(l.Samples) != 600 {
			t.Errorf("%s: aligned", name)
		}
	}
}

// TestFitByRecordings has a flight with three recordings, two of them of one length.
func TestFitByRecordings(t *testing.T) {
	start := time.Date(2026, 5, 17, 8, 0, 0, 0, time.UTC)
	flight := func(times bool) *Log {
		l := &Log{Zone: UTC}
		for i := range 600 {
			s := NewSample(time.Duration(i) * time.Second)
			if times {
				s.Time = start.Add(s.Offset)
			}
			s.Recording = i >= 50 && i < 80 || i >= 200 && i < 260 || i >= 400 && i < 460
			l.Samples = append(l.Samples, s)
		}
		return l
	}
	if got := flight(true).Recordings(); len(got) != 3 || got[0] != (Span{50 * time.Second, 80 * time.Second}) {
		t.Fatalf("recordings %v", got)
	}
	for name, c := range map[string]struct {
		times    bool
		captured time.Time
		length   time.Duration
		begin    int // second of the flight at which the video begins; below 0 for none
	}{
		"by its length":                {false, time.Time{}, 29 * time.Second, 50},
		"clock of the camera is wrong": {true, start.Add(-24 * time.Hour), 31 * time.Second, 50},
		"the nearer one":               {true, start.Add(390 * time.Second), time.Minute, 400},
		"two, and no clock":            {true, time.Time{}, time.Minute, -1},
		"two, and no times":            {false, start, time.Minute, -1},
		"by the clock alone":           {true, start.Add(100 * time.Second), 3 * time.Minute, 100},
		"another day":                  {true, start.Add(24 * time.Hour), 3 * time.Minute, -1},
	} {
		l := flight(c.times)
		if ok := l.Fit(c.captured, c.length); ok != (c.begin >= 0) || ok != l.OfVideo {
			t.Errorf("%s: %t", name, ok)
		} else if ok && (l.Samples[0].Offset != -5*time.Second || len(l.Samples) < int(c.length.Seconds())+10) {
			t.Errorf("%s: %d samples from %s", name, len(l.Samples), l.Samples[0].Offset)
		}
		if c.times && c.begin >= 0 && !l.Captured().Equal(start.Add(time.Duration(c.begin)*time.Second)) {
			t.Errorf("%s: begins at %s", name, l.Captured())
		}
	}
}

// TestCapturedOfWholeSeconds has ten records a second with times in whole seconds: the log began 0.73 s after the first
// of them.
func TestCapturedOfWholeSeconds(t *testing.T) {
	began := time.Date(2026, 5, 17, 8, 0, 0, 730e6, time.UTC)
	for name, c := range map[string]struct {
		every, unit time.Duration
		from, to    time.Duration // of the result after the true time
	}{
		"ten records a second": {100 * time.Millisecond, time.Second, -100 * time.Millisecond, 0},
		"one record a second":  {time.Second, time.Second, -730 * time.Millisecond, -730 * time.Millisecond},
		"milliseconds":         {100 * time.Millisecond, time.Millisecond, 0, 0},
	} {
		l := &Log{Zone: UTC}
		for i := range 40 {
			s := NewSample(time.Duration(i) * c.every)
			s.Time = began.Add(s.Offset).Truncate(c.unit)
			l.Samples = append(l.Samples, s)
		}
		if d := l.Captured().Sub(began); d < c.from || d > c.to {
			t.Errorf("%s: %s after the true time, want %s to %s", name, d, c.from, c.to)
		}
	}
}
