package agent

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/edge/config"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// put writes a file onto the card with a modification time.
func (s *station) put(name string, content []byte, at time.Time) {
	s.t.Helper()
	path := filepath.Join(s.card, name)
	next := path + ".part" // the watcher leaves it alone
	if err := os.WriteFile(next, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chtimes(next, at, at); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		s.t.Fatal(err)
	}
}

// clip is an MP4 of a fixed size: a head, the content, and a box that fills the rest.
func clip(size int, content []byte) []byte {
	box := func(kind string, b []byte) []byte {
		return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(b))), kind...), b...)
	}
	b := bytes.Join([][]byte{box("ftyp", []byte("isom\x00\x00\x02\x00")), box("mdat", content)}, nil)
	return append(b, box("free", make([]byte, size-8-len(b)))...)
}

// has reports whether the cloud has footage with this content.
func (s *station) has(content []byte) bool {
	s.cloud.Lock()
	defer s.cloud.Unlock()
	for _, f := range s.cloud.Footage {
		if f.SHA256 == footage.Sum(content) {
			return true
		}
	}
	return false
}

// log reports whether the cloud has this flight log of the footage.
func (s *station) log(id footage.ID, text string) bool {
	s.cloud.Lock()
	defer s.cloud.Unlock()
	for _, u := range s.cloud.Uploads {
		if u.Meta.Kind == wire.KindTelemetry && u.Meta.Footage == id && u.Meta.SHA256 == footage.Sum([]byte(text)) &&
			u.Offset == u.Size {
			return true
		}
	}
	return false
}

// A camera whose clock was reset gives a new recording the name, the size and the time of one that was deleted. Both
// reach the cloud, and the second is deleted after that only.
func TestRecordingsWithOneNameSizeAndTime(t *testing.T) {
	s := newStation(t, func(c *config.Config) { c.Watch.DeleteConfirmed = true })
	reset := time.Date(2015, 1, 1, 0, 0, 12, 0, time.UTC)
	const size = 1 << 20
	same := bytes.Repeat([]byte("grass "), 20<<10)
	first := clip(size, append(bytes.Clone(same), "first herd"...))
	for name, second := range map[string][]byte{
		"other content": clip(size, append(bytes.Clone(same), "other herd"...)),
		"content that the fingerprint does not cover": func() []byte {
			b := bytes.Clone(first)
			copy(b[size/2+size/40:], "a third herd")
			return b
		}(),
		"the same file again": first,
	} {
		for _, content := range [][]byte{first, second} {
			s.put("DJI_0001.MP4", content, reset)
			deleted(t, filepath.Join(s.card, "DJI_0001.MP4"))
			if !s.has(content) {
				t.Fatalf("%s: deleted from the card, but the cloud does not have it", name)
			}
		}
	}
	ids := map[footage.Digest]bool{}
	for _, r := range s.a.spool.Records.All() {
		if r.State != spool.Duplicate && ids[r.SHA256] {
			t.Errorf("content %s was sent twice", r.SHA256)
		}
		ids[r.SHA256] = true
	}
}

// A flight log that arrives or grows after its video was confirmed is sent, even if the video is not on the card any more.
func TestFlightLogAfterItsVideo(t *testing.T) {
	for name, deletes := range map[string]bool{"card stays": false, "delete_confirmed": true} {
		t.Run(name, func(t *testing.T) {
			s := newStation(t, func(c *config.Config) { c.Watch.DeleteConfirmed = deletes })
			flight := time.Now().Add(-time.Hour)
			s.put("DJI_0001.MP4", clip(4000, []byte("cows")), flight)
			id := s.waitFor("reclaimed", func(l []spool.Record) bool { return len(l) == 1 && l[0].State == spool.Reclaimed })[0].ID
			if deletes {
				deleted(t, filepath.Join(s.card, "DJI_0001.MP4"))
			}
			for _, text := range []string{"1\nflight log\n", "1\nflight log\n2\nand more\n"} {
				s.put("dji_0001.srt", []byte(text), flight.Add(time.Minute))
				s.waitFor("log sent", func([]spool.Record) bool { return s.log(id, text) })
				if deletes {
					deleted(t, filepath.Join(s.card, "dji_0001.srt"))
				}
			}
			s.waitFor("logs reclaimed", func(l []spool.Record) bool {
				return len(l) == 3 && l[1].State == spool.Reclaimed && l[2].State == spool.Reclaimed
			})
			if st := s.a.Status(); len(st.Footage) != 1 || len(st.FlightLogs) != 0 {
				t.Errorf("status has %d pieces of footage and %d logs, want 1 and none", len(st.Footage), len(st.FlightLogs))
			}
			s.cloud.Lock()
			defer s.cloud.Unlock()
			if len(s.cloud.Footage) != 1 {
				t.Errorf("the cloud has %d pieces of footage, want 1", len(s.cloud.Footage))
			}
		})
	}
}

// A flight log without a video of its name and time belongs to nothing, and stays.
func TestForeignFlightLogStays(t *testing.T) {
	s := newStation(t, func(c *config.Config) { c.Watch.DeleteConfirmed = true })
	flight := time.Now().Add(-time.Hour)
	s.put("DJI_0001.MP4", clip(4000, []byte("cows")), flight)
	deleted(t, filepath.Join(s.card, "DJI_0001.MP4"))
	s.put("DJI_0001.SRT", []byte("1\nnext week\n"), flight.AddDate(0, 0, 7))
	s.put("DJI_0002.SRT", []byte("1\nno video\n"), flight)
	s.waitFor("listed", func([]spool.Record) bool {
		for _, k := range s.a.Status().Folders[0].Skipped {
			if k.Files == 2 && strings.Join(k.Examples, " ") == "DJI_0001.SRT DJI_0002.SRT" {
				return true
			}
		}
		return false
	})
	if n := len(s.a.spool.Records.All()); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

// A name with other bytes than UTF-8 and with characters that turn text is shown safely, and its file is deleted.
func TestNamesOnTheCard(t *testing.T) {
	s := newStation(t, func(c *config.Config) { c.Watch.DeleteConfirmed = true })
	const name, want = "k\xfche\u202e4pm\u200b.mp4", `k\xfche\u202e4pm\u200b.mp4`
	s.put(name, clip(4000, []byte("cows")), time.Now().Add(-time.Hour))
	deleted(t, filepath.Join(s.card, name))
	r := s.a.spool.Records.All()[0]
	if r.Name != want || filepath.Base(r.Source.Path) != name {
		t.Errorf("record: name %q of %q", r.Name, r.Source.Path)
	}
	if f := s.a.Status().Footage[0]; f.Name != want || filepath.Base(f.Path) != want {
		t.Errorf("status: name %q, path %q", f.Name, f.Path)
	}
	s.cloud.Lock()
	defer s.cloud.Unlock()
	if got := s.cloud.Footage[r.ID].Name; got != want {
		t.Errorf("the cloud has the name %q", got)
	}
}

// A date that cannot be true is not sent as the time of capture.
func TestImplausibleDates(t *testing.T) {
	s := newStation(t)
	good := time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		name string
		at   time.Time
		want time.Time
		from footage.TimeSource
	}{
		{"DJI_0001.MP4", time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}, footage.FromNothing},
		{"DJI_20250601080000_0002_W.MP4", time.Date(2107, 12, 31, 0, 0, 0, 0, time.UTC),
			time.Date(2025, 6, 1, 8, 0, 0, 0, time.Local), footage.FromName},
		{"DJI_0003.MP4", good, good, footage.FromFile},
	} {
		s.put(c.name, clip(4000, []byte(c.name)), c.at)
		r := s.waitFor("sent", func(l []spool.Record) bool { return len(l) == i+1 && l[i].State == spool.Reclaimed })[i]
		if !r.Captured.Equal(c.want) || r.CapturedFrom != c.from {
			t.Errorf("%s: captured %s from %q, want %s from %q", c.name, r.Captured, r.CapturedFrom, c.want, c.from)
		}
		s.cloud.Lock()
		for _, u := range s.cloud.Uploads {
			if u.Meta.Footage == r.ID && !u.Meta.Captured.Equal(c.want) {
				t.Errorf("%s: sent as captured %s, want %s", c.name, u.Meta.Captured, c.want)
			}
		}
		s.cloud.Unlock()
	}
}
