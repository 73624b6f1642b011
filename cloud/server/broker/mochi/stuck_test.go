package mochi_test

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"

	"cattlecounter/cloud/server/broker/mochi"
)

// pausing is a listener of connections whose large writes wait until the connection is closed, as those to a client that
// reads no more.
type pausing struct {
	net.Listener
	stuck chan struct{} // gets a value for each write that waits
}

func (p *pausing) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	return &paused{Conn: c, stuck: p.stuck, closed: make(chan struct{})}, err
}

type paused struct {
	net.Conn
	stuck  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (p *paused) Write(b []byte) (int, error) {
	if len(b) < 1000 {
		return p.Conn.Write(b)
	}
	p.stuck <- struct{}{}
	<-p.closed
	return 0, net.ErrClosed
}

func (p *paused) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.Conn.Close()
}

// A client that reads no more keeps neither its own next connection nor the stop of the server waiting.
func TestClientThatDoesNotRead(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pausing{ln, make(chan struct{})}
	s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler), InlineClient: true})
	l := mochi.NewListener(p, time.Minute, slog.New(slog.DiscardHandler))
	err = errors.Join(s.AddHook(l.Succession(s), nil), s.AddHook(new(auth.AllowHook), nil), s.AddListener(l), s.Serve())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one takes over
		follow(t, l.Address(), "deaf")
		if err := s.Publish("news", []byte(strings.Repeat("x", 2000)), false, 0); err != nil {
			t.Fatal(err)
		}
		<-p.stuck
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
