package broker

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	mqttclient "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	mqtt "github.com/mochi-mqtt/server/v2"
	library "github.com/mochi-mqtt/server/v2/packets"

	"cattlecounter/shared/topic"
)

// raw is a client that acknowledges nothing by itself.
type raw struct {
	t    *testing.T
	conn net.Conn
}

func (r raw) send(p packets.ControlPacket) {
	r.t.Helper()
	if err := p.Write(r.conn); err != nil {
		r.t.Fatal(err)
	}
}

// read returns the next packet of a kind.
func read[P packets.ControlPacket](r raw) P {
	r.t.Helper()
	for {
		p, err := packets.ReadPacket(r.conn)
		if err != nil {
			r.t.Fatal(err)
		}
		if want, ok := p.(P); ok {
			return want
		}
	}
}

func openRaw(t *testing.T, b *Broker, clean bool) raw {
	t.Helper()
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	r := raw{t, conn}
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.CleanSession, c.Keepalive, c.ClientIdentifier = "MQTT", 4, clean, 60, "raw"
	c.UsernameFlag, c.Username, c.PasswordFlag, c.Password = true, "boss", true, []byte("boss-token")
	r.send(c)
	if ack := read[*packets.ConnackPacket](r); ack.ReturnCode != packets.Accepted {
		t.Fatal(ack)
	}
	return r
}

func (r raw) subscribe(id uint16, filter string) byte {
	r.t.Helper()
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics, p.Qoss = id, []string{filter}, []byte{1}
	r.send(p)
	return read[*packets.SubackPacket](r).ReturnCodes[0]
}

// retain publishes a status and waits until it is delivered to those who have subscribed. The broker acknowledges a message
// before it delivers it, so a subscriber of that moment would get it twice.
func retain(t *testing.T, edge mqttclient.Client, dock topic.Device, status string) {
	t.Helper()
	must(t, edge.Publish(dock.Status(), 1, true, status))
	must(t, edge.Publish(dock.CommandReply("none"), 1, false, "processed after the delivery"))
}

// A client may use the identifier of a message that it has not acknowledged: for a filter, for its end and for a message of
// its own. The message is still delivered again.
func TestIdentifiersOfBothSides(t *testing.T) {
	b, _ := start(t)
	edge, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	dock := topic.Device{Site: "farm", Name: "edge1"}
	retain(t, edge, dock, "online")
	r := openRaw(t, b, false)
	if code := r.subscribe(1, dock.Status()); code != 1 {
		t.Fatalf("first filter: code %#x", code)
	}
	held := read[*packets.PublishPacket](r).MessageID
	if code := r.subscribe(held, dock.Prefix()+"footage/+"); code != 1 {
		t.Errorf("a filter with the identifier of a message that waits: code %#x", code)
	}
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.MessageID, p.TopicName, p.Payload, p.Qos = held, dock.Command(), []byte("{}"), 1
	r.send(p)
	read[*packets.PubackPacket](r)
	u := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
	u.MessageID, u.Topics = held, []string{dock.Prefix() + "footage/+"}
	r.send(u)
	read[*packets.UnsubackPacket](r)
	must(t, edge.Publish(dock.Footage("f1"), 1, true, "not for the filter that ended"))
	must(t, edge.Publish(dock.Status(), 1, true, "second"))
	if m := read[*packets.PublishPacket](r); m.TopicName != dock.Status() || string(m.Payload) != "second" {
		t.Errorf("after the end of a filter: %s %s", m.TopicName, m.Payload)
	}
	r.conn.Close()
	again := openRaw(t, b, false)
	var got []string
	for range 2 { // in any order
		m := read[*packets.PublishPacket](again)
		got = append(got, fmt.Sprint(m.MessageID, " ", string(m.Payload)))
	}
	if want := fmt.Sprint(held, " online"); !slices.Contains(got, want) {
		t.Errorf("delivered again: %q, without %q", got, want)
	}
}

// A packet that the broker refuses may have the identifier of a message that waits. The message is still delivered again.
func TestIdentifierOfRefusedPacket(t *testing.T) {
	b, _ := start(t)
	edge, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	dock := topic.Device{Site: "farm", Name: "edge1"}
	retain(t, edge, dock, "online")
	for name, refused := range map[string]func(id uint16) packets.ControlPacket{
		"a message to a filter": func(id uint16) packets.ControlPacket {
			p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			p.MessageID, p.TopicName, p.Payload, p.Qos = id, "cattle/#", []byte("x"), 1
			return p
		},
		"no filter to subscribe to": func(id uint16) packets.ControlPacket {
			p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
			p.MessageID = id
			return p
		},
		"no filter to end": func(id uint16) packets.ControlPacket {
			p := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
			p.MessageID = id
			return p
		},
	} {
		openRaw(t, b, true).conn.Close() // forgets what the session before had
		r := openRaw(t, b, false)
		if code := r.subscribe(1, dock.Status()); code != 1 {
			t.Fatalf("%s: code %#x", name, code)
		}
		held := read[*packets.PublishPacket](r).MessageID
		r.send(refused(held))
		if p, err := packets.ReadPacket(r.conn); err == nil {
			t.Errorf("%s: got %v, want the end of the connection", name, p)
		}
		again := openRaw(t, b, false)
		if m := read[*packets.PublishPacket](again); m.MessageID != held || string(m.Payload) != "online" {
			t.Errorf("%s: got message %d %q", name, m.MessageID, m.Payload)
		}
		again.conn.Close()
	}
}

// The server may give the identifier to another message while a packet is processed: both wait for the client.
func TestIdentifierGivenAgain(t *testing.T) {
	server := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	h := newHook(server, Options{Log: slog.New(slog.DiscardHandler)})
	cl := server.NewClient(nil, "tcp", "raw", false)
	message := func(text string) library.Packet {
		return library.Packet{FixedHeader: library.FixedHeader{Type: library.Publish, Qos: 1}, PacketID: 7, Payload: []byte(text)}
	}
	cl.State.Inflight.Set(message("first"))
	_, err := h.OnPacketRead(cl, library.Packet{FixedHeader: library.FixedHeader{Type: library.Subscribe}, PacketID: 7})
	if _, waits := cl.State.Inflight.Get(7); err != nil || waits {
		t.Fatalf("error %v; the message is in the list: %t", err, waits)
	}
	cl.State.Inflight.Set(message("second"))
	h.OnDisconnect(cl, nil, false)
	var got []string
	for _, m := range cl.State.Inflight.GetAll(false) {
		got = append(got, string(m.Payload))
	}
	slices.Sort(got)
	if m, _ := cl.State.Inflight.Get(7); !slices.Equal(got, []string{"first", "second"}) || string(m.Payload) != "second" {
		t.Errorf("%q wait, and %q has the identifier", got, m.Payload)
	}
}
