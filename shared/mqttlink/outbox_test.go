package mqttlink

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestOutboxIsBounded(t *testing.T) {
	message := func(topic, payload string, retain bool) Message {
		return Message{Topic: topic, Payload: []byte(payload), Retain: retain, Durable: true}
	}
	s := newMemoryStore()
	l := durable(t, s, func(o *Options) { o.OutboxLimit, o.OutboxBytes = 3, 100 })
	for _, m := range []Message{message("a", "", true), message("b", "", false), message("c", "", true)} {
		if err := l.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	l.save(true)
	want := func(dropped int64, topics ...string) {
		t.Helper()
		var got []string
		for el := l.box.order.Front(); el != nil; el = el.Next() {
			got = append(got, el.Value.(*entry).m.Topic)
		}
		if !slices.Equal(got, topics) || l.Dropped() != dropped {
			t.Errorf("%v queued, %d dropped; want %v, %d", got, l.Dropped(), topics, dropped)
		}
	}
	if err := l.Publish(message("d", "", true)); err != nil { // the oldest that is not retained is dropped first
		t.Fatal(err)
	}
	want(1, "a", "c", "d")
	if err := l.Publish(message("e", "", true)); err != nil { // then the oldest
		t.Fatal(err)
	}
	want(2, "c", "d", "e")
	if err := l.Publish(message("e", strings.Repeat("x", 99), true)); err != nil { // bytes count too
		t.Fatal(err)
	}
	want(4, "e")
	if err := l.Publish(message("f", strings.Repeat("x", 100), true)); !errors.Is(err, ErrOutboxFull) {
		t.Error(err)
	}
	want(4, "e")
	l.save(true)
	if got := s.holds(t); len(got) != 1 || got["e"] == "" {
		t.Errorf("saved %v", got)
	}
	if l.box.size != 100 {
		t.Errorf("%d bytes", l.box.size)
	}
}

func TestDeliverEndsWhenItsMessageIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := link(t, "127.0.0.1:1", func(o *Options) { o.OutboxLimit = 1 })
		got := make(chan error, 1)
		go func() { got <- l.Deliver(t.Context(), Message{Topic: "a"}) }()
		synctest.Wait()
		put(t, l, "b", "1")
		if err := <-got; !errors.Is(err, ErrDropped) {
			t.Error(err)
		}
	})
}
