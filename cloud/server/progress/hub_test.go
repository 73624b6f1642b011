package progress

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

func hub(t *testing.T, l *ledger.Ledger) *Hub {
	t.Helper()
	h := NewHub(l.Changes, l.Uploads, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

func subscribe(t *testing.T, h *Hub) *Subscription {
	t.Helper()
	s, err := h.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	select {
	case <-s.Ready:
	case <-time.After(10 * time.Second):
		t.Fatal("never ready")
	}
	return s
}

func TestHubSendsWhatComesAfterReady(t *testing.T) {
	l := openLedger(t)
	record(t, l, "edge1", "old", "old")
	h := hub(t, l)
	s := subscribe(t, h)
	r := record(t, l, "edge1", "one", "a")
	u := ledger.Upload{ID: "u1", Footage: "two", Device: "edge1", Site: "farm", Kind: wire.KindVideo, Name: "n", Size: 5}
	if _, err := l.Uploads.Create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	var sawFootage, sawJob, sawUpload bool
	for !sawFootage || !sawJob || !sawUpload {
		select {
		case c := <-s.C:
			sawFootage = sawFootage || c.Footage != nil && c.Footage.ID == "one"
			sawJob = sawJob || c.Job != nil && c.Job.ID == r.Job.ID
			sawUpload = sawUpload || c.Upload != nil && c.Upload.ID == "u1" && !c.Upload.Gone
			if c.Footage != nil && c.Footage.ID == "old" {
				t.Error("an old change came")
			}
		case <-time.After(10 * time.Second):
			t.Fatal(sawFootage, sawJob, sawUpload)
		}
	}
	if err := l.Uploads.Delete(t.Context(), "u1"); err != nil {
		t.Fatal(err)
	}
	for c := range s.C {
		if c.Upload != nil && c.Upload.Gone {
			break
		}
	}
	// The last one goes, and a later one is ready again.
	s.Close()
	s.Close()
	subscribe(t, h)
}

func TestSlowAndTooManyListeners(t *testing.T) {
	l := openLedger(t)
	h := hub(t, l)
	slow := subscribe(t, h)
	h.broadcast(make([]Change, subscriberBuffer+1))
	n := 0
	for range slow.C {
		n++
	}
	if n != subscriberBuffer || !errors.Is(slow.Err(), ErrSlow) {
		t.Errorf("%d changes, %v", n, slow.Err())
	}
	for range maxSubscribers {
		s, err := h.Subscribe()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	if _, err := h.Subscribe(); !errors.Is(err, ErrTooMany) {
		t.Errorf("%v", err)
	}
	h.Stop()
	if _, err := h.Subscribe(); !errors.Is(err, ErrStopped) {
		t.Errorf("%v", err)
	}
}
