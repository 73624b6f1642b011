package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/wire"
)

const (
	sendTime   = 20 * time.Second // of one attempt
	sendRound  = 20               // messages that one round sends
	sendAtOnce = 4
	faultRunes = 300
)

// pauses are the times between attempts. A message has been tried for a day when it is dead.
var pauses = []time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 3 * time.Hour,
	8 * time.Hour,
	12 * time.Hour}

// deliver sends the messages that are due and records what became of them.
func (n *Notifier) deliver(ctx context.Context) error {
	due, err := n.o.Messages.Due(ctx, sendRound)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sendAtOnce)
	for _, note := range due {
		group.Go(func() error { return n.attempt(ctx, note) })
	}
	return group.Wait()
}

// attempt sends one message. Its error is one of the ledger.
func (n *Notifier) attempt(ctx context.Context, note ledger.Notification) error {
	r, err := n.o.Rules.Rule(ctx, note.Rule)
	if errors.Is(err, ledger.ErrNotFound) { // removed meanwhile, with its messages
		return nil
	}
	if err != nil {
		return err
	}
	var m wire.NotificationMessage
	if err = json.Unmarshal([]byte(note.Document), &m); err != nil {
		err = fmt.Errorf("stored message cannot be read: %w: %w", err, ErrRefused)
	} else {
		m.ID = note.ID
		err = n.send(ctx, r, m)
	}
	if ctx.Err() != nil { // the server stops: the next start sends it
		return nil
	}
	log := n.o.Log.With("notification", note.ID, "rule", note.Rule, "channel", note.Channel)
	switch {
	case err == nil:
		note.State, note.Fault = ledger.NotificationSent, ""
		log.Info("notification sent")
	case errors.Is(err, ErrGone):
		log.Info("browser has ended its subscription; rule removed")
		return n.removeRule(ctx, note.Rule)
	case errors.Is(err, ErrRefused) || note.Attempts >= len(pauses):
		note.State, note.Fault = ledger.NotificationDead, faultText(err)
		note.Attempts++
		log.Warn("notification given up", "attempt", note.Attempts, "err", note.Fault)
	default:
		note.Due, note.Fault = n.o.Now().Add(pauses[note.Attempts]), faultText(err)
		note.Attempts++
		log.Info("notification not sent; trying again", "attempt", note.Attempts, "err", note.Fault, "next", note.Due)
	}
	return n.o.Messages.Attempted(ctx, note)
}

// removeRule removes a rule that has no target any more, unless a person did meanwhile.
func (n *Notifier) removeRule(ctx context.Context, id string) error {
	if err := n.o.Rules.RemoveRule(ledger.By(ctx, "cloud-api"), id); !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	return nil
}

// faultText is an error for the log of messages.
func faultText(err error) string {
	s := oneLine(faulttext.Of(err))
	if utf8.RuneCountInString(s) > faultRunes {
		s = string([]rune(s)[:faultRunes]) + "…"
	}
	return s
}
