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
	mostAtOnce = 32 << 10 // bytes that pass at once on a connection without pieces
	underWay   = 128      // pieces that wait for Faults.Delay, each way
)

// conn is one connection with what happens to it.
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
	return &conn{p: p, in: in, out: out, f: f, n: n, ctx: ctx, stop: stop, stalled: make(chan struct{}), moving: make(chan struct{})}
}

// run passes both directions on until both have ended.
func (c *conn) run() {
	closed := make(chan struct{})
	context.AfterFunc(c.ctx, func() {
		defer close(closed)
		c.p.lose(true, waiting(c.in)) // sent, and read by nobody
		c.p.lose(false, waiting(c.out))
		c.in.Close()
		c.out.Close()
	})
	var both sync.WaitGroup
	both.Go(func() { c.pass(&way{c: c, up: true, from: c.in, to: c.out, cut: c.f.CutUp}) })
	both.Go(func() { c.pass(&way{c: c, from: c.out, to: c.in, cut: c.f.CutDown}) })
	both.Wait()
	c.stop()
	<-closed
}

// way is one direction of a connection.
type way struct {
	c        *conn
	up       bool
	from, to *net.TCPConn
	cut      *int64
	counted  int64 // bytes delivered that count for cut
	random   *rand.Rand
	free     time.Time // when the last piece is through, under Faults.Rate
}

// part is a piece under way, or the sender's end.
type part struct {
	b   []byte
	due time.Time
	err error
}

// pass carries bytes until the sender ends, a side is gone, or a fault ends it.
func (c *conn) pass(w *way) {
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
				c.p.lose(w.up, len(p.b))
				return
			}
			if p.err != nil {
				return
			}
		}
	})
	goesOn := true
	for p := range line {
		if goesOn {
			goesOn = w.deliver(p)
		} else {
			c.p.lose(w.up, len(p.b))
		}
	}
	reading.Wait()
}

func (w *way) read() part {
	n := mostAtOnce
	if w.c.f.Loss > 0 || w.c.f.Rate > 0 {
		n = w.c.p.o.Piece
	}
	b := make([]byte, n)
	n, err := w.from.Read(b)
	return part{b[:n], time.Now().Add(w.c.f.Delay), err}
}

// deliver brings a part to the other side, and reports whether more may come.
func (w *way) deliver(p part) bool {
	c := w.c
	if len(p.b) > 0 {
		if !c.open() || !w.inTime(len(p.b), p.due) {
			c.p.lose(w.up, len(p.b))
			return false
		}
		if c.f.Loss > 0 && w.random.Float64() < c.f.Loss {
			c.kill(w, Reset, len(p.b))
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
	case p.err != nil: // reset by one side: the other hears of it
		_ = w.to.SetLinger(0)
		c.stop()
	}
	return p.err == nil
}

// write delivers b as far as no cut falls into it, and reports whether more may come.
func (w *way) write(b []byte) bool {
	c := w.c
	for len(b) > 0 {
		n := int64(len(b))
		if w.cut != nil && w.counts() {
			if w.counted >= *w.cut {
				c.kill(w, Cut, len(b))
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
			c.p.lose(w.up, len(b))
			return false
		}
		sent, err := w.to.Write(b[:n])
		w.sent(sent)
		b = b[sent:]
		if err != nil {
			c.p.lose(w.up, len(b))
			_ = w.from.SetLinger(0)
			c.stop()
			return false
		}
	}
	return true
}

func (w *way) sent(n int) {
	if w.counts() {
		w.counted += int64(n)
	}
	if w.up {
		w.c.up.Add(int64(n))
	}
	w.c.p.delivered(w.c.n, w.up, n)
}

// counts reports whether bytes count for the cut.
func (w *way) counts() bool { return w.up || w.c.up.Load() >= w.c.f.DownFrom }

// inTime waits until a piece of n bytes is through that is due then, and reports
// whether the connection lives.
func (w *way) inTime(n int, due time.Time) bool {
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

// open waits while the connection is stalled, and reports whether it lives.
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

// stall begins one, which ends by itself, by Release or with the connection.
func (c *conn) stall(d time.Duration) {
	close(c.stalled)
	c.p.mu.Lock()
	released := c.p.released
	c.p.fault(Stalled)
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
			c.p.healed()
			c.p.mu.Unlock()
		case <-released:
		case <-c.ctx.Done():
		}
	})
}

// kill resets the client and closes the server's side; the n bytes in hand are lost.
func (c *conn) kill(w *way, k Kind, n int) {
	c.p.lose(w.up, n)
	_ = c.in.SetLinger(0)
	c.p.happened(k)
	c.stop()
}
