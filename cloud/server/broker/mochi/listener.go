// Package mochi is the network side of a Mochi MQTT server. Mochi's own listener
// counts a connection only within the goroutine that serves it, so that its Close can
// miss one that was just accepted: it then returns too early or waits for a client
// that it never disconnects. The Listener here owns its goroutines and ends them all.
package mochi

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// disconnectWithin is how long clients have for the packet that ends their connection. One that does not read keeps the
// server waiting; then its connection is closed without.
const disconnectWithin = time.Second

// acceptPause is the wait after a fault of accept that passes, such as too many open files.
const acceptPause = 100 * time.Millisecond

// Listener implements listeners.Listener of Mochi over a net.Listener. Clients speak MQTT, or MQTT over WebSocket.
type Listener struct {
	ln            net.Listener
	log           *slog.Logger
	connectWithin time.Duration
	left          []func(net.Conn) // called when the server has returned from a stream
	disconnect    func()           // disconnects the clients that the server knows; see Succession

	serving sync.WaitGroup // the accept loop and the connections
	stop    chan struct{}  // closed by Close
	once    sync.Once

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended bool
}

// NewListener takes ln over. A new connection has connectWithin for its CONNECT packet,
// 0 for no limit; the server sets its own deadlines after that.
func NewListener(ln net.Listener, connectWithin time.Duration, log *slog.Logger) *Listener {
	return &Listener{ln: ln, log: log, connectWithin: connectWithin, stop: make(chan struct{}),
		conns: map[net.Conn]struct{}{}, disconnect: func() {}}
}

// Init implements listeners.Listener.
func (*Listener) Init(*slog.Logger) error { return nil }

// ID implements listeners.Listener.
func (*Listener) ID() string { return "tcp" }

// Protocol implements listeners.Listener.
func (l *Listener) Protocol() string { return l.ln.Addr().Network() }

// Address implements listeners.Listener: host and port.
func (l *Listener) Address() string { return l.ln.Addr().String() }

// Serve implements listeners.Listener: it accepts until Close.
func (l *Listener) Serve(establish listeners.EstablishFn) {
	if !l.begin() {
		return
	}
	defer l.serving.Done()
	for {
		c, err := l.ln.Accept()
		if err == nil {
			l.serve(c, establish)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		l.log.Warn("mqtt broker cannot accept a connection", "err", err)
		pause := time.NewTimer(acceptPause)
		select {
		case <-l.stop:
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// begin counts a goroutine that Close must wait for; false after Close.
func (l *Listener) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.serving.Add(1)
	}
	return !l.ended
}

// serve runs the server's side of one connection in a new goroutine.
func (l *Listener) serve(c net.Conn, establish listeners.EstablishFn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		_ = c.Close()
		return
	}
	l.conns[c] = struct{}{}
	l.serving.Go(func() {
		err := l.establish(c, establish)
		if err != nil {
			l.log.Debug("mqtt connection ended", "err", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, c)
		_ = c.Close()
	})
}

func (l *Listener) establish(c net.Conn, establish listeners.EstablishFn) error {
	if err := l.limit(c); err != nil {
		return err
	}
	stream, err := open(c)
	if err != nil {
		return err
	}
	if err := l.limit(stream); err != nil { // accepting a WebSocket has removed the deadline
		return err
	}
	defer func() {
		for _, left := range l.left {
			left(stream)
		}
	}()
	return establish(l.ID(), stream)
}

func (l *Listener) limit(c net.Conn) error {
	if l.connectWithin == 0 {
		return nil
	}
	return c.SetDeadline(time.Now().Add(l.connectWithin))
}

// Close implements listeners.Listener: it stops to accept, disconnects the clients of its
// Succession, closes every other connection and returns when all goroutines have ended.
// Close may be called twice. It does not use the function of the server: that of Mochi
// 2.7.9 takes a read lock twice (Clients.GetByListener), and never returns when a client
// leaves in between.
func (l *Listener) Close(listeners.CloseFn) {
	l.once.Do(func() {
		close(l.stop)
		l.mu.Lock()
		l.ended = true
		l.mu.Unlock()
		_ = l.ln.Close() // the accept loop sees it
		hurry := time.AfterFunc(disconnectWithin, l.closeAll)
		l.disconnect()
		hurry.Stop()
		l.closeAll()
	})
	l.serving.Wait()
}

func (l *Listener) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Close()
	}
}
