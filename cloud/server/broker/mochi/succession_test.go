package mochi_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"

	"cattlecounter/cloud/server/broker/mochi"
)

// A client that returns at once keeps its connection and its subscriptions: the end of its connection before takes nothing
// away from it. Without the hook a message is missed within the first 100 or so.
func TestQuickReturn(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler), InlineClient: true})
	l := mochi.NewListener(ln, time.Minute, slog.New(slog.DiscardHandler))
	err = errors.Join(s.AddHook(l.Succession(s), nil), s.AddHook(new(auth.AllowHook), nil), s.AddListener(l), s.Serve())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 500 {
		conn, err := net.Dial("tcp", l.Address())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
		c.ProtocolName, c.ProtocolVersion, c.CleanSession, c.ClientIdentifier = "MQTT", 4, true, "quick"
		f := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		f.MessageID, f.Topics, f.Qoss = 1, []string{"news"}, []byte{0}
		if err := errors.Join(c.Write(conn), f.Write(conn)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // CONNACK, SUBACK
			if _, err := packets.ReadPacket(conn); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
		if err := s.Publish("news", fmt.Append(nil, i), false, 0); err != nil {
			t.Fatal(err)
		}
		p, err := packets.ReadPacket(conn)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if m, ok := p.(*packets.PublishPacket); !ok || string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d: got %v", i, p)
		}
		conn.Close()
	}
}
