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

// unreachable is a ledger whose database cannot be reached at the end of a job.
type unreachable struct {
	*ledger.Attempts
	times *atomic.Int32
	lost  bool // only the answer is lost
}

func (a unreachable) Finish(ctx context.Context, id string, fence int64, c ledger.Count, key string) (ledger.Job, error) {
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

// fullStore refuses the first writes.
type fullStore struct {
	*disk.Store
	times *atomic.Int32
}

func (f fullStore) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	if f.times.Add(-1) >= 0 {
		return blob.Info{}, blob.ErrNoSpace
	}
	return f.Store.Put(ctx, key, r)
}

// TestEndOfAJobIsRetried checks that an outage of ledger or storage at the end of a job does not repeat the count.
func TestEndOfAJobIsRetried(t *testing.T) {
	for name, change := range map[string]func(*Options, *stage, *atomic.Int32){
		"ledger unreachable":   func(o *Options, s *stage, n *atomic.Int32) { o.Attempts = unreachable{s.l.Attempts, n, false} },
		"ledger's answer lost": func(o *Options, s *stage, n *atomic.Int32) { o.Attempts = unreachable{s.l.Attempts, n, true} },
		"storage full":         func(o *Options, s *stage, n *atomic.Int32) { o.Blobs = fullStore{s.b, n} },
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

// TestRetriesAtTheEndAreBounded checks that the retries end with the lease, and after a limit.
func TestRetriesAtTheEndAreBounded(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	w := s.worker("w", counts(4))
	var times atomic.Int32
	times.Store(1 << 20)
	w.o.Attempts = unreachable{s.l.Attempts, &times, false}
	w.pause = func(context.Context, time.Duration) {}
	s.deliver(t.Context(), w)
	if got := s.job(j.ID); got.State != job.Queued || got.Reason == "" {
		t.Errorf("after the last retry: %+v", got)
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
		t.Errorf("canceled during the retries: %+v", got)
	}
}

// waitingStore writes the first result only after wait.
type waitingStore struct {
	*disk.Store
	wait func()
}

func (s waitingStore) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	s.wait()
	return s.Store.Put(ctx, key, r)
}

// TestStatusIsPublishedDuringTheLastWrites checks that a job with slow writes does not look dead.
func TestStatusIsPublishedDuringTheLastWrites(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	w := s.worker("w", counts(4))
	wait := sync.OnceFunc(func() {
		at := s.job(j.ID).Seq
		for began := time.Now(); s.job(j.ID).Seq == at; <-time.After(10 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Error("the status is not written any more")
				return
			}
		}
	})
	w.o.Blobs = waitingStore{s.b, wait}
	s.deliver(t.Context(), w)
	if got := s.job(j.ID); got.State != job.Done || got.Progress.Percent != 100 {
		t.Errorf("%+v", got)
	}
}

// TestBrokenBlobDelaysNoOtherJob checks that a damaged or missing blob is not reported as a fault that others may meet.
func TestBrokenBlobDelaysNoOtherJob(t *testing.T) {
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
		if err := w.deliver(t.Context(), lease); err != nil {
			t.Errorf("reported as a fault of other jobs too: %v", err)
		}
		if got := s.job(j.ID); got.State != job.Queued || got.Reason != "read: "+fault.Error() {
			t.Errorf("%+v", got)
		}
	}
}
