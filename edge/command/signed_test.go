package command

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/edge/clock"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/topic"
)

// marks stores in memory when the newest order was given.
type marks map[string]time.Time

func (m marks) NewestOrder(key string) (time.Time, error) { return m[key], nil }

func (m marks) SetNewestOrder(key string, at time.Time) error { m[key] = at; return nil }

func (m marks) OrderPin() (spool.OrderPin, error) { return spool.OrderPin{}, nil }

func (m marks) SetOrderPin(spool.OrderPin, string, string) error { return nil }

var dock = topic.Device{Site: "north", Name: "dock-1"}

// A station with the key of the cloud executes what that key has signed for it, and nothing else.
func TestSignedOrders(t *testing.T) {
	cloud, stranger := orderkey.New(), orderkey.New()
	order := func(id string, at time.Time) topic.Command {
		return topic.Command{ID: id, Name: "do", Station: dock.Path(), Issued: at, Expires: at.Add(time.Minute), By: "anna"}
	}
	signed := func(k orderkey.Private, c topic.Command) topic.Command { return must.Get(k.Sign(c))(t) }
	replaced := signed(cloud, order("swapped", now))
	replaced.ID, replaced.Name = "other", "fail"
	foreign := order("foreign", now)
	foreign.Station = "north/dock-2"
	hourAgo := func() clock.Reading {
		return clock.Reading{Now: time.Unix(60, 0), Floor: now.AddDate(0, 0, -1), Why: "a test"}
	}
	for name, c := range map[string]struct {
		before []topic.Command // handled earlier
		order  topic.Command
		clock  func() clock.Reading
		id     string
		state  topic.ReplyState
		why    string
		stored bool
		done   int
	}{
		"signed":             {nil, signed(cloud, order("1", now)), synced, "1", topic.Finished, "did it", true, 1},
		"unsigned":           {nil, order("1", now), synced, "1", topic.Refused, "not signed", false, 0},
		"another key":        {nil, signed(stranger, order("1", now)), synced, "1", topic.Refused, "pinned key", false, 0},
		"another station":    {nil, signed(cloud, foreign), synced, "foreign", topic.Refused, "dock-2", false, 0},
		"other text outside": {nil, replaced, synced, "swapped", topic.Finished, "did it", true, 1},
		"expired": {nil, signed(cloud, order("1", now.Add(-time.Hour))), synced, "1", topic.Refused, "expired", true,
			0},
		"repeated": {[]topic.Command{signed(cloud, order("1", now))}, signed(cloud, order("1", now)), synced, "1",
			topic.Finished, "did it", true, 1},
		"played again without a clock": {[]topic.Command{signed(cloud, order("2", now))},
			signed(cloud, order("1", now.Add(-time.Hour))), hourAgo, "1", topic.Refused, "a later order was given", true, 1},
		"a little later without a clock": {[]topic.Command{signed(cloud, order("2", now))},
			signed(cloud, order("1", now.Add(-time.Second))), hourAgo, "1", topic.Finished, "did it", true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			done, store := 0, memory{}
			o := New(map[string]Action{"do": {Do: func(context.Context, map[string]string) (string, error) {
				done++
				return "did it", nil
			}}}, store, c.clock, slog.New(slog.DiscardHandler))
			must.Do(t, o.Trust(Pin{Key: cloud.Public(), Station: dock}, marks{}))
			var r topic.Reply
			for _, each := range append(c.before, c.order) {
				r = must.Get(o.Handle(t.Context(), must.Get(json.Marshal(each))(t)))(t)
			}
			if r.ID != c.id || r.State != c.state || !strings.Contains(r.Why, c.why) {
				t.Errorf("answer %+v; want %s to %s, %q", r, c.state, c.id, c.why)
			}
			if _, stored := store[c.id]; stored != c.stored {
				t.Errorf("answer is stored: %v, want %v", stored, c.stored)
			}
			if done != c.done {
				t.Errorf("executed %d times, want %d", done, c.done)
			}
		})
	}
}

// A wrong clock of the cloud does not lock a station: an order from the future is no newest one.
func TestNewestOrderIsAnExecutedOne(t *testing.T) {
	cloud, at := orderkey.New(), marks{}
	o := New(map[string]Action{"do": {Do: func(context.Context, map[string]string) (string, error) { return "", nil }}}, memory{},
		synced, slog.New(slog.DiscardHandler))
	must.Do(t, o.Trust(Pin{Key: cloud.Public(), Station: dock}, at))
	for id, issued := range map[string]time.Time{"future": now.AddDate(5, 0, 0), "now": now} {
		c := must.Get(cloud.Sign(topic.Command{ID: id, Name: "do", Station: dock.Path(), Issued: issued,
			Expires: issued.Add(time.Minute)}))(t)
		must.Get(o.Handle(t.Context(), must.Get(json.Marshal(c))(t)))(t)
	}
	if got := at[cloud.Public().ID()]; !got.Equal(now) {
		t.Errorf("the newest order was given at %s, want %s", got, now)
	}
}
