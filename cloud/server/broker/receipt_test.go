package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	mqttclient "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	mqtt "github.com/mochi-mqtt/server/v2"
	library "github.com/mochi-mqtt/server/v2/packets"

	"cattlecounter/shared/topic"
)

const pauseOrder, resumeOrder = `{"id":"1","name":"pause"}`, `{"id":"2","name":"resume"}`

// losing is a hook that ends the connection of a client while its order is processed, so many times as lose says.
type losing struct {
	mqtt.HookBase
	left atomic.Int32
}

func (*losing) ID() string             { return "losing" }
func (*losing) Provides(b byte) bool   { return b == mqtt.OnPublish }
func (l *losing) lose(connections int) { l.left.Store(int32(connections)) }

func (l *losing) OnPublish(cl *mqtt.Client, pk library.Packet) (library.Packet, error) {
	if string(pk.Payload) == pauseOrder && l.left.Add(-1) >= 0 {
		cl.Stop(errors.New("the connection is lost"))
	}
	return pk, nil
}

// A message whose sender is gone before the broker can acknowledge it is delivered when the sender comes back: once at
// QoS 2, and at least once at QoS 1.
func TestSenderLostBeforeTheReceipt(t *testing.T) {
	b, _ := start(t)
	l := new(losing)
	if err := b.server.AddHook(l, nil); err != nil {
		t.Fatal(err)
	}
	edge, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	dock := topic.Device{Site: "farm", Name: "edge1"}
	got := make(chan string, 100)
	must(t, edge.Subscribe(dock.Command(), 2, func(_ mqttclient.Client, m mqttclient.Message) { got <- string(m.Payload()) }))
	for _, qos := range []byte{1, 2} {
		for lost := 1; lost <= 2; lost++ {
			t.Run(fmt.Sprintf("QoS %d, %d lost", qos, lost), func(t *testing.T) {
				openRaw(t, b, true).conn.Close()
				l.lose(lost)
				p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
				p.MessageID, p.TopicName, p.Payload, p.Qos = 5, dock.Command(), []byte(pauseOrder), qos
				for range lost {
					r := openRaw(t, b, false)
					r.send(p)
					if pk, err := packets.ReadPacket(r.conn); err == nil {
						t.Fatalf("a message that is not delivered is acknowledged: %v", pk)
					}
					p.Dup = true
				}
				r := openRaw(t, b, false)
				r.send(p)
				if qos == 1 {
					read[*packets.PubackPacket](r)
				} else {
					read[*packets.PubrecPacket](r)
					rel := packets.NewControlPacket(packets.Pubrel).(*packets.PubrelPacket)
					rel.MessageID = p.MessageID
					r.send(rel)
					read[*packets.PubcompPacket](r)
				}
				last := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
				last.MessageID, last.TopicName, last.Payload, last.Qos = 6, dock.Command(), []byte(resumeOrder), 1
				r.send(last)
				read[*packets.PubackPacket](r)
				times := 0
				for m := range got {
					if m == resumeOrder {
						break
					}
					times++
				}
				if times != 1 {
					t.Errorf("delivered %d times", times)
				}
			})
		}
	}
}

// A connection that took the session over before the receipt of a lost message was removed does not keep it either, but it
// keeps that of another message with the same id.
func TestReceiptIsRemovedFromTheHeir(t *testing.T) {
	ack := library.Packet{FixedHeader: library.FixedHeader{Type: library.Pubrec}, PacketID: 5, Created: 100}
	later, completed := ack, ack
	later.Created++
	completed.FixedHeader.Type = library.Pubrel
	for name, c := range map[string]struct {
		heirs library.Packet
		keeps bool
	}{"inherited": {ack, false}, "received again": {later, true}, "of the other direction": {completed, true}} {
		t.Run(name, func(t *testing.T) {
			s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
			h := newHook(s, Options{})
			old, heir := s.NewClient(nil, "", "edge1/e", false), s.NewClient(nil, "", "edge1/e", false)
			h.beginReceipt(old, library.Packet{FixedHeader: library.FixedHeader{Type: library.Publish}, PacketID: ack.PacketID})
			old.State.Inflight.Set(ack)
			h.OnQosPublish(old, ack, ack.Created, 0)
			heir.State.Inflight = old.State.Inflight.Clone()
			heir.State.Inflight.Set(c.heirs)
			s.Clients.Add(heir)
			h.endReceipt(old, errors.New("the connection is lost"))
			if _, kept := heir.State.Inflight.Get(ack.PacketID); kept != c.keeps {
				t.Errorf("the new connection keeps it: %t, want %t", kept, c.keeps)
			}
			if old.State.Inflight.Len() != 0 {
				t.Error("the old connection keeps the acknowledgement")
			}
		})
	}
}
