package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/edge/alarm"
	"cattlecounter/edge/config"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// When the cloud loses confirmed footage, the next start reads it from the card again and
// sends it with the same id.
func TestFootageLostByTheCloudIsReadAgain(t *testing.T) {
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	card, id := t.TempDir(), footage.ID("")
	same := func(c *config.Config) { c.Spool.Dir, c.Watch.Folders = dir, []string{card} }
	done := func(l []spool.Record) bool { return len(l) == 1 && l[0].State == spool.Reclaimed }
	t.Run("sent", func(t *testing.T) {
		s := newStation(t, same)
		s.card = card
		s.addVideo("a.mp4", []byte(strings.Repeat("cows", 1000)))
		id = s.waitFor("reclaimed", done)[0].ID
	})
	t.Run("lost", func(t *testing.T) {
		s := newStation(t, same) // with an empty cloud
		s.waitFor("reclaimed again", func(l []spool.Record) bool {
			s.cloud.Lock()
			defer s.cloud.Unlock()
			return done(l) && s.cloud.Footage[id] != nil
		})
		if r := s.a.Status().Uplink.Reconciliation; r.Reread != 1 || r.Lost != 0 || s.a.alarms.Check()[alarm.Cloud] != "" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("lost, and the card is another one", func(t *testing.T) {
		if err := os.Remove(filepath.Join(card, "a.mp4")); err != nil {
			t.Fatal(err)
		}
		s := newStation(t, same)
		s.waitFor("compared", func([]spool.Record) bool { return s.a.uplink.Report().Reconciliation.Lost == 1 })
		if found := s.a.alarms.Check(); !strings.Contains(found[alarm.Cloud], "1 pieces of footage are lost in the cloud") {
			t.Errorf("%v", found)
		}
	})
}
