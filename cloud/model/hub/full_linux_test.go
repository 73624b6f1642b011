package hub

import (
	"errors"
	"strings"
	"testing"

	"cattlecounter/cloud/model"
	"cattlecounter/deploy/testkit/smalldisk"
)

// TestDiskFull pulls onto a file system that is too small.
func TestDiskFull(t *testing.T) {
	dir := smalldisk.Mount(t, "64k")
	h := newHub(t, plain)
	p := newPuller(t, h)
	p.store = model.Store{Dir: dir}
	_, err := p.pull("herd/yak")
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "the same pull continues it") || len(p.waits) != 0 {
		t.Errorf("pauses %v: %v", p.waits, err)
	}
	smalldisk.Resize(t, dir, "1m")
	h.requests()
	p.content(p.must("herd/yak").Entry, plain)
	if got := asked(h); len(got) != 1 || !strings.HasPrefix(got[0], "bytes=") {
		t.Errorf("requests: %q", got)
	}
}
