package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

func TestOpenErrorNamesTheRemedy(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "another edge-agent") {
		t.Errorf("spool in use: got error %v, want ErrInUse that names the other agent", err)
	}
	closeSpool(t, s)
	file := filepath.Join(dir, "file")
	must.Do(t, os.WriteFile(file, nil, 0o600))
	if _, err := Open(Options{Dir: file}); err == nil {
		t.Error("a file was opened as a folder")
	}
}

func TestOpenDeletesUnneededChunks(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	r := fill(t, s, "/card/c.mp4", 3, 100)
	_, m := content("unknown", 4, 100)
	b, _ := content("unknown", 4, 100)
	putChunks(t, s, b, m) // without a record
	must.Get(s.Uploads.Begin(r.ID))(t)
	must.Do(t, s.Uploads.Accept(r.ID))
	must.Do(t, s.Uploads.Confirm(r.ID, "")) // the power is cut before Reclaim
	closeSpool(t, s)
	s = open(t, dir)
	defer closeSpool(t, s)
	if got, _ := s.Records.Get(r.ID); got.State != Reclaimed || chunkCount(t, s) != 0 {
		t.Fatalf("got %s with %d chunks, want reclaimed without chunks", got.State, chunkCount(t, s))
	}
}
