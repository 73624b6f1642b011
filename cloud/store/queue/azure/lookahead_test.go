package azure

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// Jobs of a higher priority come first although the service has an order of its own. Those that were passed over keep
// their deliveries and come at once, without the visibility time.
func TestPriority(t *testing.T) {
	t.Parallel()
	azurite.Get(t)
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "ledger.db")
	q := open(t, path, name(), nil)
	l := must.Get(ledger.Open(ctx, path, ledger.Options{}))(t)
	defer l.Close()
	var jobs []string
	for i := range maxAside + 4 {
		id := fmt.Sprintf("f-%02d", i)
		rec := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Site: "north", Device: "dock-1",
			Name: id + ".mp4", Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "k/" + id}))(t)
		must.Do(t, q.Enqueue(ctx, rec.Job.ID))
		jobs = append(jobs, rec.Job.ID)
	}
	must.Get(l.Jobs.Prioritise(ctx, jobs[5], 1))(t)
	must.Get(l.Jobs.Prioritise(ctx, jobs[9], ledger.MaxPriority))(t)
	must.Get(l.Jobs.Prioritise(ctx, jobs[0], -1))(t)
	last := len(jobs) - 1
	next := func(want int) {
		t.Helper()
		lease, err := q.Receive(ctx, time.Minute)
		must.Do(t, err)
		if lease.Job() != jobs[want] || lease.Deliveries() != 1 {
			t.Fatalf("received job %s, delivery %d; want job %d, %s", lease.Job(), lease.Deliveries(), want, jobs[want])
		}
		must.Do(t, lease.Delete(ctx))
	}
	next(9)
	next(5)
	served := map[string]bool{}
	for range last - 2 { // those of priority 0, in the order that the service chooses
		lease := must.Get(q.Receive(ctx, time.Minute))(t)
		served[lease.Job()] = true
		must.Do(t, lease.Delete(ctx))
	}
	if served[jobs[0]] || len(served) != last-2 {
		t.Fatalf("%d jobs of priority 0 came before the one of -1, want %d", len(served), last-2)
	}
	next(0)
	_, err := q.Receive(ctx, time.Minute)
	must.FailWith(t, err, queue.ErrEmpty)
}

// A job of a high priority behind more messages than Receive looks at does not stop the others.
func TestFarPriority(t *testing.T) {
	t.Parallel()
	azurite.Get(t)
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "ledger.db")
	q := open(t, path, name(), nil)
	l := must.Get(ledger.Open(ctx, path, ledger.Options{}))(t)
	defer l.Close()
	var last string
	for i := range maxAside + 3 {
		id := fmt.Sprintf("f-%02d", i)
		rec := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Site: "north", Device: "dock-1",
			Name: id + ".mp4", Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "k/" + id}))(t)
		must.Do(t, q.Enqueue(ctx, rec.Job.ID))
		last = rec.Job.ID
	}
	must.Get(l.Jobs.Prioritise(ctx, last, 1))(t)
	first := must.Get(q.Receive(ctx, time.Minute))(t)
	if first.Job() == last {
		t.Error("the last job came first although it is too far back")
	}
	seen := map[string]bool{first.Job(): true}
	for range maxAside + 2 {
		lease := must.Get(q.Receive(ctx, time.Minute))(t)
		if seen[lease.Job()] {
			t.Errorf("job %s came twice", lease.Job())
		}
		seen[lease.Job()] = true
	}
	if len(seen) != maxAside+3 || !seen[last] {
		t.Errorf("%d jobs were received, want %d", len(seen), maxAside+3)
	}
}
