// Package command carries out orders that come in over MQTT. An order has an id
// and an expiry: it is carried out once however often it is delivered, and not
// at all when it comes too late. Whatever the order, there is an answer.
//
// A device whose clock is not synced cannot tell whether an order is late. It
// carries it out: every order of this set can be undone by another one, and a
// device that takes no order because its clock is wrong helps nobody. An expiry
// further ahead than a day is refused, so that no order lies in wait.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// Action carries out one order. Its text goes into the answer; its error is why
// the order is refused.
type Action func(ctx context.Context, args map[string]string) (string, error)

// replies remembers answers.
type replies interface {
	Reply(id string) (spool.Reply, error)
	PutReply(spool.Reply) error
}

// Limits of an order.
const (
	maxPayload = 16 << 10
	maxArgs    = 16
	maxWhy     = 300
	maxAhead   = 24 * time.Hour
)

// ErrOrder marks bytes that are no order and so cannot even be answered.
var ErrOrder = errors.New("not an order")

// Orders knows the actions. Create it with New; Handle is not for concurrent use.
type Orders struct {
	actions map[string]Action
	store   replies
	now     func() (time.Time, topic.Clock)
	log     *slog.Logger
}

// New returns Orders with the given actions by name.
func New(actions map[string]Action, st replies, now func() (time.Time, topic.Clock), log *slog.Logger) *Orders {
	return &Orders{actions: actions, store: st, now: now, log: log}
}

// Parse reads an order. The error wraps ErrOrder.
func Parse(payload []byte) (topic.Command, error) {
	var c topic.Command
	if len(payload) > maxPayload {
		return c, fmt.Errorf("order of %d bytes, at most %d: %w", len(payload), maxPayload, ErrOrder)
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return c, fmt.Errorf("order: %w: %w", err, ErrOrder)
	}
	// The id becomes a topic level.
	if _, err := footage.ParseID(c.ID); err != nil {
		return c, fmt.Errorf("order id: %w: %w", err, ErrOrder)
	}
	return c, nil
}

// Handle carries out an order and returns the answer to publish; Header is for
// the publisher to fill. The error wraps ErrOrder when there is nothing to answer.
func (o *Orders) Handle(ctx context.Context, payload []byte) (topic.Reply, error) {
	c, err := Parse(payload)
	if err != nil {
		return topic.Reply{}, err
	}
	if old, err := o.store.Reply(c.ID); err == nil {
		return topic.Reply{ID: old.ID, Name: old.Name, State: old.State, Why: old.Why}, nil
	} else if !errors.Is(err, spool.ErrNotFound) {
		return topic.Reply{}, err
	}
	r := topic.Reply{ID: c.ID, Name: clip(c.Name), State: topic.Finished}
	if why, err := o.carryOut(ctx, c); err != nil {
		r.State, r.Why = topic.Refused, clip(err.Error())
	} else {
		r.Why = clip(why)
	}
	o.log.Info("order", "id", r.ID, "name", r.Name, "state", string(r.State), "why", r.Why)
	// The order is done before its answer is kept: after a crash in between it is
	// done again, which every action allows.
	return r, o.store.PutReply(spool.Reply{ID: r.ID, Name: r.Name, State: r.State, Why: r.Why})
}

func (o *Orders) carryOut(ctx context.Context, c topic.Command) (string, error) {
	action, ok := o.actions[c.Name]
	if !ok {
		return "", fmt.Errorf("unknown order %q, known are %s", c.Name, strings.Join(o.names(), ", "))
	}
	if len(c.Args) > maxArgs {
		return "", fmt.Errorf("%d arguments, at most %d", len(c.Args), maxArgs)
	}
	if c.Expires.IsZero() {
		return "", errors.New("no expiry: set expires to a time within a day")
	}
	now, clock := o.now()
	if clock == topic.ClockSynced && now.After(c.Expires) {
		return "", fmt.Errorf("expired at %s, it is %s", c.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if clock == topic.ClockSynced && c.Expires.Sub(now) > maxAhead {
		return "", fmt.Errorf("expires at %s, more than a day ahead", c.Expires.UTC().Format(time.RFC3339))
	}
	return action(ctx, c.Args)
}

func (o *Orders) names() []string {
	var names []string
	for n := range o.actions {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if r := []rune(s); len(r) > maxWhy {
		return string(r[:maxWhy]) + "…"
	}
	return s
}
