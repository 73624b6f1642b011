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

// mostAtOnce is how many bytes pass at once on a connection without pieces.
const mostAtOnce = 32 << 10

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

// pass carries bytes until the sender ends, a side is gone, or a fault ends it.
func (c *conn) pass(w *way) {
	side := uint64(c.n) << 1
	if w.up {
		side++
	}
	w.random = rand.New(rand.NewPCG(c.p.o.Seed, side))
	buf := make([]byte, w.most())
	for {
		n, err := w.from.Read(w.upTo(buf))
		if n > 0 && !w.piece(buf[:n]) {
			return
		}
		switch {
		case errors.Is(err, io.EOF):
			if c.open() {
				_ = w.to.CloseWrite()
			}
			return
		case err != nil: // reset by one side: the other hears of it
			_ = w.to.SetLinger(0)
			c.stop()
			return
		}
	}
}

func (w *way) most() int {
	if w.c.f.Loss > 0 || w.c.f.Rate > 0 {
		return w.c.p.o.Piece
	}
	return mostAtOnce
}

// upTo shortens the next read so that a cut or a stall falls between two reads.
func (w *way) upTo(buf []byte) []byte {
	n := int64(len(buf))
	if w.cut != nil && w.counted < *w.cut {
		n = min(n, *w.cut-w.counted)
	}
	if s := w.c.f.Stall; w.up && s != nil && w.c.up.Load() < s.After {
		n = min(n, s.After-w.c.up.Load())
	}
	return buf[:n]
}

// piece delivers b unless a fault takes it, and reports whether more may come.
func (w *way) piece(b []byte) bool {
	c := w.c
	if s := c.f.Stall; w.up && s != nil && c.up.Load() >= s.After {
		c.stalling.Do(func() { c.stall(s.For) })
	}
	switch {
	case !c.open() || !w.inTime(len(b)):
		c.p.lose(w.up, len(b))
		return false
	case w.counts() && w.cut != nil && w.counted >= *w.cut:
		c.kill(w, Cut, len(b))
		return false
	case c.f.Loss > 0 && w.random.Float64() < c.f.Loss:
		c.kill(w, Reset, len(b))
		return false
	}
	n, err := w.to.Write(b)
	if w.up {
		c.up.Add(int64(n))
	}
	if w.counts() {
		w.counted += int64(n)
	}
	c.p.delivered(w.up, n)
	if err != nil {
		c.p.lose(w.up, len(b)-n)
		_ = w.from.SetLinger(0)
		c.stop()
	}
	return err == nil
}

// counts reports whether bytes count for the cut.
func (w *way) counts() bool { return w.up || w.c.up.Load() >= w.c.f.DownFrom }

// inTime waits as long as n bytes take, and reports whether the connection lives.
func (w *way) inTime(n int) bool {
	wait := w.c.f.Delay
	if rate := w.c.f.Rate; rate > 0 {
		now := time.Now()
		if w.free.Before(now) {
			w.free = now
		}
		w.free = w.free.Add(time.Duration(int64(n) * 8 * int64(time.Second) / rate))
		wait += w.free.Sub(now)
	}
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
