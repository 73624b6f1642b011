package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/edge/config"
	"cattlecounter/edge/spool"
)

func TestSpaceLevel(t *testing.T) {
	level := 0
	for _, c := range []struct {
		percent float64
		want    int
	}{{10, 0}, {79.9, 0}, {80, 80}, {79, 80}, {77.9, 0}, {91, 90}, {89, 90}, {87, 80}, {100, 100}, {98.5, 100}, {97, 90}, {50, 0}} {
		if level = spaceLevel(c.percent, level); level != c.want {
			t.Errorf("%v %%: %d, want %d", c.percent, level, c.want)
		}
	}
}

// A spool that was broken starts, and says so to whoever looks.
func TestBrokenSpoolIsAnAlarm(t *testing.T) {
	s := newStation(t, func(c *config.Config) {
		sp, err := spool.Open(spool.Options{Dir: c.Spool.Dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := sp.Link.SetPaused(true); err != nil {
			t.Fatal(err)
		}
		if err := sp.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(c.Spool.Dir, "store", "MANIFEST")); err != nil {
			t.Fatal(err)
		}
	})
	found := s.a.findAlarms()
	if !strings.Contains(found[alarmSpool], "was broken") || !s.a.uplink.Paused() {
		t.Errorf("%v", found)
	}
	s.a.alarms.set(found)
	if v := s.a.vitals(); !strings.Contains(v.Alarm, "was broken") || v.Alarms[alarmSpool] == "" {
		t.Errorf("%+v", v)
	}
}
