package faultproxy

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	mostAtOnce = 32 << 10 // bytes that pass at once on a connection without Loss and Rate
	underWay   = 128      // pieces that wait for Faults.Delay in each direction
)

// conn is one connection with its faults.
type conn struct {
	p        *Proxy
	in, out  *net.TCPConn // client and server
	f        Faults
	n        int
	ctx      context.Context
	stop     context.CancelFunc
	up       atomic.Int64 // bytes delivered to the server
	stalling sync.Once
	stalled  chan struct{} // closed when a stall begins
	moving   chan struct{} // closed when it ends
}

func newConn(ctx context.Context, stop context.CancelFunc, p *Proxy, in, out *net.TCPConn, n int, f Faults) *conn {
	return &conn{p: p, in: in, out: out, f: f, n: n, ctx: ctx, stop: stop, stalled: make(chan struct{}),
		moving: make(chan struct{})}
}

// run passes both directions on until both have ended.
func (c *conn) run() {
	closed := make(chan struct{})
	context.AfterFunc(c.ctx, func() {
		defer close(closed)
		c.p.addLost(true, unread(c.in)) // sent and never read
		c.p.addLost(false, unread(c.out))
		c.in.Close()
		c.out.Close()
	})
	var both sync.WaitGroup
	both.Go(func() { c.pass(&direction{c: c, up: true, from: c.in, to: c.out, cut: c.f.CutUp}) })
	both.Go(func() { c.pass(&direction{c: c, from: c.out, to: c.in, cut: c.f.CutDown}) })
	both.Wait()
	c.stop()
	<-closed
}

// direction is one direction of a connection.
type direction struct {
	c        *conn
	up       bool
	from, to *net.TCPConn
	cut      *int64
	counted  int64 // bytes delivered that count for cut
	random   *rand.Rand
	free     time.Time // when the last piece is through, under Faults.Rate
}

// part is a piece that is being sent, or the end of the sender.
type part struct {
	b   []byte
	due time.Time
	err error
}

// pass copies bytes until the sender ends, a side closes, or a fault ends the connection.
func (c *conn) pass(w *direction) {
	side := uint64(c.n) << 1
	if w.up {
		side++
	}
	w.random = rand.New(rand.NewPCG(c.p.o.Seed, side))
	if c.f.Delay == 0 {
		for w.deliver(w.read()) {
		}
		return
	}
	line := make(chan part, underWay)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(line)
		for {
			p := w.read()
			select {
			case line <- p:
			case <-c.ctx.Done():
				c.p.addLost(w.up, len(p.b))
				return
			}
			if p.err != nil {
				return
			}
		}
	})
	alive := true
	for p := range line {
		if alive {
			alive = w.deliver(p)
		} else {
			c.p.addLost(w.up, len(p.b))
		}
	}
	reading.Wait()
}

func (w *direction) read() part {
	n := mostAtOnce
	if w.c.f.Loss > 0 || w.c.f.Rate > 0 {
		n = w.c.p.o.Piece
	}
	b := make([]byte, n)
	n, err := w.from.Read(b)
	return part{b[:n], time.Now().Add(w.c.f.Delay), err}
}

// deliver writes a part to the other side. It reports whether more parts may follow.
func (w *direction) deliver(p part) bool {
	c := w.c
	if len(p.b) > 0 {
		if !c.open() || !w.waitUntilDue(len(p.b), p.due) {
			c.p.addLost(w.up, len(p.b))
			return false
		}
		if c.f.Loss > 0 && w.random.Float64() < c.f.Loss {
			c.end(w, Reset, len(p.b))
			return false
		}
		if !w.write(p.b) {
			return false
		}
	}
	switch {
	case errors.Is(p.err, io.EOF):
		if c.open() {
			_ = w.to.CloseWrite()
		}
	case p.err != nil: // one side reset the connection, so the other side is reset, too
		_ = w.to.SetLinger(0)
		c.stop()
	}
	return p.err == nil
}

// write delivers b up to a cut. It reports whether more bytes may follow.
func (w *direction) write(b []byte) bool {
	c := w.c
	for len(b) > 0 {
		n := int64(len(b))
		if w.cut != nil && w.counts() {
			if w.counted >= *w.cut {
				c.end(w, Cut, len(b))
				return false
			}
			n = min(n, *w.cut-w.counted)
		}
		if s := c.f.Stall; s != nil && w.up {
			if gone := c.up.Load(); gone >= s.After {
				c.stalling.Do(func() { c.stall(s.For) })
			} else {
				n = min(n, s.After-gone)
			}
		}
		if !c.open() {
			c.p.addLost(w.up, len(b))
			return false
		}
		sent, err := w.to.Write(b[:n])
		w.sent(sent)
		b = b[sent:]
		if err != nil {
			c.p.addLost(w.up, len(b))
			_ = w.from.SetLinger(0)
			c.stop()
			return false
		}
	}
	return true
}

func (w *direction) sent(n int) {
	if w.counts() {
		w.counted += int64(n)
	}
	if w.up {
		w.c.up.Add(int64(n))
	}
	w.c.p.delivered(w.c.n, w.up, n)
}

// counts reports whether bytes count for the cut.
func (w *direction) counts() bool { return w.up || w.c.up.Load() >= w.c.f.DownFrom }

// waitUntilDue waits for the delay and the rate of a piece of n bytes. It reports whether
// the connection is still open.
func (w *direction) waitUntilDue(n int, due time.Time) bool {
	now := time.Now()
	if rate := w.c.f.Rate; rate > 0 {
		if w.free.Before(due) {
			w.free = due
		}
		w.free = w.free.Add(time.Duration(int64(n) * 8 * int64(time.Second) / rate))
		due = w.free
	}
	wait := due.Sub(now)
	if wait <= 0 {
		return true
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return w.c.open()
	case <-w.c.ctx.Done():
		return false
	}
}

// open waits while the connection is stalled. It reports whether it is still open.
func (c *conn) open() bool {
	select {
	case <-c.stalled:
	default:
		return c.ctx.Err() == nil
	}
	select {
	case <-c.moving:
	case <-c.ctx.Done():
	}
	return c.ctx.Err() == nil
}

// stall begins a stall. It ends after d, at Release or with the connection.
func (c *conn) stall(d time.Duration) {
	close(c.stalled)
	c.p.mu.Lock()
	released := c.p.released
	c.p.appendFault(Stalled)
	c.p.mu.Unlock()
	c.p.wg.Go(func() {
		defer close(c.moving)
		var over <-chan time.Time
		if d > 0 {
			t := time.NewTimer(d)
			defer t.Stop()
			over = t.C
		}
		select {
		case <-over:
			c.p.mu.Lock()
			c.p.linkRestored()
			c.p.mu.Unlock()
		case <-released:
		case <-c.ctx.Done():
		}
	})
}

// end ends the connection with a fault: it resets the client's side and closes the
// server's side. The n bytes that were read and not delivered are lost.
func (c *conn) end(w *direction, k Kind, n int) {
	c.p.addLost(w.up, n)
	_ = c.in.SetLinger(0)
	c.p.addFault(k)
	c.stop()
}
