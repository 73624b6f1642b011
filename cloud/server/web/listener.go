package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"cattlecounter/cloud/server/origin"
)

const (
	lingerTime  = 2 * time.Second
	lingerBytes = 4 << 20
)

// certificates are those of a listener; *certificate.Files and *certificate.Managed implement it.
type certificates interface{ Config() *tls.Config }

// listener accepts connections and can close all of them.
type listener struct {
	net.Listener
	tls   *tls.Config // nil for no TLS
	mu    sync.Mutex
	conns map[*conn]struct{}
	from  map[string]int // connections by origin
}

func listen(ctx context.Context, address string, cert certificates) (*listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("http listener %s: %w", address, err)
	}
	l := &listener{Listener: ln, conns: map[*conn]struct{}{}, from: map[string]int{}}
	if cert != nil {
		l.tls = cert.Config()
	}
	return l, nil
}

// Accept implements net.Listener. It closes connections of an address that has its share already.
func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	for ; err == nil && !l.enter(nc); nc, err = l.Listener.Accept() {
		_ = nc.Close()
	}
	if err != nil {
		return nil, err
	}
	if l.tls != nil {
		nc = tls.Server(nc, l.tls) // the first read shakes hands, within the time for the head
	}
	c := &conn{Conn: nc, owner: l}
	l.mu.Lock()
	l.conns[c] = struct{}{}
	l.mu.Unlock()
	return c, nil
}

// enter counts a connection of an address, unless it has maxPerAddress already.
func (l *listener) enter(nc net.Conn) bool {
	at := origin.Of(nc.RemoteAddr())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from[at] >= maxPerAddress {
		return false
	}
	l.from[at]++
	return true
}

// leave is the opposite of enter. The lock is held.
func (l *listener) leave(nc net.Conn) {
	at := origin.Of(nc.RemoteAddr())
	if l.from[at]--; l.from[at] <= 0 {
		delete(l.from, at)
	}
}

// crowded reports whether connections should not be kept for a next request.
func (l *listener) crowded() bool { return l.open() > maxConns*4/5 }

// closeAll closes every connection at once.
func (l *listener) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Conn.Close()
	}
}

// open is the number of connections.
func (l *listener) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// conn is one client connection.
type conn struct {
	net.Conn
	owner  *listener
	sawEOF atomic.Bool // the client has closed its direction
	linger atomic.Bool // body bytes are unread: see Close
	once   sync.Once
	err    error
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		c.sawEOF.Store(true)
	}
	return n, err
}

// Close implements net.Conn. After an answer before the end of the body it first closes
// only its own direction and discards what the client still sends, for a bounded time and
// amount. Otherwise a reset could reach the client before it has read the answer (RFC
// 9112 section 9.6).
func (c *conn) Close() error {
	c.once.Do(func() {
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger.Load() && half.CloseWrite() == nil {
			_ = c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
		c.err = c.Conn.Close()
		c.owner.mu.Lock()
		delete(c.owner.conns, c)
		c.owner.leave(c.Conn)
		c.owner.mu.Unlock()
	})
	return c.err
}

// Close of the listener's side can come while a request is still answered: fasthttp takes a deadline that cannot be set
// for a fault of its own and panics. The next read or write reports the closed connection.

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error { return unlessClosed(c.Conn.SetDeadline(t)) }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return unlessClosed(c.Conn.SetReadDeadline(t)) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return unlessClosed(c.Conn.SetWriteDeadline(t)) }

func unlessClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
