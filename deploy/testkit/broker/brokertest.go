// Package broker gives tests real brokers, which can be stopped and started
// again at the same address, and a reader that survives it.
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
)

// Broker is one broker on loopback that lets everybody in. Its methods are for
// one goroutine.
type Broker struct {
	t    *testing.T
	addr string
	run  func() (stop func()) // starts it
	stop func()               // nil while it is stopped
	// Forgets says that retained messages are gone after a restart.
	Forgets bool
}

// Each runs f for every kind of broker: Debian's with and without a disk, and the
// one that cloud-api embeds. f gets a broker that is not started.
func Each(t *testing.T, f func(*testing.T, *Broker)) {
	for name, make := range map[string]func(*testing.T) *Broker{
		"mosquitto":             func(t *testing.T) *Broker { return mosquitto(t, false) },
		"mosquitto with a disk": func(t *testing.T) *Broker { return mosquitto(t, true) },
		"embedded":              embedded,
	} {
		t.Run(name, func(t *testing.T) {
			b := make(t)
			t.Cleanup(b.Stop)
			f(t, b)
		})
	}
}

// URL is where it listens, or will.
func (b *Broker) URL() string { return "tcp://" + b.addr }

// Addr is the same as host:port.
func (b *Broker) Addr() string { return b.addr }

// Up reports whether it was started last.
func (b *Broker) Up() bool { return b.stop != nil }

// Start starts it; it listens soon after.
func (b *Broker) Start() {
	b.t.Helper()
	if b.stop == nil {
		b.stop = b.run()
	}
}

// Stop ends it and every connection; twice is fine. One without a disk is killed.
func (b *Broker) Stop() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // on loopback
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func mosquitto(t *testing.T, disk bool) *Broker {
	program := ""
	for _, p := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if found, err := exec.LookPath(p); err == nil {
			program = found
		}
	}
	if program == "" {
		t.Skip("mosquitto is not installed")
	}
	b := &Broker{t: t, addr: freeAddr(t), Forgets: !disk}
	_, port, _ := net.SplitHostPort(b.addr)
	dir := t.TempDir()
	text := "listener " + port + " 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
	if os.Getuid() == 0 {
		text += "user root\n"
	}
	if disk {
		text += "persistence true\npersistence_location " + dir + "/\n"
	}
	conf := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	end := syscall.SIGKILL
	if disk {
		end = syscall.SIGTERM // it writes its disk then
	}
	b.run = func() func() {
		cmd := exec.Command(program, "-c", conf) //nolint:noctx // it ends with the test
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

func embedded(t *testing.T) *Broker {
	b := &Broker{t: t, addr: freeAddr(t), Forgets: true}
	b.run = func() func() {
		ln, err := net.Listen("tcp", b.addr) //nolint:noctx // on loopback
		if err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.DiscardHandler)
		s := server.New(&server.Options{Logger: log})
		if err := errors.Join(s.AddHook(new(auth.AllowHook), nil), s.AddListener(mochi.NewListener(ln, 0, log)), s.Serve()); err != nil {
			t.Fatal(err)
		}
		return func() { _ = s.Close() }
	}
	return b
}

// Message is what a reader got.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool // not live: it was there when the reader connected
}

// readerBuffer is how many messages may wait for the test.
const readerBuffer = 200_000

// Read subscribes to a filter on every connection, and connects again and again
// until the test ends.
func (b *Broker) Read(filter string) <-chan Message {
	got := make(chan Message, readerBuffer)
	o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(fmt.Sprintf("reader-%d", time.Now().UnixNano())).SetOrderMatters(true).
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond).SetMaxReconnectInterval(50 * time.Millisecond).
		SetOnConnectHandler(func(c mqtt.Client) {
			c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) { got <- Message{m.Topic(), m.Payload(), m.Retained()} })
		})
	c := mqtt.NewClient(o)
	c.Connect()
	b.t.Cleanup(func() { c.Disconnect(250) })
	return got
}

// Connect logs a client in by hand, for what no Link would do. lost, when not
// nil, is told why the connection ended.
func (b *Broker) Connect(id string, lost func(error)) mqtt.Client {
	b.t.Helper()
	o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(id).SetAutoReconnect(false).SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond)
	if lost != nil {
		o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost(err) })
	}
	c := mqtt.NewClient(o)
	if t := c.Connect(); !t.WaitTimeout(20*time.Second) || t.Error() != nil {
		b.t.Fatalf("connect: %v", t.Error())
	}
	b.t.Cleanup(func() { c.Disconnect(250) })
	return c
}
