// Package command carries out orders that come in over MQTT. An order has an id
// and an expiry: it is carried out once however often it is delivered, and not
// at all when it comes too late. Whatever the order, there is an answer.
//
// With a synced clock an order is refused when its expiry is over, and when it
// lies more than a day ahead: then somebody's clock is wrong, and no order is to
// lie in wait.
//
// A device whose clock is not synced cannot tell how late it is, only what is
// over for certain (clock.Reading.Floor). It refuses an order that expired before
// that, and one whose expiry is a century after, which no clock gives that is
// right. Anything else it carries out: every order of this set can be undone by
// another one, and a device that takes no order because its clock is wrong helps
// nobody.
//
// An order that is given on the device itself has no expiry: who gives it waits
// for the answer, and both go by the same clock.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// Action is what an order does.
type Action struct {
	// Do carries it out. Its text goes into the answer; its error is why the order
	// is refused, or has failed.
	Do func(ctx context.Context, args map[string]string) (string, error)
	// Long says that it may take minutes: it is accepted at once and done later,
	// one after the other.
	Long bool
}

// replies remembers answers.
type replies interface {
	Get(id string) (spool.Reply, error)
	All() ([]spool.Reply, error)
	Put(spool.Reply) error
}

// Limits of an order.
const (
	maxPayload = 16 << 10
	maxArgs    = 16
	maxWhy     = 300
	maxAhead   = 24 * time.Hour
	// absurd is how many years after the floor no expiry lies that a right clock gave.
	absurd = 100
)

// ErrOrder marks bytes that are no order and so cannot even be answered.
var ErrOrder = errors.New("not an order")

// waitingLong bounds the long orders that wait for their turn.
const waitingLong = 4

// Orders knows the actions. Create it with New; it is safe for concurrent use.
type Orders struct {
	actions map[string]Action
	store   replies
	now     func() clock.Reading
	log     *slog.Logger
	long    chan topic.Command

	mu   sync.Mutex // one order at a time
	tell func(topic.Reply)
}

// New returns Orders with the given actions by name. now says what is known of
// the time.
func New(actions map[string]Action, st replies, now func() clock.Reading, log *slog.Logger) *Orders {
	return &Orders{actions: actions, store: st, now: now, log: log, long: make(chan topic.Command, waitingLong), tell: func(topic.Reply) {}}
}

// OnReply registers who is told how a long order ended. Register before Run.
func (o *Orders) OnReply(tell func(topic.Reply)) { o.tell = tell }

// Run carries out long orders until ctx ends. Those that a stop cut short are
// answered as refused at the next start.
func (o *Orders) Run(ctx context.Context) error {
	o.answerCutShort()
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-o.long:
			why, err := o.actions[c.Name].Do(ctx, c.Args)
			if ctx.Err() != nil {
				return nil
			}
			r := topic.Reply{ID: c.ID, Name: clip(c.Name), State: topic.Finished, Why: clip(why)}
			if err != nil {
				r.State, r.Why = topic.Refused, clip("failed: "+err.Error())
			}
			o.mu.Lock() // its acceptance is kept first
			o.keep(r)
			o.mu.Unlock()
			o.tell(r)
		}
	}
}

func (o *Orders) answerCutShort() {
	all, err := o.store.All()
	if err != nil {
		o.log.Error("answers to orders cannot be read", "err", err)
	}
	for _, old := range all {
		if old.State != topic.Accepted {
			continue
		}
		r := topic.Reply{ID: old.ID, Name: old.Name, State: topic.Refused, Why: "the agent was stopped before it was done; order it again"}
		o.keep(r)
		o.tell(r)
	}
}

func (o *Orders) keep(r topic.Reply) {
	o.log.Info("order", "id", r.ID, "name", r.Name, "state", string(r.State), "why", r.Why)
	if err := o.store.Put(spool.Reply{ID: r.ID, Name: r.Name, State: r.State, Why: r.Why}); err != nil {
		o.log.Error("answer to an order is not kept, it may be carried out again", "id", r.ID, "err", err)
	}
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
	return o.handle(ctx, payload, o.expired)
}

// HandleLocal is Handle for an order that is given on this device, now.
func (o *Orders) HandleLocal(ctx context.Context, payload []byte) (topic.Reply, error) {
	return o.handle(ctx, payload, func(time.Time) error { return nil })
}

func (o *Orders) handle(ctx context.Context, payload []byte, expired func(time.Time) error) (topic.Reply, error) {
	c, err := Parse(payload)
	if err != nil {
		return topic.Reply{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if old, err := o.Reply(c.ID); !errors.Is(err, spool.ErrNotFound) {
		return old, err
	}
	r := topic.Reply{ID: c.ID, Name: clip(c.Name), State: topic.Finished}
	action, err := o.allowed(c)
	if err == nil {
		err = expired(c.Expires)
	}
	switch {
	case err != nil:
	case action.Long:
		r.State = topic.Accepted
		select {
		case o.long <- c:
		default:
			err = fmt.Errorf("%d orders like this wait already", waitingLong)
		}
	default:
		r.Why, err = action.Do(ctx, c.Args)
	}
	if err != nil {
		r.State, r.Why = topic.Refused, err.Error()
	}
	r.Why = clip(r.Why)
	// The order is done before its answer is kept: after a crash in between it is
	// done again, which every action allows.
	o.keep(r)
	return r, nil
}

// Reply returns the answer to an order that was given before; the error wraps
// spool.ErrNotFound when there is none.
func (o *Orders) Reply(id string) (topic.Reply, error) {
	old, err := o.store.Get(id)
	if err != nil {
		return topic.Reply{}, err
	}
	return topic.Reply{ID: old.ID, Name: old.Name, State: old.State, Why: old.Why}, nil
}

// allowed finds the action of an order, and says why it must not be carried out.
func (o *Orders) allowed(c topic.Command) (Action, error) {
	action, ok := o.actions[c.Name]
	if !ok {
		return action, fmt.Errorf("unknown order %q, known are %s", c.Name, strings.Join(o.names(), ", "))
	}
	if len(c.Args) > maxArgs {
		return action, fmt.Errorf("%d arguments, at most %d", len(c.Args), maxArgs)
	}
	return action, nil
}

// expired says why an order that expires then must not be carried out; nil when
// it may, or when nobody here can tell.
func (o *Orders) expired(at time.Time) error {
	if at.IsZero() {
		return errors.New("no expiry: set expires to a time within a day")
	}
	r := o.now()
	switch {
	case r.Synced && r.Now.After(at):
		return fmt.Errorf("expired at %s, it is %s", stamp(at), stamp(r.Now))
	case r.Synced && at.Sub(r.Now) > maxAhead:
		return fmt.Errorf("expires at %s, more than a day ahead: it is %s", stamp(at), stamp(r.Now))
	case !r.Synced && r.Floor.After(at):
		return fmt.Errorf("expired at %s: the clock is not synced, but %s is over (%s)", stamp(at), stamp(r.Floor), r.Why)
	case !r.Synced && at.After(r.Floor.AddDate(absurd, 0, 0)):
		return fmt.Errorf("expires at %s, made by a wrong clock", stamp(at))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

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
