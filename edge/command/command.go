// Package command executes orders that arrive over MQTT. An order has an id and an expiry.
// It is executed once, even if it is delivered several times, and not after its expiry.
// Every order gets an answer.
//
// With a synced clock an order is refused after its expiry. It is also refused when its
// expiry is more than a day ahead: then one of the clocks is wrong, and no order may stay
// pending for so long.
//
// Without a synced clock the device knows only a time that has certainly passed
// (clock.Reading.Floor). It refuses an order that expired before that time, and one that
// expires a century after it, which only a wrong clock can give. It executes every other
// order, because another order can undo it, and because a device with a wrong clock must
// stay controllable.
//
// A station that is enrolled has the key of the cloud (Orders.Trust). It then executes an order over MQTT only if the
// cloud signed it for this station. It follows a rotation of the key with the first order that shows it, and then refuses
// the key before. Without a synced clock it also refuses an order that expired before the newest signed
// order was given, so that a recorded order cannot be played again.
//
// The expiry of an order from the same machine is not checked: its sender waits for the
// answer, and both use the same clock.
package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/topic"
)

// Action is what an order does.
type Action struct {
	// Do executes the order. Its text is the answer; its error is why the order is refused
	// or has failed.
	Do func(ctx context.Context, args map[string]string) (string, error)
	// Long marks an order that may take minutes. It is accepted at once and executed later,
	// one at a time.
	Long bool
}

// replies stores answers.
type replies interface {
	Get(id string) (spool.Reply, error)
	All() ([]spool.Reply, error)
	Put(spool.Reply) error
}

// Limits of an order.
const (
	maxArgs  = 16
	maxWhy   = 300
	maxAhead = 24 * time.Hour
	// maxYears is how many years after the floor an expiry may be.
	maxYears = 100
)

// refusalsAtOnce is how many answers to bytes that are no order are sent at once; one more follows each second.
const refusalsAtOnce = 20

// maxQueued bounds the queue of long orders.
const maxQueued = 4

// Orders executes orders. Create it with New. It is safe for concurrent use.
type Orders struct {
	actions map[string]Action
	store   replies
	now     func() clock.Reading
	log     *slog.Logger
	long    chan topic.Command
	trust   *trust // nil: orders need no signature
	// refusals limits the answers to bytes that are no order.
	refusals *rate.Limiter

	mu      sync.Mutex // one order at a time
	onReply func(topic.Reply)
}

// New returns Orders with these actions by name. now reads the clock.
func New(actions map[string]Action, st replies, now func() clock.Reading, log *slog.Logger) *Orders {
	return &Orders{actions: actions, store: st, now: now, log: log, long: make(chan topic.Command, maxQueued),
		refusals: rate.NewLimiter(1, refusalsAtOnce),
		onReply:  func(topic.Reply) {}}
}

// OnReply registers a function for the final answers of long orders. Register it before Run.
func (o *Orders) OnReply(f func(topic.Reply)) { o.onReply = f }

// Run executes long orders until ctx ends, and then returns nil. Orders that a stop
// interrupts are answered as refused at the next start.
func (o *Orders) Run(ctx context.Context) error {
	o.refuseInterrupted()
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
			o.mu.Lock() // after its acceptance was saved
			o.save(r)
			o.mu.Unlock()
			o.onReply(r)
		}
	}
}

// refuseInterrupted answers the orders that the last stop interrupted.
func (o *Orders) refuseInterrupted() {
	all, err := o.store.All()
	if err != nil {
		o.log.Error("cannot read the answers to orders", "err", err)
	}
	for _, old := range all {
		if old.State != topic.Accepted {
			continue
		}
		r := topic.Reply{ID: old.ID, Name: old.Name, State: topic.Refused,
			Why: "the agent stopped before the order was done; send the order again"}
		o.save(r)
		o.onReply(r)
	}
}

// save logs and stores an answer.
func (o *Orders) save(r topic.Reply) {
	o.log.Info("order answered", "id", r.ID, "name", r.Name, "state", string(r.State), "why", r.Why)
	if err := o.store.Put(spool.Reply{ID: r.ID, Name: r.Name, State: r.State, Why: r.Why}); err != nil {
		o.log.Error("cannot save the answer to an order; the order may be executed again", "id", r.ID, "err", err)
	}
}

// Handle executes an order and returns the answer to publish, without Header. Bytes that are no order are answered as
// refused with the reason when they show an id, 20 at once and then one each second; that answer is not stored. The error
// wraps topic.ErrOrder when no answer is possible. With Trust, an order that the cloud did not sign is
// answered as refused, and that answer is not stored.
func (o *Orders) Handle(ctx context.Context, payload []byte) (topic.Reply, error) {
	c, err := topic.ParseOrder(payload)
	if err != nil {
		return o.malformed(c.ID, err)
	}
	if o.trust == nil {
		return o.execute(ctx, c, o.checkExpiry)
	}
	signed, key, err := o.trust.open(c)
	if err != nil {
		o.log.Warn("order refused", "id", c.ID, "name", clip(c.Name), "err", err)
		return topic.Reply{ID: c.ID, Name: clip(c.Name), State: topic.Refused, Why: clip(err.Error())}, nil
	}
	o.log.Info("order received", "id", signed.ID, "name", clip(signed.Name), "by", clip(signed.By))
	r, err := o.execute(ctx, signed, func(at time.Time) error {
		return errors.Join(o.checkExpiry(at), o.checkNewest(key, signed))
	})
	if err == nil && r.State != topic.Refused {
		o.rememberNewest(key, signed)
	}
	return r, err
}

// malformed is the answer to bytes that are no order.
func (o *Orders) malformed(id string, why error) (topic.Reply, error) {
	if id == "" || !o.refusals.Allow() {
		return topic.Reply{}, why
	}
	o.log.Warn("order refused", "id", id, "err", why)
	return topic.Reply{ID: id, State: topic.Refused, Why: clip(why.Error())}, nil
}

// HandleLocal is Handle for an order from the same machine. It needs no signature: only users of this machine reach
// the socket.
func (o *Orders) HandleLocal(ctx context.Context, payload []byte) (topic.Reply, error) {
	c, err := topic.ParseOrder(payload)
	if err != nil {
		return topic.Reply{}, err
	}
	return o.execute(ctx, c, func(time.Time) error { return nil })
}

// execute executes an order once.
func (o *Orders) execute(ctx context.Context, c topic.Command, checkExpiry func(time.Time) error) (topic.Reply, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if old, err := o.Reply(c.ID); !errors.Is(err, spool.ErrNotFound) {
		return old, err
	}
	r := topic.Reply{ID: c.ID, Name: clip(c.Name), State: topic.Finished}
	action, err := o.action(c)
	if err == nil {
		err = checkExpiry(c.Expires)
	}
	switch {
	case err != nil:
	case action.Long:
		r.State = topic.Accepted
		select {
		case o.long <- c:
		default:
			err = fmt.Errorf("the queue is full with %d orders; send it again later", maxQueued)
		}
	default:
		r.Why, err = action.Do(ctx, c.Args)
	}
	if err != nil {
		r.State, r.Why = topic.Refused, err.Error()
	}
	r.Why = clip(r.Why)
	// The order is executed before its answer is saved. After a crash in between it is
	// executed again, which every action allows.
	o.save(r)
	return r, nil
}

// Reply returns the saved answer to an order. The error wraps spool.ErrNotFound when there is
// none.
func (o *Orders) Reply(id string) (topic.Reply, error) {
	old, err := o.store.Get(id)
	if err != nil {
		return topic.Reply{}, err
	}
	return topic.Reply{ID: old.ID, Name: old.Name, State: old.State, Why: old.Why}, nil
}

// action returns the action of an order, or why the order is refused.
func (o *Orders) action(c topic.Command) (Action, error) {
	action, ok := o.actions[c.Name]
	if !ok {
		return action, fmt.Errorf("unknown order %q, known are %s", c.Name, strings.Join(o.names(), ", "))
	}
	if len(c.Args) > maxArgs {
		return action, fmt.Errorf("%d arguments, at most %d", len(c.Args), maxArgs)
	}
	return action, nil
}

// checkExpiry returns why an order with this expiry must not be executed. It returns nil when
// the order may be executed, or when the clock cannot decide.
func (o *Orders) checkExpiry(at time.Time) error {
	if at.IsZero() {
		return errors.New("no expiry: set expires to a time within a day")
	}
	r := o.now()
	switch {
	case r.Synced && r.Now.After(at):
		return fmt.Errorf("expired at %s, now it is %s", stamp(at), stamp(r.Now))
	case r.Synced && at.Sub(r.Now) > maxAhead:
		return fmt.Errorf("expires at %s, more than a day ahead: now it is %s", stamp(at), stamp(r.Now))
	case !r.Synced && r.Floor.After(at):
		return fmt.Errorf("expired at %s: the clock is not synced, but %s has passed (%s)", stamp(at), stamp(r.Floor), r.Why)
	case !r.Synced && at.After(r.Floor.AddDate(maxYears, 0, 0)):
		return fmt.Errorf("expires at %s, which only a wrong clock can give", stamp(at))
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
