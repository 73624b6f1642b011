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
	for name, captured := range map[string]time.Time{"before": start.Add(-time.Hour), "after": start.Add(time.Hour), "never": {}} {
		if l := flight(); l.Align(captured, time.Minute) || l.OfVideo || len(l.Samples) != 600 {
			t.Errorf("%s: aligned", name)
		}
	}
}
