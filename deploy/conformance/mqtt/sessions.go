package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"cattlecounter/deploy/conformance/finding"
)

// sessionsOf are the checks of sessions that outlive a connection: each client logs in without a clean session, and its
// connection is cut between the packets of one message (MQTT 3.1.1, sections 3.1.4 and 4.3.3).
var sessionsOf = []check{
	{"qos2-from-a-station", sessions, finding.Must, onlyAdmin, checkExactlyOnceUp},
	{"qos2-to-a-reader", sessions, finding.Must, onlyAdmin, checkExactlyOnceDown},
	{"takeover-ends-the-old", sessions, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.withTakeover(ctx, func(first, _ *client) error { return k.awaitEnd(ctx, first) })
	}},
	{"takeover-delivers-once", sessions, finding.Must, onlyAdmin, checkTakeover},
	{"takeover-keeps-online", sessions, finding.Must, onlyAdmin, checkTakeoverOnline},
}

// lasting gives a log-in a client id and a session that outlives the connection.
func lasting(id string) func(*packets.ConnectPacket) {
	return func(p *packets.ConnectPacket) { p.ClientIdentifier, p.CleanSession = id, false }
}

// resume connects with a client id that has a session.
func (k *kit) resume(ctx context.Context, a account, as manner, id string) (*client, error) {
	c, err := k.dialAs(ctx, a, as, lasting(id))
	if err == nil && !c.resumed {
		c.close()
		return nil, errors.New("the broker has forgotten the session of a lost connection")
	}
	return c, err
}

// endSession removes the session of a client id from the broker.
func (k *kit) endSession(ctx context.Context, a account, id string) {
	c, err := k.dial(context.WithoutCancel(ctx), a, func(p *packets.ConnectPacket) { p.ClientIdentifier = id })
	if err == nil { // else it ends with the account
		c.close()
	}
}

// checkExactlyOnceUp publishes one message of a station at QoS 2 over five connections: the first is lost with the message
// on its way, the second after its receipt was acknowledged, the third with its release on its way.
func checkExactlyOnceUp(ctx context.Context, k *kit) error {
	s, id := k.made.station, newID()
	defer k.endSession(ctx, s.account, id)
	from := k.watch.count()
	p, _ := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.MessageID, p.TopicName, p.Payload, p.Qos = 7, s.topic("vitals"), k.vitals(2001), 2

	c, err := k.dialAs(ctx, s.account, acksAll, lasting(id))
	if err != nil {
		return err
	}
	err = c.send(p)
	c.cut()
	p.Dup = true
	steps := []func(context.Context, *client) error{
		func(ctx context.Context, c *client) error { return c.sendUntilReceived(ctx, p) },
		func(ctx context.Context, c *client) error {
			return errors.Join(c.sendUntilReceived(ctx, p), c.answer(packets.Pubrel, p.MessageID))
		},
		func(ctx context.Context, c *client) error { return c.release(ctx, p.MessageID) },
		func(ctx context.Context, c *client) error { return c.release(ctx, p.MessageID) }, // the answer was lost, too
	}
	for _, step := range steps {
		if err == nil {
			err = k.onceResumed(ctx, s.account, acksAll, id, step)
		}
	}
	if err == nil {
		err = k.fence(ctx, s, k.watch)
	}
	if err != nil {
		return err
	}
	return times(k.watch, from, string(p.Payload), 1)
}

// onceResumed runs a step over a connection that is then lost.
func (k *kit) onceResumed(ctx context.Context, a account, as manner, id string, step func(context.Context, *client) error) error {
	c, err := k.resume(ctx, a, as, id)
	if err != nil {
		return err
	}
	defer c.cut()
	ctx, cancel := k.within(ctx)
	defer cancel()
	return step(ctx, c)
}

// sendUntilReceived sends a message at QoS 2 and waits until its receipt is acknowledged.
func (c *client) sendUntilReceived(ctx context.Context, p *packets.PublishPacket) error {
	if err := c.send(p); err != nil {
		return err
	}
	return c.until(ctx, "the receipt (PUBREC) of a message at QoS 2", func() bool { return c.received[p.MessageID] })
}

// release releases a message at QoS 2 and waits until it is complete.
func (c *client) release(ctx context.Context, id uint16) error {
	if err := c.answer(packets.Pubrel, id); err != nil {
		return err
	}
	return c.until(ctx, "the end (PUBCOMP) of a message at QoS 2", func() bool { return c.complete[id] })
}

// checkExactlyOnceDown receives one message at QoS 2 over four connections: the first is lost before the client has
// acknowledged the receipt, the second before it has acknowledged the release. The fourth gets nothing more.
func checkExactlyOnceDown(ctx context.Context, k *kit) error {
	s, id := k.made.station, newID()
	defer k.endSession(ctx, k.reader, id)
	mark := k.vitals(2002)
	first, err := k.dialAs(ctx, k.reader, acksNothing, lasting(id))
	if err != nil {
		return err
	}
	err = first.follow(ctx, s.topic("vitals"), 2)
	if err == nil {
		err = k.publishReleased(ctx, s, mark)
	}
	var m message
	if err == nil {
		m, err = k.awaitMark(ctx, first, mark)
	}
	first.cut()
	if err != nil {
		return err
	}
	if m.qos != 2 {
		return fmt.Errorf("a message at QoS 2 arrives at QoS %d", m.qos)
	}
	released := func(ctx context.Context, c *client) error {
		return c.until(ctx, "the release (PUBREL) of a message at QoS 2 after a lost connection", func() bool { return len(c.released) > 0 })
	}
	if err := k.onceResumed(ctx, k.reader, acksReceipt, id, func(ctx context.Context, c *client) error {
		again, err := k.awaitMark(ctx, c, mark)
		if err == nil && again.id != m.id {
			err = errors.New("a message at QoS 2 that is sent again has another identifier")
		}
		return errors.Join(err, released(ctx, c))
	}); err != nil {
		return err
	}
	once := func(c *client) error {
		return errors.Join(k.fence(ctx, s, c), times(c, 0, string(mark), 0))
	}
	if err := k.onceResumed(ctx, k.reader, acksAll, id, func(ctx context.Context, c *client) error {
		return errors.Join(released(ctx, c), once(c))
	}); err != nil {
		return err
	}
	return k.onceResumed(ctx, k.reader, acksAll, id, func(_ context.Context, c *client) error {
		err := once(c)
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.released) > 0 {
			err = errors.Join(err, errors.New("a message at QoS 2 that was complete is released again"))
		}
		return err
	})
}

// follow subscribes to a filter that the account may read.
func (c *client) follow(ctx context.Context, filter string, qos byte) error {
	granted, err := c.subscribeAs(ctx, c.id(), filter, qos)
	if err == nil && !granted {
		err = errors.New("the reader may not subscribe to " + filter)
	}
	return err
}

// publishReleased publishes vitals of a station at QoS 2 over a connection that stays, and waits until they are complete.
func (k *kit) publishReleased(ctx context.Context, s post, payload []byte) error {
	c, err := k.dial(ctx, s.account, nil)
	if err != nil {
		return err
	}
	defer c.close()
	ctx, cancel := k.within(ctx)
	defer cancel()
	p, _ := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.MessageID, p.TopicName, p.Payload, p.Qos = c.id(), s.topic("vitals"), payload, 2
	if err := c.sendUntilReceived(ctx, p); err != nil {
		return err
	}
	return c.release(ctx, p.MessageID)
}

// awaitMark waits within the patience for the message with a payload.
func (k *kit) awaitMark(ctx context.Context, c *client, payload []byte) (message, error) {
	ctx, cancel := k.within(ctx)
	defer cancel()
	m, _, err := c.await(ctx, "a message of the session", 0, func(m message) bool { return string(m.payload) == string(payload) })
	return m, err
}

// awaitEnd waits within the patience until the broker ends a connection.
func (k *kit) awaitEnd(ctx context.Context, c *client) error {
	ctx, cancel := k.within(ctx)
	defer cancel()
	return c.ended(ctx)
}

// times fails unless a client got a payload a number of times, from the message with a number on.
func times(c *client, from int, payload string, want int) error {
	got := 0
	for _, m := range c.all()[from:] {
		if string(m.payload) == payload {
			got++
		}
	}
	if got != want {
		return fmt.Errorf("a message arrives %d times, want %d", got, want)
	}
	return nil
}

// withTakeover runs f with a connection that follows the vitals of a station and acknowledges nothing, and one that took
// its client id over.
func (k *kit) withTakeover(ctx context.Context, f func(first, second *client) error) error {
	id := newID()
	defer k.endSession(ctx, k.reader, id)
	first, err := k.dialAs(ctx, k.reader, acksNothing, lasting(id))
	if err != nil {
		return err
	}
	defer first.cut()
	if err := first.follow(ctx, k.made.station.topic("vitals"), 1); err != nil {
		return err
	}
	if err := k.fence(ctx, k.made.station, first); err != nil {
		return err
	}
	second, err := k.resume(ctx, k.reader, acksAll, id)
	if err != nil {
		return err
	}
	defer second.cut()
	return f(first, second)
}

// checkTakeover checks that the connection that takes a client id over gets what the one before has not acknowledged and all
// that follows, each once.
func checkTakeover(ctx context.Context, k *kit) error {
	return k.withTakeover(ctx, func(first, second *client) error {
		waiting := string(first.all()[0].payload) // not acknowledged
		if err := k.awaitEnd(ctx, first); err != nil {
			return err
		}
		if err := k.fence(ctx, k.made.station, second); err != nil {
			return err
		}
		all := second.all()
		last := string(all[len(all)-1].payload)
		if err := k.fence(ctx, k.made.station, second); err != nil { // shows that nothing more comes of what was before
			return err
		}
		return errors.Join(times(second, 0, waiting, 1), times(second, 0, last, 1), times(first, 0, last, 0))
	})
}

// checkTakeoverOnline checks that a station which connects again, before the broker has noticed the loss of its old
// connection, stays online: the last will of the old connection does not come after the birth of the new one.
func checkTakeoverOnline(ctx context.Context, k *kit) error {
	s, id := k.made.station, newID()
	at := s.topic("status")
	connect := func() (*client, error) {
		will := k.status(false)
		c, err := k.dial(ctx, s.account, func(p *packets.ConnectPacket) {
			p.ClientIdentifier, p.WillFlag, p.WillQos, p.WillRetain, p.WillTopic, p.WillMessage = id, true, 1, true, at, will
		})
		if err != nil {
			return nil, err
		}
		if err := c.publish(ctx, at, k.status(true), true); err != nil {
			c.close()
			return nil, err
		}
		return c, nil
	}
	first, err := connect()
	if err != nil {
		return err
	}
	defer first.cut()
	second, err := connect()
	if err != nil {
		return err
	}
	defer second.close()
	if err := k.awaitEnd(ctx, first); err != nil {
		return err
	}
	if err := k.fence(ctx, s, k.watch); err != nil {
		return err
	}
	got, err := k.newcomer(ctx, k.reader, at)
	if err != nil {
		return err
	}
	var v struct {
		Online bool `json:"online"`
	}
	if len(got) != 1 || json.Unmarshal(got[0].payload, &v) != nil || !v.Online {
		return errors.New("a station that has connected again is offline: the last will of its old connection came last")
	}
	return nil
}
