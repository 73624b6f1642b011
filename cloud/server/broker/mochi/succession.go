package mochi

import (
	"bytes"
	"log/slog"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// takeOverWithin bounds the wait for the end of a connection whose client id another one wants.
const takeOverWithin = 10 * time.Second

// Succession is a hook that lets a connection have a client id only after the one before it has ended. Mochi 2.7.9 closes
// a connection first and forgets it later: when the client is back in between, the late end of its old connection can
// delete the new one from the list of clients and its subscriptions with it, and what a hook does in OnDisconnect is too
// late for the session that was taken over.
//
// Its methods may be called at the same time. Those of a nil Succession do nothing.
type Succession struct {
	mqtt.HookBase
	server *mqtt.Server
	log    *slog.Logger

	mu     sync.Mutex
	newest map[string]*tenure // by client id
	of     map[net.Conn]*tenure
}

// tenure is the time of a connection under its client id.
type tenure struct {
	client *mqtt.Client
	over   chan struct{} // closed when another connection wants the id
	ended  chan struct{} // closed when the server has forgotten the connection
}

// Succession returns the hook for a server that l belongs to. It must be called once and before Serve.
func (l *Listener) Succession(server *mqtt.Server) *Succession {
	s := &Succession{server: server, log: l.log, newest: map[string]*tenure{}, of: map[net.Conn]*tenure{}}
	l.left, l.disconnect = append(l.left, s.end), s.disconnect
	return s
}

// ID implements mqtt.Hook.
func (*Succession) ID() string { return "succession" }

// Provides implements mqtt.Hook.
func (*Succession) Provides(b byte) bool {
	return bytes.Contains([]byte{mqtt.OnSessionEstablish}, []byte{b})
}

// OnSessionEstablish implements mqtt.Hook: it disconnects the client that has the id and waits for its end.
func (s *Succession) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	now := &tenure{client: cl, over: make(chan struct{}), ended: make(chan struct{})}
	s.mu.Lock()
	before := s.newest[cl.ID]
	s.newest[cl.ID], s.of[cl.Net.Conn] = now, now
	s.mu.Unlock()
	if before == nil {
		return
	}
	close(before.over)
	kick := time.AfterFunc(disconnectWithin, func() { _ = before.client.Net.Conn.Close() })
	defer kick.Stop()
	_ = s.server.DisconnectClient(before.client, packets.ErrSessionTakenOver) // ended by itself
	limit := time.NewTimer(takeOverWithin)
	defer limit.Stop()
	select {
	case <-before.ended:
	case <-limit.C:
		s.log.Warn("mqtt connection does not end; its client id is taken over", "client", cl.ID, "waited", takeOverWithin)
	}
}

// end is called when the server has returned from a connection.
func (s *Succession) end(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.of[c]
	if t == nil {
		return // it had no client id
	}
	delete(s.of, c)
	if s.newest[t.client.ID] == t {
		delete(s.newest, t.client.ID)
	}
	close(t.ended)
}

// disconnect says to every client that the server stops, and ends its connection.
func (s *Succession) disconnect() {
	s.mu.Lock()
	clients := make([]*mqtt.Client, 0, len(s.of))
	for _, t := range s.of {
		clients = append(clients, t.client)
	}
	s.mu.Unlock()
	for _, cl := range clients {
		if !cl.Closed() {
			_ = s.server.DisconnectClient(cl, packets.ErrServerShuttingDown) // the reason, also without a fault
		}
	}
}

// Over returns a channel that is closed when another connection wants the id of cl; nil when cl has none.
func (s *Succession) Over(cl *mqtt.Client) <-chan struct{} {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.of[cl.Net.Conn]; t != nil {
		return t.over
	}
	return nil
}
