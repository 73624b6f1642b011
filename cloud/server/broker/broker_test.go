package broker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come, also on a busy machine.
const patience = time.Minute

// people has accounts in memory. A token is the name and "-token".
type people struct {
	mu      sync.Mutex
	devices []ledger.Device
	touched map[string]bool
}

func (p *people) Authenticate(_ context.Context, token string) (ledger.Device, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.devices {
		if d.Name+"-token" == token && d.Revoked == nil {
			return d, nil
		}
	}
	return ledger.Device{}, ledger.ErrUnauthorised
}

func (p *people) List(context.Context) ([]ledger.Device, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]ledger.Device(nil), p.devices...), nil
}

func (p *people) Touch(_ context.Context, name string, _ time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.touched[name] = true
	return nil
}

func (p *people) revoke(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for i := range p.devices {
		if p.devices[i].Name == name {
			p.devices[i].Revoked = &now
		}
	}
}

func start(t *testing.T) (*Broker, *people) {
	t.Helper()
	return startWith(t, nil)
}

func startWith(t *testing.T, log *slog.Logger, change ...func(*Options)) (*Broker, *people) {
	t.Helper()
	p := &people{touched: map[string]bool{}, devices: []ledger.Device{
		{Name: "edge1", Site: "farm", Role: ledger.RoleDevice},
		{Name: "edge2", Site: "farm", Role: ledger.RoleDevice},
		{Name: "boss", Site: "farm", Role: ledger.RoleOperator, Sites: ledger.SiteSet{"farm"}},
		{Name: "south", Site: "south", Role: ledger.RoleOperator, Sites: ledger.SiteSet{"south"}},
	}}
	o := Options{Listen: "127.0.0.1:0", Accounts: p,
		Service: Credentials{User: ServiceUser, Password: secret.New("s3cret")}, Log: log}
	for _, f := range change {
		f(&o)
	}
	b, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b, p
}

type login struct {
	user, password, id string
	will               string
	keep               bool
	lost               chan error
}

func dial(t *testing.T, b *Broker, l login) (mqtt.Client, error) {
	t.Helper()
	o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(l.id).SetUsername(l.user).SetPassword(l.password).
		SetAutoReconnect(false).SetConnectRetry(false).SetCleanSession(!l.keep).SetProtocolVersion(4).SetOrderMatters(true)
	if l.will != "" {
		o.SetWill(l.will, "gone", 1, true)
	}
	if l.lost != nil {
		o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { l.lost <- err })
	}
	c := mqtt.NewClient(o)
	tok := c.Connect()
	if !tok.WaitTimeout(patience) {
		t.Fatal("no answer to connect")
	}
	if tok.Error() == nil {
		t.Cleanup(func() { c.Disconnect(50) })
	}
	return c, tok.Error()
}

func must(t *testing.T, tok mqtt.Token) mqtt.Token {
	t.Helper()
	if !tok.WaitTimeout(patience) {
		t.Fatal("no answer")
	}
	if tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	return tok
}

func TestLogin(t *testing.T) {
	b, p := start(t)
	d := topic.Device{Site: "farm", Name: "edge1"}
	for name, c := range map[string]struct {
		login
		ok bool
	}{
		"device":                 {login{user: "edge1", password: "edge1-token", id: "a", will: d.Status()}, true},
		"the cloud":              {login{user: ServiceUser, password: "s3cret", id: "b"}, true},
		"wrong token":            {login{user: "edge1", password: "nope", id: "c"}, false},
		"another one's token":    {login{user: "edge1", password: "edge2-token", id: "d"}, false},
		"no password":            {login{user: "edge1", id: "e"}, false},
		"unknown":                {login{id: "f"}, false},
		"service, wrong":         {login{user: ServiceUser, password: "edge1-token", id: "g"}, false},
		"will of another device": {login{user: "edge2", password: "edge2-token", id: "h", will: d.Status()}, false},
		"will outside cattle/":   {login{user: "edge2", password: "edge2-token", id: "i", will: "x/y"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := dial(t, b, c.login); (err == nil) != c.ok {
				t.Errorf("error %v", err)
			}
		})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.touched["edge1"] {
		t.Error("the login was not recorded")
	}
}

func TestRetainedAndForbiddenMessages(t *testing.T) {
	b, _ := start(t)
	d := topic.Device{Site: "farm", Name: "edge1"}
	edge, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "edge1"})
	if err != nil {
		t.Fatal(err)
	}
	must(t, edge.Publish(d.Status(), 1, true, "born"))
	if tok := must(t, edge.Subscribe("cattle/v1/#", 1, nil)).(*mqtt.SubscribeToken); tok.Result()["cattle/v1/#"] != 0x80 {
		t.Error("a device may read everything")
	}
	got := make(chan string, 1)
	boss, err := dial(t, b, login{user: "boss", password: "boss-token", id: "boss"})
	if err != nil {
		t.Fatal(err)
	}
	must(t, boss.Subscribe("cattle/v1/#", 1, func(_ mqtt.Client, m mqtt.Message) { got <- string(m.Payload()) }))
	if s := receive(t, got); s != "born" {
		t.Errorf("retained message %q", s)
	}
	lost := make(chan error, 1)
	bad, err := dial(t, b, login{user: "edge2", password: "edge2-token", id: "x", lost: lost})
	if err != nil {
		t.Fatal(err)
	}
	bad.Publish(d.Status(), 1, true, "forged")
	<-lost // MQTT 3.1.1 has no other way to refuse a publication
	select {
	case s := <-got:
		t.Errorf("forged message %q was delivered", s)
	default:
	}
}

func TestClientIDsBelongToTheirUser(t *testing.T) {
	b, _ := start(t)
	lost := make(chan error, 1)
	first, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "same", lost: lost})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, b, login{user: "edge2", password: "edge2-token", id: "same"}); err != nil {
		t.Fatal(err)
	}
	d := topic.Device{Site: "farm", Name: "edge1"}
	must(t, first.Publish(d.Status(), 1, true, "still here"))
	select {
	case err := <-lost:
		t.Errorf("another user took over the session: %v", err)
	default:
	}
}

func TestCommandsWaitForADisconnectedDevice(t *testing.T) {
	b, _ := start(t)
	d := topic.Device{Site: "farm", Name: "edge1"}
	edge, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e", keep: true})
	if err != nil {
		t.Fatal(err)
	}
	must(t, edge.Subscribe(d.Command(), 1, nil))
	edge.Disconnect(50)
	until(t, "the device is disconnected", func() bool { return b.Clients() == 0 })
	boss, err := dial(t, b, login{user: "boss", password: "boss-token", id: "boss"})
	if err != nil {
		t.Fatal(err)
	}
	must(t, boss.Publish(d.Command(), 1, false, `{"id":"pause"}`))
	until(t, "the order waits at the broker", func() bool { // it acknowledges an order before it finds who gets it
		cl, ok := b.server.Clients.Get("edge1/e")
		return ok && cl.State.Inflight.Len() > 0
	})
	got := make(chan string, 1)
	o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID("e").SetUsername("edge1").SetPassword("edge1-token").
		SetCleanSession(false).SetAutoReconnect(false).SetDefaultPublishHandler(func(_ mqtt.Client,
		m mqtt.Message) {
		got <- string(m.Payload())
	})
	again := mqtt.NewClient(o)
	must(t, again.Connect())
	defer again.Disconnect(50)
	if s := receive(t, got); s != `{"id":"pause"}` {
		t.Errorf("command %q", s)
	}
}

func TestRevokedDeviceIsDisconnected(t *testing.T) {
	b, p := start(t)
	lost := make(chan error, 1)
	if _, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e", keep: true, lost: lost}); err != nil {
		t.Fatal(err)
	}
	p.revoke("edge1")
	select {
	case <-lost:
	case <-time.After(patience):
		t.Fatal("the revoked device is still connected")
	}
	if _, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"}); err == nil {
		t.Error("a revoked device connected again")
	}
}

func TestTooManySessionsOfOneUser(t *testing.T) {
	b, _ := start(t)
	for i := range maxSessionsPerUser {
		if _, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: string(rune('a' + i))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "one-more"}); err == nil {
		t.Error("one session more than the limit was accepted")
	}
	if _, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "a"}); err != nil {
		t.Errorf("an existing session was refused: %v", err)
	}
}

func TestInvalidPacketClosesTheConnection(t *testing.T) {
	b, _ := start(t)
	c, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(connectWithin + patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

func TestAddressInUse(t *testing.T) {
	b, p := start(t)
	_, err := New(t.Context(), Options{Listen: b.Addr(), Accounts: p,
		Service: Credentials{User: ServiceUser, Password: secret.New("x")}})
	if err == nil {
		t.Error("two brokers listen on one address")
	}
}
