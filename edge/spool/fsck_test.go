package spool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

func TestFsckFindsDamageAndRepairs(t *testing.T) {
	h := newFullSpool(t)
	o := Options{Dir: h.dir}
	r := must.Get(Fsck(t.Context(), o))(t)
	if !r.OK() || r.Footage != 3 || r.Chunks != 3+2+1 {
		t.Fatalf("whole spool: got %+v, want no fault in 3 pieces", r)
	}
	flip(t, h.dir, chunkKey(h.spooled.ID, Video, 2))
	flip(t, h.dir, chunkKey(h.sent.ID, Video, 0))
	before := listing(t, h.dir)
	r = must.Get(Fsck(t.Context(), o))(t)
	if r.OK() || len(r.Faults) != 2 || r.Damaged != 2 || r.Lost < 4<<20 {
		t.Errorf("damaged spool: got %+v, want 2 faults", r)
	}
	for _, f := range r.Faults {
		if f.Damaged != 1 || f.Detail == "" || f.Name == "" {
			t.Errorf("got fault %+v, want one damaged chunk with a detail and a name", f)
		}
	}
	if now := listing(t, h.dir); now != before {
		t.Errorf("the check changed the spool:\n%s\n%s", before, now)
	}
	must.Do(t, RepairStore(t.Context(), o, &r))
	if r.Repair.Salvaged == nil || r.Repair.Reread != 2 {
		t.Errorf("got %+v, want a salvage and 2 pieces to be read again", r.Repair)
	}
	r = must.Get(Fsck(t.Context(), o))(t)
	if !r.OK() || r.Footage != 1 {
		t.Errorf("after the repair: got %+v, want no fault in 1 piece", r)
	}
	s := open(t, h.dir)
	h.check(t, s, h.spooled.ID, h.sent.ID)
	if _, err := Fsck(t.Context(), o); !errors.Is(err, ErrInUse) {
		t.Errorf("spool in use: got error %v, want ErrInUse", err)
	}
	closeSpool(t, s)
}

func TestFsckWithoutSpool(t *testing.T) {
	if _, err := Fsck(t.Context(), Options{Dir: t.TempDir()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v, want os.ErrNotExist", err)
	}
}

// listing returns the path and modification time of every file.
func listing(t *testing.T, dir string) string {
	t.Helper()
	all := ""
	must.Do(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all += path + info.ModTime().String() + "\n"
		}
		return err
	}))
	return all
}
