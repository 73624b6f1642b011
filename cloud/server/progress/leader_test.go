package progress

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

// hangingLink delivers to the broker. Its first message waits until release is closed.
type hangingLink struct {
	broker           *fakeBroker
	waiting, release chan struct{}
	once             sync.Once
}

func (h *hangingLink) Deliver(ctx context.Context, m mqttlink.Message) error {
	h.once.Do(func() { close(h.waiting) })
	select {
	case <-h.release:
		return h.broker.Deliver(ctx, m)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// The first of two publishers hangs in a message until the second one leads and has
// published the end of both jobs. The late message replaces the retained one, so the first
// publisher publishes the present state again. It publishes nothing else.
func TestLateMessageIsReplaced(t *testing.T) {
	l, broker := openLedger(t), newFakeBroker()
	r, other := record(t, l, "edge1", "one", "a"), record(t, l, "edge2", "two", "b")
	j, k := begin(t, l, r.Job.ID), begin(t, l, other.Job.ID)
	advance(t, l, j, 50)
	advance(t, l, k, 50)
	run := func(link Link, leads *atomic.Bool) func() {
		p := NewPublisher(sources(l), slog.New(slog.DiscardHandler))
		p.Use(link)
		p.stale.Store(false) // without it the start publishes all footage once more
		p.askEvery = time.Millisecond
		p.OnlyWhen(func(context.Context) (bool, error) { return leads.Load(), nil })
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		return sync.OnceFunc(func() { cancel(); <-done })
	}
	var first, second atomic.Bool
	first.Store(true)
	link := &hangingLink{broker: broker, waiting: make(chan struct{}), release: make(chan struct{})}
	stop := run(link, &first)
	defer stop()
	<-link.waiting
	first.Store(false)
	finish(t, l, j, 7)
	finish(t, l, k, 8)
	second.Store(true)
	stopSecond := run(broker, &second)
	defer stopSecond()
	one := topic.Device{Site: "farm", Name: "edge1"}.Job(r.Job.ID)
	two := topic.Device{Site: "farm", Name: "edge2"}.Job(other.Job.ID)
	await(t, broker, one, isDone)
	await(t, broker, two, isDone)
	close(link.release)
	messages := func(name string) int {
		broker.mu.Lock()
		defer broker.mu.Unlock()
		return len(broker.history[name])
	}
	// Three messages: the end, the late one and the end again.
	await(t, broker, one, func(j topic.Job) bool { return messages(one) >= 3 && isDone(j) })
	stop()
	if n := messages(two); n != 1 {
		t.Errorf("the other job has %d messages, want 1: a publisher that does not lead has published", n)
	}
}
