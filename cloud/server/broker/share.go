package broker

import (
	"net"
	"sync"

	"cattlecounter/cloud/server/origin"
)

// maxPerAddress leaves a reserve of connections for other addresses.
const maxPerAddress = maxConnections * 3 / 4

// sharing is a listener that closes connections of an address that has its share already.
type sharing struct {
	net.Listener
	mu   sync.Mutex
	from map[string]int // connections by origin
}

// Accept implements net.Listener.
func (s *sharing) Accept() (net.Conn, error) {
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		at := origin.Of(c.RemoteAddr())
		s.mu.Lock()
		full := s.from[at] >= maxPerAddress
		if !full {
			s.from[at]++
		}
		s.mu.Unlock()
		if !full {
			return &shared{Conn: c, leave: sync.OnceFunc(func() { s.leave(at) })}, nil
		}
		_ = c.Close()
	}
}

func (s *sharing) leave(at string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from[at]--; s.from[at] == 0 {
		delete(s.from, at)
	}
}

// shared is a connection that counts for its address until it is closed.
type shared struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *shared) Close() error {
	c.leave()
	return c.Conn.Close()
}
