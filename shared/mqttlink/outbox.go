package mqttlink

import (
	"container/list"
	"fmt"
	"slices"
	"sync"
)

// outbox is a queue with one place per topic. A newer message takes the place
// of an older one of its topic, so that its length is bounded by the topics.
type outbox struct {
	limit int

	mu      sync.Mutex
	order   *list.List // of *entry, oldest first
	byTopic map[string]*list.Element
	more    chan struct{} // closed when a message comes in; made anew then
}

type entry struct {
	m      Message
	acked  []chan struct{}
	sealed bool   // being sent: a newer message goes behind it instead
	heir   *entry // the newer entry that took over the waiters, mostly nil
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, order: list.New(), byTopic: map[string]*list.Element{}, more: make(chan struct{})}
}

func (b *outbox) put(m Message, acked chan struct{}) (*entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if el, ok := b.byTopic[m.Topic]; ok && !el.Value.(*entry).sealed {
		e := el.Value.(*entry)
		e.m = m
		if acked != nil {
			e.acked = append(e.acked, acked)
		}
		return e, nil
	}
	if b.order.Len() >= b.limit {
		return nil, fmt.Errorf("%d topics wait: %w", b.order.Len(), ErrOutboxFull)
	}
	e := &entry{m: m}
	if acked != nil {
		e.acked = append(e.acked, acked)
	}
	b.byTopic[m.Topic] = b.order.PushBack(e)
	close(b.more)
	b.more = make(chan struct{})
	return e, nil
}

// first returns the oldest entry and seals it; without one it returns a channel
// that is closed when a message comes in.
func (b *outbox) first() (*entry, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	el := b.order.Front()
	if el == nil {
		return nil, b.more
	}
	e := el.Value.(*entry)
	e.sealed = true
	return e, nil
}

// unseal lets newer messages take the place of those that were being sent when
// the connection ended. Where a newer one waits behind already, it inherits the
// older one's waiters.
func (b *outbox) unseal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for el := b.order.Front(); el != nil; {
		e, next := el.Value.(*entry), el.Next()
		if newest := b.byTopic[e.m.Topic]; e.sealed && newest != el {
			n := newest.Value.(*entry)
			n.acked = append(n.acked, e.acked...)
			e.heir = n
			b.order.Remove(el)
		}
		e.sealed = false
		el = next
	}
}

// leave takes a waiter out.
func (b *outbox) leave(e *entry, acked chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ; e != nil; e = e.heir {
		e.acked = slices.DeleteFunc(e.acked, func(c chan struct{}) bool { return c == acked })
	}
}

// done removes a sent entry and tells those who wait for it.
func (b *outbox) done(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for el := b.order.Front(); el != nil; el = el.Next() {
		if el.Value.(*entry) != e {
			continue
		}
		b.order.Remove(el)
		if b.byTopic[e.m.Topic] == el {
			delete(b.byTopic, e.m.Topic)
		}
		break
	}
	for _, c := range e.acked {
		close(c)
	}
}

func (b *outbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.order.Len()
}
