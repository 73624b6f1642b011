package spool

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/topic"
)

func TestReplies(t *testing.T) {
	s := opened(t)
	for i := range maxReplies + 5 {
		must.Do(t, s.Replies.Put(Reply{ID: fmt.Sprintf("o%d", i), State: topic.Finished}))
	}
	if n := len(must.Get(s.Replies.All())(t)); n != maxReplies {
		t.Errorf("%d replies are stored, want %d", n, maxReplies)
	}
	if _, err := s.Replies.Get("o0"); !errors.Is(err, ErrNotFound) {
		t.Errorf("oldest reply: got error %v, want ErrNotFound", err)
	}
	if r, err := s.Replies.Get(fmt.Sprintf("o%d", maxReplies)); err != nil || r.State != topic.Finished {
		t.Errorf("newer reply: got %+v, error %v, want it finished", r, err)
	}
}

func TestNewestOrder(t *testing.T) {
	s := opened(t)
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	if got, err := s.Replies.NewestOrder("one"); err != nil || !got.IsZero() {
		t.Errorf("on a new spool: %s, %v", got, err)
	}
	must.Do(t, s.Replies.SetNewestOrder("one", at))
	if got, err := s.Replies.NewestOrder("one"); err != nil || !got.Equal(at) {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := s.Replies.NewestOrder("two"); err != nil || !got.IsZero() {
		t.Errorf("of another key: %s, %v", got, err)
	}
}

// A rotation keeps the newest order, and forgetting the pin does too.
func TestOrderPin(t *testing.T) {
	s := opened(t)
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	if got, err := s.Replies.OrderPin(); err != nil || got != (OrderPin{}) {
		t.Errorf("on a new spool: %+v, %v", got, err)
	}
	must.Do(t, s.Replies.SetOrderPin(OrderPin{"a", "b"}, "one", "two"))
	if got, err := s.Replies.NewestOrder("two"); err != nil || !got.IsZero() {
		t.Errorf("a newest order without an order: %s, %v", got, err)
	}
	must.Do(t, s.Replies.SetNewestOrder("two", at))
	for _, c := range []struct {
		pin         OrderPin
		before, now string
		newest      string // the key of the newest order
	}{{OrderPin{"a", "c"}, "two", "three", "three"}, {OrderPin{"a", "d"}, "other", "four", "three"}, {OrderPin{}, "", "", "three"}} {
		must.Do(t, s.Replies.SetOrderPin(c.pin, c.before, c.now))
		if got, err := s.Replies.OrderPin(); err != nil || got != c.pin {
			t.Errorf("got %+v, %v", got, err)
		}
		if got, err := s.Replies.NewestOrder(c.newest); err != nil || !got.Equal(at) {
			t.Errorf("%+v: newest order of %s at %s, %v", c.pin, c.newest, got, err)
		}
	}
}
