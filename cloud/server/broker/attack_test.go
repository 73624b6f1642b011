package broker

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// five connects edge1 with MQTT 5, which the other clients here do not speak.
func five(t *testing.T, b *Broker, c packets.ConnectParams) net.Conn {
	t.Helper()
	return fiveWith(t, b, c, packets.Properties{})
}

func fiveWith(t *testing.T, b *Broker, c packets.ConnectParams, p packets.Properties) net.Conn {
	t.Helper()
	c.ProtocolName, c.Clean, c.ClientIdentifier = []byte("MQTT"), true, "five"
	c.UsernameFlag, c.PasswordFlag, c.Username, c.Password = true, true, []byte("edge1"), []byte("edge1-token")
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}, ProtocolVersion: 5, Connect: c, Properties: p}
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := pk.ConnectEncode(&out); err != nil {
		t.Fatal(err)
	}
	if answer := exchange(t, conn, out.Bytes()); answer[0]>>4 != packets.Connack || answer[3] != 0 {
		t.Fatalf("answer to connect: % x", answer)
	}
	return conn
}

// exchange sends a packet and returns the short one that answers it.
func exchange(t *testing.T, conn net.Conn, packet []byte) []byte {
	t.Helper()
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, head[1])
	if _, err := io.ReadFull(conn, rest); err != nil {
		t.Fatal(err)
	}
	return append(head, rest...)
}

// watch returns what an operator of the site gets of a topic.
func watch(t *testing.T, b *Broker, filter string) <-chan string {
	t.Helper()
	c, err := dial(t, b, login{user: "boss", password: "boss-token", id: "watch"})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 16)
	must(t, c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) { got <- m.Topic() }))
	return got
}

func receive(t *testing.T, from <-chan string) string {
	t.Helper()
	select {
	case s := <-from:
		return s
	case <-time.After(patience):
		t.Fatal("nothing was delivered")
		return ""
	}
}

// Last wills count for the quota of retained messages. They are sent at once, because one that waits stays in memory.
func TestWillsHaveQuotas(t *testing.T) {
	b, _ := start(t)
	dock := topic.Device{Site: "farm", Name: "edge1"}
	c, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("x"), maxRetained)
	for i := range userRetainedBytes / maxRetained {
		must(t, c.Publish(dock.Footage(footage.ID(fmt.Sprintf("f%d", i))), 1, true, big))
	}
	name := dock.Footage("will")
	got := watch(t, b, name)
	conn := five(t, b, packets.ConnectParams{WillFlag: true, WillTopic: name, WillPayload: big[:60_000], WillQos: 1, WillRetain: true,
		WillProperties: packets.Properties{WillDelayInterval: 100_000}})
	conn.Close()
	if at := receive(t, got); at != name {
		t.Errorf("got %s", at)
	}
	if _, ok := b.server.Topics.Retained.Get(name); ok {
		t.Error("a will over the quota is retained")
	}
}

// The properties of a retained message are in memory like its payload.
func TestPropertiesCountAsRetained(t *testing.T) {
	b, _ := start(t)
	conn := five(t, b, packets.ConnectParams{})
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, ProtocolVersion: 5,
		TopicName: topic.Device{Site: "farm", Name: "edge1"}.Status(), Payload: []byte("x"), PacketID: 7}
	pk.Properties.User = slices.Repeat([]packets.UserProperty{{Key: "k", Val: strings.Repeat("v", 1000)}}, 100)
	var out bytes.Buffer
	if err := pk.PublishEncode(&out); err != nil {
		t.Fatal(err)
	}
	if answer := exchange(t, conn, out.Bytes()); answer[0]>>4 != packets.Puback {
		t.Fatalf("answer to publish: % x", answer)
	}
	if _, ok := b.server.Topics.Retained.Get(pk.TopicName); ok {
		t.Errorf("a message with %d bytes of properties is retained", 100*1000)
	}
}

// An order ends with its operator's access: it is not retained, and no last will.
func TestOrdersDoNotStay(t *testing.T) {
	b, _ := start(t)
	dock := topic.Device{Site: "farm", Name: "edge1"}
	if _, err := dial(t, b, login{user: "boss", password: "boss-token", id: "w", will: dock.Command()}); err == nil {
		t.Error("an order is accepted as a last will")
	}
	c, err := dial(t, b, login{user: "boss", password: "boss-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	must(t, c.Publish(dock.Command(), 1, true, `{"id":"order"}`))
	if _, ok := b.server.Topics.Retained.Get(dock.Command()); ok {
		t.Error("an order is retained")
	}
	if !accountOf(ledger.Device{Name: "edge1", Site: "farm", Role: ledger.RoleDevice}).mayLeave(dock.Status()) {
		t.Error("a device has no last will")
	}
}

// A client cannot fill the log with what it may not do.
func TestRefusalsInTheLogAreBounded(t *testing.T) {
	var log lines
	b, _ := startWith(t, slog.New(slog.NewTextHandler(&log, nil)))
	began := time.Now()
	c, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	foreign := topic.Device{Site: "farm", Name: "edge2"}
	for range 10 * warningsAtOnce {
		must(t, c.Publish(foreign.Status(), 0, false, "x"))
	}
	must(t, c.Publish(topic.Device{Site: "farm", Name: "edge1"}.Status(), 1, false, "x")) // after all of them
	n := log.count("mqtt access refused")
	if most := warningsSince(began); n == 0 || n > most {
		t.Errorf("%d lines in the log, want at most %d", n, most)
	}
}

// warningsSince is how many lines of one account may be in the log: those at once, and one more each second.
func warningsSince(began time.Time) int { return warningsAtOnce + 1 + int(time.Since(began).Seconds()) }

// lines is a log in memory.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(message string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), message)
}
