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

// logBuffer is a log that a test reads.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestDrain checks that after the first stop signal the current job is finished, or returned to the queue after the
// drain or the second signal. None of them uses up a delivery, and no other job begins.
func TestDrain(t *testing.T) {
	for name, c := range map[string]struct {
		drain  time.Duration
		second bool
		done   bool
		log    string
	}{
		"finished in time": {time.Hour, false, true, "finishing the current job"},
		"out of time":      {time.Nanosecond, false, false, "raise worker.drain"},
		"a second signal":  {time.Hour, true, false, "second stop signal"},
		"no drain":         {0, false, false, "worker stopped; job returned"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			one, two := s.put("f1"), s.put("f2")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			stopNow := make(chan struct{})
			var seen []footage.ID
			w := s.worker("w", counterFunc(func(ctx context.Context, src count.Source, _ func(job.Progress)) (count.Outcome, error) {
				seen = append(seen, src.Footage)
				stop()
				if c.second {
					close(stopNow)
				}
				if c.done {
					return outcome(7), nil
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
					t.Error("the count was not stopped")
				}
				return count.Outcome{}, ctx.Err()
			}))
			log := &logBuffer{}
			w.o.Log, w.o.Drain, w.o.StopNow = slog.New(slog.NewTextHandler(log, nil)), c.drain, stopNow
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
			for s.messages() > 0 { // only one delivery is allowed, so a used one shows
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

// TestStopWhileReceiving checks that a message received at the time of the stop does not begin, and keeps its
// deliveries.
func TestStopWhileReceiving(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	ctx, stop := context.WithCancel(t.Context())
	w := s.worker("w", counts(7))
	w.o.Queue, w.o.Drain = stoppingQueue{s.q, stop}, time.Hour
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

// stoppingQueue stops the worker with each answer.
type stoppingQueue struct {
	queue.Queue
	stop func()
}

func (l stoppingQueue) ReceiveAble(ctx context.Context, d time.Duration, able queue.Able) (queue.Lease, error) {
	lease, err := l.Queue.ReceiveAble(ctx, d, able)
	l.stop()
	return lease, err
}
