package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// begun records footage and begins its job.
func begun(t testing.TB, l *Ledger, id string) Job {
	t.Helper()
	rec := record(t, l, id, "content of "+id)
	must.Do(t, l.Jobs.MarkQueued(context.Background(), rec.Job.ID))
	j, _, err := l.Attempts.Begin(context.Background(), rec.Job.ID, "w1")
	must.Do(t, err)
	return j
}

func TestFencing(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	old := begun(t, l, "f1")
	must.Get(l.Attempts.UpdateProgress(ctx, old.ID, old.Fence, job.Progress{Percent: 70, Count: 5}))(t)
	now, _, err := l.Attempts.Begin(ctx, old.ID, "w2") // the message of w1 was delivered again
	must.Do(t, err)
	if now.Fence != old.Fence+1 || now.Attempt != 2 || now.Worker != "w2" || now.Progress != (job.Progress{}) {
		t.Fatalf("got footage now %+v", now)
	}
	for what, err := range map[string]error{
		"progress": errOf(l.Attempts.UpdateProgress(ctx, old.ID, old.Fence, job.Progress{Percent: 90})),
		"finish":   errOf(l.Attempts.Finish(ctx, old.ID, old.Fence, Count{Unique: 1, High: 1}, "k")),
		"fail":     errOf(l.Attempts.Fail(ctx, old.ID, old.Fence, "?")),
		"release":  errOf(l.Attempts.Release(ctx, old.ID, old.Fence, "?")),
		"future":   errOf(l.Attempts.Finish(ctx, old.ID, now.Fence+1, Count{}, "k")),
	} {
		if !errors.Is(err, ErrFenced) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := l.Counts.Get(ctx, "f1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the count of a fenced worker was accepted: %v", err)
	}
	must.Get(l.Attempts.Finish(ctx, now.ID, now.Fence, Count{Unique: 2, Low: 2, High: 2}, "k"))(t)
	must.FailWith(t, errOf(l.Attempts.Finish(ctx, old.ID, old.Fence, Count{}, "k")), ErrFenced)
}

func TestOnlyOneWorkerHoldsTheLease(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	j := begun(t, l, "f1")
	const workers = 8
	fences := make([]int64, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			mine, _, err := l.Attempts.Begin(ctx, j.ID, fmt.Sprint("w", i))
			if err != nil {
				t.Error(err)
			}
			fences[i] = mine.Fence
		})
	}
	wg.Wait()
	seen, wins := map[int64]bool{}, 0
	for _, f := range fences {
		if seen[f] {
			t.Errorf("fence %d was used twice", f)
		}
		seen[f] = true
		if errOf(l.Attempts.UpdateProgress(ctx, j.ID, f, job.Progress{Percent: 1})) == nil {
			wins++
		}
	}
	if wins != 1 {
		t.Errorf("%d workers may write", wins)
	}
}

func TestProgressNeverDecreases(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	j := begun(t, l, "f1")
	nan, eta := math.NaN(), 30.0
	for _, c := range []struct{ give, want float64 }{{10, 10}, {5, 10}, {nan, 10}, {-3, 10}, {60, 60},
		{math.Inf(1), 100}, {7, 100}} {
		must.Get(l.Attempts.UpdateProgress(ctx, j.ID, j.Fence,
			job.Progress{Stage: job.StageDetect, Percent: c.give, FPS: nan, ETASeconds: &nan}))(t)
		got, err := l.Jobs.Get(ctx, j.ID)
		must.Do(t, err)
		if got.Progress.Percent != c.want || got.Progress.FPS != 0 || got.Progress.ETASeconds != nil {
			t.Fatalf("after %v: %+v", c.give, got.Progress)
		}
	}
	must.Get(l.Attempts.UpdateProgress(ctx, j.ID, j.Fence, job.Progress{ETASeconds: &eta}))(t)
	if got, _ := l.Jobs.Get(ctx, j.ID); got.Progress.ETASeconds == nil || *got.Progress.ETASeconds != eta {
		t.Fatalf("got progress %+v", got.Progress)
	}
	// A new attempt starts at 0.
	j, _, err := l.Attempts.Begin(ctx, j.ID, "w2")
	must.Do(t, err)
	must.Get(l.Attempts.UpdateProgress(ctx, j.ID, j.Fence, job.Progress{Percent: 1}))(t)
	if got, _ := l.Jobs.Get(ctx, j.ID); got.Progress.Percent != 1 {
		t.Fatalf("got progress %+v", got.Progress)
	}
}

func TestEveryEnd(t *testing.T) {
	ctx := t.Context()
	for name, c := range map[string]struct {
		end    func(*Ledger, Job) error
		state  job.State
		reason string
	}{
		"fail": {func(l *Ledger, j Job) error { return errOf(l.Attempts.Fail(ctx, j.ID, j.Fence, "truncated")) },
			job.Failed, "truncated"},
		"release": {func(l *Ledger, j Job) error { return errOf(l.Attempts.Release(ctx, j.ID, j.Fence, "stopping")) },
			job.Queued, "stopping"},
		"poison": {func(l *Ledger, j Job) error { return l.Jobs.Poison(ctx, j.ID, "6 deliveries") }, job.Poisoned,
			"6 deliveries"},
		"cancel": {func(l *Ledger, j Job) error { return l.Jobs.Cancel(ctx, j.ID) }, job.Canceled, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := fresh(t)
			j := begun(t, l, "f1")
			must.Do(t, c.end(l, j))
			got, err := l.Jobs.Get(ctx, j.ID)
			must.Do(t, err)
			if got.State != c.state || got.Reason != c.reason {
				t.Fatalf("got result %+v", got)
			}
			must.FailWith(t, errOf(l.Attempts.UpdateProgress(ctx, j.ID, j.Fence, job.Progress{})), ErrFenced)
			switch c.state {
			case job.Failed, job.Queued: // a repeat of the lease holder
				must.Do(t, c.end(l, j))
			default:
				must.FailWith(t, c.end(l, j), job.ErrTransition)
			}
			if c.state == job.Queued {
				_, err := l.Jobs.Retry(ctx, j.ID)
				must.FailWith(t, err, job.ErrTransition)
				return
			}
			_, _, err = l.Attempts.Begin(ctx, j.ID, "w2")
			must.FailWith(t, err, job.ErrTransition)
			must.Do(t, l.Jobs.MarkQueued(ctx, j.ID)) // a late call changes nothing
			again, err := l.Jobs.Retry(ctx, j.ID)
			must.Do(t, err)
			if again.State != job.Uploaded || again.Reason != "" || again.Attempt != 1 {
				t.Fatalf("got repeat %+v", again)
			}
			again, _, err = l.Attempts.Begin(ctx, j.ID, "w2") // the message was delivered before MarkQueued
			must.Do(t, err)
			if again.Fence <= j.Fence {
				t.Fatalf("fence %d after %d", again.Fence, j.Fence)
			}
			must.Do(t, l.Jobs.MarkQueued(ctx, j.ID))
			if got, _ := l.Jobs.Get(ctx, j.ID); got.State != job.Processing {
				t.Fatalf("got result %+v", got)
			}
		})
	}
}

// Text from stations and libraries may be invalid UTF-8.
func TestInvalidText(t *testing.T) {
	l, _ := fresh(t)
	f := sample("f1", "moo")
	f.Name = "a\x00\xffb"
	r, err := l.Footage.Record(t.Context(), f)
	must.Do(t, err)
	j, _, err := l.Attempts.Begin(t.Context(), r.Job.ID, "w")
	must.Do(t, err)
	must.Get(l.Attempts.Fail(t.Context(), j.ID, j.Fence, "moov \x00\xc3"))(t)
	v, err := l.Footage.Get(t.Context(), "f1")
	if err != nil || v.Name != "a\uFFFD\uFFFDb" || v.Job.Reason != "moov \uFFFD\uFFFD" {
		t.Errorf("got name %q, job %+v, error %v", v.Name, v.Job, err)
	}
}

func TestUnknownJob(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	_, _, begin := l.Attempts.Begin(ctx, "no", "w")
	_, retry := l.Jobs.Retry(ctx, "no")
	_, get := l.Jobs.Get(ctx, "no")
	_, of := l.Jobs.GetByFootage(ctx, "no")
	_, count := l.Counts.Get(ctx, "no")
	_, view := l.Footage.Get(ctx, "no")
	for what, err := range map[string]error{
		"begin": begin, "retry": retry, "job": get, "job of": of, "count": count, "footage": view,
		"queued": l.Jobs.MarkQueued(ctx, "no"), "progress": errOf(l.Attempts.UpdateProgress(ctx, "no", 1, job.Progress{})),
		"finish": errOf(l.Attempts.Finish(ctx, "no", 1, Count{}, "")), "poison": l.Jobs.Poison(ctx, "no", ""),
		"cancel": l.Jobs.Cancel(ctx, "no"),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestCountOutsideOfItsInterval(t *testing.T) {
	l, _ := fresh(t)
	j := begun(t, l, "f1")
	for _, c := range []Count{{Unique: -1, Low: -1}, {Unique: 5, Low: 6, High: 7}, {Unique: 5, Low: 1, High: 4}} {
		must.FailWith(t, errOf(l.Attempts.Finish(t.Context(), j.ID, j.Fence, c, "k")), ErrInvalid)
	}
	if got, _ := l.Jobs.Get(t.Context(), j.ID); got.State != job.Processing {
		t.Fatalf("the failed Finish changed the job: %+v", got)
	}
}

// Readers of the change feed see every change, in order, while others write.
func TestChangeFeedIsComplete(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, _ := fresh(t)
	const jobs, updates = 6, 20
	var began []Job
	for i := range jobs {
		began = append(began, begun(t, l, fmt.Sprint("f", i)))
	}
	var wg sync.WaitGroup
	for _, j := range began {
		wg.Go(func() {
			for n := range updates {
				if _, err := l.Attempts.UpdateProgress(ctx, j.ID, j.Fence, job.Progress{Percent: float64(n)}); err != nil {
					t.Error(err)
				}
			}
			if _, err := l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 1, Low: 1, High: 1}, "k"); err != nil {
				t.Error(err)
			}
		})
	}
	cursor, done := int64(0), map[string]bool{}
	last := map[string]float64{}
	for len(done) < jobs && ctx.Err() == nil {
		vs, err := l.Changes.Jobs(ctx, cursor, 3)
		must.Do(t, err)
		for _, v := range vs {
			if v.Seq <= cursor || v.Progress.Percent < last[v.ID] || v.Footage.ID != v.Job.Footage {
				t.Fatalf("after %d, %v %%: %+v", cursor, last[v.ID], v)
			}
			cursor, last[v.ID] = v.Seq, v.Progress.Percent
			if v.State == job.Done {
				done[v.ID] = true
			}
		}
	}
	wg.Wait()
	if len(done) != jobs {
		t.Fatalf("the feed showed the end of %d of %d jobs", len(done), jobs)
	}
	counts, err := l.Changes.Counts(ctx, 0, 100)
	must.Do(t, err)
	footages, err := l.Changes.Footage(ctx, 0, 100)
	must.Do(t, err)
	if len(counts) != jobs || len(footages) != jobs {
		t.Fatalf("%d counts, %d footages", len(counts), len(footages))
	}
	must.Do(t, l.Changes.SetCursor(ctx, "mqtt", cursor))
	must.Do(t, l.Changes.SetCursor(ctx, "mqtt", cursor-5))
	for name, want := range map[string]int64{"mqtt": cursor, "new": 0} {
		if got, err := l.Changes.Cursor(ctx, name); err != nil || got != want {
			t.Errorf("cursor %s: %d %v, want %d", name, got, err, want)
		}
	}
}

// No text that a view shows names folders of the machine on which a worker ran, also those that an earlier program stored.
func TestTextsOfWorkersNameNoFolders(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	const told = "open /srv/cattle/cache/clip.mp4: no such file"
	const want = "open clip.mp4: no such file"
	released, failed, poisoned := begun(t, l, "f1"), begun(t, l, "f2"), begun(t, l, "f3")
	back := must.Get(l.Attempts.Release(ctx, released.ID, released.Fence, told))(t)
	must.Get(l.Attempts.Fail(ctx, failed.ID, failed.Fence, told))(t)
	must.Do(t, l.Jobs.Poison(ctx, poisoned.ID, told))
	if back.Reason != want {
		t.Errorf("released: %q", back.Reason)
	}
	old := begun(t, l, "f4")
	must.Get(l.Attempts.Release(ctx, old.ID, old.Fence, "later"))(t)
	for _, table := range []string{"job SET reason = $1 WHERE id = $2", "attempt SET reason = $1 WHERE job = $2"} {
		must.Get(l.DB().Exec(ctx, `UPDATE `+table, told, old.ID))(t)
	}
	for _, id := range []string{released.ID, failed.ID, poisoned.ID, old.ID} {
		if got := must.Get(l.Jobs.Get(ctx, id))(t).Reason; got != want {
			t.Errorf("the job shows %q", got)
		}
		if as := must.Get(l.Attempts.List(ctx, id, 9))(t); len(as) != 1 || id != poisoned.ID && as[0].Reason != want {
			t.Errorf("the attempts show %+v", as)
		}
	}
	must.Do(t, l.Workers.Report(ctx, Worker{Name: "w1", Started: time.Now(), Until: time.Now().Add(time.Hour),
		Models: []wire.InstalledModel{{ModelRef: detector("herd"), Fault: told, Caution: told}}}))
	if m := must.Get(l.Workers.Alive(ctx))(t)[0].Models[0]; m.Fault != want || m.Caution != want {
		t.Errorf("the model shows %+v", m)
	}
}
