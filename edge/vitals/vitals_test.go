package vitals

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/shared/topic"
)

func TestTemperature(t *testing.T) {
	dir := t.TempDir()
	if hottest(filepath.Join(dir, "*/temp")) != nil {
		t.Error("a temperature without a sensor")
	}
	for name, text := range map[string]string{"z0": "45000\n", "z1": "51250", "z2": "-273150", "z3": "warm", "z4": ""} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "temp"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := hottest(filepath.Join(dir, "*/temp")); got == nil || *got != 51.25 {
		t.Error(got)
	}
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		now         time.Time
		disciplined bool
		want        topic.Clock
	}{
		{time.Unix(0, 0), true, topic.ClockUnsynced},
		{clock.Built().Add(-time.Second), true, topic.ClockUnsynced},
		{clock.Built().Add(time.Hour), true, topic.ClockSynced},
		{clock.Built().Add(time.Hour), false, topic.ClockUnsynced},
	} {
		if got := state(c.now, c.disciplined); got != c.want {
			t.Errorf("%v %v: %s", c.now, c.disciplined, got)
		}
	}
	if got := Clock(); got != topic.ClockSynced && got != topic.ClockUnsynced {
		t.Error(got)
	}
}

func FuzzParseTemperature(f *testing.F) {
	f.Add("45000\n")
	f.Fuzz(func(t *testing.T, s string) {
		if c, ok := parseTemperature(s); ok && (c <= -60 || c >= 150) {
			t.Fatal(c)
		}
	})
}
