package embedded

import (
	"fmt"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

// A device with many jobs does not hold up the others: of the first jobs that are served, each device has its share
// (Jain's index at least 0.9).
func TestDevicesTakeTurns(t *testing.T) {
	ctx := t.Context()
	l := must.Get(ledger.Open(ctx, places["file"](t), ledger.Options{}))(t)
	defer l.Close()
	q := must.Get(New(ctx, l.DB(), nil))(t)
	owner := map[string]string{}
	record := func(device string, n int) {
		for i := range n {
			id := fmt.Sprintf("%s-%d", device, i)
			rec := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Site: "north", Device: device, Name: id + ".mp4",
				Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "k/" + id}))(t)
			must.Do(t, q.Enqueue(ctx, rec.Job.ID))
			owner[rec.Job.ID] = device
		}
	}
	record("dock-1", 25)
	const others = 4
	for i := range others {
		record(fmt.Sprintf("dock-%d", i+2), 5)
	}
	served := map[string]int{}
	var first []string
	for range 25 {
		lease := must.Get(q.Receive(ctx, time.Minute))(t)
		device := owner[lease.Job()]
		served[device]++
		first = append(first, device)
	}
	sum, squares := 0.0, 0.0
	for _, n := range served {
		sum, squares = sum+float64(n), squares+float64(n*n)
	}
	if jain := sum * sum / ((others + 1) * squares); jain < 0.9 {
		t.Errorf("Jain's index %.2f: %v", jain, served)
	}
	for i, device := range []string{"dock-1", "dock-2", "dock-3", "dock-4", "dock-5", "dock-1"} {
		if first[i] != device {
			t.Errorf("served %v, want each device in turns", first[:6])
			break
		}
	}
}

// Jobs of a higher priority come first, also those of a device that was just served. Those of one priority take turns.
func TestPriority(t *testing.T) {
	for name, somewhere := range places {
		t.Run(name, func(t *testing.T) {
			ctx, place := t.Context(), somewhere(t)
			q := open(t, place, nil)
			var l *ledger.Ledger
			if name == "file" {
				l = must.Get(ledger.Open(ctx, place, ledger.Options{}))(t)
			} else {
				l = must.Get(ledger.OpenPostgres(ctx, secret.New(place), ledger.Options{}))(t)
			}
			defer l.Close()
			id := map[string]string{}
			for _, n := range []string{"a-1", "a-2", "a-3", "b-1", "b-2"} {
				rec := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(n), Site: "north", Device: n[:1],
					Name: n + ".mp4", Size: 1, SHA256: footage.Sum([]byte(n)), BlobKey: "k/" + n}))(t)
				must.Do(t, q.Enqueue(ctx, rec.Job.ID))
				id[rec.Job.ID] = n
			}
			for job, n := range id {
				if p := map[string]int{"a-3": 3, "a-2": 3, "b-1": -2}[n]; p != 0 {
					must.Get(l.Jobs.Prioritise(ctx, job, p))(t)
				}
			}
			for i, want := range []string{"a-2", "a-3", "b-2", "a-1", "b-1"} {
				if lease := must.Get(q.Receive(ctx, time.Minute))(t); id[lease.Job()] != want {
					t.Errorf("job %d is %s, want %s", i, id[lease.Job()], want)
				}
			}
		})
	}
}
