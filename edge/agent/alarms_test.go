package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/edge/alarm"
	"cattlecounter/edge/config"
	"cattlecounter/edge/spool"
)

// An agent with a broken spool starts, and raises an alarm.
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
	found := s.a.alarms.Check()
	if !strings.Contains(found[alarm.Spool], "was broken") || !s.a.uplink.Paused() {
		t.Errorf("%v", found)
	}
	if v := s.a.vitals(); !strings.Contains(v.Alarm, "was broken") || v.Alarms[alarm.Spool] == "" {
		t.Errorf("%+v", v)
	}
}
