package broker

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/time/rate"

	"cattlecounter/shared/topic"
)

// latency is the longest time in which an order of boss reaches edge2, of several.
func latency(t *testing.T, b *Broker) time.Duration {
	t.Helper()
	edge, err := dial(t, b, login{user: "edge2", password: "edge2-token", id: "latency"})
	if err != nil {
		t.Fatal(err)
	}
	boss, err := dial(t, b, login{user: "boss", password: "boss-token", id: "latency"})
	if err != nil {
		t.Fatal(err)
	}
	dock := topic.Device{Site: "farm", Name: "edge2"}
	arrived := make(chan string, 1)
	must(t, edge.Subscribe(dock.Command(), 1, func(_ mqtt.Client, m mqtt.Message) { arrived <- string(m.Payload()) }))
	var longest time.Duration
	for i := range 20 {
		began := time.Now()
		must(t, boss.Publish(dock.Command(), 1, false, fmt.Sprint(i)))
		receive(t, arrived)
		longest = max(longest, time.Since(began))
	}
	return longest
}

// flood sends small messages of edge1 over a connection as fast as the broker reads, until the connection is closed.
func flood(t *testing.T, b *Broker) (conn net.Conn, sent chan int) {
	t.Helper()
	conn = five(t, b, packets.ConnectParams{})
	if err := conn.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, ProtocolVersion: 5,
		TopicName: topic.Device{Site: "farm", Name: "edge1"}.Vitals(), Payload: []byte("{}")}
	var one bytes.Buffer
	if err := pk.PublishEncode(&one); err != nil {
		t.Fatal(err)
	}
	sent = make(chan int, 1)
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	go func() {
		n := 0
		for {
			if _, err := conn.Write(one.Bytes()); err != nil {
				sent <- n
				return
			}
			n++
		}
	}()
	return conn, sent
}

// An account that sends as fast as it can is slowed down, the log says so, and the messages of others arrive as fast as
// before.
func TestFloodOfOneAccount(t *testing.T) {
	var log lines
	b, _ := startWith(t, slog.New(slog.NewTextHandler(&log, nil)))
	before := latency(t, b)
	b.hook.pace("edge1").messages = rate.NewLimiter(userMessages, 100) // the burst is used up at once
	conn, sent := flood(t, b)
	for b.Pressure().Slowed == 0 {
		receiveTick(t)
	}
	began := time.Now()
	during := latency(t, b)
	took := time.Since(began)
	conn.Close()
	<-sent
	t.Logf("an order takes at most %s without and %s with the flood", before, during)
	if during > before+2*time.Second {
		t.Errorf("an order takes %s with the flood, %s without", during, before)
	}
	if n := log.count("mqtt account slowed down"); n == 0 || n > warningsAtOnce+1+int(took.Seconds()) {
		t.Errorf("%d lines in the log", n)
	}
}

// receiveTick waits a moment for what another goroutine does.
func receiveTick(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(5 * time.Millisecond):
	case <-t.Context().Done():
		t.Fatal("not in time")
	}
}

// Bytes have a limit of their own: large messages reach it long before the number of messages does.
func TestBytesOfOneAccount(t *testing.T) {
	b, _ := start(t)
	c, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 10
	b.hook.pace("edge1").bytes = rate.NewLimiter(16*size, 2*size)
	began := time.Now()
	for range 10 {
		must(t, c.Publish(topic.Device{Site: "farm", Name: "edge1"}.Vitals(), 1, false, bytes.Repeat([]byte("x"), size)))
	}
	if took := time.Since(began); took < 400*time.Millisecond { // 8 messages over the burst, 16 a second
		t.Errorf("10 messages of 64 KiB took %s", took)
	}
	if b.Pressure().Slowed == 0 {
		t.Error("no wait is counted")
	}
}

// Thousands of filters in a few packets are refused over the number of a session, and fill neither the log nor the time of
// others.
func TestThousandsOfSubscriptions(t *testing.T) {
	var log lines
	b, _ := startWith(t, slog.New(slog.NewTextHandler(&log, nil)))
	conn := five(t, b, packets.ConnectParams{})
	const packetsSent, each = 100, 40
	granted := 0
	for i := range packetsSent {
		pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, ProtocolVersion: 5, PacketID: uint16(i + 1)}
		for k := range each {
			pk.Filters = append(pk.Filters, packets.Subscription{
				Filter: topic.Device{Site: "farm", Name: "edge1"}.Job(fmt.Sprintf("j%d-%d", i, k))})
		}
		var out bytes.Buffer
		if err := pk.SubscribeEncode(&out); err != nil {
			t.Fatal(err)
		}
		answer := exchange(t, conn, out.Bytes())
		if answer[0]>>4 != packets.Suback {
			t.Fatalf("answer to subscribe: % x", answer)
		}
		for _, code := range answer[len(answer)-each:] {
			if code < 0x80 {
				granted++
			}
		}
	}
	if granted != userSubscriptions {
		t.Errorf("%d subscriptions were granted, want %d", granted, userSubscriptions)
	}
	if p := b.Pressure(); p.Refused != packetsSent*each-userSubscriptions {
		t.Errorf("%d refusals are counted, want %d", p.Refused, packetsSent*each-userSubscriptions)
	}
	if n := log.count("mqtt subscriptions refused"); n == 0 || n > warningsAtOnce+10 {
		t.Errorf("%d lines in the log, want at most about %d", n, warningsAtOnce)
	}
	if during := latency(t, b); during > 2*time.Second {
		t.Errorf("an order takes %s", during)
	}
}

// Who subscribes again and again to everything gets the retained messages more slowly each time.
func TestRetainedMessagesAreDeliveredSlowly(t *testing.T) {
	b, _ := start(t)
	edge, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	dock := topic.Device{Site: "farm", Name: "edge1"}
	const kept = 40
	for i := range kept {
		must(t, edge.Publish(dock.CommandReply(fmt.Sprintf("c%d", i)), 1, true, "x"))
	}
	boss, err := dial(t, b, login{user: "boss", password: "boss-token", id: "storm"})
	if err != nil {
		t.Fatal(err)
	}
	b.hook.pace("boss").retained = rate.NewLimiter(2*kept, kept)
	arrived := make(chan struct{}, 8*kept)
	subscribe := func() time.Duration {
		began := time.Now()
		must(t, boss.Subscribe(everything, 1, func(mqtt.Client, mqtt.Message) { arrived <- struct{}{} }))
		for range kept {
			select {
			case <-arrived:
			case <-time.After(10 * time.Second):
				t.Fatal("a retained message is missing")
			}
		}
		return time.Since(began)
	}
	subscribe()
	waits := b.Pressure().Slowed
	if took := subscribe(); took < 200*time.Millisecond || b.Pressure().Slowed == waits { // half a second after the burst
		t.Errorf("the second time took %s, %d waits", took, b.Pressure().Slowed-waits)
	}
}
