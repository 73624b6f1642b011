package beacon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

// errPayload marks a message that breaks the MQTT contract.
var errPayload = errors.New("payload is not valid")

// parseJob reads the message about a job on one of this device's topics. The error wraps
// errPayload.
func parseJob(name string, payload []byte) (topic.Job, error) {
	var j topic.Job
	if len(payload) > maxPayload {
		return j, fmt.Errorf("%d bytes, at most %d: %w", len(payload), maxPayload, errPayload)
	}
	if err := json.Unmarshal(payload, &j); err != nil {
		return j, fmt.Errorf("%w: %w", err, errPayload)
	}
	at, err := topic.Parse(name)
	switch {
	case err != nil || at.Kind != topic.KindJob || at.ID != j.Job:
		return j, fmt.Errorf("job %q on topic %q: %w", j.Job, name, errPayload)
	case j.V != topic.Version:
		return j, fmt.Errorf("version %d, want %d: %w", j.V, topic.Version, errPayload)
	case !slices.Contains(job.States(), j.State):
		return j, fmt.Errorf("unknown state %q: %w", j.State, errPayload)
	}
	if _, err := footage.ParseID(string(j.Footage)); err != nil {
		return j, fmt.Errorf("%w: %w", err, errPayload)
	}
	return j, nil
}

// saveJob stores the progress of a job with the record of its footage.
func (b *Beacon) saveJob(m mqttlink.Message) {
	if len(m.Payload) == 0 {
		return // the retained message of the topic was deleted
	}
	j, err := parseJob(m.Topic, m.Payload)
	if err == nil {
		_, err = b.o.Records.PutJob(j)
	}
	switch {
	case errors.Is(err, spool.ErrNotFound):
		// The record was deleted, or another program uploaded the footage with this
		// device's token.
		b.o.Log.Debug("job message ignored: no record of its footage", "job", j.Job, "footage", j.Footage)
	case err != nil:
		b.o.Log.Warn("job message ignored", "topic", m.Topic, "err", err)
	}
}

// queueTimeout is how long a received order waits for a place in the queue. Pings wait
// meanwhile, and the order is acknowledged to the broker afterwards.
const queueTimeout = 10 * time.Second

// queueOrder queues a received order. It does not execute it, because that may take
// longer than the connection allows.
func (b *Beacon) queueOrder(m mqttlink.Message) {
	if len(m.Payload) == 0 {
		return
	}
	limit := time.NewTimer(queueTimeout)
	defer limit.Stop()
	select {
	case b.orders <- m.Payload:
	case <-limit.C:
		b.o.Log.Warn("order dropped: too many orders wait; send it again later", "bytes", len(m.Payload))
	}
}

// executeOrders executes the queued orders in their sequence until ctx ends. It then
// executes those that are still queued, because the broker does not send them again.
func (b *Beacon) executeOrders(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case payload := <-b.orders:
			b.executeOrder(ctx, payload)
		}
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	for late.Err() == nil {
		select {
		case payload := <-b.orders:
			b.executeOrder(late, payload)
		default:
			return
		}
	}
}

// executeOrder executes one order and publishes its answer.
func (b *Beacon) executeOrder(ctx context.Context, payload []byte) {
	r, err := b.o.Order(ctx, payload)
	if err != nil {
		b.o.Log.Warn("order not executed", "err", err)
		if r.ID == "" {
			return
		}
	}
	b.Reply(r)
}

// maxFinished bounds the orders whose final answer is remembered.
const maxFinished = 256

// Reply publishes the answer to an order. It fills in Header. A long order is answered
// twice, from two goroutines: after the final answer Reply drops one that only accepts it.
func (b *Beacon) Reply(r topic.Reply) {
	b.replies.Lock()
	defer b.replies.Unlock()
	finished := slices.Contains(b.finished, r.ID)
	if r.State == topic.Accepted && finished {
		return
	}
	if r.State != topic.Accepted && !finished {
		b.finished = append(b.finished[max(0, len(b.finished)+1-maxFinished):], r.ID)
	}
	r.Header = b.header()
	b.publish(durable(message(b.o.Address.CommandReply(r.ID), true, r)))
}
