package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/edge/config"
	"cattlecounter/edge/spool"
)

func TestConfirmedOriginalsAreDeleted(t *testing.T) {
	s := newStation(t, func(c *config.Config) { c.Watch.DeleteConfirmed = true })
	if err := s.a.station().SetPaused(true); err != nil {
		t.Fatal(err)
	}
	s.addVideo("a.mp4", []byte("cows"))
	s.addVideo("twin.mp4", []byte("cows"))
	s.addVideo("changed.mp4", []byte("bulls"))
	s.waitFor("spooled", func(l []spool.Record) bool {
		n := 0
		for _, r := range l {
			if r.State == spool.Spooled || r.State == spool.Duplicate {
				n++
			}
		}
		return n == 3
	})
	for _, name := range []string{"a.mp4", "twin.mp4", "changed.mp4"} {
		if _, err := os.Stat(filepath.Join(s.card, name)); err != nil {
			t.Errorf("deleted before the confirmation: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.card, "changed.mp4"), []byte("another flight, still being written"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.a.station().SetPaused(false); err != nil {
		t.Fatal(err)
	}
	s.waitFor("reclaimed", func(l []spool.Record) bool {
		for _, r := range l[:3] {
			if r.State != spool.Reclaimed && r.State != spool.Duplicate {
				return false
			}
		}
		return true
	})
	for _, name := range []string{"a.mp4", "twin.mp4"} {
		deleted(t, filepath.Join(s.card, name))
	}
	if _, err := os.Stat(filepath.Join(s.card, "changed.mp4")); err != nil {
		t.Errorf("a file that changed was deleted: %v", err)
	}
}

// deleted waits until a file is deleted, for which there is no event.
func deleted(t *testing.T, path string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(3 * time.Minute)
	defer limit.Stop()
	for {
		if _, err := os.Stat(path); os.IsNotExist(err) {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%s is not deleted", path)
		}
	}
}
