package stations

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

const (
	// AnswerWithin is how long Order waits for the answer of a station.
	AnswerWithin = 10 * time.Second
	// orderLife is how long a station may still execute an order. It is longer than AnswerWithin, because the clock of a
	// station may be wrong by some seconds and its link slow.
	orderLife = time.Minute
	// mostOrders is how many orders may wait for their answers.
	mostOrders = 100
)

// Errors of Order.
var (
	// ErrNoBroker marks an order that was not sent because the cloud has no connection to a broker.
	ErrNoBroker = errors.New("the cloud has no connection to an MQTT broker")
	// ErrNoAnswer marks an order that the station did not answer in time, or was not sent because it is offline.
	ErrNoAnswer = errors.New("no answer from the station")
	// ErrTooMany marks an order that was not sent because too many wait for their answers.
	ErrTooMany = errors.New("too many orders wait for an answer")
)

// Order sends a command to a station, signed and in the name of ledger.Actor, and returns its first answer. A command that takes long is accepted first; Get has
// its last answer. Check the command with topic.CheckCommand. The error wraps ledger.ErrNotFound, ErrNoBroker,
// ErrNoAnswer, ErrTooMany or the cause of ctx. A station that connects within a minute still executes an order that it
// did not answer.
func (t *Table) Order(ctx context.Context, name, command string, args map[string]string) (wire.StationReply, error) {
	d, err := t.device(ctx, name)
	if err != nil {
		return wire.StationReply{}, err
	}
	at, id := address(d), "web-"+strings.ToLower(rand.Text())
	answer, err := t.expect(replyTo{at, id})
	if err != nil {
		return wire.StationReply{}, err
	}
	defer t.forgetReply(replyTo{at, id})
	if t.offline(d) {
		return wire.StationReply{}, fmt.Errorf("station %s is offline, and the order was not sent: %w", name, ErrNoAnswer)
	}
	payload, err := t.payload(ctx, d, id, command, args)
	if err != nil {
		return wire.StationReply{}, fmt.Errorf("order %s to station %s: %w", command, name, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, AnswerWithin, ErrNoAnswer)
	defer cancel()
	if err := t.deliver(ctx, mqttlink.Message{Topic: at.Command(), Payload: payload}); err != nil {
		return wire.StationReply{}, fmt.Errorf("order %s to station %s: %w", command, name, err)
	}
	select {
	case r := <-answer:
		now := t.o.Now().UTC()
		return wire.StationReply{ID: r.ID, Name: r.Name, State: r.State, Text: r.Why, At: &now}, nil
	case <-ctx.Done():
		return wire.StationReply{}, fmt.Errorf("order %s to station %s: %w", command, name, context.Cause(ctx))
	}
}

// payload is the message of an order, signed.
func (t *Table) payload(ctx context.Context, d ledger.Device, id, command string, args map[string]string) ([]byte, error) {
	at, now := address(d), t.o.Now().UTC()
	c := topic.Command{ID: id, Name: command, Args: args, Expires: now.Add(orderLife), Station: at.Path(), Issued: now,
		By: ledger.Actor(ctx)}
	if t.o.Sign != nil {
		var err error
		if c, err = t.o.Sign(ctx, c, d.Pinned); err != nil {
			return nil, err
		}
	}
	return json.Marshal(c)
}

// deliver sends one order at a time: the link keeps only the newest message of a topic.
func (t *Table) deliver(ctx context.Context, m mqttlink.Message) error {
	select {
	case t.sending <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t.sending }()
	return t.link.Deliver(ctx, m)
}

// expect registers a request that waits for an answer.
func (t *Table) expect(r replyTo) (<-chan topic.Reply, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link == nil || !t.up {
		return nil, ErrNoBroker
	}
	if len(t.waiting) >= mostOrders {
		return nil, fmt.Errorf("%d orders: %w", mostOrders, ErrTooMany)
	}
	c := make(chan topic.Reply, 1)
	t.waiting[r] = c
	return c, nil
}

// offline reports whether the station has stopped or lost its connection.
func (t *Table) offline(d ledger.Device) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.stations[address(d)]
	return ok && s.known && !s.online
}

func (t *Table) forgetReply(r replyTo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, r)
}
