package spool

import (
	"testing"

	"cattlecounter/deploy/testkit/must"
)

func TestLinkSettingsAcrossRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if d := must.Get(s.Link.DataUse())(t); d != (DataUse{}) {
		t.Errorf("new spool: got %+v, want the zero value", d)
	}
	if o := must.Get(s.Link.Orders())(t); o != (LinkOrders{}) {
		t.Errorf("new spool: got %+v, want the zero value", o)
	}
	yes, use := true, DataUse{Day: "2026-11-24", Month: "2026-11", DayBytes: 7, MonthBytes: 9}
	must.Do(t, s.Link.SetDataUse(use))
	must.Do(t, s.Link.SetOrders(LinkOrders{Limit: 1 << 20, Metered: &yes}))
	r := fill(t, s, "/card/a.mp4", 1, 100)
	must.Do(t, s.Records.SetPriority(r.ID, 5))
	must.Do(t, s.Close())

	s = open(t, dir)
	if d := must.Get(s.Link.DataUse())(t); d != use {
		t.Errorf("after a restart: got %+v, want %+v", d, use)
	}
	if o := must.Get(s.Link.Orders())(t); o.Limit != 1<<20 || o.Metered == nil || !*o.Metered {
		t.Errorf("after a restart: got %+v, want both orders", o)
	}
	if got, _ := s.Records.Get(r.ID); got.Priority != 5 {
		t.Errorf("after a restart: got %+v, want priority 5", got)
	}
	must.Do(t, s.Close())
}
