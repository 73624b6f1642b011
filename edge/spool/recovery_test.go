package spool

import (
	"errors"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

func TestQuarantineAndRetry(t *testing.T) {
	s := opened(t)
	r := fill(t, s, "/card/e.mp4", 6, 100)
	must.Do(t, s.Recovery.Quarantine(r.ID, "refused"))
	if got, _ := s.Records.Get(r.ID); got.State != Quarantined || got.Reason != "refused" || chunkCount(t, s) != 1 {
		t.Fatalf("got %+v, want it quarantined with its chunk", got)
	}
	must.Do(t, s.Recovery.Retry(r.ID))
	if got, _ := s.Records.Get(r.ID); got.State != Spooled || got.Reason != "" {
		t.Fatalf("after the retry: got %+v, want it spooled", got)
	}
	must.Do(t, s.Recovery.Reread(r.ID))
	if got, _ := s.Records.Get(r.ID); got.State != Captured || chunkCount(t, s) != 1 {
		t.Fatalf("to be read again: got %+v, want it captured with its chunk", got)
	}
	if err := s.Recovery.Retry(r.ID); !errors.Is(err, ErrTransition) {
		t.Errorf("retry of captured footage: got error %v, want ErrTransition", err)
	}
	if err := s.Recovery.Retry("unknown"); !errors.Is(err, ErrTransition) {
		t.Errorf("retry of unknown footage: got error %v, want ErrTransition", err)
	}
	if err := s.Disk.Reclaim(r.ID); !errors.Is(err, ErrTransition) {
		t.Errorf("reclaim of captured footage: got error %v, want ErrTransition", err)
	}
}

// Footage that the cloud lost is sent or read again. The number of ended footage, which
// bounds the history, stays right.
func TestFootageLostByTheCloud(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	r := fill(t, s, "/card/a.mp4", 1, 100)
	must.Get(s.Uploads.Begin(r.ID))(t)
	must.Do(t, s.Uploads.Confirm(r.ID, ""))
	must.Do(t, s.Recovery.Resend(r.ID))
	if got, _ := s.Records.Get(r.ID); got.State != Spooled || got.Video != (Transfer{}) {
		t.Errorf("to be sent again: got %+v, want it spooled without a transfer", got)
	}
	must.Do(t, s.Content.Verify(t.Context(), r.ID))
	confirm(t, s, r.ID)
	if s.Records.ended != 1 {
		t.Errorf("%d records have ended, want 1", s.Records.ended)
	}
	if err := s.Recovery.Resend(r.ID); !errors.Is(err, ErrTransition) {
		t.Errorf("resend of reclaimed footage: got error %v, want ErrTransition", err)
	}
	must.Do(t, s.Recovery.Reread(r.ID))
	if got, _ := s.Records.Get(r.ID); got.State != Captured || got.Stale || s.Records.ended != 0 {
		t.Errorf("to be read again: got %+v, %d ended, want it captured and 0", got, s.Records.ended)
	}
}

// Damaged footage whose card is missing keeps its undamaged chunks until the card is back.
func TestDamagedFootageWaitsForItsCard(t *testing.T) {
	h := newFullSpool(t)
	flip(t, h.dir, chunkKey(h.spooled.ID, Video, 0))
	s := open(t, h.dir)
	defer func() { closeSpool(t, s) }()
	must.Do(t, s.Recovery.QuarantineMissing(h.spooled.ID, "gone"))
	r, _ := s.Records.Get(h.spooled.ID)
	chunks := must.Get(s.store.keys(chunkPrefix(r.ID)))(t)
	if r.State != Quarantined || !strings.Contains(r.Reason, "insert that card again") || len(chunks) != 2 {
		t.Fatalf("got %+v, want it quarantined with 2 chunks", r)
	}
	back := must.Get(s.Captures.Add(r.Source, nil))(t)
	if back.ID != r.ID || back.State != Captured {
		t.Fatalf("card inserted again: got %+v, want the same footage, captured", back)
	}
	// The same content from another card is no duplicate of damaged footage.
	other := fill(t, s, "/card2/spooled.mp4", 1, 9<<20)
	if other.State != Spooled {
		t.Errorf("same content from another card: got %+v, want it spooled", other)
	}
}
