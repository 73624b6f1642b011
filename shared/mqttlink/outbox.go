package mqttlink

import (
	"container/list"
	"fmt"
	"slices"
	"sync"
	"time"

	"cattlecounter/shared/wake"
)

// outbox is a queue with one place per topic. A newer message takes the place
// of an older one of its topic, so that its length is bounded by the topics.
//
// It also knows what a keeper may hold of each topic. A message is blocked, and
// the others go before it, while the keeper may hold an older one of its topic:
// after a crash that one would be sent behind it.
type outbox struct {
	topics int // limits
	bytes  int

	mu      sync.Mutex
	order   *list.List // of *entry, oldest first
	byTopic map[string]*list.Element
	more    chan struct{} // closed when a message can be sent that could not; made anew then
	size    int           // bytes of all entries
	dropped int64
	number  uint64 // of the newest message

	kept    map[string]copyKept // by topic; what the keeper may hold
	unkept  time.Time           // since when there may be something to write, zero when there is not
	blocked bool                // the sender waits for the keeper
	unsaved wake.Signal         // set when the keeper has something to write
}

type entry struct {
	m      Message
	number uint64    // grows with every message, also over restarts
	since  time.Time // when the topic began to differ from what is kept
	acked  []chan error
	sealed bool   // being sent, or kept for it: a newer message goes behind it instead
	wanted bool   // the sender came across it and it was blocked
	free   bool   // goes out although it is blocked: the keeper could not write
	heir   *entry // the newer entry that took over the waiters, mostly nil
	place  *list.Element
}

// copyKept is a message that the keeper may hold.
type copyKept struct {
	number uint64 // the oldest one that it can be
	void   bool   // acknowledged or dropped: to be deleted
}

func newOutbox(topics, bytes int) *outbox {
	return &outbox{topics: topics, bytes: bytes, order: list.New(), byTopic: map[string]*list.Element{}, more: make(chan struct{}),
		kept: map[string]copyKept{}, unsaved: wake.New()}
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
	if c, ok := b.kept[m.Topic]; e.since.IsZero() || ok && c.number == e.number {
		e.since = time.Now()
	}
	b.size += m.weight() - e.m.weight()
	e.m, e.number, e.free = m, b.number, false
	if acked != nil {
		e.acked = append(e.acked, acked)
	}
	b.bound(e)
	if _, ok := b.kept[m.Topic]; ok || m.Keep {
		b.toKeep(e.since)
	}
	b.wake()
	return e, nil
}

// newest returns the newest entry of a topic, nil without one. b.mu is held.
func (b *outbox) newest(topic string) *entry {
	if el := b.byTopic[topic]; el != nil {
		return el.Value.(*entry)
	}
	return nil
}

// wake tells the sender that there is something to send. b.mu is held.
func (b *outbox) wake() {
	close(b.more)
	b.more = make(chan struct{})
}

// bound drops messages beyond the limits: first the oldest of those that a
// broker does not retain, then the oldest. What is being sent, and spare, stay.
// b.mu is held.
func (b *outbox) bound(spare *entry) {
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
			return // one that is being sent, and the newest
		}
		b.dropped++
		b.remove(victim)
		b.forget(victim)
		for _, c := range victim.acked {
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

// forget voids what is kept of an entry that is sent or dropped.
func (b *outbox) forget(e *entry) {
	if c, ok := b.kept[e.m.Topic]; ok && c.number <= e.number {
		b.kept[e.m.Topic] = copyKept{number: c.number, void: true}
		b.toKeep(time.Now())
	}
}

// first returns the oldest entry that may be sent and seals it; without one it
// returns a channel that is closed when that may have changed.
func (b *outbox) first() (*entry, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for el := b.order.Front(); el != nil; el = el.Next() {
		e := el.Value.(*entry)
		if c, ok := b.kept[e.m.Topic]; ok && c.number < e.number && !e.free {
			e.wanted, b.blocked = true, true
			b.unsaved.Set()
			continue
		}
		e.sealed = true
		return e, nil
	}
	return nil, b.more
}

// unseal lets newer messages take the place of those that were being sent when
// the connection ended. Where a newer one waits behind already, it inherits the
// older one's waiters.
func (b *outbox) unseal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for el := b.order.Front(); el != nil; {
		e, next := el.Value.(*entry), el.Next()
		if n := b.newest(e.m.Topic); e.sealed && n != e {
			n.acked = append(n.acked, e.acked...)
			e.heir = n
			b.remove(e)
		}
		e.sealed = false
		el = next
	}
}

// leave takes a waiter out.
func (b *outbox) leave(e *entry, acked chan error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ; e != nil; e = e.heir {
		e.acked = slices.DeleteFunc(e.acked, func(c chan error) bool { return c == acked })
	}
}

// done removes a sent entry and tells those who wait for it.
func (b *outbox) done(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(e)
	b.forget(e)
	for _, c := range e.acked {
		c <- nil
	}
}

func (b *outbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.order.Len()
}

func (b *outbox) lost() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}
