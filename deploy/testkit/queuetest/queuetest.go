// Package queuetest is the contract of package queue as code. Every back end
// runs it in its own tests.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/must"
)

// Fixture is an empty queue and the clock that its visibility goes by.
type Fixture struct {
	Queue queue.Queue
	// Advance lets time pass: it turns an injected clock, or waits where the
	// back end has a clock of its own. The suite asks for a few seconds in all.
	Advance func(time.Duration)
	// Again opens the same queue once more, as another process would.
	Again func() queue.Queue
}

// Run checks a queue.
func Run(t *testing.T, newQueue func(t *testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"empty":                          empty,
		"one message, one receiver":      oneReceiver,
		"oldest first":                   oldestFirst,
		"enqueue is idempotent":          enqueueIdempotent,
		"delivered again after the time": deliveredAgain,
		"a lost lease changes nothing":   lostLease,
		"renew":                          renew,
		"release":                        release,
		"delete":                         deletes,
		"enqueue after delete":           enqueueAfterDelete,
		"bounds":                         bounds,
		"many receivers":                 manyReceivers,
		"another process":                anotherProcess,
		"canceled":                       canceled,
	} {
		t.Run(name, func(t *testing.T) { test(t, newQueue(t)) })
	}
}

const visibility = 2 * time.Second

func enqueue(t *testing.T, q queue.Queue, jobs ...string) {
	t.Helper()
	for _, j := range jobs {
		must.Do(t, q.Enqueue(t.Context(), j))
	}
}

func receive(t *testing.T, q queue.Queue, job string, deliveries int) queue.Lease {
	t.Helper()
	l, err := q.Receive(t.Context(), visibility)
	must.Do(t, err)
	if l.Job() != job || l.Deliveries() != deliveries {
		t.Fatalf("received %s for the %d. time, want %s, %d", l.Job(), l.Deliveries(), job, deliveries)
	}
	return l
}

func wantEmpty(t *testing.T, q queue.Queue) {
	t.Helper()
	_, err := q.Receive(t.Context(), visibility)
	must.FailWith(t, err, queue.ErrEmpty)
}

func wantLen(t *testing.T, q queue.Queue, want int) {
	t.Helper()
	n, err := q.Len(t.Context())
	must.Do(t, err)
	if n != want {
		t.Fatalf("%d messages, want %d", n, want)
	}
}

func wantHas(t *testing.T, q queue.Queue, job string, want bool) {
	t.Helper()
	has, err := q.Has(t.Context(), job)
	must.Do(t, err)
	if has != want {
		t.Fatalf("has %s: %t, want %t", job, has, want)
	}
}

// wantLost checks every method of a lease that another receiver has taken over.
func wantLost(t *testing.T, l queue.Lease) {
	t.Helper()
	must.FailWith(t, l.Renew(t.Context(), visibility), queue.ErrLeaseLost)
	must.FailWith(t, l.Release(t.Context(), 0), queue.ErrLeaseLost)
	must.FailWith(t, l.Delete(t.Context()), queue.ErrLeaseLost)
}

func empty(t *testing.T, f Fixture) {
	wantEmpty(t, f.Queue)
	wantLen(t, f.Queue, 0)
	wantHas(t, f.Queue, "j", false)
}

func oneReceiver(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	wantLen(t, f.Queue, 1)
	l := receive(t, f.Queue, "j", 1)
	wantEmpty(t, f.Queue)
	wantHas(t, f.Queue, "j", true) // leased messages count
	wantLen(t, f.Queue, 1)
	must.Do(t, l.Delete(t.Context()))
	wantLen(t, f.Queue, 0)
}

func oldestFirst(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "c", "a", "b")
	for _, j := range []string{"c", "a", "b"} {
		receive(t, f.Queue, j, 1)
	}
	wantEmpty(t, f.Queue)
}

func enqueueIdempotent(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j", "j")
	wantLen(t, f.Queue, 1)
	l := receive(t, f.Queue, "j", 1)
	enqueue(t, f.Queue, "j") // also while it is leased
	wantEmpty(t, f.Queue)
	must.Do(t, l.Delete(t.Context()))
	wantEmpty(t, f.Queue)
}

func deliveredAgain(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	for n := 1; n <= 3; n++ {
		receive(t, f.Queue, "j", n)
		wantEmpty(t, f.Queue)
		f.Advance(visibility + time.Second)
	}
}

func lostLease(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	dead := receive(t, f.Queue, "j", 1)
	f.Advance(visibility + time.Second)
	alive := receive(t, f.Queue, "j", 2)
	wantLost(t, dead)
	wantEmpty(t, f.Queue) // none of that gave the message back
	must.Do(t, alive.Renew(t.Context(), visibility))
	must.Do(t, alive.Delete(t.Context()))
	wantLost(t, dead)
	wantLen(t, f.Queue, 0)
}

func renew(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	l := receive(t, f.Queue, "j", 1)
	for range 3 { // far beyond the first visibility time, each with the newest receipt
		f.Advance(visibility / 2)
		must.Do(t, l.Renew(t.Context(), visibility))
		wantEmpty(t, f.Queue)
	}
	f.Advance(visibility + time.Second)
	receive(t, f.Queue, "j", 2)
	wantLost(t, l)
}

func release(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	l := receive(t, f.Queue, "j", 1)
	must.Do(t, l.Release(t.Context(), 0))
	wantLost(t, l)
	l = receive(t, f.Queue, "j", 2)
	must.Do(t, l.Release(t.Context(), visibility))
	wantEmpty(t, f.Queue)
	wantHas(t, f.Queue, "j", true)
	f.Advance(visibility + time.Second)
	receive(t, f.Queue, "j", 3)
}

func deletes(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j", "k")
	l := receive(t, f.Queue, "j", 1)
	must.Do(t, l.Delete(t.Context()))
	must.Do(t, l.Delete(t.Context()))
	wantHas(t, f.Queue, "j", false)
	wantHas(t, f.Queue, "k", true)
	f.Advance(visibility + time.Second)
	receive(t, f.Queue, "k", 1)
	wantEmpty(t, f.Queue)
}

func enqueueAfterDelete(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	old := receive(t, f.Queue, "j", 1)
	must.Do(t, old.Delete(t.Context()))
	enqueue(t, f.Queue, "j")
	must.Do(t, old.Delete(t.Context())) // a repeat: must not reach the new message
	l := receive(t, f.Queue, "j", 1)
	must.FailWith(t, old.Renew(t.Context(), visibility), queue.ErrLeaseLost)
	must.Do(t, l.Renew(t.Context(), visibility))
}

func bounds(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	for _, d := range []time.Duration{-1, 0, queue.MinVisibility - 1, queue.MaxVisibility + 1} {
		_, err := f.Queue.Receive(t.Context(), d)
		must.FailWith(t, err, queue.ErrVisibility)
	}
	l := receive(t, f.Queue, "j", 1) // none of these counted as a delivery
	must.FailWith(t, l.Renew(t.Context(), queue.MaxVisibility+1), queue.ErrVisibility)
	must.FailWith(t, l.Release(t.Context(), -1), queue.ErrVisibility)
	must.FailWith(t, l.Release(t.Context(), queue.MaxVisibility+1), queue.ErrVisibility)
	must.Do(t, l.Renew(t.Context(), queue.MaxVisibility))
	if err := f.Queue.Enqueue(t.Context(), ""); err == nil {
		t.Error("a message without a job was taken")
	}
}

func manyReceivers(t *testing.T, f Fixture) {
	const jobs, receivers = 60, 8
	for i := range jobs {
		enqueue(t, f.Queue, fmt.Sprint("j", i))
	}
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for range receivers {
		wg.Go(func() {
			for {
				l, err := f.Queue.Receive(t.Context(), queue.MaxVisibility)
				if errors.Is(err, queue.ErrEmpty) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got[l.Job()]++
				mu.Unlock()
				if err := l.Delete(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for j, n := range got {
		if n != 1 {
			t.Errorf("%s was received %d times", j, n)
		}
	}
	if len(got) != jobs {
		t.Errorf("%d of %d jobs were received", len(got), jobs)
	}
}

func anotherProcess(t *testing.T, f Fixture) {
	other := f.Again()
	enqueue(t, f.Queue, "j")
	enqueue(t, other, "j", "k")
	l := receive(t, other, "j", 1)
	receive(t, f.Queue, "k", 1)
	wantEmpty(t, other)
	f.Advance(visibility + time.Second)
	receive(t, f.Queue, "j", 2)
	wantLost(t, l)
}

func canceled(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	enqueue(t, f.Queue, "j")
	l := receive(t, f.Queue, "j", 1)
	cancel()
	for what, err := range map[string]error{
		"enqueue": f.Queue.Enqueue(ctx, "k"), "renew": l.Renew(ctx, visibility),
		"delete": l.Delete(ctx), "release": l.Release(ctx, 0),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := f.Queue.Receive(ctx, visibility); !errors.Is(err, context.Canceled) {
		t.Errorf("receive: %v", err)
	}
	must.Do(t, l.Delete(t.Context())) // the lease is as good as before
	wantLen(t, f.Queue, 0)
}
