package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	defaultPiece  = 1400     // bytes of a packet on most links
	defaultBuffer = 64 << 10 // bytes; the kernel doubles it
	anyPort       = "127.0.0.1:0"
)

// Options configure a Proxy. To is required.
type Options struct {
	To     string // host:port of the server
	Listen string // host:port; "" means any port of loopback
	// Plan says what happens to the next connection, by what has happened so far;
	// nil: nothing. It is called by one goroutine at a time.
	Plan func(Stats) Faults
	// Seed makes Faults.Loss fall alike in every run with the same pieces.
	Seed uint64
	// Piece is the most bytes that pass, or are lost, at once under Loss or Rate; 0
	// means 1,400.
	Piece int
	// Buffer is the size of the kernel's buffers on the way, which is what a slow
	// link holds of a sender's bytes; 0 means 64 KiB.
	Buffer int
}

// Proxy passes connections on, and spoils them. It is safe for concurrent use.
type Proxy struct {
	o    Options
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu       sync.Mutex
	addr     string
	l        net.Listener // nil while refusing
	stats    Stats
	changed  chan struct{} // closed at every change
	released chan struct{} // closed by Release
	open     map[*net.TCPConn]context.CancelFunc
}

// New listens and passes on until Close.
func New(o Options) (*Proxy, error) {
	if o.Plan == nil {
		o.Plan = func(Stats) Faults { return Faults{} }
	}
	if o.Piece == 0 {
		o.Piece = defaultPiece
	}
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	if o.Listen == "" {
		o.Listen = anyPort
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{o: o, ctx: ctx, stop: stop, addr: o.Listen, changed: make(chan struct{}), released: make(chan struct{}),
		open: map[*net.TCPConn]context.CancelFunc{}}
	if err := p.Accept(); err != nil {
		stop()
		return nil, err
	}
	return p, nil
}

// Addr is where it listens, also while it refuses.
func (p *Proxy) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// Accept ends Refuse, on the same port; while it accepts, and after Close, it does
// nothing.
func (p *Proxy) Accept() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l != nil || p.ctx.Err() != nil {
		return nil
	}
	l, err := (&net.ListenConfig{Control: small(p.o.Buffer)}).Listen(p.ctx, "tcp", p.addr)
	if err != nil {
		return fmt.Errorf("fault proxy to %s: %w", p.o.To, err)
	}
	p.l, p.addr = l, l.Addr().String()
	p.wg.Go(func() { p.accept(l) })
	p.healed()
	return nil
}

// Refuse closes the listener until Accept; connections that are open go on.
func (p *Proxy) Refuse() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l == nil {
		return nil
	}
	l := p.l
	p.l = nil
	p.fault(Refused)
	return l.Close()
}

// Release ends every stall that waits for it. The faults that nothing has
// followed yet count from now on: the link is good again.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.released)
	p.released = make(chan struct{})
	p.healed()
}

// Sever resets every open connection, also stalled ones and black holes, as one cut.
func (p *Proxy) Sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for in, end := range p.open {
		_ = in.SetLinger(0)
		end()
	}
	p.fault(Cut)
}

// Note counts a fault that was made elsewhere and ended the connections, such as a
// server that was killed.
func (p *Proxy) Note() { p.happened(Outside) }

// Close ends every connection and waits for that. A second call does nothing.
func (p *Proxy) Close() error {
	p.stop()
	p.mu.Lock()
	l := p.l
	p.l = nil
	p.mu.Unlock()
	var err error
	if l != nil {
		err = l.Close()
	}
	p.wg.Wait()
	return err
}

// Stats returns what happened so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Faults = slices.Clone(s.Faults)
	return s
}

// Wait returns when ok says yes to what happened, or with the cause of ctx.
func (p *Proxy) Wait(ctx context.Context, ok func(Stats) bool) error {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if ok(p.Stats()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("fault proxy: %w: %+v", context.Cause(ctx), p.Stats())
		}
	}
}

// fault, healed and tell are called under mu.
func (p *Proxy) fault(k Kind) {
	f := Fault{Kind: k, At: time.Now()}
	if k != Stalled {
		f.since = p.stats.Connections
	}
	p.stats.Faults = append(p.stats.Faults, f)
	p.tell()
}

func (p *Proxy) healed() {
	for i := range p.stats.Faults {
		if f := &p.stats.Faults[i]; f.Recovered.IsZero() {
			f.At = time.Now()
		}
	}
	p.tell()
}

func (p *Proxy) tell() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// delivered counts bytes of a connection, and what those to the server recover from.
func (p *Proxy) delivered(conn int, up bool, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !up {
		p.stats.Down.Delivered += int64(n)
		p.tell()
		return
	}
	p.stats.Up.Delivered += int64(n)
	for i := range p.stats.Faults {
		if f := &p.stats.Faults[i]; f.Recovered.IsZero() && conn >= f.since {
			f.Recovered = time.Now()
		}
	}
	p.tell()
}

func (p *Proxy) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			if p.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				panic(err) // a test is no place to go on without a listener
			}
			return
		}
		s := p.Stats()
		f := p.o.Plan(s)
		p.mu.Lock()
		p.stats.Connections++
		p.tell()
		p.mu.Unlock()
		p.wg.Go(func() { p.serve(in.(*net.TCPConn), s.Connections, f) })
	}
}

// serve owns one connection.
func (p *Proxy) serve(in *net.TCPConn, n int, f Faults) {
	ctx, end := context.WithCancel(p.ctx)
	p.mu.Lock()
	p.open[in] = end
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.open, in)
		p.mu.Unlock()
		end()
		in.Close()
	}()
	if f.BlackHole {
		p.happened(BlackHole)
		<-ctx.Done()
		p.lose(true, waiting(in))
		return
	}
	to, err := (&net.Dialer{Control: small(p.o.Buffer)}).DialContext(ctx, "tcp", p.o.To)
	if err != nil {
		_ = in.SetLinger(0)
		p.happened(NoServer)
		return
	}
	newConn(ctx, end, p, in, to.(*net.TCPConn), n, f).run()
}

func (p *Proxy) happened(k Kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault(k)
}

// lose counts bytes that left a sender and go nowhere.
func (p *Proxy) lose(up bool, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up {
		p.stats.Up.Lost += int64(n)
	} else {
		p.stats.Down.Lost += int64(n)
	}
}
