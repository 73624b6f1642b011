package spool

import "testing"

func TestLinkSettingsAcrossRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if d := must[DataUse](t)(s.Link.DataUse()); d != (DataUse{}) {
		t.Errorf("new spool: got %+v, want the zero value", d)
	}
	if o := must[LinkOrders](t)(s.Link.Orders()); o != (LinkOrders{}) {
		t.Errorf("new spool: got %+v, want the zero value", o)
	}
	yes, use := true, DataUse{Day: "2026-11-24", Month: "2026-11", DayBytes: 7, MonthBytes: 9}
	ok(t, s.Link.SetDataUse(use))
	ok(t, s.Link.SetOrders(LinkOrders{Limit: 1 << 20, Metered: &yes}))
	r := fill(t, s, "/card/a.mp4", 1, 100)
	ok(t, s.Records.SetPriority(r.ID, 5))
	ok(t, s.Close())

	s = open(t, dir)
	if d := must[DataUse](t)(s.Link.DataUse()); d != use {
		t.Errorf("after a restart: got %+v, want %+v", d, use)
	}
	if o := must[LinkOrders](t)(s.Link.Orders()); o.Limit != 1<<20 || o.Metered == nil || !*o.Metered {
		t.Errorf("after a restart: got %+v, want both orders", o)
	}
	if got, _ := s.Records.Get(r.ID); got.Priority != 5 {
		t.Errorf("after a restart: got %+v, want priority 5", got)
	}
	ok(t, s.Close())
}
