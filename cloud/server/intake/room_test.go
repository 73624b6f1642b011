package intake

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"cattlecounter/cloud/store/ledger"
)

// announce creates an upload of a size.
func (s *site) announce(id string, size int) reply {
	s.t.Helper()
	return s.do("POST", "/files/", nil, "Upload-Length", strconv.Itoa(size), "Upload-Metadata", meta("footage", id))
}

const megabyte = 1 << 20

// Sizes are reserved at the creation, for all devices together; what does not fit is refused before a byte is sent.
func TestAnnouncedSizesAreReserved(t *testing.T) {
	s := newSite(t, t.TempDir(), func(o *Options) {
		o.Free, o.MinFree = func() (int64, error) { return 100 * megabyte, nil }, 20*megabyte
	})
	first := s.announce("one", 50*megabyte)
	if first.status != http.StatusCreated {
		t.Fatal(first.status)
	}
	s.device = ledger.Device{Name: "base-2", Site: "south", Role: ledger.RoleDevice}
	refused := s.announce("two", 31*megabyte)
	if refused.status != http.StatusInsufficientStorage || refused.header.Get("Retry-After") == "" {
		t.Errorf("the disk is promised twice: %s", refused.body)
	}
	if fits := s.announce("three", 30*megabyte); fits.status != http.StatusCreated {
		t.Errorf("what fits is refused: %s", fits.body)
	}
}

// One device cannot announce more than its share.
func TestShareOfADevice(t *testing.T) {
	s := newSite(t, t.TempDir(), func(o *Options) { o.MaxDeviceBytes = 60 * megabyte })
	if got := s.announce("a", 40*megabyte).status; got != http.StatusCreated {
		t.Fatal(got)
	}
	if got := s.announce("b", 40*megabyte).status; got != http.StatusInsufficientStorage {
		t.Errorf("over its share: %d", got)
	}
	s.device = ledger.Device{Name: "base-2", Site: "south", Role: ledger.RoleDevice}
	if got := s.announce("c", 40*megabyte).status; got != http.StatusCreated {
		t.Errorf("another device is refused: %d", got)
	}
}

// Bytes are refused while the disk has less than MinFree, and taken again afterwards.
func TestMinFreeHoldsWhileBytesArrive(t *testing.T) {
	var free atomic.Int64
	free.Store(100 * megabyte)
	s := newSite(t, t.TempDir(), func(o *Options) {
		o.Free, o.MinFree = func() (int64, error) { return free.Load(), nil }, 20*megabyte
	})
	at := s.announce("one", 1000).header.Get("Location")
	body := clip("one", 500)
	free.Store(19 * megabyte)
	if r := s.patch(at, 0, body); r.status != http.StatusInsufficientStorage {
		t.Errorf("with little room: %d %s", r.status, r.body)
	}
	free.Store(100 * megabyte)
	if r := s.patch(at, 0, body); r.status != http.StatusNoContent {
		t.Errorf("with room again: %d %s", r.status, r.body)
	}
}

// Uploads that begin at the same time are no way around the quotas.
func TestQuotasHoldAtTheSameTime(t *testing.T) {
	const most = 3
	s := newSite(t, t.TempDir(), func(o *Options) { o.MaxSessions = most })
	var begun atomic.Int64
	var all sync.WaitGroup
	for i := range 10 * most {
		all.Go(func() {
			if s.announce("f"+strconv.Itoa(i), megabyte).status == http.StatusCreated {
				begun.Add(1)
			}
		})
	}
	all.Wait()
	if begun.Load() != most {
		t.Errorf("%d uploads began, want %d", begun.Load(), most)
	}
}
