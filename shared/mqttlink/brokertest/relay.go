package brokertest

import (
	"io"
	"net"
	"sync"
)

// Relay stands between one client and the broker, so that the client's network
// can go from one moment to the next.
type Relay struct {
	to string
	ln net.Listener

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
	all   sync.WaitGroup
}

// Relay listens until Cut, or the end of the test.
func (b *Broker) Relay() *Relay {
	b.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // on loopback
	if err != nil {
		b.t.Fatal(err)
	}
	r := &Relay{to: b.addr, ln: ln, conns: map[net.Conn]bool{}}
	r.all.Go(r.accept)
	b.t.Cleanup(r.Cut)
	return r
}

// Addr is where the client connects to.
func (r *Relay) Addr() string { return r.ln.Addr().String() }

// Drop ends every connection; new ones may be made.
func (r *Relay) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
}

// Cut ends every connection and takes no new one. When it returns, no byte comes
// through any more. Twice is fine.
func (r *Relay) Cut() {
	r.mu.Lock()
	r.cut = true
	r.mu.Unlock()
	_ = r.ln.Close()
	r.Drop()
	r.all.Wait()
}

func (r *Relay) accept() {
	for {
		client, err := r.ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.to) //nolint:noctx // on loopback
		if err != nil {
			_ = client.Close()
			continue
		}
		if !r.add(client, server) {
			return
		}
		r.all.Go(func() { r.copy(client, server) })
		r.all.Go(func() { r.copy(server, client) })
	}
}

// add reports whether the two may talk.
func (r *Relay) add(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		if r.cut {
			_ = c.Close()
			continue
		}
		r.conns[c] = true
	}
	return !r.cut
}

func (r *Relay) copy(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range []net.Conn{to, from} {
		_ = c.Close()
		delete(r.conns, c)
	}
}
