// Package notify reports what happened to people and programs: by webhook, e-mail and Web Push, as the rules in the ledger say.
// What needs attention (cloud/server/overview) and new counts are events. A rule reports each event once: events of a
// short time are one message, and messages of a rule have a distance. A message that a target does not take is tried
// again for a day, and is then dead: a person can look at it and send it again.
//
// A message is delivered at least once: after a crash a target may get it twice, with the same id.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const (
	roundEvery = 20 * time.Second
	// settle is how long an event waits for others that belong to the same message.
	settle = 30 * time.Second
	// distance is the least time between two messages of a rule.
	distance   = 10 * time.Minute
	pruneEvery = time.Hour
	kept       = 30 * 24 * time.Hour // how long messages and events are kept after their end
	cursorName = "notify"
)

// ErrNoChannel says that a rule has a channel that this server cannot use.
var ErrNoChannel = errors.New("this server sends nothing over that channel")

type (
	rules interface {
		Rules(ctx context.Context) ([]ledger.NotificationRule, error)
		Rule(ctx context.Context, id string) (ledger.NotificationRule, error)
		RemoveRule(ctx context.Context, id string) error
	}
	events interface {
		Observe(ctx context.Context, rule string, seen []ledger.NotificationEvent) error
		Waiting(ctx context.Context, rule string, limit int) (ledger.WaitingEvents, error)
	}
	messages interface {
		Last(ctx context.Context, rule string) (time.Time, error)
		Add(ctx context.Context, n ledger.Notification, until time.Time) (ledger.Notification, error)
		Due(ctx context.Context, limit int) ([]ledger.Notification, error)
		Attempted(ctx context.Context, n ledger.Notification) error
		Prune(ctx context.Context, before time.Time) error
	}
	attention interface {
		Attention(ctx context.Context, in ledger.Scope) ([]wire.Attention, error)
	}
	feed interface {
		progress.Feed
		BeforeCounts(ctx context.Context, from time.Time) (int64, error)
	}
	flights interface {
		Get(ctx context.Context, id string) (ledger.FlightView, error)
	}
	book interface {
		At(ctx context.Context, site string, at time.Time) ([]ledger.Expected, error)
	}
)

// Channel sends messages one way.
type Channel interface {
	// Check returns an error when a target is no address of the channel. It opens no connection.
	Check(target string) error
	// Send sends a message to the target of a rule. An error that wraps ErrRefused will be the same the next time. It
	// tells nothing secret.
	Send(ctx context.Context, r ledger.NotificationRule, m wire.NotificationMessage) error
}

// ErrRefused marks an error of a target that does not pass by itself.
var ErrRefused = errors.New("the target refuses the message for good")

// Options of New. All but PublicURL, Leads, Now and Log are required.
type Options struct {
	Rules     rules
	Events    events
	Messages  messages
	Attention attention
	Feed      feed
	Flights   flights
	Book      book
	Channels  map[string]Channel // by name; see shared/wire
	PublicURL string             // of the page, for links; "" for no links
	// Leads says whether this process sends, of several on one ledger. nil: it does.
	Leads func(context.Context) (bool, error)
	Now   func() time.Time
	Log   *slog.Logger
}

// Notifier follows the rules. Test and Check are safe for concurrent use; Run is called once.
type Notifier struct {
	o      Options
	pruned time.Time
	caught bool // changes before the first rule are left out
}

// New returns a Notifier.
func New(o Options) (*Notifier, error) {
	if o.Rules == nil || o.Events == nil || o.Messages == nil || o.Attention == nil || o.Feed == nil ||
		o.Flights == nil || o.Book == nil || o.Channels == nil {
		return nil, errors.New("notify: rules, events, messages, attention, feed, flights, book and channels are required")
	}
	if o.Leads == nil {
		o.Leads = func(context.Context) (bool, error) { return true, nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Notifier{o: o}, nil
}

// Run follows the rules until ctx ends, and returns nil. It logs faults and tries again.
func (n *Notifier) Run(ctx context.Context) error {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	failing := false
	for {
		err := n.Round(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			n.o.Log.Warn("cannot look for events to notify of; trying again", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Round looks for events once, makes the messages that are due and sends them. The error is one of the ledger: that of
// a target is recorded with its message.
func (n *Notifier) Round(ctx context.Context) error {
	if leads, err := n.o.Leads(ctx); err != nil || !leads {
		return err
	}
	rules, err := n.o.Rules.Rules(ctx)
	rules = slices.DeleteFunc(rules, func(r ledger.NotificationRule) bool { return r.Paused })
	if err != nil || len(rules) == 0 {
		n.caught = false // changes are read no more
		return err
	}
	if err := n.catchUp(ctx, rules); err != nil {
		return err
	}
	if err := n.observe(ctx, rules); err != nil {
		return err
	}
	for _, r := range rules {
		if err := n.compose(ctx, r); err != nil && !errors.Is(err, ledger.ErrNotFound) { // removed meanwhile
			return err
		}
	}
	if err := n.deliver(ctx); err != nil {
		return err
	}
	if now := n.o.Now(); now.Sub(n.pruned) >= pruneEvery {
		n.pruned = now
		return n.o.Messages.Prune(ctx, now.Add(-kept))
	}
	return nil
}

// Test sends a test message of a rule at once, and returns the message as it is recorded. An error of the target is its
// Fault.
func (n *Notifier) Test(ctx context.Context, r ledger.NotificationRule) (ledger.Notification, error) {
	now := n.o.Now().UTC()
	words := wordsOf(r.Language)
	m := wire.NotificationMessage{Rule: r.ID, Site: r.Site, At: now, Test: true, Subject: "CattleCounter: " + words.test,
		Text: words.testText + "\n", Events: []wire.NotificationEvent{}}
	note := ledger.Notification{Rule: r.ID, State: ledger.NotificationSent, Ended: now}
	m.ID = string(footage.NewID(now))
	if err := n.send(ctx, r, m); err != nil {
		note.State, note.Fault, note.Attempts = ledger.NotificationDead, faultText(err), 1
	}
	var err error
	if note.Document, err = encode(m); err != nil {
		return note, err
	}
	return n.o.Messages.Add(ctx, note, time.Time{})
}

// PushKey is the key that browsers subscribe to, "" when this server sends no push messages.
func (n *Notifier) PushKey() string {
	if p, ok := n.o.Channels[wire.ChannelPush].(*Push); ok {
		return p.PublicKey()
	}
	return ""
}

// Has reports whether this server has a channel.
func (n *Notifier) Has(channel string) bool { return n.o.Channels[channel] != nil }

// Check returns an error when a target is no address of a channel, and one that wraps ErrNoChannel when this server
// does not have the channel.
func (n *Notifier) Check(channel, target string) error {
	c := n.o.Channels[channel]
	if c == nil {
		return fmt.Errorf("%s: %w", channel, ErrNoChannel)
	}
	return c.Check(target)
}

func (n *Notifier) send(ctx context.Context, r ledger.NotificationRule, m wire.NotificationMessage) error {
	c := n.o.Channels[r.Channel]
	if c == nil {
		return fmt.Errorf("%s: %w", r.Channel, ErrNoChannel)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return c.Send(ctx, r, m)
}
