package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
)

// The disk gets back what the cloud has confirmed: 95 % of it, also when it was
// not much and when other footage shares its files.
func TestGarbageIsCollected(t *testing.T) {
	for name, size := range map[string]int{"one file of 60 MB": 60 << 20, "300 MB": 300 << 20} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && size > 100<<20 {
				t.Skip("writes 300 MB")
			}
			s := opened(t)
			empty := must[Space](t)(s.Disk.Space()).Used
			first := fill(t, s, "/card/first.mp4", 7, 5<<20)
			r := fill(t, s, "/card/g.mp4", 8, size)
			keep := fill(t, s, "/card/keep.mp4", 9, 5<<20)
			confirm(t, s, r.ID)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			ok(t, s.Disk.Collect(ctx))
			stay := must[Space](t)(s.Disk.Space()).Used - empty - 10<<20
			t.Logf("%d KiB of %d MiB stay", stay>>10, size>>20)
			if stay > int64(size)/20 {
				t.Errorf("%d MiB of %d MiB stay", stay>>20, size>>20)
			}
			ok(t, s.Content.Verify(ctx, keep.ID))
			ok(t, s.Content.Verify(ctx, first.ID))
		})
	}
}

// Badger ends at the first entry that is not right, and deletes the file.
func TestGarbageCollectionSparesWhatIsBehindDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	hit := fill(t, s, "/card/hit.mp4", 1, 4<<20)
	gone := fill(t, s, "/card/gone.mp4", 2, 20<<20)
	keep := fill(t, s, "/card/keep.mp4", 3, 4<<20)
	shut(t, s)
	flip(t, dir, chunkKey(hit.ID, Video, 0))
	// A later log, so that the damage is not in the one that Badger looks at.
	s = openStoreOnly(t, dir)
	defer func() { shut(t, s) }()
	confirm(t, s, gone.ID)
	ok(t, s.Disk.Collect(t.Context()))
	if names := must[[]string](t)(logFiles(s.store.path(), ".vlog")); names[0] == "000001.vlog" {
		t.Fatalf("the damaged file was not collected: %v", names)
	}
	ok(t, s.Content.Verify(t.Context(), keep.ID))
	if err := s.Content.Verify(t.Context(), hit.ID); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// openStoreOnly opens a spool as if its damage had come while it was open.
func openStoreOnly(t *testing.T, dir string) *Spool {
	t.Helper()
	whole := filepath.Join(t.TempDir(), "whole")
	store := filepath.Join(dir, storeDir)
	copySparse(t, store, whole)
	unflip(t, whole)
	ok(t, os.Rename(filepath.Join(dir, storeDir), filepath.Join(dir, "hit")))
	ok(t, os.Rename(whole, store))
	s := open(t, dir)
	b := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "hit", "000001.vlog")))
	f := must[*os.File](t)(os.OpenFile(filepath.Join(store, "000001.vlog"), os.O_RDWR, 0))
	must[int](t)(f.WriteAt(b, 0))
	ok(t, f.Close())
	return s
}

// flip turns a bit in the middle of the newest value of a key.
func flip(t *testing.T, dir string, key []byte) {
	t.Helper()
	store := filepath.Join(dir, storeDir)
	x := must[*logIndex](t)(indexLogs(store))
	p, there := x.keys[string(key)]
	if !there {
		t.Fatalf("no key %s", key)
	}
	turn(t, filepath.Join(store, p.file), p.offset+int64(p.length)/2)
}

func turn(t *testing.T, path string, at int64) {
	t.Helper()
	f := must[*os.File](t)(os.OpenFile(path, os.O_RDWR, 0))
	b := make([]byte, 1)
	must[int](t)(f.ReadAt(b, at))
	b[0] ^= 0x10
	must[int](t)(f.WriteAt(b, at))
	ok(t, f.Close())
}

// unflip mends the one damaged place of the first value log.
func unflip(t *testing.T, store string) {
	t.Helper()
	path := filepath.Join(store, "000001.vlog")
	damage := must[[]span](t)(scanLog(path, func(entry) error { return nil }))
	if len(damage) != 1 {
		t.Fatalf("%v", damage)
	}
	turn(t, path, damage[0].From+(damage[0].To-damage[0].From)/2)
	if left := must[[]span](t)(scanLog(path, func(entry) error { return nil })); len(left) != 0 {
		t.Fatalf("%v", left)
	}
}

// With KeepConfirmed the cloud's footage stays until its room is needed, then the
// oldest goes, and what is not confirmed never does.
func TestConfirmedMakesRoom(t *testing.T) {
	s := opened(t, func(o *Options) { o.KeepConfirmed, o.Quota = true, 60<<20 })
	sent := func(r Record) footage.ID {
		must[Record](t)(s.Uploads.Begin(r.ID))
		ok(t, s.Uploads.Accept(r.ID))
		ok(t, s.Uploads.Confirm(r.ID, ""))
		ok(t, s.Uploads.Release(r.ID))
		return r.ID
	}
	waits := fill(t, s, "/card/waits.mp4", 1, 4<<20)
	first := sent(fill(t, s, "/card/first.mp4", 2, 20<<20))
	second := sent(fill(t, s, "/card/second.mp4", 3, 20<<20))
	if sp := must[Space](t)(s.Disk.Space()); sp.Confirmed != 40<<20 || sp.Percent() > 20 {
		t.Errorf("%+v: %v %%", sp, sp.Percent())
	}
	ok(t, s.Content.Verify(t.Context(), first))
	for range 5 {
		if err := s.Disk.MakeRoom(30 << 20); !errors.Is(err, ErrNoSpace) {
			t.Fatal(err)
		}
	}
	a, _ := s.Records.Get(first)
	b, _ := s.Records.Get(second)
	if a.State != Reclaimed || b.State != Confirmed {
		t.Fatalf("%s, %s: the oldest goes, one at a time", a.State, b.State)
	}
	ok(t, s.Disk.Collect(t.Context()))
	s.store.collecting.Store(false)
	ok(t, s.Disk.MakeRoom(20<<20))
	ok(t, s.Content.Verify(t.Context(), waits.ID))
	ok(t, s.Content.Verify(t.Context(), second))
}

func TestRunCollectsAndStops(t *testing.T) {
	s := opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.store.requestCollection()
	cancel()
	ok(t, <-done)
}

// A failed sync of the value log is an error of the write, whatever Badger says.
func TestFailedSyncIsAnError(t *testing.T) {
	s := opened(t)
	r := must[Record](t)(s.Captures.Add(Source{Path: "/card/a.mp4", Size: 100}, nil))
	b, m := content(r.ID, 1, 100)
	err := s.store.write(func(txn *badger.Txn) error {
		badgerLog{s.store.o.Log, s.store.unsynced}.Errorf("Error while curlf sync: %v\n", errors.New("input/output error"))
		return txn.Set(chunkKey(r.ID, Video, 0), b)
	})
	if !errors.Is(err, errUnsynced) {
		t.Errorf("%v", err)
	}
	ok(t, s.Content.PutChunk(r.ID, Video, m.Video.Chunks[0], b))
	must[footage.Digest](t)(m.Video.SHA256, nil)
}
