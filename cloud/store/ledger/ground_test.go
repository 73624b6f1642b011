package ledger

import (
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// Ground is due when footage, its log or its count is new, and stays due when that happens while it is worked out.
func TestGroundIsDue(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	rec := record(t, l, "a", "cows")
	record(t, l, "b", "cows") // a duplicate
	due := func() DueGround {
		t.Helper()
		ds := must.Get(l.Grounds.ListDue(ctx, "", 10))(t)
		if len(ds) == 0 {
			return DueGround{}
		}
		if len(ds) != 1 || ds[0].Footage != "a" {
			t.Fatalf("due: %+v", ds)
		}
		return ds[0]
	}
	d := due()
	must.Do(t, l.Footage.SetTelemetry(ctx, "b", "k")) // the log of a duplicate may place the original
	log := Ground{Log: FlightLog{State: LogOK, Dialect: "dji-srt", Fixes: 3}, CapturedFrom: "log",
		Taken: time.Date(2026, 6, 30, 3, 0, 0, 0, time.UTC)}
	must.Do(t, l.Grounds.Put(ctx, d, log))
	again := due()
	if again.Mark <= d.Mark {
		t.Fatalf("due %+v after %+v", again, d)
	}
	before := must.Get(l.Footage.Get(ctx, "b"))(t)
	if !before.Taken.Equal(log.Taken) || before.Ground.Log != log.Log || before.Ground.CapturedFrom != "log" {
		t.Errorf("the duplicate has %+v", before)
	}
	must.Do(t, l.Grounds.Put(ctx, again, log))
	if d := due(); d.Footage != "" {
		t.Errorf("still due: %+v", d)
	}
	if after := must.Get(l.Footage.Get(ctx, "b"))(t); after.Seq != before.Seq {
		t.Errorf("the number went from %d to %d without a change", before.Seq, after.Seq)
	}
	must.Do(t, l.Footage.SetTelemetry(ctx, "b", "k")) // other content under the same key
	must.Do(t, l.Grounds.Put(ctx, due(), Ground{Log: FlightLog{State: LogUnreadable, Why: "line 1: \x00"}}))
	v := must.Get(l.Footage.Get(ctx, "a"))(t)
	if !v.Taken.Equal(v.Captured) || v.Ground.Log.State != LogUnreadable || v.Seq <= before.Seq {
		t.Errorf("without a readable log: %+v", v)
	}
	j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
	must.Do(t, err)
	must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 3, High: 3}, "k"))(t)
	if d := due(); d.Footage != "a" {
		t.Error("not due after the count")
	}
	_, err = l.Grounds.Get(ctx, "b")
	must.FailWith(t, err, ErrNotFound)
	must.FailWith(t, l.Grounds.Put(ctx, DueGround{Footage: "nope"}, Ground{}), ErrNotFound)
}
