package spool

import (
	"errors"
	"testing"
)

func TestLinkBooksOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if d := must[DataUse](t)(s.DataUse()); d != (DataUse{}) {
		t.Errorf("%+v", d)
	}
	if o := must[LinkOrders](t)(s.LinkOrders()); o != (LinkOrders{}) {
		t.Errorf("%+v", o)
	}
	yes, use := true, DataUse{Day: "2026-11-24", Month: "2026-11", DayBytes: 7, MonthBytes: 9}
	ok(t, s.SetDataUse(use))
	ok(t, s.SetLinkOrders(LinkOrders{Limit: 1 << 20, Metered: &yes}))
	r := fill(t, s, "/card/a.mp4", 1, 100)
	ok(t, s.SetPriority(r.ID, 5))
	ok(t, s.Close())

	s = open(t, dir)
	if d := must[DataUse](t)(s.DataUse()); d != use {
		t.Errorf("%+v", d)
	}
	if o := must[LinkOrders](t)(s.LinkOrders()); o.Limit != 1<<20 || o.Metered == nil || !*o.Metered {
		t.Errorf("%+v", o)
	}
	if got, _ := s.Record(r.ID); got.Priority != 5 {
		t.Errorf("%+v", got)
	}
	ok(t, s.Close())
}

func TestPriorityOnlyOfWhatIsStillToSend(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	r := fill(t, s, "/card/a.mp4", 1, 100)
	if err := s.SetPriority(r.ID, MaxPriority+1); err == nil {
		t.Error("a priority without bounds")
	}
	if err := s.SetPriority("00000000000000000000000000", 1); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	confirm(t, s, r.ID)
	if err := s.SetPriority(r.ID, 1); !errors.Is(err, ErrTransition) {
		t.Error(err)
	}
}

// What the cloud lost goes its way again, and the count of ended footage, which
// bounds the history, stays right.
func TestLostByTheCloud(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	r := fill(t, s, "/card/a.mp4", 1, 100)
	must[Record](t)(s.BeginUpload(r.ID))
	ok(t, s.Confirm(r.ID, ""))
	ok(t, s.Resend(r.ID))
	if got, _ := s.Record(r.ID); got.State != Spooled || got.Video != (Transfer{}) {
		t.Errorf("%+v", got)
	}
	ok(t, s.Verify(t.Context(), r.ID))
	confirm(t, s, r.ID)
	if s.ended != 1 {
		t.Errorf("%d ended", s.ended)
	}
	if err := s.Resend(r.ID); !errors.Is(err, ErrTransition) {
		t.Error(err)
	}
	ok(t, s.Reread(r.ID))
	if got, _ := s.Record(r.ID); got.State != Captured || got.Stale || s.ended != 0 {
		t.Errorf("%+v, %d ended", got, s.ended)
	}
}
