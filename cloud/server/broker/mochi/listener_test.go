package mochi

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A stop ends at once, however many connections have just arrived and sent nothing.
func TestStopWhileConnectionsArrive(t *testing.T) {
	for range 20 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
		l := NewListener(ln, time.Hour, slog.New(slog.DiscardHandler))
		if err := errors.Join(s.AddHook(new(auth.AllowHook), nil), s.AddListener(l), s.Serve()); err != nil {
			t.Fatal(err)
		}
		var clients sync.WaitGroup
		connected := make(chan struct{}, 10)
		for range cap(connected) {
			clients.Go(func() {
				c, err := net.Dial("tcp", l.Address())
				connected <- struct{}{}
				if err != nil {
					return // the listener was faster
				}
				defer c.Close()
				_, _ = io.Copy(io.Discard, c) // until the server closes it
			})
		}
		<-connected
		stopped := make(chan error, 1)
		go func() { stopped <- s.Close() }()
		select {
		case err := <-stopped:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("the server does not stop")
		}
		clients.Wait()
	}
}

// faulty fails a few times before it accepts.
type faulty struct {
	net.Listener
	faults int
}

func (f *faulty) Accept() (net.Conn, error) {
	if f.faults--; f.faults >= 0 {
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestAcceptFaultsPass(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(&faulty{ln, 2}, 0, slog.New(slog.DiscardHandler))
	accepted := make(chan struct{})
	go l.Serve(func(string, net.Conn) error { close(accepted); return nil })
	c, err := net.Dial("tcp", l.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte{0x10}); err != nil { // the first byte of CONNECT
		t.Fatal(err)
	}
	select {
	case <-accepted:
	case <-time.After(time.Minute):
		t.Fatal("no connection after faults of accept")
	}
	l.Close(nil)
	l.Close(nil)
}
