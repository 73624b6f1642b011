package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/blobtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fresh(t testing.TB, root string) *Store {
	t.Helper()
	s, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return fresh(t, t.TempDir()) })
}

func TestStager(t *testing.T) {
	blobtest.RunStager(t, func(t *testing.T) (blobtest.Staging, func() blobtest.Staging) {
		root := t.TempDir()
		return fresh(t, root), func() blobtest.Staging { return fresh(t, root) }
	})
}

// A process that is paused during a Replace delays other Replaces for a limited time,
// and no Put.
func TestReplaceWhileAnotherProcessIsPaused(t *testing.T) {
	root := t.TempDir()
	s := fresh(t, root)
	info, err := s.Put(t.Context(), "k", strings.NewReader("old"))
	if err != nil {
		t.Fatal(err)
	}
	paused, err := os.OpenFile(filepath.Join(root, "k"), os.O_RDWR, 0)
	if err == nil {
		err = unix.Flock(int(paused.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // lockPatience passes at once here
		if _, err := s.Replace(t.Context(), "k", info.Version, strings.NewReader("new")); !errors.Is(err, errLocked) {
			t.Error(err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if _, err := s.Replace(ctx, "k", info.Version, strings.NewReader("new")); !errors.Is(err, gone) {
			t.Error(err)
		}
	})
	if now, err := s.Stat(t.Context(), "k"); err != nil || now != info {
		t.Errorf("%+v became %+v %v", info, now, err)
	}
	paused.Close()
	if _, err := s.Replace(t.Context(), "k", info.Version, strings.NewReader("new")); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(root, ".tmp-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// Two stores on one folder exclude each other as two processes do, because a lock
// belongs to the open file.
func TestReplaceFromSeveralProcesses(t *testing.T) {
	root := t.TempDir()
	blobtest.Race(t, fresh(t, root), fresh(t, root), fresh(t, root))
}

// The time of a blob grows with each Replace, and so does its version, even when the
// clock is set back or too coarse to distinguish two writes.
func TestReplaceWithAClockSetBack(t *testing.T) {
	root := t.TempDir()
	s := fresh(t, root)
	if _, err := s.Put(t.Context(), "k", strings.NewReader("old")); err != nil {
		t.Fatal(err)
	}
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(root, "k"), future, future); err != nil {
		t.Fatal(err)
	}
	old, err := s.Stat(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Replace(t.Context(), "k", old.Version, strings.NewReader("new"))
	if err != nil || !info.Modified.After(old.Modified) {
		t.Errorf("%+v after %+v: %v", info, old, err)
	}
}
