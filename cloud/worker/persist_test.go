package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/worker/cache"
	"cattlecounter/shared/job"
)

// away is a ledger whose database is away at the end of a job.
type away struct {
	*ledger.Attempts
	times *atomic.Int32
	lost  bool // the answer alone is
}

func (a away) Finish(ctx context.Context, id string, fence int64, c ledger.Count, key string) (ledger.Job, error) {
	if a.times.Add(-1) < 0 {
		return a.Attempts.Finish(ctx, id, fence, c, key)
	}
	if a.lost {
		if _, err := a.Attempts.Finish(ctx, id, fence, c, key); err != nil {
			return ledger.Job{}, err
		}
	}
	return ledger.Job{}, fmt.Errorf("finish: %w", ledger.ErrUnreachable)
}

// full is a store that takes results only after a while.
type full struct {
	*disk.Store
	times *atomic.Int32
}

func (f full) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	if f.times.Add(-1) >= 0 {
		return blob.Info{}, blob.ErrNoSpace
	}
	return f.Store.Put(ctx, key, r)
}

// What was counted is not counted again because ledger or storage are away for a while
// when it is to be written.
func TestTheEndOfAJobIsWaitedFor(t *testing.T) {
	for name, change := range map[string]func(*Options, *stage, *atomic.Int32){
		"ledger away":        func(o *Options, s *stage, n *atomic.Int32) { o.Attempts = away{s.l.Attempts, n, false} },
		"ledger's word lost": func(o *Options, s *stage, n *atomic.Int32) { o.Attempts = away{s.l.Attempts, n, true} },
		"storage full":       func(o *Options, s *stage, n *atomic.Int32) { o.Blobs = full{s.b, n} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			j := s.put("f1")
			counted := 0
			w := s.worker("w", counterFunc(func(context.Context, count.Source, func(job.Progress)) (count.Outcome, error) {
				counted++
				return outcome(4), nil
			}))
			var times atomic.Int32
			times.Store(3)
			change(&w.o, s, &times)
			w.pause = func(context.Context, time.Duration) {}
			s.deliver(t.Context(), w)
			if got := s.job(j.ID); got.State != job.Done || got.Attempt != 1 || counted != 1 || times.Load() >= 0 {
				t.Errorf("%+v, counted %d times, %d faults left", got, counted, times.Load())
			}
		})
	}
}

// The wait ends: with the lease, and when it took far too long.
func TestTheWaitForTheEndEnds(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	w := s.worker("w", counts(4))
	var times atomic.Int32
	times.Store(1 << 20)
	w.o.Attempts = away{s.l.Attempts, &times, false}
	w.pause = func(context.Context, time.Duration) {}
	s.deliver(t.Context(), w)
	if got := s.job(j.ID); got.State != job.Queued || got.Reason == "" {
		t.Errorf("after the wait: %+v", got)
	}
	s.later(time.Hour)
	w.pause = func(context.Context, time.Duration) {
		if err := s.l.Jobs.Cancel(context.Background(), j.ID); err != nil && !errors.Is(err, job.ErrTransition) {
			t.Error(err)
		}
		times.Store(0)
	}
	s.deliver(t.Context(), w)
	if got := s.job(j.ID); got.State != job.Canceled {
		t.Errorf("canceled while it waited: %+v", got)
	}
}

// stuck is a store whose first result is taken only after the status was written again.
type stuck struct {
	*disk.Store
	wait func()
}

func (s stuck) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	s.wait()
	return s.Store.Put(ctx, key, r)
}

// While results are written the status goes on to be: the job is slow, and not dead.
func TestStatusGoesOnWhileResultsAreWritten(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	w := s.worker("w", counts(4))
	wait := sync.OnceFunc(func() {
		at := s.job(j.ID).Seq
		for began := time.Now(); s.job(j.ID).Seq == at; <-time.After(10 * time.Millisecond) {
			if time.Since(began) > 10*statusEvery {
				t.Error("the status stands still")
				return
			}
		}
	})
	w.o.Blobs = stuck{s.b, wait}
	s.deliver(t.Context(), w)
	if got := s.job(j.ID); got.State != job.Done || got.Progress.Percent != 100 {
		t.Errorf("%+v", got)
	}
}

// A blob that is broken or gone is that job's trouble, and others do not wait for it.
func TestBrokenBlobsSlowNobodyDown(t *testing.T) {
	for _, fault := range []error{blob.ErrNotFound, cache.ErrContent} {
		s := newStage(t)
		j := s.put("f1")
		w := s.worker("w", counterFunc(func(context.Context, count.Source, func(job.Progress)) (count.Outcome, error) {
			return outcome(1), fmt.Errorf("read: %w", fault)
		}))
		lease, err := s.q.Receive(t.Context(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.take(t.Context(), lease); err != nil {
			t.Errorf("others may meet it: %v", err)
		}
		if got := s.job(j.ID); got.State != job.Queued || got.Reason != "read: "+fault.Error() {
			t.Errorf("%+v", got)
		}
	}
}
