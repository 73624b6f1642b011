package embedded

import (
	"fmt"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
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
