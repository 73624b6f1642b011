package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// A collection frees at least 95 % of the space of confirmed footage, also of small footage
// and of footage that shares its files with other footage.
func TestGarbageIsCollected(t *testing.T) {
	for name, size := range map[string]int{"one file of 60 MB": 60 << 20, "300 MB": 300 << 20} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && size > 100<<20 {
				t.Skip("writes 300 MB")
			}
			s := opened(t)
			empty := must.Get(s.Disk.Space())(t).Used
			first := fill(t, s, "/card/first.mp4", 7, 5<<20)
			r := fill(t, s, "/card/g.mp4", 8, size)
			keep := fill(t, s, "/card/keep.mp4", 9, 5<<20)
			confirm(t, s, r.ID)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			must.Do(t, s.Disk.Collect(ctx))
			left := must.Get(s.Disk.Space())(t).Used - empty - 10<<20
			t.Logf("%d KiB of %d MiB are not freed", left>>10, size>>20)
			if left > int64(size)/20 {
				t.Errorf("%d MiB of %d MiB are not freed", left>>20, size>>20)
			}
			must.Do(t, s.Content.Verify(ctx, keep.ID))
			must.Do(t, s.Content.Verify(ctx, first.ID))
		})
	}
}

// Badger stops at the first damaged entry and then deletes the file. A collection first
// rescues the entries behind the damage.
func TestGarbageCollectionRescuesEntriesBehindDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	hit := fill(t, s, "/card/hit.mp4", 1, 4<<20)
	gone := fill(t, s, "/card/gone.mp4", 2, 20<<20)
	keep := fill(t, s, "/card/keep.mp4", 3, 4<<20)
	closeSpool(t, s)
	flip(t, dir, chunkKey(hit.ID, Video, 0))
	s = openWithLaterDamage(t, dir)
	defer func() { closeSpool(t, s) }()
	confirm(t, s, gone.ID)
	must.Do(t, s.Disk.Collect(t.Context()))
	if names := must.Get(logFiles(s.store.path(), ".vlog"))(t); names[0] == "000001.vlog" {
		t.Fatalf("the damaged file was not collected: %v", names)
	}
	must.Do(t, s.Content.Verify(t.Context(), keep.ID))
	if err := s.Content.Verify(t.Context(), hit.ID); !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged footage: got error %v, want ErrDamaged", err)
	}
}

// openWithLaterDamage opens a spool as if the damage happened while it was open.
func openWithLaterDamage(t *testing.T, dir string) *Spool {
	t.Helper()
	whole := filepath.Join(t.TempDir(), "whole")
	store := filepath.Join(dir, storeDir)
	copySparse(t, store, whole)
	unflip(t, whole)
	must.Do(t, os.Rename(filepath.Join(dir, storeDir), filepath.Join(dir, "hit")))
	must.Do(t, os.Rename(whole, store))
	s := open(t, dir)
	b := must.Get(os.ReadFile(filepath.Join(dir, "hit", "000001.vlog")))(t)
	f := must.Get(os.OpenFile(filepath.Join(store, "000001.vlog"), os.O_RDWR, 0))(t)
	must.Get(f.WriteAt(b, 0))(t)
	must.Do(t, f.Close())
	return s
}

// flip flips a bit in the middle of the newest value of a key.
func flip(t *testing.T, dir string, key []byte) {
	t.Helper()
	store := filepath.Join(dir, storeDir)
	x := must.Get(indexLogs(store))(t)
	p, there := x.keys[string(key)]
	if !there {
		t.Fatalf("no key %s", key)
	}
	flipBit(t, filepath.Join(store, p.file), p.offset+int64(p.length)/2)
}

// flipBit flips a bit of the byte at an offset of a file.
func flipBit(t *testing.T, path string, at int64) {
	t.Helper()
	f := must.Get(os.OpenFile(path, os.O_RDWR, 0))(t)
	b := make([]byte, 1)
	must.Get(f.ReadAt(b, at))(t)
	b[0] ^= 0x10
	must.Get(f.WriteAt(b, at))(t)
	must.Do(t, f.Close())
}

// unflip reverses flip in the first value log.
func unflip(t *testing.T, store string) {
	t.Helper()
	path := filepath.Join(store, "000001.vlog")
	damage := must.Get(scanLog(path, func(entry) error { return nil }))(t)
	if len(damage) != 1 {
		t.Fatalf("%v", damage)
	}
	flipBit(t, path, damage[0].From+(damage[0].To-damage[0].From)/2)
	if left := must.Get(scanLog(path, func(entry) error { return nil }))(t); len(left) != 0 {
		t.Fatalf("%v", left)
	}
}
