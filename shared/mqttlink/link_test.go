package mqttlink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	kit "cattlecounter/deploy/testkit/broker"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/shared/secret"
)

func TestMain(m *testing.M) {
	// Paho's Disconnect returns before its goroutine ends; on a busy machine that is
	// after the last test.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1"))
}

const patience = time.Minute

// gate is a broker hook that can hold back PUBACKs by blocking publishes.
type gate struct {
	broker.HookBase
	mu    sync.Mutex
	hold  chan struct{} // nil: open
	seen  chan packets.Packet
	deny  string // filter that no client may subscribe to
	asked chan struct{}
	left  chan struct{} // a client sent DISCONNECT
}

func (g *gate) ID() string { return "gate" }
func (g *gate) Provides(b byte) bool {
	return bytes.Contains([]byte{broker.OnPublish, broker.OnDisconnect, broker.OnACLCheck, broker.OnConnectAuthenticate},
		[]byte{b})
}
func (g *gate) OnConnectAuthenticate(_ *broker.Client, p packets.Packet) bool {
	return string(p.Connect.Username) == "dock" && string(p.Connect.Password) == "secret"
}
func (g *gate) OnDisconnect(c *broker.Client, err error, _ bool) {
	if err == nil && !c.Net.Inline {
		select {
		case g.left <- struct{}{}:
		default:
		}
	}
}
func (g *gate) OnACLCheck(_ *broker.Client, topic string, _ bool) bool { return topic != g.deny }
func (g *gate) OnPublish(_ *broker.Client, p packets.Packet) (packets.Packet, error) {
	g.mu.Lock()
	hold := g.hold
	g.mu.Unlock()
	if hold != nil {
		select {
		case g.asked <- struct{}{}:
		default:
		}
		<-hold
	}
	g.seen <- p
	return p, nil
}

// server is an in-process broker on a fixed address that can be restarted.
type server struct {
	t    *testing.T
	addr string
	gate *gate
	b    *broker.Server
}

func newServer(t *testing.T) *server {
	return &server{t: t, addr: port.Free(t), gate: &gate{seen: make(chan packets.Packet, 1000),
		asked: make(chan struct{}, 1), left: make(chan struct{}, 1)}}
}

func (s *server) start() *server {
	s.t.Helper()
	s.b = broker.New(&broker.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := s.b.AddHook(s.gate, nil); err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(s.b.AddListener(kit.Listener(s.t, s.addr)), s.b.Serve()); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// stop closes the server and its connections.
func (s *server) stop() { _ = s.b.Close() }

// until receives published packets until one has the topic.
func (s *server) until(topic string) packets.Packet {
	s.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case p := <-s.gate.seen:
			if p.TopicName == topic {
				return p
			}
		case <-limit:
			s.t.Fatalf("no message was published on %s", topic)
		}
	}
}

// running starts a link and returns a function that stops it and waits.
func running(t *testing.T, l *Link) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(patience):
				t.Error("Run does not return")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func link(t *testing.T, addr string, change ...func(*Options)) *Link {
	t.Helper()
	o := Options{URL: "tcp://" + addr, ClientID: "c1", Username: "dock", Password: secret.New("secret")}
	for _, f := range change {
		f(&o)
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not within the time limit", what)
	}
}

func deliver(t *testing.T, l *Link, topic, payload string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.Deliver(ctx, Message{Topic: topic, Payload: []byte(payload)}); err != nil {
		t.Fatal(err)
	}
}

func TestBirthIsFirstOnEveryConnection(t *testing.T) {
	s := newServer(t)
	ups, wills := make(chan struct{}, 10), 0
	l := link(t, s.addr, func(o *Options) {
		o.Birth = func() Message { return Message{Topic: "birth", Payload: []byte("1")} }
		o.Will = func() Message { wills++; return Message{Topic: "will", Payload: []byte(fmt.Sprint(wills))} }
		o.OnUp = func() { ups <- struct{}{} }
	})
	if err := l.Publish(Message{Topic: "early", Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	stop := running(t, l) // no broker yet
	s.start()
	within(t, "up", ups)
	if p := <-s.gate.seen; p.TopicName != "birth" {
		t.Errorf("the first message is on %s", p.TopicName)
	}
	s.until("early")
	s.stop()
	if err := l.Publish(Message{Topic: "away", Payload: []byte("y")}); err != nil {
		t.Fatal(err)
	}
	s.start()
	within(t, "up after the restart", ups)
	s.until("birth")
	s.until("away")
	stop()
	if l.Up() {
		t.Error("up after the stop")
	}
	s.stop()
}

func TestOnlyNewestMessageOfATopicIsQueued(t *testing.T) {
	s := newServer(t)
	l := link(t, s.addr)
	for i := range 50 {
		if err := l.Publish(Message{Topic: "t", Payload: []byte(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if l.Waiting() != 1 {
		t.Fatalf("%d queued", l.Waiting())
	}
	s.start()
	stop := running(t, l)
	if p := s.until("t"); string(p.Payload) != "49" {
		t.Errorf("got %s", p.Payload)
	}
	stop()
	s.stop()
	for len(s.gate.seen) > 0 { // the stop may have repeated the last one
		if p := <-s.gate.seen; string(p.Payload) != "49" {
			t.Errorf("got %s", p.Payload)
		}
	}
}

// A message leaves the outbox only with its PUBACK. When the connection breaks before,
// the next connection sends the newest state.
func TestOnlyAcknowledgementRemovesMessage(t *testing.T) {
	s := newServer(t).start()
	l := link(t, s.addr)
	hold := make(chan struct{})
	s.gate.mu.Lock()
	s.gate.hold = hold
	s.gate.mu.Unlock()
	stop := running(t, l)
	acked := make(chan error, 1)
	go func() { acked <- l.Deliver(t.Context(), Message{Topic: "t", Payload: []byte("old")}) }()
	within(t, "publish", s.gate.asked)
	if l.Waiting() != 1 {
		t.Errorf("%d queued before the acknowledgement", l.Waiting())
	}
	if err := l.Publish(Message{Topic: "t", Payload: []byte("new")}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-acked:
		t.Fatalf("acknowledged without a PUBACK: %v", err)
	default:
	}
	// The broker stops before the acknowledgement.
	for _, c := range s.b.Clients.GetAll() {
		c.Stop(errors.New("cut"))
	}
	s.gate.mu.Lock()
	s.gate.hold = nil
	s.gate.mu.Unlock()
	close(hold)
	limit := time.After(patience)
	for got := ""; got != "new"; {
		select {
		case p := <-s.gate.seen:
			got = string(p.Payload)
		case <-limit:
			t.Fatal("the newest state did not arrive")
		}
	}
	if err := <-acked; err != nil {
		t.Error(err)
	}
	stop()
	s.stop()
}

func TestDeliverEndsWithItsContext(t *testing.T) {
	l := link(t, port.Free(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("reason")
	cancel(reason)
	if err := l.Deliver(ctx, Message{Topic: "t"}); !errors.Is(err, reason) {
		t.Error(err)
	}
	if l.Waiting() != 1 {
		t.Error("the message left the outbox")
	}
	if e, _ := l.box.next(); len(e.waiters) != 0 {
		t.Error("the waiter was not removed")
	}
}

func TestWillOnlyAfterBrokenConnection(t *testing.T) {
	s := newServer(t).start()
	wills := make(chan packets.Packet, 10)
	if err := s.b.Subscribe("will", 1, func(_ *broker.Client, _ packets.Subscription,
		p packets.Packet) {
		wills <- p
	}); err != nil {
		t.Fatal(err)
	}
	connections := 0
	l := link(t, s.addr, func(o *Options) {
		o.Will = func() Message {
			connections++
			return Message{Topic: "will", Payload: []byte(fmt.Sprint(connections)), Retain: true}
		}
	})
	stop := running(t, l)
	deliver(t, l, "t", "x")
	for _, c := range s.b.Clients.GetAll() {
		if c.ID == "c1" {
			_ = c.Net.Conn.Close() // the network breaks
		}
	}
	select {
	case p := <-wills:
		if string(p.Payload) != "1" {
			t.Errorf("%s", p.Payload)
		}
	case <-time.After(patience):
		t.Fatal("no will")
	}
	deliver(t, l, "t", "y")
	stop()
	within(t, "goodbye", s.gate.left) // before the broker's stop, which would cause a will
	s.stop()
	for len(wills) > 0 { // the first connection's will may arrive twice, after the takeover
		if p := <-wills; string(p.Payload) != "1" {
			t.Errorf("a clean stop left a will of connection %s", p.Payload)
		}
	}
}

func TestStopSendsQueuedMessages(t *testing.T) {
	s := newServer(t).start()
	l := link(t, s.addr)
	stop := running(t, l)
	deliver(t, l, "t", "x")
	for i := range 20 {
		if err := l.Publish(Message{Topic: fmt.Sprintf("last/%d", i), Payload: []byte("z")}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if l.Waiting() != 0 {
		t.Errorf("%d queued after the stop", l.Waiting())
	}
	s.until("last/19")
	s.stop()
}

func TestSubscriptionsSurviveRestart(t *testing.T) {
	s := newServer(t).start()
	l := link(t, s.addr)
	got := make(chan Message, 10)
	l.Subscribe("in/+", func(m Message) { got <- m })
	stop := running(t, l)
	for round := range 2 {
		deliver(t, l, "sync", "x") // subscribed by now
		if err := s.b.Publish("in/a", []byte(fmt.Sprint(round)), false, 1); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-got:
			if m.Topic != "in/a" || string(m.Payload) != fmt.Sprint(round) {
				t.Errorf("%+v", m)
			}
		case <-time.After(patience):
			t.Fatal("no message arrived")
		}
		if round == 0 {
			s.stop()
			s.start()
		}
	}
	stop()
	s.stop()
}

func TestRefusals(t *testing.T) {
	s := newServer(t).start()
	defer s.stop()
	for name, change := range map[string]func(*Options){
		"wrong password": func(o *Options) { o.Password = secret.New("x") },
		"wrong scheme":   func(o *Options) { o.URL = "gopher://" + s.addr },
		"no broker":      func(o *Options) { o.URL = "tcp://" + port.Free(t) },
		"no TLS":         func(o *Options) { o.URL = "ssl://" + s.addr },
	} {
		t.Run(name, func(t *testing.T) {
			down := make(chan error, 100)
			l := link(t, s.addr, change, func(o *Options) { o.OnDown = func(err error) { down <- err } })
			stop := running(t, l)
			select {
			case err := <-down:
				if err == nil || l.Up() {
					t.Errorf("%v, up: %v", err, l.Up())
				}
			case <-time.After(patience):
				t.Error("OnDown was not called")
			}
			stop()
		})
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no error without a URL")
	}
}

// A broker that accepts and does not answer must not delay a stop.
func TestStopDuringHangingHandshake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted, closed := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(closed)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		accepted <- struct{}{}
		_, _ = io.Copy(io.Discard, c)
	}()
	stop := running(t, link(t, l.Addr().String()))
	within(t, "accept", accepted)
	began := time.Now()
	stop()
	if d := time.Since(began); d > 10*time.Second { // the handshake may take 15 s
		t.Errorf("the stop took %s", d)
	}
	within(t, "end of the handshake", closed)
}
