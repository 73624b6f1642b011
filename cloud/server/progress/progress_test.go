package progress

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openLedger(t *testing.T) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func record(t *testing.T, l *ledger.Ledger, device, id, content string) ledger.Recorded {
	t.Helper()
	r, err := l.Footage.Record(t.Context(), ledger.Footage{ID: footage.ID(id), Site: "farm", Device: device, Name: id + ".mp4",
		Size: 1, SHA256: footage.Sum([]byte(content)), BlobKey: "footage/" + id + "/original.mp4"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func begin(t *testing.T, l *ledger.Ledger, id string) ledger.Job {
	t.Helper()
	j, _, err := l.Attempts.Begin(t.Context(), id, "w")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func advance(t *testing.T, l *ledger.Ledger, j ledger.Job, percent float64) {
	t.Helper()
	if _, err := l.Attempts.UpdateProgress(t.Context(), j.ID, j.Fence, job.Progress{Stage: job.StageDetect, Percent: percent, Count: int(percent / 10)}); err != nil {
		t.Fatal(err)
	}
}

func finish(t *testing.T, l *ledger.Ledger, j ledger.Job, n int) {
	t.Helper()
	_, err := l.Attempts.Finish(t.Context(), j.ID, j.Fence, ledger.Count{Footage: j.Footage, Job: j.ID, Unique: n, Low: n, High: n, Model: "m",
		ModelDigest: footage.Sum([]byte("m"))}, "k")
	if err != nil {
		t.Fatal(err)
	}
}

// fakeBroker is a broker that keeps what is retained and may be away.
type fakeBroker struct {
	mu       sync.Mutex
	away     bool
	back     chan struct{}
	more     chan struct{} // closed and made anew at every delivery
	retained map[string][]byte
	history  map[string][]int64 // seq by topic
}

func newFakeBroker() *fakeBroker {
	return &fakeBroker{back: make(chan struct{}), more: make(chan struct{}), retained: map[string][]byte{}, history: map[string][]int64{}}
}

func (w *fakeBroker) Deliver(ctx context.Context, m mqttlink.Message) error {
	for {
		w.mu.Lock()
		if !w.away {
			break
		}
		back := w.back
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-back:
		}
	}
	defer w.mu.Unlock()
	var h topic.Header
	if err := json.Unmarshal(m.Payload, &h); err != nil || !m.Retain {
		return fmt.Errorf("%s: %w, retain %v", m.Payload, err, m.Retain)
	}
	w.retained[m.Topic] = m.Payload
	w.history[m.Topic] = append(w.history[m.Topic], h.Seq)
	close(w.more)
	w.more = make(chan struct{})
	return nil
}

func (w *fakeBroker) setAway(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away = away; !away {
		close(w.back)
		w.back = make(chan struct{})
	}
}

// forget is a restart of a broker without a disk.
func (w *fakeBroker) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.retained)
}

// await waits until the retained message of a topic fits.
func await[T any](t *testing.T, w *fakeBroker, name string, fits func(T) bool) T {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		var v T
		text, ok := w.retained[name]
		more := w.more
		w.mu.Unlock()
		if ok {
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			if fits(v) {
				return v
			}
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("%s: nothing fits, last %s", name, text)
		}
	}
}

func publish(t *testing.T, l *ledger.Ledger, w *fakeBroker) (*Publisher, func()) {
	t.Helper()
	p := NewPublisher(l.Changes, l.Footage, slog.New(slog.DiscardHandler))
	p.Use(w)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return p, stop
}

func TestJobAndCountArePublishedRetained(t *testing.T) {
	l, w := openLedger(t), newFakeBroker()
	publish(t, l, w)
	r := record(t, l, "edge1", "one", "a")
	d := topic.Device{Site: "farm", Name: "edge1"}
	name := d.Job(r.Job.ID)
	await(t, w, name, func(j topic.Job) bool { return j.State == job.Uploaded && j.V == 1 && j.Clock == topic.ClockSynced })
	j := begin(t, l, r.Job.ID)
	advance(t, l, j, 30)
	await(t, w, name, func(j topic.Job) bool { return j.Percent == 30 && j.Count == 3 && j.Attempt == 1 && j.Footage == "one" })
	finish(t, l, j, 7)
	await(t, w, name, func(j topic.Job) bool { return j.State == job.Done })
	c := await(t, w, topic.Counts("farm", "one"), func(topic.Count) bool { return true })
	if c.Unique != 7 || c.Device != "edge1" || c.Name != "one.mp4" || c.Job != r.Job.ID {
		t.Errorf("%+v", c)
	}
}

func TestNothingIsLostWhileTheBrokerIsAway(t *testing.T) {
	l, w := openLedger(t), newFakeBroker()
	w.setAway(true)
	p, _ := publish(t, l, w)
	var jobs []ledger.Job
	var first int64 // row that makes a message; the footage row before it makes none
	for i := range 5 {
		r := record(t, l, "edge1", fmt.Sprint("f", i), fmt.Sprint(i))
		if i == 0 {
			first = r.Job.Seq
		}
		j := begin(t, l, r.Job.ID)
		advance(t, l, j, 50)
		finish(t, l, j, i)
		jobs = append(jobs, j)
	}
	if p.Position() >= first {
		t.Errorf("the cursor went on to %d without the broker", p.Position())
	}
	w.setAway(false)
	for i, j := range jobs {
		await(t, w, topic.Device{Site: "farm", Name: "edge1"}.Job(j.ID), func(j topic.Job) bool { return j.State == job.Done })
		await(t, w, topic.Counts("farm", footage.ID(fmt.Sprint("f", i))), func(c topic.Count) bool { return c.Unique == i })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, seqs := range w.history {
		for i := 1; i < len(seqs); i++ {
			if seqs[i] < seqs[i-1] {
				t.Errorf("%s went back: %v", name, seqs)
			}
		}
	}
}

func TestRestartGoesOnAndRefreshes(t *testing.T) {
	l, w := openLedger(t), newFakeBroker()
	_, stop := publish(t, l, w)
	r := record(t, l, "edge1", "one", "a")
	j := begin(t, l, r.Job.ID)
	finish(t, l, j, 4)
	count := topic.Counts("farm", "one")
	await(t, w, count, func(topic.Count) bool { return true })
	// The count may have come from the refresh at the start, before the feed
	// reached it. A row that comes later in the feed shows that it did.
	later := record(t, l, "edge2", "two", "b")
	await(t, w, topic.Device{Site: "farm", Name: "edge2"}.Job(later.Job.ID), func(topic.Job) bool { return true })
	stop()
	if seq, err := l.Changes.Cursor(t.Context(), cursorName); err != nil || seq == 0 {
		t.Errorf("cursor %d %v", seq, err)
	}
	w.forget() // the broker was in the same process
	p, _ := publish(t, l, w)
	await(t, w, count, func(c topic.Count) bool { return c.Unique == 4 })
	await(t, w, topic.Device{Site: "farm", Name: "edge1"}.Job(j.ID), func(j topic.Job) bool { return j.State == job.Done })
	w.forget() // the broker restarted, this process did not
	p.Connected()
	await(t, w, count, func(c topic.Count) bool { return c.Unique == 4 })
}

func TestDuplicates(t *testing.T) {
	l, w := openLedger(t), newFakeBroker()
	publish(t, l, w)
	first := record(t, l, "edge1", "one", "a")
	record(t, l, "edge2", "two", "a") // before the count
	record(t, l, "edge1", "three", "a")
	j := begin(t, l, first.Job.ID)
	finish(t, l, j, 9)
	record(t, l, "edge3", "four", "a") // after it
	for _, id := range []footage.ID{"one", "two", "three", "four"} {
		c := await(t, w, topic.Counts("farm", id), func(c topic.Count) bool { return c.Unique == 9 })
		if c.Footage != id {
			t.Errorf("%s: %+v", id, c)
		}
	}
	for device, id := range map[string]footage.ID{"edge1": "one", "edge2": "two", "edge3": "four"} {
		m := await(t, w, topic.Device{Site: "farm", Name: device}.Job(j.ID), func(j topic.Job) bool { return j.State == job.Done })
		if m.Footage != id {
			t.Errorf("%s sees footage %s, want %s", device, m.Footage, id)
		}
	}
}

func TestChangesAreWholeAndOrdered(t *testing.T) {
	l := openLedger(t)
	for i := range 7 {
		r := record(t, l, "edge1", fmt.Sprint("f", i), fmt.Sprint(i))
		if i%2 == 0 {
			finish(t, l, begin(t, l, r.Job.ID), i)
		}
	}
	for _, limit := range []int{1, 2, 3, 100} {
		var after int64
		kinds := map[string]int{}
		for complete := false; !complete; {
			changes, all, err := Changes(t.Context(), l.Changes, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			complete = all
			for _, c := range changes {
				if c.Seq <= after {
					t.Fatalf("limit %d: seq %d after %d", limit, c.Seq, after)
				}
				after = c.Seq
				switch {
				case c.Job != nil:
					kinds["job"]++
				case c.Count != nil:
					kinds["count"]++
				case c.Footage != nil:
					kinds["footage"]++
				}
			}
			if len(changes) == 0 && !complete {
				t.Fatal("stands still")
			}
		}
		if kinds["job"] != 7 || kinds["count"] != 4 || kinds["footage"] != 7 {
			t.Errorf("limit %d: %v", limit, kinds)
		}
	}
}
