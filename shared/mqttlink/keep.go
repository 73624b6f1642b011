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

// keeper holds messages over restarts, by keys of 64 characters at most. Only
// one Link uses it.
type keeper interface {
	// KeptMessages returns everything that is held.
	KeptMessages() (map[string][]byte, error)
	// KeepMessages writes and deletes in one durable step, all or nothing. The
	// values that come back may have spaces at their end.
	KeepMessages(put map[string][]byte, gone []string) error
}

const (
	// keepAfter is how long a message may wait for its acknowledgement before it
	// is kept.
	keepAfter = time.Second
	// keepEvery is how long nothing more is written after a write, unless the
	// sender waits for it. It bounds what a kill can lose.
	keepEvery = 10 * time.Second
	// keepUrgent is the same while the sender waits.
	keepUrgent = time.Second
)

// floorKey holds the number up to which every message is void. A store that was
// broken and saved may give deleted messages back.
const floorKey = "floor"

// errKept marks bytes that hold no message.
var errKept = errors.New("not a kept message")

// stored is the form of a kept message; the floor has a number alone.
type stored struct {
	Number  uint64 `json:"n"`
	Topic   string `json:"topic,omitempty"`
	Retain  bool   `json:"retain,omitempty"`
	Payload []byte `json:"payload,omitempty"`
}

// keptKey is a topic's key. A topic may be longer than a store likes.
func keptKey(topic string) string {
	sum := sha256.Sum256([]byte(topic))
	return hex.EncodeToString(sum[:])
}

func encodeKept(s stored) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("a kept message always encodes: " + err.Error())
	}
	return b
}

// decodeKept reads what encodeKept wrote. The error wraps errKept.
func decodeKept(key string, b []byte) (stored, error) {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return stored{}, fmt.Errorf("%w: %w", errKept, err)
	}
	switch {
	case key == floorKey:
		return stored{Number: s.Number}, nil
	case s.Number == 0:
		return stored{}, fmt.Errorf("no number: %w", errKept)
	case s.Topic == "" || !utf8.ValidString(s.Topic) || strings.ContainsAny(s.Topic, "+#\x00"):
		return stored{}, fmt.Errorf("topic %q: %w", s.Topic, errKept)
	case keptKey(s.Topic) != key:
		return stored{}, fmt.Errorf("topic %q under another key: %w", s.Topic, errKept)
	}
	return s, nil
}

// restore puts what the keeper holds into the outbox, in the order in which it
// came in. What cannot be read is deleted, and counts as dropped.
func (l *Link) restore() error {
	values, err := l.o.Keep.KeptMessages()
	if err != nil {
		return fmt.Errorf("kept messages: %w", err)
	}
	var list []stored
	var floor uint64
	var bad []string
	for key, b := range values {
		s, err := decodeKept(key, b)
		switch {
		case err != nil:
			l.o.Log.Error("a kept message cannot be read, it is lost", "key", key, "bytes", len(b), "err", err)
			bad = append(bad, key)
		case key == floorKey:
			floor = s.Number
		default:
			list = append(list, s)
		}
	}
	if len(bad) > 0 {
		if err := l.o.Keep.KeepMessages(nil, bad); err != nil {
			return fmt.Errorf("delete %d messages that cannot be read: %w", len(bad), err)
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
		b.kept[s.Topic] = copyKept{number: s.Number, void: s.Number <= floor}
		if s.Number <= floor {
			b.toKeep(time.Now())
			continue
		}
		b.number = max(b.number, s.Number)
		e := &entry{m: Message{Topic: s.Topic, Payload: s.Payload, Retain: s.Retain, Keep: true}, number: s.Number, since: time.Now()}
		e.place = b.order.PushBack(e)
		b.byTopic[s.Topic] = e.place
		b.size += e.m.weight()
		b.bound(e)
	}
}

// toKeep notes that there may be something to write. b.mu is held.
func (b *outbox) toKeep(since time.Time) {
	if b.unkept.IsZero() {
		b.unkept = since
		b.unsaved.Set()
	}
}

// due says how long nothing has to be written after a write at last: 0 for now,
// and false for until unsaved is set.
func (b *outbox) due(now, last time.Time) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.blocked:
		return max(0, last.Add(keepUrgent).Sub(now)), true
	case b.unkept.IsZero():
		return 0, false
	}
	return max(0, b.unkept.Add(keepAfter).Sub(now), last.Add(keepEvery).Sub(now)), true
}

// toWrite is what one write of the keeper changes.
type toWrite struct {
	put  map[string]uint64 // numbers by topic
	gone []string          // topics
}

// take collects what is to be written: what has waited for longer than
// keepAfter, or with all everything, what the sender waits for, and the deletion
// of what is void. From then on a newer message of those topics is blocked.
func (b *outbox) take(now time.Time, all bool) (w toWrite, values map[string][]byte, gone []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w = toWrite{put: map[string]uint64{}}
	values = map[string][]byte{}
	b.unkept, b.blocked = time.Time{}, false
	for topic, el := range b.byTopic {
		e := el.Value.(*entry)
		c, there := b.kept[topic]
		switch {
		case there && c.number == e.number, !there && !e.m.Keep:
			// as it should be
		case there && (!e.m.Keep || c.void && e.wanted && !all):
			w.gone = append(w.gone, topic)
		case all || e.wanted || now.Sub(e.since) >= keepAfter:
			w.put[topic] = e.number
			e.sealed = e.sealed || e.wanted // or newer ones would hold it up for ever
			values[keptKey(topic)] = encodeKept(stored{Number: e.number, Topic: topic, Retain: e.m.Retain, Payload: e.m.Payload})
			if !there {
				c.number = e.number
			}
			b.kept[topic] = copyKept{number: c.number}
		case b.unkept.IsZero() || e.since.Before(b.unkept):
			b.unkept = e.since
		}
	}
	for topic, c := range b.kept {
		if c.void && b.byTopic[topic] == nil {
			w.gone = append(w.gone, topic)
		}
	}
	for _, topic := range w.gone {
		gone = append(gone, keptKey(topic))
	}
	if len(gone) > 0 {
		values[floorKey] = encodeKept(stored{Number: b.floor()})
	}
	return w, values, gone
}

// floor returns the number below that of everything that waits or is kept and
// not void. b.mu is held.
func (b *outbox) floor() uint64 {
	least := b.number + 1
	for el := b.order.Front(); el != nil; el = el.Next() {
		least = min(least, el.Value.(*entry).number)
	}
	for _, c := range b.kept {
		if !c.void {
			least = min(least, c.number)
		}
	}
	return least - 1
}

// wrote takes note of how a write ended. After a failed one the sender goes on
// with what it waited for: a disk that cannot be written must not silence the
// link.
func (b *outbox) wrote(w toWrite, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		for topic := range b.kept {
			if e := b.newest(topic); e != nil && e.wanted {
				e.free = true
			}
		}
		b.toKeep(time.Now())
		b.wake()
		return
	}
	for topic, number := range w.put {
		b.kept[topic] = copyKept{number: number, void: b.kept[topic].void} // acknowledged meanwhile
	}
	for _, topic := range w.gone {
		delete(b.kept, topic)
		if e := b.newest(topic); e != nil && e.m.Keep {
			b.toKeep(e.since)
		}
	}
	b.wake()
}

// keepOn writes what the keeper should hold until ctx ends.
func (l *Link) keepOn(ctx context.Context) {
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
		wait, pending := l.box.due(time.Now(), last)
		if pending && wait == 0 {
			if l.keep(false) {
				last = time.Now()
			}
			wait, pending = l.box.due(time.Now(), last)
		}
		if pending {
			timer.Reset(wait)
		}
	}
}

// keep writes once and reports whether there was something to write.
func (l *Link) keep(all bool) bool {
	w, put, gone := l.box.take(time.Now(), all)
	if len(put)+len(gone) == 0 {
		return false
	}
	err := l.o.Keep.KeepMessages(put, gone)
	if err != nil {
		l.o.Log.Error("messages for the broker are not kept, a restart would lose them", "messages", len(w.put), "err", err)
	}
	l.box.wrote(w, err)
	return true
}
