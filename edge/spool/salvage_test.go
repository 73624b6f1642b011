package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/shared/footage"
)

// herd is a spool with footage in every state that holds content, and what was
// reclaimed.
type herd struct {
	dir                             string
	spooled, sent, bad, small, gone Record
}

func newHerd(t *testing.T) herd {
	h := herd{dir: t.TempDir()}
	// One value log for all, the last: Badger looks at no other when it opens.
	s := open(t, h.dir, func(o *Options) { o.LogFile = 64 << 20 })
	h.spooled = fill(t, s, "/card/spooled.mp4", 1, 9<<20)
	h.gone = fill(t, s, "/card/gone.mp4", 2, 5<<20)
	h.sent = fill(t, s, "/card/sent.mp4", 3, 5<<20)
	h.bad = fill(t, s, "/card/bad.mp4", 4, 300)
	h.small = fill(t, s, "/card/small.mp4", 5, 200)
	confirm(t, s, h.gone.ID)
	must[Record](t)(s.Uploads.Begin(h.sent.ID))
	ok(t, s.Uploads.SetTransfer(h.sent.ID, Video, Transfer{URL: "u", Offset: 4 << 20}))
	ok(t, s.Recovery.Quarantine(h.bad.ID, "refused"))
	ok(t, s.Link.SetPaused(true))
	shut(t, s)
	return h
}

// check compares a spool with what was acknowledged. Footage in damaged may have
// gone back to the card, everything else must be as it was.
func (h herd) check(t *testing.T, s *Spool, damaged ...footage.ID) {
	t.Helper()
	for _, want := range []Record{h.spooled, h.sent, h.bad, h.small} {
		got, there := s.Records.Get(want.ID)
		if !there {
			t.Errorf("%s is lost", want.Name)
			continue
		}
		hit := false
		for _, id := range damaged {
			hit = hit || id == want.ID
		}
		if hit {
			continue
		}
		if err := s.Content.Verify(t.Context(), want.ID); err != nil {
			t.Errorf("%s is %s: %v", want.Name, got.State, err)
		}
	}
	if r, _ := s.Records.Get(h.gone.ID); r.State != Reclaimed {
		t.Errorf("reclaimed footage is %q", r.State)
	}
	if keys := must[[][]byte](t)(s.store.keys(chunkPrefix(h.gone.ID))); len(keys) > 0 {
		t.Errorf("%d chunks of reclaimed footage came back", len(keys))
	}
	if r, _ := s.Records.Get(h.sent.ID); r.State == Uploading && (r.Video.URL != "u" || r.Video.Offset != 4<<20) {
		t.Errorf("the book of the upload is lost: %+v", r.Video)
	}
	if !must[bool](t)(s.Link.Paused()) {
		t.Error("the operator's pause is lost")
	}
}

func garbage(t *testing.T, path string) {
	t.Helper()
	b := must[[]byte](t)(os.ReadFile(path))
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	ok(t, os.WriteFile(path, b, 0o600))
}

func TestBrokenStoreIsSalvaged(t *testing.T) {
	one := func(t *testing.T, h herd, pattern string) string {
		t.Helper()
		names := must[[]string](t)(filepath.Glob(filepath.Join(h.dir, storeDir, pattern)))
		if len(names) == 0 {
			t.Fatalf("no %s", pattern)
		}
		return names[0]
	}
	for name, c := range map[string]struct {
		harm  func(*testing.T, herd) []footage.ID // returns whose content it hits
		whole bool                                // Badger opens it nevertheless
	}{
		"manifest spoilt":     {harm: func(t *testing.T, h herd) []footage.ID { garbage(t, one(t, h, "MANIFEST")); return nil }},
		"manifest gone":       {harm: func(t *testing.T, h herd) []footage.ID { ok(t, os.Remove(one(t, h, "MANIFEST"))); return nil }},
		"key registry spoilt": {harm: func(t *testing.T, h herd) []footage.ID { garbage(t, one(t, h, "KEYREGISTRY")); return nil }},
		"table spoilt":        {harm: func(t *testing.T, h herd) []footage.ID { garbage(t, one(t, h, "*.sst")); return nil }},
		"table gone":          {harm: func(t *testing.T, h herd) []footage.ID { ok(t, os.Remove(one(t, h, "*.sst"))); return nil }},
		"table cut":           {harm: func(t *testing.T, h herd) []footage.ID { ok(t, os.Truncate(one(t, h, "*.sst"), 100)); return nil }},
		"a bit of a chunk": {harm: func(t *testing.T, h herd) []footage.ID {
			flip(t, h.dir, chunkKey(h.spooled.ID, Video, 1))
			return []footage.ID{h.spooled.ID}
		}},
		"a zeroed block at the beginning of a chunk": {harm: func(t *testing.T, h herd) []footage.ID {
			store := filepath.Join(h.dir, storeDir)
			x := must[*logIndex](t)(indexLogs(store))
			p := x.keys[string(chunkKey(h.spooled.ID, Video, 1))]
			f := must[*os.File](t)(os.OpenFile(filepath.Join(store, p.file), os.O_RDWR, 0))
			must[int](t)(f.WriteAt(make([]byte, 4096), p.offset))
			ok(t, f.Close())
			return []footage.ID{h.spooled.ID}
		}},
		"a bit of a record": {harm: func(t *testing.T, h herd) []footage.ID { flip(t, h.dir, recordKey(h.small.ID)); return nil }},
		"a bit of a manifest of footage": {harm: func(t *testing.T, h herd) []footage.ID {
			flip(t, h.dir, manifestKey(h.small.ID))
			return []footage.ID{h.small.ID}
		}},
		"files begun and left empty": {whole: true, harm: func(t *testing.T, h herd) []footage.ID {
			for _, name := range []string{"000099.vlog", "000098.sst", "00097.mem"} {
				ok(t, os.WriteFile(filepath.Join(h.dir, storeDir, name), nil, 0o600))
			}
			return nil
		}},
		"a table half made": {whole: true, harm: func(t *testing.T, h herd) []footage.ID {
			ok(t, os.WriteFile(filepath.Join(h.dir, storeDir, "000098.sst"), []byte("half"), 0o600))
			return nil
		}},
		"header of the value log": {whole: true, harm: func(t *testing.T, h herd) []footage.ID { turn(t, one(t, h, "*.vlog"), 12); return nil }},
		"only the value log is left": {harm: func(t *testing.T, h herd) []footage.ID {
			for _, e := range must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(h.dir, storeDir))) {
				if filepath.Ext(e.Name()) != ".vlog" {
					ok(t, os.Remove(filepath.Join(h.dir, storeDir, e.Name())))
				}
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerd(t)
			hit := c.harm(t, h)
			s := open(t, h.dir)
			defer func() { shut(t, s) }()
			if got := s.Salvaged(); (got == nil) != c.whole || got != nil && got.Why == "" {
				t.Errorf("salvaged: %+v", got)
			}
			h.check(t, s, hit...)
			for _, id := range hit {
				r, _ := s.Records.Get(id)
				if r.State != Captured {
					t.Errorf("damaged footage is %s", r.State)
				}
			}
			if len(hit) > 0 && s.Salvaged().Reread != len(hit) {
				t.Errorf("%+v", s.Salvaged())
			}
			if name == "a bit of a chunk" {
				if n := len(must[[][]byte](t)(s.store.keys(chunkPrefix(h.spooled.ID)))); n != 2 {
					t.Errorf("%d of the 2 right chunks stay", n)
				}
			}
			if left := must[[]string](t)(filepath.Glob(filepath.Join(h.dir, salvageDir))); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// cutAfter is a context that ends when it was asked n times.
type cutAfter struct {
	context.Context
	n *int
}

func (c cutAfter) Err() error {
	if *c.n--; *c.n < 0 {
		return context.Canceled
	}
	return nil
}

// A salvage that is cut short anywhere goes on at the next start.
func TestSalvageIsCutShort(t *testing.T) {
	whole := newHerd(t)
	ok(t, os.Remove(filepath.Join(whole.dir, storeDir, "MANIFEST")))
	for k, done := 0, false; !done; k++ {
		h := whole
		h.dir = t.TempDir()
		copySparse(t, filepath.Join(whole.dir, storeDir), filepath.Join(h.dir, storeDir))
		left := k
		_, err := salvage(cutAfter{t.Context(), &left}, Options{Dir: h.dir}.withDefaults(), errors.New("test"))
		if done = err == nil; done && k < 5 {
			t.Fatalf("cut nowhere in %d", k)
		}
		s := open(t, h.dir)
		if !done && s.Salvaged() == nil {
			t.Errorf("cut after %d: nothing went on", k)
		}
		h.check(t, s)
		shut(t, s)
	}
}

func TestSalvageStopsBetweenTheNames(t *testing.T) {
	h := newHerd(t)
	ok(t, os.Rename(filepath.Join(h.dir, storeDir), filepath.Join(h.dir, salvageDir)))
	s := open(t, h.dir)
	defer func() { shut(t, s) }()
	h.check(t, s)
}

// What cannot be saved stays, with what is right of it, until the card is back.
func TestDamagedFootageWaitsForItsCard(t *testing.T) {
	h := newHerd(t)
	flip(t, h.dir, chunkKey(h.spooled.ID, Video, 0))
	s := open(t, h.dir)
	defer func() { shut(t, s) }()
	ok(t, s.Recovery.QuarantineMissing(h.spooled.ID, "gone"))
	r, _ := s.Records.Get(h.spooled.ID)
	if r.State != Quarantined || !strings.Contains(r.Reason, "insert that card again") || len(must[[][]byte](t)(s.store.keys(chunkPrefix(r.ID)))) != 2 {
		t.Fatalf("%+v", r)
	}
	back := must[Record](t)(s.Captures.Add(r.Source, nil))
	if back.ID != r.ID || back.State != Captured {
		t.Fatalf("the card is back: %+v", back)
	}
	// The same content from another card heals as well: it is no duplicate of damage.
	other := fill(t, s, "/card2/spooled.mp4", 1, 9<<20)
	if other.State != Spooled {
		t.Errorf("%+v", other)
	}
}

func FuzzScanEntries(f *testing.F) {
	s := open(f, f.TempDir())
	r := fill(f, s, "/card/a.mp4", 1, 300)
	names := must[[]string](f)(logFiles(s.store.path(), ".vlog"))
	b := must[[]byte](f)(os.ReadFile(filepath.Join(s.store.path(), names[len(names)-1])))
	shut(f, s)
	f.Add(b[:4000])
	f.Add([]byte(r.ID))
	f.Fuzz(func(t *testing.T, b []byte) {
		at := int64(logHeader)
		damage, err := scanEntries(&window{r: strings.NewReader(string(b)), at: logHeader}, func(e entry) error {
			if e.Offset < at || len(e.Key) == 0 || e.Length <= len(e.Key)+len(e.Value) {
				t.Fatalf("%+v", e)
			}
			at = e.Offset + int64(e.Length)
			return nil
		})
		if err != nil || at > int64(max(len(b), logHeader)) {
			t.Fatal(at, err)
		}
		for _, d := range damage {
			if d.From >= d.To || d.To > int64(len(b)) {
				t.Fatal(damage)
			}
		}
	})
}
