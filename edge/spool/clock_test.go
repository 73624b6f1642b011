package spool

import (
	"testing"
	"time"
)

func TestKnownTimeAcrossRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if k := must[KnownTime](t)(s.Clock.KnownTime()); k != (KnownTime{}) {
		t.Errorf("new spool: got %+v, want the zero value", k)
	}
	want := KnownTime{Synced: time.Date(2026, 11, 24, 12, 0, 0, 5, time.UTC), GNSS: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}
	ok(t, s.Clock.SetKnownTime(want))
	ok(t, s.Close())
	s = open(t, dir)
	if k := must[KnownTime](t)(s.Clock.KnownTime()); k != want {
		t.Errorf("after a restart: got %+v, want %+v", k, want)
	}
	ok(t, s.Close())
}
