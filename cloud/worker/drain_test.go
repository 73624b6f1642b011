package worker

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// told is a log that a test reads.
type told struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *told) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *told) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// After the first signal the job at hand is finished, given back when the time is up, or at
// once with a second signal. None of it uses up a delivery, and no other job is begun.
func TestDrain(t *testing.T) {
	for name, c := range map[string]struct {
		drain  time.Duration
		second bool
		done   bool
		log    string
	}{
		"finished in time": {time.Hour, false, true, "finishing the one at hand"},
		"out of time":      {time.Nanosecond, false, false, "a longer worker.drain"},
		"a second signal":  {time.Hour, true, false, "told to stop again"},
		"no drain":         {0, false, false, "given back for the shutdown"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			one, two := s.put("f1"), s.put("f2")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			hurry := make(chan struct{})
			var seen []footage.ID
			w := s.worker("w", counterFunc(func(ctx context.Context, src count.Source, _ func(job.Progress)) (count.Outcome, error) {
				seen = append(seen, src.Footage)
				stop()
				if c.second {
					close(hurry)
				}
				if c.done {
					return outcome(7), nil
				}
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Second):
					t.Error("not stopped")
				}
				return count.Outcome{}, ctx.Err()
			}))
			log := &told{}
			w.o.Log, w.o.Drain, w.o.Hurry = slog.New(slog.NewTextHandler(log, nil)), c.drain, hurry
			w.o.MaxDeliveries = 1
			if err := w.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if len(seen) != 1 || s.job(two.ID).State != job.Queued {
				t.Errorf("counted %v, the other job is %+v", seen, s.job(two.ID))
			}
			want := map[bool]job.State{true: job.Done, false: job.Queued}[c.done]
			if got := s.job(one.ID); got.State != want || got.Attempt != 1 {
				t.Errorf("%+v", got)
			}
			if !strings.Contains(log.String(), c.log) {
				t.Errorf("%q is missing in:\n%s", c.log, log)
			}
			for s.messages() > 0 { // with one delivery allowed, one that was used up shows
				s.deliver(t.Context(), s.worker("next", counts(4)))
			}
			for _, j := range []string{one.ID, two.ID} {
				if got := s.job(j); got.State != job.Done {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

// A message that comes in the moment of the signal is not begun, and has its deliveries
// still.
func TestToldToStopWhileReceiving(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	ctx, stop := context.WithCancel(t.Context())
	w := s.worker("w", counts(7))
	w.o.Queue, w.o.Drain = late{s.q, stop}, time.Hour
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := s.job(j.ID); got.State != job.Queued || got.Attempt != 0 {
		t.Errorf("%+v", got)
	}
	lease, err := s.q.Receive(t.Context(), time.Minute)
	if err != nil || lease.Deliveries() != 1 {
		t.Errorf("%+v %v", lease, err)
	}
}

// late is a queue that answers just when the worker is told to stop.
type late struct {
	queue.Queue
	stop func()
}

func (l late) Receive(ctx context.Context, d time.Duration) (queue.Lease, error) {
	lease, err := l.Queue.Receive(ctx, d)
	l.stop()
	return lease, err
}
