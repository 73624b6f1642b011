package broker

import (
	"context"
	"log/slog"
)

// quiet passes the log of the server on. It leaves packets out, since a packet may hold
// a password. What is below a warning becomes a debug line.
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
