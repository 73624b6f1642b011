// Package queuetest is the contract of package queue as code. Every back end runs it in
// its tests.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// Fixture is an empty queue and the clock of its visibility times.
type Fixture struct {
	Queue queue.Queue
	// Advance advances an injected clock. It waits when the back end has its own clock.
	Advance func(time.Duration)
	// Ledger opens the ledger whose database the queue uses.
	Ledger func() *ledger.Ledger
	// Reopen opens the same queue once more, as another process does.
	Reopen func() queue.Queue
}

// Run checks a queue. newQueue must be safe for concurrent use: the tests that wait for
// the clock run in parallel after the others.
func Run(t *testing.T, newQueue func(t *testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"empty":                       empty,
		"one message, one receiver":   oneReceiver,
		"oldest first":                oldestFirst,
		"enqueue is idempotent":       enqueueIdempotent,
		"enqueue after delete":        enqueueAfterDelete,
		"bounds":                      bounds,
		"many receivers":              manyReceivers,
		"canceled":                    canceled,
		"only what a receiver can do": onlyAble,
		"far behind others":           farBehind,
		"devices take turns":          turns,
		"priority":                    priority,
	} {
		t.Run(name, func(t *testing.T) { test(t, newQueue(t)) })
	}
	for name, test := range map[string]func(*testing.T, Fixture){
		"delivered again after the visibility time": deliveredAgain,
		"a lost lease changes nothing":              lostLease,
		"renew":                                     renew,
		"release":                                   release,
		"decline":                                   decline,
		"delete":                                    deletes,
		"another process":                           anotherProcess,
		"out of turn":                               outOfTurn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newQueue(t))
		})
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
		t.Fatalf("received job %s with delivery %d, want job %s with delivery %d", l.Job(), l.Deliveries(), job, deliveries)
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
		t.Fatalf("the queue has job %s: %t, want %t", job, has, want)
	}
}

// wantLost checks every method of a lease that another receiver has taken over.
func wantLost(t *testing.T, l queue.Lease) {
	t.Helper()
	must.FailWith(t, l.Renew(t.Context(), visibility), queue.ErrLeaseLost)
	must.FailWith(t, l.Release(t.Context(), 0), queue.ErrLeaseLost)
	must.FailWith(t, l.Decline(t.Context(), 0), queue.ErrLeaseLost)
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
	receive(t, f.Queue, "j", 1)
	for n := 2; n <= 3; n++ {
		wantEmpty(t, f.Queue)
		f.Advance(visibility + time.Second)
		receive(t, f.Queue, "j", n)
	}
	wantEmpty(t, f.Queue)
}

func lostLease(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	dead := receive(t, f.Queue, "j", 1)
	f.Advance(visibility + time.Second)
	alive := receive(t, f.Queue, "j", 2)
	wantLost(t, dead)
	wantEmpty(t, f.Queue) // the lost lease has not released the message
	must.Do(t, alive.Renew(t.Context(), visibility))
	must.Do(t, alive.Delete(t.Context()))
	wantLost(t, dead)
	wantLen(t, f.Queue, 0)
}

func renew(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	l := receive(t, f.Queue, "j", 1)
	for range 3 { // beyond the first visibility time
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

// decline returns a message as release does, and its delivery does not count.
func decline(t *testing.T, f Fixture) {
	enqueue(t, f.Queue, "j")
	must.Do(t, receive(t, f.Queue, "j", 1).Release(t.Context(), 0))
	for range 3 {
		l := receive(t, f.Queue, "j", 2)
		must.Do(t, l.Decline(t.Context(), 0))
		wantLost(t, l)
	}
	l := receive(t, f.Queue, "j", 2)
	must.Do(t, l.Decline(t.Context(), visibility))
	wantEmpty(t, f.Queue)
	wantHas(t, f.Queue, "j", true)
	f.Advance(visibility + time.Second)
	must.Do(t, receive(t, f.Queue, "j", 2).Delete(t.Context()))
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
	must.Do(t, old.Delete(t.Context())) // a repeat must not delete the new message
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
	must.FailWith(t, l.Decline(t.Context(), -1), queue.ErrVisibility)
	must.FailWith(t, l.Release(t.Context(), queue.MaxVisibility+1), queue.ErrVisibility)
	must.Do(t, l.Renew(t.Context(), queue.MaxVisibility))
	if err := f.Queue.Enqueue(t.Context(), ""); err == nil {
		t.Error("a message without a job was queued")
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
	other := f.Reopen()
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
		"delete": l.Delete(ctx), "release": l.Release(ctx, 0), "decline": l.Decline(ctx, 0),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := f.Queue.Receive(ctx, visibility); !errors.Is(err, context.Canceled) {
		t.Errorf("receive: %v", err)
	}
	must.Do(t, l.Delete(t.Context())) // the lease is still valid
	wantLen(t, f.Queue, 0)
}

func detector(name string) wire.ModelRef {
	return wire.ModelRef{Name: name, SHA256: footage.Sum([]byte(name))}
}

// put enqueues the job of footage of a site. Its recount wants a model, or "" for the chosen one.
func put(t *testing.T, f Fixture, l *ledger.Ledger, id, site, model string) string {
	t.Helper()
	rec := must.Get(l.Footage.Record(t.Context(), ledger.Footage{ID: footage.ID(id), Site: site, Device: "dock-" + site, Name: id + ".mp4",
		Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "k/" + id}))(t)
	if model != "" {
		must.Get(l.DB().Exec(t.Context(), `UPDATE job SET model = $1, model_digest = $2 WHERE id = $3`, model,
			detector(model).SHA256.String(), rec.Job.ID))(t)
	}
	enqueue(t, f.Queue, rec.Job.ID)
	return rec.Job.ID
}

// onlyAble gives each receiver the jobs that it can do, and all of them. The others stay at once for those who can do
// them, with their deliveries.
func onlyAble(t *testing.T, f Fixture) {
	l := f.Ledger()
	jobs := map[string]string{"unknown": "unknown"} // names by job
	enqueue(t, f.Queue, "unknown")
	for name, of := range map[string][2]string{"north": {"north"}, "south": {"south"}, "west": {"west"}, "north-herd": {"north", "herd"},
		"south-dunes": {"south", "dunes"}, "ended": {"north"}} {
		jobs[put(t, f, l, name, of[0], of[1])] = name
	}
	for id, name := range jobs {
		if name == "ended" {
			must.Do(t, l.Jobs.Cancel(t.Context(), id))
		}
	}
	for _, r := range []struct {
		able queue.Able
		want map[string]int
	}{
		{queue.Able{Some: true, Sites: []string{"south"}, Models: []wire.ModelRef{detector("dunes"), {Name: "herd", SHA256: footage.Sum(nil)}}},
			map[string]int{"unknown": 1, "ended": 1, "south": 1, "south-dunes": 1}},
		{queue.Able{Some: true}, map[string]int{}},
		{queue.Able{Some: true, Others: true, Sites: []string{"north", "east"}}, map[string]int{"west": 1}},
		{queue.Able{Some: true, Models: []wire.ModelRef{detector("herd")}}, map[string]int{"north-herd": 1}},
		{queue.Able{}, map[string]int{"north": 1}},
	} {
		got := map[string]int{}
		for {
			lease, err := f.Queue.ReceiveAble(t.Context(), queue.MaxVisibility, r.able)
			if errors.Is(err, queue.ErrEmpty) {
				break
			}
			must.Do(t, err)
			got[jobs[lease.Job()]] = lease.Deliveries()
			must.Do(t, lease.Delete(t.Context()))
		}
		if !maps.Equal(got, r.want) {
			t.Errorf("%+v: received %v, want %v", r.able, got, r.want)
		}
	}
	_, err := f.Queue.ReceiveAble(t.Context(), 0, queue.Able{Some: true})
	must.FailWith(t, err, queue.ErrVisibility)
}

// farBehind finds a job behind many that the receiver cannot do, which then come to others without a wait.
func farBehind(t *testing.T, f Fixture) {
	const others, polls = 40, 5
	l := f.Ledger()
	waiting := map[string]bool{}
	for i := range others {
		waiting[put(t, f, l, fmt.Sprint("n-", i), "north", "")] = true
	}
	want := put(t, f, l, "s", "south", "")
	var lease queue.Lease
	err := queue.ErrEmpty
	for n := 0; n < polls && errors.Is(err, queue.ErrEmpty); n++ {
		lease, err = f.Queue.ReceiveAble(t.Context(), queue.MaxVisibility, queue.Able{Some: true, Sites: []string{"south"}})
	}
	must.Do(t, err)
	if lease.Job() != want {
		t.Fatalf("received job %s, want %s", lease.Job(), want)
	}
	for range others {
		lease := must.Get(f.Queue.Receive(t.Context(), queue.MaxVisibility))(t)
		if !waiting[lease.Job()] || lease.Deliveries() != 1 {
			t.Fatalf("received job %s with delivery %d", lease.Job(), lease.Deliveries())
		}
		delete(waiting, lease.Job())
	}
}
