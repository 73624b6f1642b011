// Package broker runs real MQTT brokers for tests. A test can stop a broker and start it at the same address, and a
// subscription survives that. No program imports this package.
package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	server "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"

	"cattlecounter/cloud/server/broker/mochi"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/deploy/testkit/testserver"
)

// Broker is a broker on loopback, which needs no password. Its methods are for one goroutine.
type Broker struct {
	t    *testing.T
	addr string
	run  func() (stop func()) // starts the broker
	stop func()               // nil while the broker is stopped
}

// Each runs f as a subtest for every kind of broker: Mosquitto with and without persistence, and the library of the
// built-in broker. f gets a stopped broker.
func Each(t *testing.T, f func(*testing.T, *Broker)) {
	for name, create := range map[string]func(*testing.T) *Broker{
		"mosquitto":                  func(t *testing.T) *Broker { return mosquitto(t, false) },
		"mosquitto with persistence": func(t *testing.T) *Broker { return mosquitto(t, true) },
		"embedded":                   embedded,
	} {
		t.Run(name, func(t *testing.T) {
			b := create(t)
			t.Cleanup(b.Stop)
			f(t, b)
		})
	}
}

// URL returns the broker's address as a URL. It stays over Stop and Start.
func (b *Broker) URL() string { return "tcp://" + b.addr }

// Addr returns the broker's address as host:port.
func (b *Broker) Addr() string { return b.addr }

// Running reports whether the broker was started and not stopped since.
func (b *Broker) Running() bool { return b.stop != nil }

// Start starts the broker, unless it is running. The broker may not listen yet when Start returns.
func (b *Broker) Start() {
	b.t.Helper()
	if b.stop == nil {
		b.stop = b.run()
	}
}

// Stop ends the broker and every connection. A broker without persistence loses its messages. A second call does
// nothing.
func (b *Broker) Stop() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// mosquitto returns a stopped Mosquitto, or skips the test if that is not installed.
func mosquitto(t *testing.T, persistent bool) *Broker {
	program := ""
	for _, p := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if found, err := exec.LookPath(p); err == nil {
			program = found
		}
	}
	if program == "" {
		t.Skip("mosquitto is not installed")
	}
	b := &Broker{t: t, addr: port.Free(t)}
	at := port.Number(t, b.addr)
	dir := t.TempDir()
	text := fmt.Sprintf("listener %d 127.0.0.1\n", at) + "allow_anonymous true\nmax_queued_messages 0\n"
	if os.Getuid() == 0 {
		text += "user root\n"
	}
	if persistent {
		text += "persistence true\npersistence_location " + dir + "/\n"
	}
	conf := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	end := syscall.SIGKILL
	if persistent {
		end = syscall.SIGTERM // Mosquitto writes its messages to disk
	}
	b.run = func() func() {
		cmd := exec.Command(program, "-c", conf) //nolint:noctx // Stop ends it
		cmd.SysProcAttr = &syscall.SysProcAttr{}
		testserver.EndWithParent(cmd.SysProcAttr, syscall.SIGKILL)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			_ = cmd.Process.Signal(end)
			_ = cmd.Wait()
		}
	}
	return b
}

// embedded returns a stopped broker of the MQTT library that cloud-api uses.
func embedded(t *testing.T) *Broker {
	b := &Broker{t: t, addr: port.Free(t)}
	b.run = func() func() {
		s := server.New(&server.Options{Logger: slog.New(slog.DiscardHandler)})
		l := Listener(t, b.addr)
		err := errors.Join(s.AddHook(l.Succession(s), nil), s.AddHook(mochi.Guard(new(auth.AllowHook)), nil), s.AddListener(l), s.Serve())
		if err != nil {
			t.Fatal(err)
		}
		return func() { _ = s.Close() }
	}
	return b
}

// Listener listens on an address, for a server of the library that a test runs itself. The server's Close ends every
// connection and waits for it.
func Listener(t testing.TB, addr string) *mochi.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr) //nolint:noctx // on loopback
	if err != nil {
		t.Fatal(err)
	}
	return mochi.NewListener(ln, 0, slog.New(slog.DiscardHandler))
}

// Message is a message to a subscription.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool // the broker had it before the subscription
}

const retryInterval = 50 * time.Millisecond

// messageBuffer is how many messages may wait for the test. The subscription blocks when more arrive.
const messageBuffer = 200_000

// Subscribe returns the messages of a topic filter until the test ends. It connects and subscribes whenever the broker
// starts.
func (b *Broker) Subscribe(filter string) <-chan Message {
	got := make(chan Message, messageBuffer)
	id := fmt.Sprintf("reader-%d", time.Now().UnixNano())
	o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(id).SetOrderMatters(true).
		SetConnectRetry(true).SetConnectRetryInterval(retryInterval).SetMaxReconnectInterval(retryInterval).
		SetOnConnectHandler(func(c mqtt.Client) {
			c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) {
				got <- Message{m.Topic(), m.Payload(), m.Retained()}
			})
		})
	c := mqtt.NewClient(o)
	c.Connect()
	b.t.Cleanup(func() { c.Disconnect(250) })
	return got
}

// Connect connects a client that does not reconnect, until the test ends. lost may be nil. It is called with the cause
// when the connection is lost.
func (b *Broker) Connect(id string, lost func(error)) mqtt.Client {
	b.t.Helper()
	o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(id).SetAutoReconnect(false).
		SetConnectRetry(true).SetConnectRetryInterval(retryInterval)
	if lost != nil {
		o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost(err) })
	}
	c := mqtt.NewClient(o)
	if t := c.Connect(); !t.WaitTimeout(time.Minute) || t.Error() != nil {
		b.t.Fatalf("cannot connect to the broker within a minute: %v", t.Error())
	}
	b.t.Cleanup(func() { c.Disconnect(250) })
	return c
}
