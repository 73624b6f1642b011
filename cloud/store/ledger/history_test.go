package ledger

import (
	"context"
	"database/sql"
	"slices"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/job"
)

func TestAttempts(t *testing.T) {
	ctx := t.Context()
	l, clock := fresh(t)
	j := begun(t, l, "f1")
	clock.Advance(time.Minute)
	j2, _, err := l.Attempts.Begin(ctx, j.ID, "second") // the first worker died
	must.Do(t, err)
	must.Get(l.Attempts.UpdateProgress(ctx, j.ID, j2.Fence, job.Progress{Percent: 3}))(t)
	must.Get(l.Attempts.Release(ctx, j.ID, j2.Fence, "storage away"))(t)
	j3, _, err := l.Attempts.Begin(ctx, j.ID, "third")
	must.Do(t, err)
	must.Get(l.Attempts.Finish(ctx, j.ID, j3.Fence, Count{Unique: 1, High: 1}, "k"))(t)
	must.Get(l.Attempts.Finish(ctx, j.ID, j3.Fence, Count{Unique: 1, High: 1}, "k"))(t) // a repeat
	as, err := l.Attempts.List(ctx, j.ID, 10)
	must.Do(t, err)
	got := make([]string, len(as))
	for i, a := range as {
		got[i] = a.Worker + " " + a.Outcome + " " + a.Reason
		if a.N != len(as)-i || a.Ended == nil || a.Ended.Before(a.Began) {
			t.Errorf("got attempt %+v", a)
		}
	}
	if want := []string{"third done ", "second queued storage away", j.Worker + " lost "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	open := begun(t, l, "f2")
	if as, err = l.Attempts.List(ctx, open.ID, 10); err != nil || len(as) != 1 || as[0].Outcome != OutcomeOpen ||
		as[0].Ended != nil {
		t.Errorf("got attempts %+v, error %v", as, err)
	}
	must.Do(t, l.Jobs.Cancel(ctx, open.ID))
	if as, err = l.Attempts.List(ctx, open.ID, 10); err != nil || as[0].Outcome != string(job.Canceled) {
		t.Errorf("got attempts %+v, error %v", as, err)
	}
}

func TestAudit(t *testing.T) {
	l, _ := fresh(t)
	ctx := By(t.Context(), "anna")
	_, err := l.Devices.Add(ctx, "dock-1", "north", RoleDevice)
	must.Do(t, err)
	_, err = l.Devices.Add(ctx, "dock-1", "north", RoleDevice)
	must.FailWith(t, err, ErrExists)
	_, err = l.Devices.Renew(ctx, "dock-1")
	must.Do(t, err)
	must.Do(t, l.Devices.Revoke(ctx, "dock-1"))
	j := begun(t, l, "f1")
	must.Do(t, l.Jobs.Cancel(ctx, j.ID))
	must.FailWith(t, l.Jobs.Cancel(ctx, j.ID), job.ErrTransition)
	_, err = l.Jobs.Retry(t.Context(), j.ID)
	must.Do(t, err)
	ds, err := l.Audit.List(ctx, 0, 10)
	must.Do(t, err)
	got := make([]string, len(ds))
	for i, d := range ds {
		got[i] = d.Who + ": " + d.Action + " " + d.Subject
	}
	want := []string{": retry job " + j.ID, "anna: cancel job " + j.ID, "anna: revoke device dock-1",
		"anna: renew device dock-1", "anna: add device dock-1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if ds, err = l.Audit.List(ctx, ds[3].N, 10); err != nil || len(ds) != 1 {
		t.Errorf("the last page: %+v %v", ds, err)
	}
}

func TestOldVideos(t *testing.T) {
	ctx := t.Context()
	l, clock := fresh(t)
	j := begun(t, l, "old")
	must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 1, High: 1}, "k"))(t)
	record(t, l, "copy", "content of old")
	begun(t, l, "running")
	failed := begun(t, l, "failed")
	must.Get(l.Attempts.Fail(ctx, failed.ID, failed.Fence, "torn"))(t)
	before, err := l.Changes.Footage(ctx, 0, 10)
	must.Do(t, err)
	clock.Advance(time.Hour)
	fs, err := l.Footage.ListCounted(ctx, Choice{}, clock.Now(), 10)
	if err != nil || len(fs) != 1 || fs[0].ID != "old" {
		t.Fatalf("got footage %+v, error %v", fs, err)
	}
	fs0 := fs[0]
	if fs, err = l.Footage.ListCounted(ctx, Choice{}, clock.Now().Add(-2*time.Hour), 10); err != nil || len(fs) != 0 {
		t.Errorf("got footage %+v, error %v", fs, err)
	}
	for in, want := range map[*Choice]int{{}: 1, {Only: fs0.Site}: 1, {Only: "elsewhere"}: 0, {Except: []string{fs0.Site, "x"}}: 0,
		{Except: []string{"x", "y"}}: 1} {
		chosen := must.Get(l.Footage.ListCounted(ctx, *in, clock.Now(), 10))(t)
		oldest := must.Get(l.Footage.OldestVideos(ctx, *in, 10))(t)
		if len(chosen) != want || len(oldest) != want {
			t.Errorf("%+v: %d are counted, %d are listed, want %d", *in, len(chosen), len(oldest), want)
		}
		if want == 1 && (oldest[0].Footage != "old" || !oldest[0].Counted.Equal(clock.Now().Add(-time.Hour)) || oldest[0].Size != fs0.Size) {
			t.Errorf("%+v", oldest[0])
		}
	}
	must.Do(t, l.Footage.RemoveVideo(ctx, "old"))
	must.FailWith(t, l.Footage.RemoveVideo(ctx, "old"), ErrNotFound)
	if fs, err = l.Footage.ListCounted(ctx, Choice{}, clock.Now(), 10); err != nil || len(fs) != 0 {
		t.Errorf("got footage %+v, error %v", fs, err)
	}
	v, err := l.Footage.Get(ctx, "old")
	if err != nil || v.BlobKey != "" || v.Count == nil || v.DuplicateOf != "" {
		t.Errorf("got footage %+v, error %v", v, err)
	}
	after, err := l.Changes.Footage(ctx, before[len(before)-1].Seq, 10)
	if err != nil || len(after) != 1 {
		t.Errorf("the change feed: %+v %v", after, err)
	}
}

// An older program that still runs while a newer one starts does not update the totals.
func TestRecount(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	begun(t, l, "f1")
	must.Do(t, l.Totals.Recount(ctx)) // the end of the test compares the totals
	must.Do(t, l.tables.write(ctx, "as an older program", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE job SET state = 'failed'`)
		return err
	}))
	if s, err := l.Totals.Stats(ctx); err != nil || s.Jobs[job.Failed] != 0 {
		t.Errorf("before: %+v %v", s, err)
	}
	must.Do(t, l.Totals.Recount(ctx))
	if s, err := l.Totals.Stats(ctx); err != nil || s.Jobs[job.Failed] != 1 || len(s.Jobs) != 1 || s.Footage != 1 {
		t.Errorf("after: %+v %v", s, err)
	}
}
