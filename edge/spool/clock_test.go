package spool

import (
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

func TestKnownTimeAcrossRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if k := must.Get(s.Clock.KnownTime())(t); k != (KnownTime{}) {
		t.Errorf("new spool: got %+v, want the zero value", k)
	}
	want := KnownTime{Synced: time.Date(2026, 11, 24, 12, 0, 0, 5, time.UTC), GNSS: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}
	must.Do(t, s.Clock.SetKnownTime(want))
	must.Do(t, s.Close())
	s = open(t, dir)
	if k := must.Get(s.Clock.KnownTime())(t); k != want {
		t.Errorf("after a restart: got %+v, want %+v", k, want)
	}
	must.Do(t, s.Close())
}
