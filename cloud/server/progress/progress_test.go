package progress

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openLedger opens an empty ledger.
func openLedger(t *testing.T) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), emptyledger.In(t, t.TempDir()), ledger.Options{})
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

// record records uploaded footage and its job.
func record(t *testing.T, l *ledger.Ledger, device, id, content string) ledger.Recorded {
	t.Helper()
	r, err := l.Footage.Record(t.Context(), ledger.Footage{ID: footage.ID(id), Site: "farm", Device: device,
		Name: id + ".mp4", Size: 1, SHA256: footage.Sum([]byte(content)), BlobKey: "footage/" + id + "/original.mp4"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// begin begins an attempt of a job.
func begin(t *testing.T, l *ledger.Ledger, id string) ledger.Job {
	t.Helper()
	j, _, err := l.Attempts.Begin(t.Context(), id, "w")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// advance stores the progress of a job.
func advance(t *testing.T, l *ledger.Ledger, j ledger.Job, percent float64) {
	t.Helper()
	p := job.Progress{Stage: job.StageDetect, Percent: percent, Count: int(percent / 10)}
	if _, err := l.Attempts.UpdateProgress(t.Context(), j.ID, j.Fence, p); err != nil {
		t.Fatal(err)
	}
}

// finish ends a job with a count of n.
func finish(t *testing.T, l *ledger.Ledger, j ledger.Job, n int) {
	t.Helper()
	_, err := l.Attempts.Finish(t.Context(), j.ID, j.Fence, ledger.Count{Footage: j.Footage, Job: j.ID,
		Unique: n, Low: n, High: n, Model: "m", ModelDigest: footage.Sum([]byte("m"))}, "k")
	if err != nil {
		t.Fatal(err)
	}
}

// fakeBroker stores retained messages. Deliver waits while it is away.
type fakeBroker struct {
	mu       sync.Mutex
	away     bool
	back     chan struct{}
	changed  chan struct{} // closed and replaced at every delivery
	retained map[string][]byte
	history  map[string][]int64 // seq by topic
}

func newFakeBroker() *fakeBroker {
	return &fakeBroker{back: make(chan struct{}), changed: make(chan struct{}),
		retained: map[string][]byte{}, history: map[string][]int64{}}
}

func (b *fakeBroker) Deliver(ctx context.Context, m mqttlink.Message) error {
	for {
		b.mu.Lock()
		if !b.away {
			break
		}
		back := b.back
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-back:
		}
	}
	defer b.mu.Unlock()
	if len(m.Payload) == 0 && m.Retain {
		delete(b.retained, m.Topic)
		close(b.changed)
		b.changed = make(chan struct{})
		return nil
	}
	var h topic.Header
	if err := json.Unmarshal(m.Payload, &h); err != nil || !m.Retain {
		return fmt.Errorf("invalid message %s: error %w, retain %v", m.Payload, err, m.Retain)
	}
	b.retained[m.Topic] = m.Payload
	b.history[m.Topic] = append(b.history[m.Topic], h.Seq)
	close(b.changed)
	b.changed = make(chan struct{})
	return nil
}

func (b *fakeBroker) setAway(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away = away; !away {
		close(b.back)
		b.back = make(chan struct{})
	}
}

// restart deletes all retained messages, as a restart of a broker without a disk does.
func (b *fakeBroker) restart() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.retained)
}

// await waits until fits returns true for the retained message of a topic.
func await[T any](t *testing.T, b *fakeBroker, name string, fits func(T) bool) T {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		b.mu.Lock()
		var v T
		text, ok := b.retained[name]
		changed := b.changed
		b.mu.Unlock()
		if ok {
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			if fits(v) {
				return v
			}
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s: no expected message, the last one is %s", name, text)
		}
	}
}

func isDone(j topic.Job) bool { return j.State == job.Done }

// sources reads a ledger whose sites have no paddocks.
func sources(l *ledger.Ledger) Sources {
	return Sources{Feed: l.Changes, Footage: l.Footage, Flights: l.Flights, Sites: l.Sites, Aged: l.Aged,
		Borders: func(context.Context, string) (now, before []string, err error) { return nil, nil, nil }}
}

// publish runs a Publisher until the end of the test or until its stop is called.
func publish(t *testing.T, l *ledger.Ledger, b *fakeBroker) (*Publisher, func()) {
	t.Helper()
	p := NewPublisher(sources(l), slog.New(slog.DiscardHandler))
	p.Use(b)
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
	l, b := openLedger(t), newFakeBroker()
	publish(t, l, b)
	r := record(t, l, "edge1", "one", "a")
	d := topic.Device{Site: "farm", Name: "edge1"}
	name := d.Job(r.Job.ID)
	await(t, b, name, func(j topic.Job) bool {
		return j.State == job.Uploaded && j.V == 1 && j.Clock == topic.ClockSynced
	})
	j := begin(t, l, r.Job.ID)
	advance(t, l, j, 30)
	await(t, b, name, func(j topic.Job) bool {
		return j.Percent == 30 && j.Count == 3 && j.Attempt == 1 && j.Footage == "one"
	})
	finish(t, l, j, 7)
	await(t, b, name, isDone)
	c := await(t, b, topic.Counts("farm", "one"), func(topic.Count) bool { return true })
	if c.Unique != 7 || c.Device != "edge1" || c.Name != "one.mp4" || c.Job != r.Job.ID {
		t.Errorf("count: %+v", c)
	}
}

func TestEveryChangeIsPublishedAfterTheBrokerReturns(t *testing.T) {
	l, b := openLedger(t), newFakeBroker()
	b.setAway(true)
	p, _ := publish(t, l, b)
	var jobs []ledger.Job
	var first int64 // the first row that becomes a message; the footage row before it does not
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
		t.Errorf("the position is %d although the broker has acknowledged nothing", p.Position())
	}
	b.setAway(false)
	for i, j := range jobs {
		await(t, b, topic.Device{Site: "farm", Name: "edge1"}.Job(j.ID), isDone)
		await(t, b, topic.Counts("farm", footage.ID(fmt.Sprint("f", i))), func(c topic.Count) bool { return c.Unique == i })
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, seqs := range b.history {
		for i := 1; i < len(seqs); i++ {
			if seqs[i] < seqs[i-1] {
				t.Errorf("the seq of %s falls: %v", name, seqs)
			}
		}
	}
}

func TestRestartContinuesAndRepublishes(t *testing.T) {
	l, b := openLedger(t), newFakeBroker()
	_, stop := publish(t, l, b)
	r := record(t, l, "edge1", "one", "a")
	j := begin(t, l, r.Job.ID)
	finish(t, l, j, 4)
	count := topic.Counts("farm", "one")
	await(t, b, count, func(topic.Count) bool { return true })
	// The start publishes the newest footage again, so this count may be published before
	// the feed reaches it. A later row proves that the feed has reached it.
	later := record(t, l, "edge2", "two", "b")
	await(t, b, topic.Device{Site: "farm", Name: "edge2"}.Job(later.Job.ID), func(topic.Job) bool { return true })
	stop()
	if seq, err := l.Changes.Cursor(t.Context(), cursorName); err != nil || seq == 0 {
		t.Errorf("saved cursor is %d, error %v", seq, err)
	}
	b.restart() // with this process, as an embedded broker does
	p, _ := publish(t, l, b)
	await(t, b, count, func(c topic.Count) bool { return c.Unique == 4 })
	await(t, b, topic.Device{Site: "farm", Name: "edge1"}.Job(j.ID), isDone)
	b.restart() // without this process
	p.Connected()
	await(t, b, count, func(c topic.Count) bool { return c.Unique == 4 })
}

func TestDuplicatesGetJobAndCount(t *testing.T) {
	l, b := openLedger(t), newFakeBroker()
	publish(t, l, b)
	first := record(t, l, "edge1", "one", "a")
	record(t, l, "edge2", "two", "a") // before the count
	record(t, l, "edge1", "three", "a")
	j := begin(t, l, first.Job.ID)
	finish(t, l, j, 9)
	record(t, l, "edge3", "four", "a") // after the count
	for _, id := range []footage.ID{"one", "two", "three", "four"} {
		c := await(t, b, topic.Counts("farm", id), func(c topic.Count) bool { return c.Unique == 9 })
		if c.Footage != id {
			t.Errorf("count of %s: %+v", id, c)
		}
	}
	for device, id := range map[string]footage.ID{"edge1": "one", "edge2": "two", "edge3": "four"} {
		m := await(t, b, topic.Device{Site: "farm", Name: device}.Job(j.ID), isDone)
		if m.Footage != id {
			t.Errorf("the job of %s has footage %s, want %s", device, m.Footage, id)
		}
	}
}

func TestChangesAreCompleteAndOrdered(t *testing.T) {
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
				t.Fatalf("limit %d: no change after seq %d, but the read is not complete", limit, after)
			}
		}
		if kinds["job"] != 7 || kinds["count"] != 4 || kinds["footage"] != 7 {
			t.Errorf("limit %d: got %v changes, want 7 jobs, 4 counts and 7 pieces of footage", limit, kinds)
		}
	}
}

// fly records and counts two parts of one flight, 7 animals each and 9 together. It returns the id of the flight.
func fly(t *testing.T, l *ledger.Ledger) string {
	t.Helper()
	var group ledger.Group
	for i, id := range []string{"part-1", "part-2"} {
		r := record(t, l, "edge1", id, id)
		j := begin(t, l, r.Job.ID)
		part := ledger.Part{Footage: r.Footage.ID, Name: r.Footage.Name}
		near, err := l.Flights.Neighbors(t.Context(), "edge1", part)
		if err != nil {
			t.Fatal(err)
		}
		group.Parts = append(group.Parts, r.Footage.ID)
		group.JointCount = ledger.JointCount{Unique: 8 + i, Low: 8, High: 12}
		if _, err := l.Flights.Finish(t.Context(), j.ID, j.Fence, ledger.Count{Unique: 7, Low: 7, High: 7}, "k",
			ledger.Joining{Part: part, Neighbors: near, Groups: []ledger.Group{group}}); err != nil {
			t.Fatal(err)
		}
	}
	v, err := l.Footage.Get(t.Context(), "part-1")
	if err != nil {
		t.Fatal(err)
	}
	return v.Flight
}

// A flight is published retained, with its parts. The counts of its parts name it, and that of a duplicate its original.
func TestFlightIsPublishedRetained(t *testing.T) {
	l, b := openLedger(t), newFakeBroker()
	publish(t, l, b)
	id := fly(t, l)
	f := await(t, b, topic.FlightCount("farm", id), func(f topic.Flight) bool { return len(f.Parts) == 2 })
	if f.Unique != 9 || f.State != topic.FlightJoined || f.Device != "edge1" || f.Parts[1].Footage != "part-2" {
		t.Errorf("flight %+v", f)
	}
	await(t, b, topic.Counts("farm", "part-1"), func(c topic.Count) bool { return c.Flight == id && c.Unique == 7 })
	record(t, l, "edge2", "copy", "part-1")
	await(t, b, topic.Counts("farm", "copy"), func(c topic.Count) bool { return c.DuplicateOf == "part-1" })
}

// A broker that lost its retained messages gets the flights again.
func TestFlightIsPublishedAgain(t *testing.T) {
	l, b := openLedger(t), newFakeBroker()
	name := topic.FlightCount("farm", fly(t, l))
	p, _ := publish(t, l, b)
	await(t, b, name, func(f topic.Flight) bool { return len(f.Parts) == 2 })
	b.restart()
	p.Connected()
	await(t, b, name, func(f topic.Flight) bool { return len(f.Parts) == 2 })
}
