// Package brokertest gives tests real brokers, which can be stopped and started
// again at the same address, and a reader that survives it.
package broker

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	server "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
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
		door := &door{Listener: ln}
		s := server.New(&server.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err := errors.Join(s.AddHook(new(auth.AllowHook), nil), s.AddListener(listeners.NewNet("t", door))); err != nil {
			t.Fatal(err)
		}
		// Mochi counts a connection only inside the goroutine that serves it, which
		// races with Close when none is counted: this one stays until those have begun.
		s.Listeners.ClientsWg.Add(1)
		go func() { _ = s.Serve() }()
		return func() {
			door.shut()
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				_ = s.Close()
			}()
			<-time.After(20 * time.Millisecond)
			s.Listeners.ClientsWg.Done()
			<-closed
		}
	}
	return b
}

// door knows the connections that came through it: Mochi's Close waits for ever
// for one that it had accepted and did not know yet.
type door struct {
	net.Listener

	mu    sync.Mutex
	conns []net.Conn
	done  bool
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns = append(d.conns, c); d.done {
		_ = c.Close()
	}
	return c, nil
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = true
	_ = d.Listener.Close()
	for _, c := range d.conns {
		_ = c.Close()
	}
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
