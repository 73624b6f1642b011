package ledger

import (
	"context"
	"database/sql"
	"slices"
	"testing"
	"time"

	"cattlecounter/shared/job"
)

func TestAttempts(t *testing.T) {
	ctx := t.Context()
	l, clock := fresh(t)
	j := begun(t, l, "f1")
	clock.add(time.Minute)
	j2, _, err := l.Attempts.Begin(ctx, j.ID, "second") // the first is gone
	must(t, err)
	must(t, l.Attempts.UpdateProgress(ctx, j.ID, j2.Fence, job.Progress{Percent: 3}))
	must(t, l.Attempts.Release(ctx, j.ID, j2.Fence, "storage away"))
	j3, _, err := l.Attempts.Begin(ctx, j.ID, "third")
	must(t, err)
	must(t, l.Attempts.Finish(ctx, j.ID, j3.Fence, Count{Unique: 1, High: 1}, "k"))
	must(t, l.Attempts.Finish(ctx, j.ID, j3.Fence, Count{Unique: 1, High: 1}, "k")) // a repeat
	as, err := l.Attempts.List(ctx, j.ID, 10)
	must(t, err)
	got := make([]string, len(as))
	for i, a := range as {
		got[i] = a.Worker + " " + a.Outcome + " " + a.Reason
		if a.N != len(as)-i || a.Ended == nil || a.Ended.Before(a.Began) {
			t.Errorf("%+v", a)
		}
	}
	if want := []string{"third done ", "second queued storage away", j.Worker + " lost "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	open := begun(t, l, "f2")
	if as, err = l.Attempts.List(ctx, open.ID, 10); err != nil || len(as) != 1 || as[0].Outcome != OutcomeOpen || as[0].Ended != nil {
		t.Errorf("%+v %v", as, err)
	}
	must(t, l.Jobs.Cancel(ctx, open.ID))
	if as, err = l.Attempts.List(ctx, open.ID, 10); err != nil || as[0].Outcome != string(job.Canceled) {
		t.Errorf("%+v %v", as, err)
	}
}

func TestAudit(t *testing.T) {
	l, _ := fresh(t)
	ctx := By(t.Context(), "anna")
	_, err := l.Devices.Add(ctx, "dock-1", "north", RoleDevice)
	must(t, err)
	_, err = l.Devices.Add(ctx, "dock-1", "north", RoleDevice)
	wantErr(t, err, ErrExists)
	_, err = l.Devices.Renew(ctx, "dock-1")
	must(t, err)
	must(t, l.Devices.Revoke(ctx, "dock-1"))
	j := begun(t, l, "f1")
	must(t, l.Jobs.Cancel(ctx, j.ID))
	wantErr(t, l.Jobs.Cancel(ctx, j.ID), job.ErrTransition)
	_, err = l.Jobs.Retry(t.Context(), j.ID)
	must(t, err)
	ds, err := l.Audit.List(ctx, 0, 10)
	must(t, err)
	got := make([]string, len(ds))
	for i, d := range ds {
		got[i] = d.Who + ": " + d.Deed + " " + d.Subject
	}
	want := []string{": retry job " + j.ID, "anna: cancel job " + j.ID, "anna: revoke device dock-1", "anna: renew device dock-1", "anna: add device dock-1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if ds, err = l.Audit.List(ctx, ds[3].N, 10); err != nil || len(ds) != 1 {
		t.Errorf("the last page: %+v %v", ds, err)
	}
}

func TestAged(t *testing.T) {
	ctx := t.Context()
	l, clock := fresh(t)
	j := begun(t, l, "old")
	must(t, l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 1, High: 1}, "k"))
	record(t, l, "copy", "content of old")
	begun(t, l, "running")
	failed := begun(t, l, "failed")
	must(t, l.Attempts.Fail(ctx, failed.ID, failed.Fence, "torn"))
	before, err := l.Changes.Footage(ctx, 0, 10)
	must(t, err)
	clock.add(time.Hour)
	fs, err := l.Footage.ListCounted(ctx, clock.now(), 10)
	if err != nil || len(fs) != 1 || fs[0].ID != "old" {
		t.Fatalf("%+v %v", fs, err)
	}
	if fs, err = l.Footage.ListCounted(ctx, clock.now().Add(-2*time.Hour), 10); err != nil || len(fs) != 0 {
		t.Errorf("%+v %v", fs, err)
	}
	must(t, l.Footage.RemoveVideo(ctx, "old"))
	wantErr(t, l.Footage.RemoveVideo(ctx, "old"), ErrNotFound)
	if fs, err = l.Footage.ListCounted(ctx, clock.now(), 10); err != nil || len(fs) != 0 {
		t.Errorf("%+v %v", fs, err)
	}
	v, err := l.Footage.Get(ctx, "old")
	if err != nil || v.BlobKey != "" || v.Count == nil || v.DuplicateOf != "" {
		t.Errorf("%+v %v", v, err)
	}
	after, err := l.Changes.Footage(ctx, before[len(before)-1].Seq, 10)
	if err != nil || len(after) != 1 {
		t.Errorf("nobody is told: %+v %v", after, err)
	}
}

// An older program that still runs while a newer one begins keeps no totals.
func TestRecount(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	begun(t, l, "f1")
	must(t, l.Totals.Recount(ctx)) // of nothing wrong: the test's end compares
	must(t, l.tables.write(ctx, "as an older program", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE job SET state = 'failed'`)
		return err
	}))
	if s, err := l.Totals.Stats(ctx); err != nil || s.Jobs[job.Failed] != 0 {
		t.Errorf("before: %+v %v", s, err)
	}
	must(t, l.Totals.Recount(ctx))
	if s, err := l.Totals.Stats(ctx); err != nil || s.Jobs[job.Failed] != 1 || len(s.Jobs) != 1 || s.Footage != 1 {
		t.Errorf("after: %+v %v", s, err)
	}
}
