package mochi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	mqttpackets "github.com/mochi-mqtt/server/v2/packets"

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
		conn := follow(t, l.Address(), "quick")
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

// wills is a hook that counts the connections and their last wills, whose payload is the number of the connection.
// A will takes its time.
type wills struct {
	mqtt.HookBase
	connected chan struct{} // one for each connection

	mu         sync.Mutex
	n          int // connections until now
	sent, late int
}

func (*wills) ID() string { return "wills" }

func (*wills) Provides(b byte) bool {
	return b == mqtt.OnWill || b == mqtt.OnWillSent || b == mqtt.OnSessionEstablished
}

func (*wills) OnWill(_ *mqtt.Client, w mqtt.Will) (mqtt.Will, error) {
	for range 10_000 {
		runtime.Gosched()
	}
	return w, nil
}

func (w *wills) OnWillSent(_ *mqtt.Client, pk mqttpackets.Packet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent++
	if string(pk.Payload) != fmt.Sprint(w.n) {
		w.late++
	}
}

func (w *wills) OnSessionEstablished(*mqtt.Client, mqttpackets.Packet) {
	w.mu.Lock()
	w.n++
	w.mu.Unlock()
	w.connected <- struct{}{}
}

// The last will of a connection is sent before the next one with its client id is accepted, or never, whether the next one
// ends it or comes after its loss. So what the client publishes then is retained.
func TestWillComesBeforeTheReturn(t *testing.T) {
	const times = 200
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	l := mochi.NewListener(ln, time.Minute, slog.New(slog.DiscardHandler))
	w := &wills{connected: make(chan struct{}, times)}
	err = errors.Join(s.AddHook(l.Succession(s), nil), s.AddHook(new(auth.AllowHook), nil), s.AddHook(w, nil),
		s.AddListener(l), s.Serve())
	if err != nil {
		t.Fatal(err)
	}
	for i := range times {
		conn, err := net.Dial("tcp", l.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
		c.ProtocolName, c.ProtocolVersion, c.CleanSession, c.ClientIdentifier = "MQTT", 4, true, "station"
		c.WillFlag, c.WillRetain, c.WillTopic, c.WillMessage = true, true, "status", fmt.Append(nil, i+1)
		if err := c.Write(conn); err != nil {
			t.Fatal(err)
		}
		if _, err := packets.ReadPacket(conn); err != nil {
			t.Fatal(err)
		}
		<-w.connected
		if i%2 == 0 {
			conn.Close() // lost; the others are taken over
		}
	}
	if err := s.Close(); err != nil { // waits for the ends of all connections
		t.Fatal(err)
	}
	if w.mu.Lock(); w.sent == 0 || w.late > 0 {
		t.Errorf("%d of %d wills came after the next connection", w.late, w.sent)
	}
	w.mu.Unlock()
}

// follow connects a client of MQTT 3.1.1 that gets the news.
func follow(t *testing.T, address, id string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.CleanSession, c.ClientIdentifier = "MQTT", 4, true, id
	f := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	f.MessageID, f.Topics, f.Qoss = 1, []string{"news"}, []byte{0}
	if err := errors.Join(c.Write(conn), f.Write(conn)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // CONNACK, SUBACK
		if _, err := packets.ReadPacket(conn); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// A stop tells clients why they are disconnected, and ends while others leave. Mochi's own function can wait forever
// then, so Close must not call it.
func TestStopWhileClientsLeave(t *testing.T) {
	for range 20 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
		l := mochi.NewListener(ln, time.Minute, slog.New(slog.DiscardHandler))
		err = errors.Join(s.AddHook(l.Succession(s), nil), s.AddHook(new(auth.AllowHook), nil), s.Serve())
		if err != nil {
			t.Fatal(err)
		}
		go l.Serve(s.EstablishConnection)
		stays := join(t, l.Address(), "stays")
		var leaving []net.Conn
		for i := range 20 {
			leaving = append(leaving, join(t, l.Address(), fmt.Sprint(i)))
		}
		go func() {
			for _, c := range leaving {
				_ = c.Close()
			}
		}()
		stopped, stop := context.WithTimeout(t.Context(), time.Minute)
		go func() {
			l.Close(func(string) { t.Error("Mochi's function was called") })
			stop()
		}()
		var got [3]byte // kind of packet, length, reason
		if _, err := io.ReadFull(stays, got[:]); err != nil || got[0]>>4 != mqttpackets.Disconnect ||
			got[2] != mqttpackets.ErrServerShuttingDown.Code {
			t.Errorf("the client read % x, %v, want that the server shuts down", got, err)
		}
		if <-stopped.Done(); errors.Is(stopped.Err(), context.DeadlineExceeded) {
			t.Fatal("the listener does not end")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// join connects a client of MQTT 5.
func join(t *testing.T, address, id string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	pk := mqttpackets.Packet{FixedHeader: mqttpackets.FixedHeader{Type: mqttpackets.Connect}, ProtocolVersion: 5,
		Connect: mqttpackets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: id}}
	var out bytes.Buffer
	if err := errors.Join(conn.SetDeadline(time.Now().Add(time.Minute)), pk.ConnectEncode(&out)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 2)
	if _, err := conn.Write(out.Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, head); err != nil || head[0]>>4 != mqttpackets.Connack {
		t.Fatalf("answer to connect: % x, %v", head, err)
	}
	if _, err := io.CopyN(io.Discard, conn, int64(head[1])); err != nil {
		t.Fatal(err)
	}
	return conn
}
