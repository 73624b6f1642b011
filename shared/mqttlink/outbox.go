package mqttlink

import (
	"container/list"
	"fmt"
	"slices"
	"sync"
	"time"

	"cattlecounter/shared/wake"
)

// outbox is a queue with one place per topic. A newer message replaces an older one of
// its topic, so that the number of topics bounds the length.
//
// The outbox also knows which message of each topic the store may hold. While that is
// an older one, the newer message is blocked and others are sent first: after a crash
// the older one would be sent again.
type outbox struct {
	topics int // limits
	bytes  int

	mu      sync.Mutex
	order   *list.List // of *entry, oldest first
	byTopic map[string]*list.Element
	more    chan struct{} // closed and replaced when a message may have become sendable
	size    int           // bytes of all entries
	dropped int64
	number  uint64 // of the newest message

	saved      map[string]savedCopy // by topic: what the store may hold
	dirtySince time.Time            // since when a write may be needed, zero without one
	blocked    bool                 // the sender waits for a write
	unsaved    wake.Signal          // set when a write may be needed
}

type entry struct {
	m         Message
	number    uint64       // grows with every message, also over restarts
	since     time.Time    // when the topic began to differ from the store
	waiters   []chan error // of Deliver
	sealed    bool         // being sent, or saved for that: a newer message queues behind it
	delayed   bool         // the sender found it blocked
	unblocked bool         // send it although it is blocked, because the store failed
	successor *entry       // the newer entry that took over the waiters, mostly nil
	place     *list.Element
}

// savedCopy is a message that the store may hold.
type savedCopy struct {
	number   uint64 // of the oldest message that it can be
	obsolete bool   // acknowledged or dropped, so the copy must be deleted
}

func newOutbox(topics, bytes int) *outbox {
	return &outbox{topics: topics, bytes: bytes, order: list.New(), byTopic: map[string]*list.Element{},
		more:  make(chan struct{}),
		saved: map[string]savedCopy{}, unsaved: wake.New()}
}

func (m Message) weight() int { return len(m.Topic) + len(m.Payload) }

func (b *outbox) put(m Message, acked chan error) (*entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.weight() > b.bytes {
		return nil, fmt.Errorf("message of %d bytes on %s, at most %d: %w", m.weight(), m.Topic, b.bytes, ErrOutboxFull)
	}
	b.number++
	e := b.newest(m.Topic)
	if e == nil || e.sealed {
		e = &entry{}
		e.place = b.order.PushBack(e)
		b.byTopic[m.Topic] = e.place
	}
	if c, ok := b.saved[m.Topic]; e.since.IsZero() || ok && c.number == e.number {
		e.since = time.Now()
	}
	b.size += m.weight() - e.m.weight()
	e.m, e.number, e.unblocked = m, b.number, false
	if acked != nil {
		e.waiters = append(e.waiters, acked)
	}
	b.enforceLimits(e)
	if _, ok := b.saved[m.Topic]; ok || m.Durable {
		b.markDirty(e.since)
	}
	b.wakeSender()
	return e, nil
}

// newest returns the newest entry of a topic, nil without one. b.mu is held.
func (b *outbox) newest(topic string) *entry {
	if el := b.byTopic[topic]; el != nil {
		return el.Value.(*entry)
	}
	return nil
}

// wakeSender makes the sender look for messages. b.mu is held.
func (b *outbox) wakeSender() {
	close(b.more)
	b.more = make(chan struct{})
}

// enforceLimits drops messages beyond the limits: first the oldest that is not retained,
// then the oldest. It keeps messages that are being sent, and spare. b.mu is held.
func (b *outbox) enforceLimits(spare *entry) {
	for b.order.Len() > b.topics || b.size > b.bytes {
		var victim *entry
		for el := b.order.Front(); el != nil; el = el.Next() {
			e := el.Value.(*entry)
			if e == spare || e.sealed {
				continue
			}
			if victim == nil || !e.m.Retain {
				victim = e
			}
			if !e.m.Retain {
				break
			}
		}
		if victim == nil {
			return // only messages that are being sent, and spare
		}
		b.dropped++
		b.remove(victim)
		b.discardSaved(victim)
		for _, c := range victim.waiters {
			c <- fmt.Errorf("message on %s: %w", victim.m.Topic, ErrDropped)
		}
	}
}

func (b *outbox) remove(e *entry) {
	b.order.Remove(e.place)
	b.size -= e.m.weight()
	if b.byTopic[e.m.Topic] == e.place {
		delete(b.byTopic, e.m.Topic)
	}
}

// discardSaved marks the saved copy of a sent or dropped entry as obsolete.
func (b *outbox) discardSaved(e *entry) {
	if c, ok := b.saved[e.m.Topic]; ok && c.number <= e.number {
		b.saved[e.m.Topic] = savedCopy{number: c.number, obsolete: true}
		b.markDirty(time.Now())
	}
}

// next returns the oldest entry that may be sent and seals it. Without one it returns a
// channel that is closed when there may be one.
func (b *outbox) next() (*entry, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for el := b.order.Front(); el != nil; el = el.Next() {
		e := el.Value.(*entry)
		if c, ok := b.saved[e.m.Topic]; ok && c.number < e.number && !e.unblocked {
			e.delayed, b.blocked = true, true
			b.unsaved.Set()
			continue
		}
		e.sealed = true
		return e, nil
	}
	return nil, b.more
}

// unseal lets newer messages replace those that were being sent when the connection
// ended. A newer one that is queued already takes over the older one's waiters.
func (b *outbox) unseal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for el := b.order.Front(); el != nil; {
		e, next := el.Value.(*entry), el.Next()
		if n := b.newest(e.m.Topic); e.sealed && n != e {
			n.waiters = append(n.waiters, e.waiters...)
			e.successor = n
			b.remove(e)
		}
		e.sealed = false
		el = next
	}
}

// removeWaiter removes a waiter of Deliver.
func (b *outbox) removeWaiter(e *entry, acked chan error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ; e != nil; e = e.successor {
		e.waiters = slices.DeleteFunc(e.waiters, func(c chan error) bool { return c == acked })
	}
}

// acknowledge removes a sent entry and ends the waits for it.
func (b *outbox) acknowledge(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(e)
	b.discardSaved(e)
	for _, c := range e.waiters {
		c <- nil
	}
}

func (b *outbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.order.Len()
}

func (b *outbox) droppedCount() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}
