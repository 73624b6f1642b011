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

// runHub runs a Hub until the end of the test.
func runHub(t *testing.T, l *ledger.Ledger) *Hub {
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

// subscribe waits until the subscription is ready.
func subscribe(t *testing.T, h *Hub) *Subscription {
	t.Helper()
	s, err := h.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	select {
	case <-s.Ready:
	case <-time.After(time.Minute):
		t.Fatal("the subscription does not become ready")
	}
	return s
}

func TestHubSendsChangesAfterReady(t *testing.T) {
	l := openLedger(t)
	record(t, l, "edge1", "old", "old")
	h := runHub(t, l)
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
				t.Error("got a change from before the subscription")
			}
		case <-time.After(time.Minute):
			t.Fatalf("changes received: footage %v, job %v, upload %v; want all", sawFootage, sawJob, sawUpload)
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
	// After the last subscriber has left, a new one becomes ready.
	s.Close()
	s.Close()
	subscribe(t, h)
}

func TestSlowAndTooManyListeners(t *testing.T) {
	l := openLedger(t)
	h := runHub(t, l)
	slow := subscribe(t, h)
	h.broadcast(make([]Change, subscriberBuffer+1))
	n := 0
	for range slow.C {
		n++
	}
	if n != subscriberBuffer || !errors.Is(slow.Err(), ErrSlow) {
		t.Errorf("a slow listener got %d changes and error %v, want %d and ErrSlow", n, slow.Err(), subscriberBuffer)
	}
	for range maxSubscribers {
		s, err := h.Subscribe()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	if _, err := h.Subscribe(); !errors.Is(err, ErrTooMany) {
		t.Errorf("subscribe beyond the limit: error %v, want ErrTooMany", err)
	}
	h.Stop()
	if _, err := h.Subscribe(); !errors.Is(err, ErrStopped) {
		t.Errorf("subscribe after the stop: error %v, want ErrStopped", err)
	}
}
