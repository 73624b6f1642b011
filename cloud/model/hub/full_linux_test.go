package hub

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"cattlecounter/cloud/model"
)

// TestDiskFull pulls onto a file system that is too small. Without the right to
// mount the test is skipped, except in CI, where that would go unnoticed.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount: %v", err)
		}
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	h := newHub(t, plain)
	p := newPuller(t, h)
	p.store = model.Store{Dir: dir}
	_, err := p.pull("herd/yak")
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "goes on from there") || len(p.waits) != 0 {
		t.Errorf("waited %v: %v", p.waits, err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	h.requests()
	p.content(p.must("herd/yak").Entry, plain)
	if got := asked(h); len(got) != 1 || !strings.HasPrefix(got[0], "bytes=") {
		t.Errorf("asked for %q", got)
	}
}
