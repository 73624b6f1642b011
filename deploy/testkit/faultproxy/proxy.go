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
	// Plan returns the faults of the next connection. nil means no faults. One goroutine at
	// a time calls it.
	Plan func(Stats) Faults
	// Seed makes Faults.Loss repeatable.
	Seed uint64
	// Piece is the largest number of bytes that pass or are lost at once with Loss or
	// Rate. 0 means 1,400.
	Piece int
	// Buffer is the size in bytes of the kernel's buffers: what a slow link holds of a
	// sender's bytes. 0 means 64 KiB.
	Buffer int
}

// Proxy is a running proxy. It is safe for concurrent use.
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

// New starts a proxy, which runs until Close.
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

// Addr returns the address, also while the proxy refuses connections.
func (p *Proxy) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// Accept ends Refuse, on the same port. It does nothing while the proxy accepts and after
// Close.
func (p *Proxy) Accept() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l != nil || p.ctx.Err() != nil {
		return nil
	}
	l, err := (&net.ListenConfig{Control: setBuffers(p.o.Buffer)}).Listen(p.ctx, "tcp", p.addr)
	if err != nil {
		return fmt.Errorf("fault proxy to %s: %w", p.o.To, err)
	}
	p.l, p.addr = l, l.Addr().String()
	p.wg.Go(func() { p.accept(l) })
	p.linkRestored()
	return nil
}

// Refuse closes the listener until Accept. Open connections continue.
func (p *Proxy) Refuse() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l == nil {
		return nil
	}
	l := p.l
	p.l = nil
	p.appendFault(Refused)
	return l.Close()
}

// Release ends every stall that waits for it. It sets At of all faults that are not
// recovered to now.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.released)
	p.released = make(chan struct{})
	p.linkRestored()
}

// Sever resets every open connection, including stalls and black holes, as one cut.
func (p *Proxy) Sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for in, end := range p.open {
		_ = in.SetLinger(0)
		end()
	}
	p.appendFault(Cut)
}

// Note records a fault that the test made elsewhere and that ended the connections, such
// as a killed server.
func (p *Proxy) Note() { p.addFault(Outside) }

// Close ends all connections and waits for their goroutines. A second call does nothing.
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

// Stats returns the statistics so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Faults = slices.Clone(s.Faults)
	return s
}

// Wait returns nil when ok returns true, or the cause of ctx when ctx ends.
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

// The caller of appendFault, linkRestored and notify holds mu.
func (p *Proxy) appendFault(k Kind) {
	f := Fault{Kind: k, At: time.Now()}
	if k != Stalled {
		f.since = p.stats.Connections
	}
	p.stats.Faults = append(p.stats.Faults, f)
	p.notify()
}

func (p *Proxy) linkRestored() {
	for i := range p.stats.Faults {
		if f := &p.stats.Faults[i]; f.Recovered.IsZero() {
			f.At = time.Now()
		}
	}
	p.notify()
}

func (p *Proxy) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// delivered counts bytes of a connection. Bytes to the server mark faults as recovered.
func (p *Proxy) delivered(conn int, up bool, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !up {
		p.stats.Down.Delivered += int64(n)
		p.notify()
		return
	}
	p.stats.Up.Delivered += int64(n)
	for i := range p.stats.Faults {
		if f := &p.stats.Faults[i]; f.Recovered.IsZero() && conn >= f.since {
			f.Recovered = time.Now()
		}
	}
	p.notify()
}

func (p *Proxy) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			if p.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				panic(err) // the test cannot continue without a listener
			}
			return
		}
		s := p.Stats()
		f := p.o.Plan(s)
		p.mu.Lock()
		p.stats.Connections++
		p.notify()
		p.mu.Unlock()
		p.wg.Go(func() { p.serve(in.(*net.TCPConn), s.Connections, f) })
	}
}

// serve owns one connection and returns after its end.
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
		p.addFault(BlackHole)
		<-ctx.Done()
		p.addLost(true, unread(in))
		return
	}
	to, err := (&net.Dialer{Control: setBuffers(p.o.Buffer)}).DialContext(ctx, "tcp", p.o.To)
	if err != nil {
		_ = in.SetLinger(0)
		p.addFault(NoServer)
		return
	}
	newConn(ctx, end, p, in, to.(*net.TCPConn), n, f).run()
}

func (p *Proxy) addFault(k Kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.appendFault(k)
}

// addLost counts bytes that left a sender and will never be delivered.
func (p *Proxy) addLost(up bool, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up {
		p.stats.Up.Lost += int64(n)
	} else {
		p.stats.Down.Lost += int64(n)
	}
}
