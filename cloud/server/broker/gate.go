package broker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// gate is the listener: it gives a new connection a short time for its CONNECT
// packet, and survives passing faults of accept.
type gate struct {
	net.Listener
	log    *slog.Logger
	closed chan struct{}
	once   sync.Once
}

// stop ends the waiting of Accept; the server closes the listener itself.
func (g *gate) stop() { g.once.Do(func() { close(g.closed) }) }

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	const pause = 100 * time.Millisecond
	for {
		c, err := g.Listener.Accept()
		if err == nil {
			// The server sets its own deadline once the client has logged in.
			return c, c.SetDeadline(time.Now().Add(connectWithin))
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		g.log.Warn("mqtt broker cannot accept", "err", err)
		select {
		case <-g.closed:
			return nil, err
		case <-time.After(pause):
		}
	}
}

// Close implements net.Listener.
func (g *gate) Close() error {
	g.stop()
	return g.Listener.Close()
}

// quiet passes the server's log on: packets left out, since a packet may hold
// a password, and everything below a warning as debugging.
type quiet struct{ next slog.Handler }

// Enabled implements slog.Handler.
func (q *quiet) Enabled(ctx context.Context, l slog.Level) bool { return q.next.Enabled(ctx, lower(l)) }

// Handle implements slog.Handler.
func (q *quiet) Handle(ctx context.Context, r slog.Record) error {
	msg, level := r.Message, lower(r.Level)
	if msg == "" {
		msg, level = "mqtt connection ended", slog.LevelDebug
	}
	if !q.next.Enabled(ctx, level) {
		return nil
	}
	out := slog.NewRecord(r.Time, level, msg, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "pk", "packet":
		case "error":
			out.AddAttrs(slog.Attr{Key: "err", Value: a.Value})
		default:
			out.AddAttrs(a)
		}
		return true
	})
	return q.next.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (q *quiet) WithAttrs(as []slog.Attr) slog.Handler { return &quiet{q.next.WithAttrs(as)} }

// WithGroup implements slog.Handler.
func (q *quiet) WithGroup(name string) slog.Handler { return &quiet{q.next.WithGroup(name)} }

func lower(l slog.Level) slog.Level {
	if l < slog.LevelWarn {
		return slog.LevelDebug
	}
	return l
}
