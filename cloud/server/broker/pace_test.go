package broker

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/time/rate"

	"cattlecounter/shared/topic"
)

// latency is the usual time in which an order of boss reaches edge2: the median of several, because a busy machine may
// stop the test itself once.
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
	var took []time.Duration
	for i := range 20 {
		began := time.Now()
		must(t, boss.Publish(dock.Command(), 1, false, fmt.Sprintf(`{"id":"%d"}`, i)))
		receive(t, arrived)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
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
	began := time.Now()
	conn, sent := flood(t, b)
	until(t, "the flood is slowed down", func() bool { return log.count("mqtt account slowed down") > 0 })
	during := latency(t, b)
	conn.Close()
	<-sent
	t.Logf("an order usually takes %s without and %s with the flood", before, during)
	if during > 10*before+2*time.Second {
		t.Errorf("an order takes %s with the flood, %s without", during, before)
	}
	n := log.count("mqtt account slowed down")
	if most := warningsSince(began); n == 0 || n > most {
		t.Errorf("%d lines in the log, want at most %d", n, most)
	}
}

// until waits for what another goroutine does.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(5*time.Millisecond), time.NewTimer(patience)
	defer tick.Stop()
	defer limit.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%s: not within %s", what, patience)
		}
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
	began := time.Now()
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
	n := log.count("mqtt subscriptions refused")
	if most := warningsSince(began); n == 0 || n > most {
		t.Errorf("%d lines in the log, want at most %d", n, most)
	}
	if during := latency(t, b); during > 10*time.Second {
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
	b.hook.pace("boss").retained = rate.NewLimiter(rate.Every(time.Hour), kept)
	arrived := make(chan struct{}, 8*kept)
	next := func() {
		t.Helper()
		limit := time.NewTimer(patience)
		defer limit.Stop()
		select {
		case <-arrived:
		case <-limit.C:
			t.Fatal("a retained message is missing")
		}
	}
	subscribe := func() {
		must(t, boss.Subscribe(everything, 1, func(_ mqtt.Client, m mqtt.Message) {
			if m.Retained() {
				arrived <- struct{}{}
			}
		}))
	}
	subscribe()
	for range kept {
		next()
	}
	if n := b.Pressure().Slowed; n != 0 {
		t.Errorf("%d waits within the burst", n)
	}
	subscribe()
	next()
	until(t, "the subscription is slowed down", func() bool { return b.Pressure().Slowed > 0 })
	// The next one would come in an hour. Others publish and subscribe meanwhile.
	must(t, edge.Publish(dock.CommandReply("c0"), 1, true, "y"))
	latency(t, b)
	if n := len(arrived); n != 0 {
		t.Errorf("%d more retained messages arrived without a wait", n)
	}
}
