package progress

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/shared/job"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

// hanging is a way to the broker on which the first message hangs until it may go.
type hanging struct {
	w         *fakeBroker
	waits, on chan struct{}
	once      sync.Once
}

func (h *hanging) Deliver(ctx context.Context, m mqttlink.Message) error {
	h.once.Do(func() { close(h.waits) })
	select {
	case <-h.on:
		return h.w.Deliver(ctx, m)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// One of two publishers hangs in a message until the other leads and has told the end.
// What it says late does not stay, and it says nothing of the rest.
func TestALateWordIsSaidAgainAsItIs(t *testing.T) {
	l, broker := openLedger(t), newFakeBroker()
	r, other := record(t, l, "edge1", "one", "a"), record(t, l, "edge2", "two", "b")
	j, k := begin(t, l, r.Job.ID), begin(t, l, other.Job.ID)
	advance(t, l, j, 50)
	advance(t, l, k, 50)
	run := func(link Link, leads *atomic.Bool) func() {
		p := NewPublisher(l.Changes, l.Footage, slog.New(slog.DiscardHandler))
		p.Use(link)
		p.stale.Store(false) // the refresh at the start says it again as well
		p.askEvery = time.Millisecond
		p.OnlyWhen(func(context.Context) (bool, error) { return leads.Load(), nil })
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		return sync.OnceFunc(func() { cancel(); <-done })
	}
	var first, second atomic.Bool
	first.Store(true)
	way := &hanging{w: broker, waits: make(chan struct{}), on: make(chan struct{})}
	stop := run(way, &first)
	defer stop()
	<-way.waits
	first.Store(false)
	finish(t, l, j, 7)
	finish(t, l, k, 8)
	second.Store(true)
	stopSecond := run(broker, &second)
	defer stopSecond()
	one, two := topic.Device{Site: "farm", Name: "edge1"}.Job(r.Job.ID), topic.Device{Site: "farm", Name: "edge2"}.Job(other.Job.ID)
	isDone := func(j topic.Job) bool { return j.State == job.Done }
	await(t, broker, one, isDone)
	await(t, broker, two, isDone)
	close(way.on)
	said := func(name string) int {
		broker.mu.Lock()
		defer broker.mu.Unlock()
		return len(broker.history[name])
	}
	await(t, broker, one, func(j topic.Job) bool { return said(one) >= 3 && isDone(j) }) // the end, the late word, the end again
	stop()
	if n := said(two); n != 1 {
		t.Errorf("the rest was said %d times, by who does not lead", n)
	}
}
