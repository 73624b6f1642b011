package mqttlink

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// messageStore keeps messages over restarts, by keys of at most 64 characters. Only
// one Link uses it.
type messageStore interface {
	// SavedMessages returns all messages. Values may have spaces at their end.
	SavedMessages() (map[string][]byte, error)
	// SaveMessages writes and deletes in one durable step, all or nothing.
	SaveMessages(put map[string][]byte, deleted []string) error
}

const (
	// saveAfter is how long a message may wait for its acknowledgement before it is
	// saved.
	saveAfter = time.Second
	// saveEvery is the least time between two writes while the sender does not wait for
	// one. It bounds what a kill can lose.
	saveEvery = 10 * time.Second
	// saveUrgent is the least time between two writes while the sender waits for one.
	saveUrgent = time.Second
)

// floorKey holds the number up to which every message is obsolete. A store that was
// repaired may return deleted messages.
const floorKey = "floor"

// errNoMessage marks bytes that hold no message.
var errNoMessage = errors.New("not a saved message")

// stored is the form of a saved message. The floor has only a number.
type stored struct {
	Number  uint64 `json:"n"`
	Topic   string `json:"topic,omitempty"`
	Retain  bool   `json:"retain,omitempty"`
	Payload []byte `json:"payload,omitempty"`
}

// topicKey is a topic's key in the store. A topic may be longer than a key.
func topicKey(topic string) string {
	sum := sha256.Sum256([]byte(topic))
	return hex.EncodeToString(sum[:])
}

func encodeStored(s stored) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("a saved message always encodes: " + err.Error())
	}
	return b
}

// decodeStored reads the form of encodeStored. The error wraps errNoMessage.
func decodeStored(key string, b []byte) (stored, error) {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return stored{}, fmt.Errorf("%w: %w", errNoMessage, err)
	}
	switch {
	case key == floorKey:
		return stored{Number: s.Number}, nil
	case s.Number == 0:
		return stored{}, fmt.Errorf("no number: %w", errNoMessage)
	case s.Topic == "" || !utf8.ValidString(s.Topic) || strings.ContainsAny(s.Topic, "+#\x00"):
		return stored{}, fmt.Errorf("topic %q: %w", s.Topic, errNoMessage)
	case topicKey(s.Topic) != key:
		return stored{}, fmt.Errorf("topic %q has another key: %w", s.Topic, errNoMessage)
	}
	return s, nil
}

// restore loads the saved messages into the outbox in their original order. It
// deletes those that it cannot read, and counts them as dropped.
func (l *Link) restore() error {
	values, err := l.o.Store.SavedMessages()
	if err != nil {
		return fmt.Errorf("read the saved messages: %w", err)
	}
	var list []stored
	var floor uint64
	var bad []string
	for key, b := range values {
		s, err := decodeStored(key, b)
		switch {
		case err != nil:
			l.o.Log.Error("saved message not readable; dropped", "key", key, "bytes", len(b), "err", err)
			bad = append(bad, key)
		case key == floorKey:
			floor = s.Number
		default:
			list = append(list, s)
		}
	}
	if len(bad) > 0 {
		if err := l.o.Store.SaveMessages(nil, bad); err != nil {
			return fmt.Errorf("delete %d messages that are not readable: %w", len(bad), err)
		}
	}
	slices.SortFunc(list, func(a, b stored) int { return cmp.Compare(a.Number, b.Number) })
	l.box.restore(list, floor, len(bad))
	return nil
}

func (b *outbox) restore(list []stored, floor uint64, lost int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number, b.dropped = floor, int64(lost)
	for _, s := range list {
		b.saved[s.Topic] = savedCopy{number: s.Number, obsolete: s.Number <= floor}
		if s.Number <= floor {
			b.markDirty(time.Now())
			continue
		}
		b.number = max(b.number, s.Number)
		e := &entry{m: Message{Topic: s.Topic, Payload: s.Payload, Retain: s.Retain, Durable: true}, number: s.Number,
			since: time.Now()}
		e.place = b.order.PushBack(e)
		b.byTopic[s.Topic] = e.place
		b.size += e.m.weight()
		b.enforceLimits(e)
	}
}

// markDirty notes that a write may be needed. b.mu is held.
func (b *outbox) markDirty(since time.Time) {
	if b.dirtySince.IsZero() {
		b.dirtySince = since
		b.unsaved.Set()
	}
}

// nextWrite returns the wait before the next write, 0 for now. last is the time of the
// last write. pending is false when nothing has to be written until unsaved is set.
func (b *outbox) nextWrite(now, last time.Time) (wait time.Duration, pending bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.blocked:
		return max(0, last.Add(saveUrgent).Sub(now)), true
	case b.dirtySince.IsZero():
		return 0, false
	}
	return max(0, b.dirtySince.Add(saveAfter).Sub(now), last.Add(saveEvery).Sub(now)), true
}

// write is one change of the store.
type write struct {
	put     map[string]uint64 // numbers by topic
	deleted []string          // topics
}

// beginWrite collects the next write: messages that have waited for saveAfter, those
// that the sender waits for, and the deletion of obsolete ones. With all it collects
// every message. Newer messages of those topics are blocked until finishWrite.
func (b *outbox) beginWrite(now time.Time, all bool) (w write, values map[string][]byte, deleted []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w = write{put: map[string]uint64{}}
	values = map[string][]byte{}
	b.dirtySince, b.blocked = time.Time{}, false
	for topic, el := range b.byTopic {
		e := el.Value.(*entry)
		c, there := b.saved[topic]
		switch {
		case there && c.number == e.number, !there && !e.m.Durable:
			// the store is up to date
		case there && (!e.m.Durable || c.obsolete && e.delayed && !all):
			w.deleted = append(w.deleted, topic)
		case all || e.delayed || now.Sub(e.since) >= saveAfter:
			w.put[topic] = e.number
			e.sealed = e.sealed || e.delayed // else newer messages would delay it forever
			values[topicKey(topic)] = encodeStored(stored{Number: e.number, Topic: topic, Retain: e.m.Retain,
				Payload: e.m.Payload})
			if !there {
				c.number = e.number
			}
			b.saved[topic] = savedCopy{number: c.number}
		case b.dirtySince.IsZero() || e.since.Before(b.dirtySince):
			b.dirtySince = e.since
		}
	}
	for topic, c := range b.saved {
		if c.obsolete && b.byTopic[topic] == nil {
			w.deleted = append(w.deleted, topic)
		}
	}
	for _, topic := range w.deleted {
		deleted = append(deleted, topicKey(topic))
	}
	if len(deleted) > 0 {
		values[floorKey] = encodeStored(stored{Number: b.floor()})
	}
	return w, values, deleted
}

// floor returns the highest number below that of every message that waits or is saved
// and not obsolete. b.mu is held.
func (b *outbox) floor() uint64 {
	least := b.number + 1
	for el := b.order.Front(); el != nil; el = el.Next() {
		least = min(least, el.Value.(*entry).number)
	}
	for _, c := range b.saved {
		if !c.obsolete {
			least = min(least, c.number)
		}
	}
	return least - 1
}

// finishWrite records the result of a write. After a failed one the sender sends the
// blocked messages anyway: a faulty disk must not stop the link.
func (b *outbox) finishWrite(w write, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		for topic := range b.saved {
			if e := b.newest(topic); e != nil && e.delayed {
				e.unblocked = true
			}
		}
		b.markDirty(time.Now())
		b.wakeSender()
		return
	}
	for topic, number := range w.put {
		b.saved[topic] = savedCopy{number: number, obsolete: b.saved[topic].obsolete} // may be acknowledged in the meantime
	}
	for _, topic := range w.deleted {
		delete(b.saved, topic)
		if e := b.newest(topic); e != nil && e.m.Durable {
			b.markDirty(e.since)
		}
	}
	b.wakeSender()
}

// saveLoop keeps the store up to date until ctx ends.
func (l *Link) saveLoop(ctx context.Context) {
	var last time.Time
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.box.unsaved.C():
		case <-timer.C:
		}
		wait, pending := l.box.nextWrite(time.Now(), last)
		if pending && wait == 0 {
			if l.save(false) {
				last = time.Now()
			}
			wait, pending = l.box.nextWrite(time.Now(), last)
		}
		if pending {
			timer.Reset(wait)
		}
	}
}

// save writes once and reports whether there was anything to write.
func (l *Link) save(all bool) bool {
	w, put, deleted := l.box.beginWrite(time.Now(), all)
	if len(put)+len(deleted) == 0 {
		return false
	}
	err := l.o.Store.SaveMessages(put, deleted)
	if err != nil {
		l.o.Log.Error("cannot save the messages for the broker; a restart would lose them", "messages", len(w.put), "err",
			err)
	}
	l.box.finishWrite(w, err)
	return true
}
