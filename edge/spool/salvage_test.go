package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// fullSpool is a closed spool with footage in every state that has content, and reclaimed footage.
type fullSpool struct {
	dir                             string
	spooled, sent, bad, small, gone Record
}

func newFullSpool(t *testing.T) fullSpool {
	h := fullSpool{dir: t.TempDir()}
	// One value log holds all. Badger reads only the last one when it opens.
	s := open(t, h.dir, func(o *Options) { o.LogFile = 64 << 20 })
	h.spooled = fill(t, s, "/card/spooled.mp4", 1, 9<<20)
	h.gone = fill(t, s, "/card/gone.mp4", 2, 5<<20)
	h.sent = fill(t, s, "/card/sent.mp4", 3, 5<<20)
	h.bad = fill(t, s, "/card/bad.mp4", 4, 300)
	h.small = fill(t, s, "/card/small.mp4", 5, 200)
	confirm(t, s, h.gone.ID)
	must.Get(s.Uploads.Begin(h.sent.ID))(t)
	must.Do(t, s.Uploads.SetTransfer(h.sent.ID, Video, Transfer{URL: "u", Offset: 4 << 20}))
	must.Do(t, s.Recovery.Quarantine(h.bad.ID, "refused"))
	must.Do(t, s.Link.SetPaused(true))
	closeSpool(t, s)
	return h
}

// check compares a spool with what was acknowledged. Footage in damaged may wait to be read
// again; everything else must be unchanged.
func (h fullSpool) check(t *testing.T, s *Spool, damaged ...footage.ID) {
	t.Helper()
	for _, want := range []Record{h.spooled, h.sent, h.bad, h.small} {
		got, there := s.Records.Get(want.ID)
		if !there {
			t.Errorf("%s is lost", want.Name)
			continue
		}
		isDamaged := false
		for _, id := range damaged {
			isDamaged = isDamaged || id == want.ID
		}
		if isDamaged {
			continue
		}
		if err := s.Content.Verify(t.Context(), want.ID); err != nil {
			t.Errorf("%s is %s: %v", want.Name, got.State, err)
		}
	}
	if r, _ := s.Records.Get(h.gone.ID); r.State != Reclaimed {
		t.Errorf("reclaimed footage is now %q", r.State)
	}
	if keys := must.Get(s.store.keys(chunkPrefix(h.gone.ID)))(t); len(keys) > 0 {
		t.Errorf("reclaimed footage has %d chunks, want none", len(keys))
	}
	if r, _ := s.Records.Get(h.sent.ID); r.State == Uploading && (r.Video.URL != "u" || r.Video.Offset != 4<<20) {
		t.Errorf("the state of the upload is lost: %+v", r.Video)
	}
	if !must.Get(s.Link.Paused())(t) {
		t.Error("the operator's pause is lost")
	}
}

// overwriteRandomly overwrites a file with random bytes.
func overwriteRandomly(t *testing.T, path string) {
	t.Helper()
	b := must.Get(os.ReadFile(path))(t)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	must.Do(t, os.WriteFile(path, b, 0o600))
}

// harm is one way to break the store of a fullSpool.
type harm struct {
	do      func(*testing.T, fullSpool)
	damages func(fullSpool) footage.ID // the footage with damaged content, nil without any
	whole   bool                       // Badger opens the store as it is
}

func spooled(h fullSpool) footage.ID { return h.spooled.ID }
func small(h fullSpool) footage.ID   { return h.small.ID }

var harms = map[string]harm{
	"garbled manifest":        {do: func(t *testing.T, h fullSpool) { overwriteRandomly(t, h.file(t, "MANIFEST")) }},
	"missing manifest":        {do: func(t *testing.T, h fullSpool) { must.Do(t, os.Remove(h.file(t, "MANIFEST"))) }},
	"garbled key registry":    {do: func(t *testing.T, h fullSpool) { overwriteRandomly(t, h.file(t, "KEYREGISTRY")) }},
	"garbled table":           {do: func(t *testing.T, h fullSpool) { overwriteRandomly(t, h.file(t, "*.sst")) }},
	"missing table":           {do: func(t *testing.T, h fullSpool) { must.Do(t, os.Remove(h.file(t, "*.sst"))) }},
	"truncated table":         {do: func(t *testing.T, h fullSpool) { must.Do(t, os.Truncate(h.file(t, "*.sst"), 100)) }},
	"bit flipped in a chunk":  {do: func(t *testing.T, h fullSpool) { flip(t, h.dir, chunkKey(h.spooled.ID, Video, 1)) }, damages: spooled},
	"bit flipped in a record": {do: func(t *testing.T, h fullSpool) { flip(t, h.dir, recordKey(h.small.ID)) }},
	"bit flipped in a manifest of footage": {
		do: func(t *testing.T, h fullSpool) { flip(t, h.dir, manifestKey(h.small.ID)) }, damages: small},
	"bit flipped in the header of the value log": {
		do: func(t *testing.T, h fullSpool) { flipBit(t, h.file(t, "*.vlog"), 12) }, whole: true},
	"zeroed block at the beginning of a chunk": {do: zeroChunk, damages: spooled},
	"empty files": {whole: true, do: func(t *testing.T, h fullSpool) {
		for _, name := range []string{"000099.vlog", "000098.sst", "00097.mem"} {
			must.Do(t, os.WriteFile(filepath.Join(h.dir, storeDir, name), nil, 0o600))
		}
	}},
	"unfinished table": {whole: true, do: func(t *testing.T, h fullSpool) {
		must.Do(t, os.WriteFile(filepath.Join(h.dir, storeDir, "000098.sst"), []byte("half"), 0o600))
	}},
	"only the value log": {do: func(t *testing.T, h fullSpool) {
		for _, e := range must.Get(os.ReadDir(filepath.Join(h.dir, storeDir)))(t) {
			if filepath.Ext(e.Name()) != ".vlog" {
				must.Do(t, os.Remove(filepath.Join(h.dir, storeDir, e.Name())))
			}
		}
	}},
}

// file returns the first file of the store that matches a pattern.
func (h fullSpool) file(t *testing.T, pattern string) string {
	t.Helper()
	names := must.Get(filepath.Glob(filepath.Join(h.dir, storeDir, pattern)))(t)
	if len(names) == 0 {
		t.Fatalf("no file %s in the store", pattern)
	}
	return names[0]
}

// zeroChunk zeroes the first block of a chunk.
func zeroChunk(t *testing.T, h fullSpool) {
	t.Helper()
	store := filepath.Join(h.dir, storeDir)
	p := must.Get(indexLogs(store))(t).keys[string(chunkKey(h.spooled.ID, Video, 1))]
	f := must.Get(os.OpenFile(filepath.Join(store, p.file), os.O_RDWR, 0))(t)
	must.Get(f.WriteAt(make([]byte, 4096), p.offset))(t)
	must.Do(t, f.Close())
}

func TestBrokenStoreIsSalvaged(t *testing.T) {
	for name, c := range harms {
		t.Run(name, func(t *testing.T) {
			h := newFullSpool(t)
			c.do(t, h)
			s := open(t, h.dir)
			defer func() { closeSpool(t, s) }()
			if got := s.Salvaged(); (got == nil) != c.whole || got != nil && got.Why == "" {
				t.Errorf("salvage: got %+v, want none: %v", got, c.whole)
			}
			if left := must.Get(filepath.Glob(filepath.Join(h.dir, salvageDir)))(t); len(left) > 0 {
				t.Errorf("the salvage did not remove %v", left)
			}
			if c.damages == nil {
				h.check(t, s)
				return
			}
			id := c.damages(h)
			h.check(t, s, id)
			if r, _ := s.Records.Get(id); r.State != Captured {
				t.Errorf("damaged footage is %s, want captured", r.State)
			}
			if s.Salvaged().Reread != 1 {
				t.Errorf("salvage: got %+v, want 1 piece to be read again", s.Salvaged())
			}
		})
	}
}

// The undamaged chunks of damaged footage are not read from the card again.
func TestSalvageKeepsUndamagedChunks(t *testing.T) {
	h := newFullSpool(t)
	flip(t, h.dir, chunkKey(h.spooled.ID, Video, 1))
	s := open(t, h.dir)
	defer func() { closeSpool(t, s) }()
	if n := len(must.Get(s.store.keys(chunkPrefix(h.spooled.ID)))(t)); n != 2 {
		t.Errorf("%d chunks are in the spool, want the 2 undamaged ones", n)
	}
}

// cutAfter is a context that ends after n calls of Err.
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

// A salvage that is interrupted anywhere continues at the next start.
func TestInterruptedSalvageContinues(t *testing.T) {
	whole := newFullSpool(t)
	must.Do(t, os.Remove(filepath.Join(whole.dir, storeDir, "MANIFEST")))
	for k, done := 0, false; !done; k++ {
		h := whole
		h.dir = t.TempDir()
		copySparse(t, filepath.Join(whole.dir, storeDir), filepath.Join(h.dir, storeDir))
		left := k
		_, err := salvage(cutAfter{t.Context(), &left}, Options{Dir: h.dir}.withDefaults(), errors.New("test"))
		if done = err == nil; done && k < 5 {
			t.Fatalf("the salvage ended before it could be interrupted %d times", k)
		}
		s := open(t, h.dir)
		if !done && s.Salvaged() == nil {
			t.Errorf("interrupted after %d entries: the salvage did not continue", k)
		}
		h.check(t, s)
		closeSpool(t, s)
	}
}

func TestSalvageInterruptedBetweenRenames(t *testing.T) {
	h := newFullSpool(t)
	must.Do(t, os.Rename(filepath.Join(h.dir, storeDir), filepath.Join(h.dir, salvageDir)))
	s := open(t, h.dir)
	defer func() { closeSpool(t, s) }()
	h.check(t, s)
}
