package queuetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// Jain returns Jain's index of fairness of what each of several shares got: 1 when all are equal, 1/n when one of n has
// everything.
func Jain[K comparable, V int | float64](shares map[K]V) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range shares {
		sum, squares = sum+float64(v), squares+float64(v)*float64(v)
	}
	return sum * sum / (float64(len(shares)) * squares)
}

// Fair is the lowest index of fairness between devices that a queue may have.
const Fair = 0.9

// of enqueues the job of one more piece of footage of a device and returns it.
func of(t *testing.T, f Fixture, l *ledger.Ledger, device string, n int) string {
	t.Helper()
	id := fmt.Sprintf("%s-%d", device, n)
	rec := must.Get(l.Footage.Record(t.Context(), ledger.Footage{ID: footage.ID(id), Site: "north", Device: device,
		Name: id + ".mp4", Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "k/" + id}))(t)
	enqueue(t, f.Queue, rec.Job.ID)
	return rec.Job.ID
}

// turns has 25 jobs of one device before the first of four others. They are served in turns nevertheless, and each device
// gets its own in their order.
func turns(t *testing.T, f Fixture) {
	const many, others, few = 25, 4, 5
	l := f.Ledger()
	owner, order := map[string]string{}, map[string][]string{}
	add := func(device string, n int) {
		for i := range n {
			j := of(t, f, l, device, i)
			owner[j] = device
			order[device] = append(order[device], j)
		}
	}
	add("dock-1", many)
	for i := range others {
		add(fmt.Sprint("dock-", i+2), few)
	}
	served := map[string]int{}
	var first []string
	for n := range many + others*few {
		lease := must.Get(f.Queue.Receive(t.Context(), queue.MaxVisibility))(t)
		device := owner[lease.Job()]
		if want := order[device][served[device]]; lease.Job() != want || lease.Deliveries() != 1 {
			t.Fatalf("job %d of %s is %s with delivery %d, want %s", served[device], device, lease.Job(), lease.Deliveries(), want)
		}
		served[device]++
		first = append(first, device)
		if n%2 == 0 { // some are still in work when the next one is received
			must.Do(t, lease.Delete(t.Context()))
		}
		if n+1 == few*(others+1) {
			if jain := Jain(served); jain < Fair {
				t.Errorf("Jain's index is %.2f, want at least %.1f: %v", jain, Fair, served)
			}
		}
	}
	if want := []string{"dock-1", "dock-2", "dock-3", "dock-4", "dock-5", "dock-1"}; !slices.Equal(first[:6], want) {
		t.Errorf("served %v, want %v", first[:6], want)
	}
	wantEmpty(t, f.Queue)
}

// priority has jobs of a higher priority first, also far behind and of a device that was just served. Those of one
// priority take turns.
func priority(t *testing.T, f Fixture) {
	l := f.Ledger()
	id := map[string]string{}
	add := func(device string, n int) {
		for i := range n {
			id[of(t, f, l, device, i)] = fmt.Sprintf("%s-%d", device, i)
		}
	}
	add("a", 40)
	add("b", 2)
	for job, n := range id {
		if p := map[string]int{"a-39": 3, "a-38": 3, "b-0": -2}[n]; p != 0 {
			must.Get(l.Jobs.Prioritise(t.Context(), job, p))(t)
		}
	}
	want := []string{"a-38", "a-39", "b-1"}
	for i := range 38 {
		want = append(want, fmt.Sprint("a-", i))
	}
	for i, want := range append(want, "b-0") {
		lease := must.Get(f.Queue.Receive(t.Context(), queue.MaxVisibility))(t)
		if id[lease.Job()] != want || lease.Deliveries() != 1 {
			t.Fatalf("job %d is %s with delivery %d, want %s", i, id[lease.Job()], lease.Deliveries(), want)
		}
		must.Do(t, lease.Delete(t.Context()))
	}
	wantEmpty(t, f.Queue)
}

// outOfTurn has jobs that come out of the order of their messages. Each ends exactly once, with its own deliveries,
// although receivers die, renew, release and delete in between, in another process too.
func outOfTurn(t *testing.T, f Fixture) {
	l, other := f.Ledger(), f.Reopen()
	var jobs []string
	for i := range 6 {
		jobs = append(jobs, of(t, f, l, "dock-1", i))
	}
	jobs = append(jobs, of(t, f, l, "dock-2", 0), of(t, f, l, "dock-3", 0))
	get := func(q queue.Queue, job, deliveries int) queue.Lease {
		t.Helper()
		lease := must.Get(q.Receive(t.Context(), visibility))(t)
		if lease.Job() != jobs[job] || lease.Deliveries() != deliveries {
			t.Fatalf("received job %d with delivery %d, want %d with %d", slices.Index(jobs, lease.Job()), lease.Deliveries(),
				job, deliveries)
		}
		return lease
	}
	dead := []queue.Lease{get(f.Queue, 0, 1), get(other, 6, 1)} // job 6 has the message of job 1
	kept := get(f.Queue, 7, 1)
	must.Do(t, kept.Renew(t.Context(), queue.MaxVisibility))
	must.Do(t, get(other, 1, 1).Delete(t.Context()))
	must.Do(t, get(f.Queue, 2, 1).Release(t.Context(), queue.MaxVisibility))
	must.Do(t, get(other, 3, 1).Decline(t.Context(), queue.MaxVisibility))
	for _, j := range jobs[2:] {
		wantHas(t, f.Queue, j, true)
	}
	wantHas(t, f.Queue, jobs[1], false)
	f.Advance(visibility + time.Second)
	got := map[string]int{}
	for {
		lease, err := other.Receive(t.Context(), queue.MaxVisibility)
		if errors.Is(err, queue.ErrEmpty) {
			break
		}
		must.Do(t, err)
		got[lease.Job()] = lease.Deliveries()
		must.Do(t, lease.Delete(t.Context()))
	}
	if want := map[string]int{jobs[0]: 2, jobs[6]: 2, jobs[4]: 1, jobs[5]: 1}; !maps.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
	for _, lease := range dead {
		wantLost(t, lease)
	}
	wantLen(t, f.Queue, 3) // in work, released and declined
	must.Do(t, kept.Delete(t.Context()))
	wantLen(t, f.Queue, 2)
}
