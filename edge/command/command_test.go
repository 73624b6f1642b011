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

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/edge/clock"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/topic"
)

// memory stores answers in memory.
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

// synced is the reading of a synced clock.
func synced() clock.Reading { return clock.Reading{Now: now, Synced: true, Floor: now} }

// unsynced is the reading of a clock that shows 1970 and was synced an hour ago.
func unsynced() clock.Reading {
	return clock.Reading{Now: time.Unix(60, 0), Floor: now.Add(-time.Hour),
		Why: "the last time at which this clock was synced"}
}

func TestOrders(t *testing.T) {
	order := func(name string, ahead time.Duration) topic.Command {
		return topic.Command{ID: "1", Name: name, Expires: now.Add(ahead)}
	}
	years := func(n int) topic.Command { return topic.Command{ID: "1", Name: "do", Expires: now.AddDate(n, 0, 0)} }
	for name, c := range map[string]struct {
		order topic.Command
		clock func() clock.Reading
		state topic.ReplyState
		why   string
		done  int
	}{
		"executed": {order("do", time.Hour), synced, topic.Finished, "did it", 1},
		"unknown": {order("dance", time.Hour), synced, topic.Refused,
			`unknown order "dance", known are do, fail`, 0},
		"expired":           {order("do", -time.Second), synced, topic.Refused, "expired", 0},
		"expired, unsynced": {order("do", -time.Second), unsynced, topic.Finished, "did it", 1},
		"certainly expired, unsynced": {order("do", -2*time.Hour), unsynced, topic.Refused,
			"expired at 2026-11-22T10:00:00Z: the clock is not synced, but 2026-11-22T11:00:00Z has passed " +
				"(the last time at which this clock was synced)", 0},
		"years ahead": {years(2), synced, topic.Refused,
			"more than a day ahead: now it is 2026-11-22T12:00:00Z", 0},
		"years ahead, unsynced":     {years(2), unsynced, topic.Finished, "did it", 1},
		"a century ahead, unsynced": {years(101), unsynced, topic.Refused, "only a wrong clock", 0},
		"no expiry":                 {topic.Command{ID: "1", Name: "do"}, synced, topic.Refused, "no expiry", 0},
		"no expiry, unsynced":       {topic.Command{ID: "1", Name: "do"}, unsynced, topic.Refused, "no expiry", 0},
		"more than a day ahead":     {order("do", 25*time.Hour), synced, topic.Refused, "a day ahead", 0},
		"refused by its action":     {order("fail", time.Hour), synced, topic.Refused, "cannot", 0},
		"too many arguments": {topic.Command{ID: "1", Name: "do", Expires: now.Add(time.Hour), Args: tooManyArgs()},
			synced, topic.Refused, "arguments", 0},
	} {
		t.Run(name, func(t *testing.T) {
			done := 0
			o := New(map[string]Action{
				"do":   {Do: func(context.Context, map[string]string) (string, error) { done++; return "did it", nil }},
				"fail": {Do: func(context.Context, map[string]string) (string, error) { return "", errors.New("cannot") }},
			}, memory{}, c.clock, slog.New(slog.DiscardHandler))
			b, err := json.Marshal(c.order)
			must.Do(t, err)
			for range 3 { // repeated deliveries
				r, err := o.Handle(t.Context(), b)
				if err != nil || r.ID != "1" || r.State != c.state || !strings.Contains(r.Why, c.why) {
					t.Errorf("answer %+v, error %v; want %s, %q", r, err, c.state, c.why)
				}
			}
			if done != c.done {
				t.Errorf("executed %d times, want %d", done, c.done)
			}
		})
	}
}

// A long order is accepted at once and answered a second time when it ends. One that a
// stop interrupted is refused at the next start.
func TestLongOrders(t *testing.T) {
	st := memory{"old": {ID: "old", Name: "check", State: topic.Accepted}}
	result, replies := make(chan error), make(chan topic.Reply, 10)
	o := New(map[string]Action{"check": {Long: true, Do: func(ctx context.Context, _ map[string]string) (string, error) {
		select {
		case err := <-result:
			return "checked", err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}}}, st, synced, slog.New(slog.DiscardHandler))
	o.OnReply(func(r topic.Reply) { replies <- r })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	if r := <-replies; r.ID != "old" || r.State != topic.Refused || !strings.Contains(r.Why, "send the order again") {
		t.Errorf("answer to the interrupted order: %+v", r)
	}
	order := func(id string) topic.Reply {
		b, err := json.Marshal(topic.Command{ID: id, Name: "check", Expires: now.Add(time.Hour)})
		must.Do(t, err)
		return must.Get(o.Handle(t.Context(), b))(t)
	}
	for range 2 {
		if r := order("a"); r.State != topic.Accepted {
			t.Errorf("first answer: %+v", r)
		}
	}
	result <- nil
	if r := <-replies; r.ID != "a" || r.State != topic.Finished || r.Why != "checked" || order("a") != r {
		t.Errorf("final answer: %+v", r)
	}
	order("b")
	result <- errors.New("disk is full")
	if r := <-replies; r.State != topic.Refused || !strings.Contains(r.Why, "disk is full") {
		t.Errorf("final answer to an order that fails: %+v", r)
	}
	var states []topic.ReplyState
	for i := range maxQueued + 2 {
		states = append(states, order(strings.Repeat("c", i+1)).State)
	}
	if states[0] != topic.Accepted || states[maxQueued+1] != topic.Refused {
		t.Errorf("states of %d orders: %v", len(states), states)
	}
	stop()
	if err := <-ended; err != nil || len(replies) > 0 {
		t.Errorf("Run returned %v, %d answers after the stop", err, len(replies))
	}
	if st["c"].State != topic.Accepted {
		t.Errorf("saved answer to the interrupted order: %+v", st["c"])
	}
}

// tooManyArgs returns one argument more than is allowed.
func tooManyArgs() map[string]string {
	m := map[string]string{}
	for i := range maxArgs + 1 {
		m[strings.Repeat("a", i+1)] = ""
	}
	return m
}

// An order from a shell on the device is executed whatever its expiry.
func TestLocalOrders(t *testing.T) {
	done := 0
	o := New(map[string]Action{"do": {Do: func(context.Context, map[string]string) (string, error) {
		done++
		return "did it", nil
	}}}, memory{}, unsynced, slog.New(slog.DiscardHandler))
	b, err := json.Marshal(topic.Command{ID: "1", Name: "do", Expires: time.Unix(60, 0).Add(time.Hour)})
	must.Do(t, err)
	for range 2 {
		if r, err := o.HandleLocal(t.Context(), b); err != nil || r.State != topic.Finished {
			t.Errorf("answer %+v, error %v", r, err)
		}
	}
	if r, err := o.HandleLocal(t.Context(), []byte("{}")); !errors.Is(err, topic.ErrOrder) {
		t.Errorf("answer %+v, error %v; want topic.ErrOrder", r, err)
	}
	if done != 1 {
		t.Errorf("executed %d times, want 1", done)
	}
}
