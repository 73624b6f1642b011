package mqtt

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// post is a station that the kit plays.
type post struct {
	account
	orderKey string // of the cloud, as the enrolment gave it
}

// topic is a topic of the station.
func (p post) topic(levels ...string) string {
	return strings.Join(append([]string{"cattle/v1", p.site, p.name}, levels...), "/")
}

// firstSession is the session of every station of the kit: they are new.
const firstSession = 1

// payload is a message of a station: the fields with the header of the contract.
func (k *kit) payload(fields map[string]any) []byte {
	k.seq++
	all := map[string]any{"v": 1, "seq": int64(firstSession)<<32 + k.seq, "at": time.Now().UTC(), "clock": "synced"}
	for name, v := range fields {
		all[name] = v
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // only numbers, texts and times
	}
	return text
}

func (k *kit) status(online bool) []byte {
	return k.payload(map[string]any{"session": firstSession, "online": online, "version": "kit", "started": time.Now().UTC()})
}

func (k *kit) vitals(diskFree int64) []byte {
	return k.payload(map[string]any{"session": firstSession, "uptime_seconds": 1.5, "disk_total": int64(1) << 40, "disk_free": diskFree,
		"spool_bytes": 0, "spool_footage": 0, "link_up": true, "spool_percent": 0})
}

func (k *kit) footage(id string) []byte {
	return k.payload(map[string]any{"footage": id, "state": "spooled", "name": id + ".mp4", "size": 7, "offset": 0, "rate": 0, "sha256": "",
		"attempt": 0})
}

// reply is an answer to an order. The last sequence of its topic is that of the newest message.
func (k *kit) reply(id, name, state, why string) []byte {
	return k.payload(map[string]any{"id": id, "name": name, "state": state, "why": why})
}

// newID is an identifier that nothing else has.
func newID() string { return "kit-" + strings.ToLower(rand.Text())[:12] }

// on connects the station with its last will.
func (k *kit) on(ctx context.Context, p post) (*client, error) {
	will := k.status(false)
	return k.dial(ctx, p.account, func(c *packets.ConnectPacket) {
		c.WillFlag, c.WillQos, c.WillRetain, c.WillTopic, c.WillMessage = true, 1, true, p.topic("status"), will
	})
}

// fence publishes vitals of a station and waits until each client that may read them has them. What was published before
// has then been delivered or never will be.
func (k *kit) fence(ctx context.Context, p post, clients ...*client) error {
	ctx, cancel := context.WithTimeout(ctx, steady)
	defer cancel()
	c, err := k.dial(ctx, p.account, nil)
	if err != nil {
		return err
	}
	defer c.close()
	mark := k.vitals(1000) // its seq makes it unlike every other message
	if err := c.publish(ctx, p.topic("vitals"), mark, false); err != nil {
		return err
	}
	for _, other := range clients {
		_, _, err := other.await(ctx, "vitals of "+p.name, 0, func(m message) bool { return string(m.payload) == string(mark) })
		if err != nil {
			return err
		}
	}
	return nil
}

// tried publishes what the broker should refuse. Both forms of a refusal are right: it ends the connection, or it
// acknowledges the message and drops it.
func (k *kit) tried(ctx context.Context, a account, topic string, payload []byte, retain bool) error {
	ctx, cancel := k.within(ctx)
	defer cancel()
	c, err := k.dial(ctx, a, nil)
	if err != nil {
		return err
	}
	err = c.publish(ctx, topic, payload, retain)
	if err != nil && ctx.Err() == nil && !c.alive() {
		err = nil
	}
	c.close()
	return err
}

// nothing fails when a client got a message that fits, from the one with a number on.
func nothing(c *client, from int, what string, fits func(message) bool) error {
	for _, m := range c.all()[from:] {
		if fits(m) {
			return fmt.Errorf("%s: %.200s arrived at %.200s", what, m.payload, m.topic)
		}
	}
	return nil
}
