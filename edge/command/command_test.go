package command

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/topic"
)

type memory map[string]spool.Reply

func (m memory) Get(id string) (spool.Reply, error) {
	if r, ok := m[id]; ok {
		return r, nil
	}
	return spool.Reply{}, spool.ErrNotFound
}

func (m memory) All() ([]spool.Reply, error) { return slices.Collect(maps.Values(m)), nil }

func (m memory) Put(r spool.Reply) error { m[r.ID] = r; return nil }

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// synced is the reading of a synced clock, unsynced that of a clock in 1970 that was synced
// an hour before now.
func synced() clock.Reading { return clock.Reading{Now: now, Synced: true, Floor: now} }
func unsynced() clock.Reading {
	return clock.Reading{Now: time.Unix(60, 0), Floor: now.Add(-time.Hour),
		Why: "the last time this clock was synced"}
}

func TestOrders(t *testing.T) {
	for name, c := range map[string]struct {
		order topic.Command
		clock func() clock.Reading
		state topic.ReplyState
		why   string
		done  int
	}{
		"done": {topic.Command{ID: "1", Name: "do", Expires: now.Add(time.Hour)}, synced, topic.Finished,
			"done", 1},
		"unknown": {topic.Command{ID: "1", Name: "dance", Expires: now.Add(time.Hour)}, synced, topic.Refused,
			`unknown order "dance", known are do, fail`, 0},
		"late": {topic.Command{ID: "1", Name: "do", Expires: now.Add(-time.Second)}, synced, topic.Refused,
			"expired", 0},
		"late, clock wrong": {topic.Command{ID: "1", Name: "do", Expires: now.Add(-time.Second)}, unsynced, topic.Finished,
			"done", 1},
		"certainly late, clock wrong": {topic.Command{ID: "1", Name: "do", Expires: now.Add(-2 * time.Hour)}, unsynced,
			topic.Refused,
			"expired at 2026-11-22T10:00:00Z: the clock is not synced, but 2026-11-22T11:00:00Z has passed (the last time this clock was synced)",
			0},
		"years ahead, clock wrong": {topic.Command{ID: "1", Name: "do", Expires: now.AddDate(2, 0, 0)}, unsynced,
			topic.Finished, "done", 1},
		"a century ahead, clock wrong": {topic.Command{ID: "1", Name: "do", Expires: now.AddDate(101, 0, 0)}, unsynced,
			topic.Refused, "only a wrong clock", 0},
		"years ahead": {topic.Command{ID: "1", Name: "do", Expires: now.AddDate(2, 0, 0)}, synced, topic.Refused,
			"more than a day ahead: now it is 2026-11-22T12:00:00Z", 0},
		"no expiry, clock wrong": {topic.Command{ID: "1", Name: "do"}, unsynced, topic.Refused, "no expiry", 0},
		"no expiry":              {topic.Command{ID: "1", Name: "do"}, synced, topic.Refused, "no expiry", 0},
		"a day ahead": {topic.Command{ID: "1", Name: "do", Expires: now.Add(25 * time.Hour)}, synced,
			topic.Refused, "a day ahead", 0},
		"refused by its action": {topic.Command{ID: "1", Name: "fail", Expires: now.Add(time.Hour)}, synced, topic.Refused,
			"cannot", 0},
		"too many arguments": {topic.Command{ID: "1", Name: "do", Expires: now.Add(time.Hour), Args: many()}, synced,
			topic.Refused, "arguments", 0},
	} {
		t.Run(name, func(t *testing.T) {
			done := 0
			o := New(map[string]Action{
				"do":   {Do: func(context.Context, map[string]string) (string, error) { done++; return "done", nil }},
				"fail": {Do: func(context.Context, map[string]string) (string, error) { return "", errors.New("cannot") }},
			}, memory{}, c.clock, slog.New(slog.DiscardHandler))
			b, err := json.Marshal(c.order)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 { // delivered several times
				r, err := o.Handle(t.Context(), b)
				if err != nil || r.ID != "1" || r.State != c.state || !strings.Contains(r.Why, c.why) {
					t.Errorf("%+v %v", r, err)
				}
			}
			if done != c.done {
				t.Errorf("done %d times", done)
			}
		})
	}
}

// A long order is accepted at once and answered again when it is done. An order that a stop
// interrupts is answered at the next start.
func TestLongOrders(t *testing.T) {
	st := memory{"old": {ID: "old", Name: "check", State: topic.Accepted}}
	begin, replies := make(chan error), make(chan topic.Reply, 10)
	o := New(map[string]Action{"check": {Long: true, Do: func(ctx context.Context, _ map[string]string) (string, error) {
		select {
		case err := <-begin:
			return "no faults", err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}}}, st, synced, slog.New(slog.DiscardHandler))
	o.OnReply(func(r topic.Reply) { replies <- r })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	if r := <-replies; r.ID != "old" || r.State != topic.Refused || !strings.Contains(r.Why, "send the order again") {
		t.Errorf("interrupted: %+v", r)
	}
	order := func(id string) topic.Reply {
		b, err := json.Marshal(topic.Command{ID: id, Name: "check", Expires: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := o.Handle(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for range 2 {
		if r := order("a"); r.State != topic.Accepted {
			t.Errorf("%+v", r)
		}
	}
	begin <- nil
	if r := <-replies; r.ID != "a" || r.State != topic.Finished || r.Why != "no faults" || order("a") != r {
		t.Errorf("%+v", r)
	}
	order("b")
	begin <- errors.New("disk is gone")
	if r := <-replies; r.State != topic.Refused || !strings.Contains(r.Why, "disk is gone") {
		t.Errorf("%+v", r)
	}
	var states []topic.ReplyState
	for i := range maxQueued + 2 {
		states = append(states, order(strings.Repeat("c", i+1)).State)
	}
	if states[0] != topic.Accepted || states[maxQueued+1] != topic.Refused {
		t.Errorf("%v", states)
	}
	stop()
	if err := <-ended; err != nil || len(replies) > 0 {
		t.Error(err, len(replies))
	}
	if st["c"].State != topic.Accepted {
		t.Errorf("%+v", st["c"])
	}
}

func many() map[string]string {
	m := map[string]string{}
	for i := range maxArgs + 1 {
		m[strings.Repeat("a", i+1)] = ""
	}
	return m
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"1","name":"pause","args":{"a":"b"},"expires":"2026-11-22T12:00:00Z"}`))
	f.Add([]byte(`{"id":"a/b"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrOrder) {
				t.Fatal(err)
			}
			return
		}
		reply := topic.Device{Site: "s", Name: "d"}.CommandReply(c.ID)
		if a, err := topic.Parse(reply); err != nil || a.ID != c.ID {
			t.Fatalf("the answer goes to %q", reply)
		}
	})
}

// The expiry of an order from the same machine is not checked.
func TestLocalOrders(t *testing.T) {
	done := 0
	o := New(map[string]Action{"do": {Do: func(context.Context, map[string]string) (string,
		error) {
		done++
		return "done", nil
	}}},
		memory{}, unsynced, slog.New(slog.DiscardHandler))
	b, err := json.Marshal(topic.Command{ID: "1", Name: "do", Expires: time.Unix(60, 0).Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r, err := o.HandleLocal(t.Context(), b); err != nil || r.State != topic.Finished {
			t.Errorf("%+v %v", r, err)
		}
	}
	if r, err := o.HandleLocal(t.Context(), []byte("{}")); !errors.Is(err, ErrOrder) {
		t.Errorf("%+v %v", r, err)
	}
	if done != 1 {
		t.Errorf("done %d times", done)
	}
}
