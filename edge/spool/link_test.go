package spool

import (
	"errors"
	"testing"
)

func TestLinkBooksOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if d := must[DataUse](t)(s.Link.DataUse()); d != (DataUse{}) {
		t.Errorf("%+v", d)
	}
	if o := must[LinkOrders](t)(s.Link.Orders()); o != (LinkOrders{}) {
		t.Errorf("%+v", o)
	}
	yes, use := true, DataUse{Day: "2026-11-24", Month: "2026-11", DayBytes: 7, MonthBytes: 9}
	ok(t, s.Link.SetDataUse(use))
	ok(t, s.Link.SetOrders(LinkOrders{Limit: 1 << 20, Metered: &yes}))
	r := fill(t, s, "/card/a.mp4", 1, 100)
	ok(t, s.Records.SetPriority(r.ID, 5))
	ok(t, s.Close())

	s = open(t, dir)
	if d := must[DataUse](t)(s.Link.DataUse()); d != use {
		t.Errorf("%+v", d)
	}
	if o := must[LinkOrders](t)(s.Link.Orders()); o.Limit != 1<<20 || o.Metered == nil || !*o.Metered {
		t.Errorf("%+v", o)
	}
	if got, _ := s.Records.Get(r.ID); got.Priority != 5 {
		t.Errorf("%+v", got)
	}
	ok(t, s.Close())
}

func TestPriorityOnlyOfWhatIsStillToSend(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	r := fill(t, s, "/card/a.mp4", 1, 100)
	if err := s.Records.SetPriority(r.ID, MaxPriority+1); err == nil {
		t.Error("a priority without bounds")
	}
	if err := s.Records.SetPriority("00000000000000000000000000", 1); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	confirm(t, s, r.ID)
	if err := s.Records.SetPriority(r.ID, 1); !errors.Is(err, ErrTransition) {
		t.Error(err)
	}
}

// What the cloud lost goes its way again, and the count of ended footage, which
// bounds the history, stays right.
func TestLostByTheCloud(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	r := fill(t, s, "/card/a.mp4", 1, 100)
	must[Record](t)(s.Uploads.Begin(r.ID))
	ok(t, s.Uploads.Confirm(r.ID, ""))
	ok(t, s.Recovery.Resend(r.ID))
	if got, _ := s.Records.Get(r.ID); got.State != Spooled || got.Video != (Transfer{}) {
		t.Errorf("%+v", got)
	}
	ok(t, s.Content.Verify(t.Context(), r.ID))
	confirm(t, s, r.ID)
	if s.Records.ended != 1 {
		t.Errorf("%d ended", s.Records.ended)
	}
	if err := s.Recovery.Resend(r.ID); !errors.Is(err, ErrTransition) {
		t.Error(err)
	}
	ok(t, s.Recovery.Reread(r.ID))
	if got, _ := s.Records.Get(r.ID); got.State != Captured || got.Stale || s.Records.ended != 0 {
		t.Errorf("%+v, %d ended", got, s.Records.ended)
	}
}
