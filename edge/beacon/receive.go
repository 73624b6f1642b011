package beacon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
	"slices"
	"time"
)

// errPayload marks a message that does not keep the contract.
var errPayload = errors.New("payload is not valid")

// parseJob reads a job message of our own topics. The error wraps errPayload.
func parseJob(name string, payload []byte) (topic.Job, error) {
	var j topic.Job
	if len(payload) > maxPayload {
		return j, fmt.Errorf("%d bytes: %w", len(payload), errPayload)
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
		return j, fmt.Errorf("state %q: %w", j.State, errPayload)
	}
	if _, err := footage.ParseID(string(j.Footage)); err != nil {
		return j, fmt.Errorf("%w: %w", err, errPayload)
	}
	return j, nil
}

func (b *Beacon) takeJob(m mqttlink.Message) {
	if len(m.Payload) == 0 {
		return // a retained message that was cleared
	}
	j, err := parseJob(m.Topic, m.Payload)
	if err == nil {
		_, err = b.o.Records.PutJob(j)
	}
	switch {
	case errors.Is(err, spool.ErrNotFound):
		// uploaded with this device's token from elsewhere, or long forgotten
		b.o.Log.Debug("job of footage that is not here", "job", j.Job, "footage", j.Footage)
	case err != nil:
		b.o.Log.Warn("job message left aside", "topic", m.Topic, "err", err)
	}
}

// orderWait is how long an order waits for those before it; it is confirmed to the
// broker after that, and pings wait meanwhile.
const orderWait = 10 * time.Second

// takeOrder hands an order over; carrying it out may take longer than the
// connection can wait.
func (b *Beacon) takeOrder(m mqttlink.Message) {
	if len(m.Payload) == 0 {
		return
	}
	full := time.NewTimer(orderWait)
	defer full.Stop()
	select {
	case b.orders <- m.Payload:
	case <-full.C:
		b.o.Log.Warn("too many orders at once, one is left aside", "bytes", len(m.Payload))
	}
}

// obey carries out orders one after the other until ctx ends, and then those that the
// broker was told are here.
func (b *Beacon) obey(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case payload := <-b.orders:
			b.carryOut(ctx, payload)
		}
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	for late.Err() == nil {
		select {
		case payload := <-b.orders:
			b.carryOut(late, payload)
		default:
			return
		}
	}
}

func (b *Beacon) carryOut(ctx context.Context, payload []byte) {
	r, err := b.o.Order(ctx, payload)
	if err != nil {
		b.o.Log.Warn("order left aside", "err", err)
		if r.ID == "" {
			return
		}
	}
	b.Reply(r)
}

// maxFinal bounds the orders whose end is remembered.
const maxFinal = 256

// Reply publishes the answer to an order; it fills Header. An order that takes long
// is answered twice, from two goroutines: once its end was told, nothing less is.
func (b *Beacon) Reply(r topic.Reply) {
	b.replies.Lock()
	defer b.replies.Unlock()
	if r.State == topic.Accepted && slices.Contains(b.final, r.ID) {
		return
	}
	if r.State != topic.Accepted && !slices.Contains(b.final, r.ID) {
		b.final = append(b.final[max(0, len(b.final)+1-maxFinal):], r.ID)
	}
	r.Header = b.header()
	b.publish(durable(message(b.o.Address.CommandReply(r.ID), true, r)))
}
