package tracing

import (
	"context"
	"fmt"
	"log/slog"

	"cattlecounter/shared/footage"
)

const (
	keyFootage = "footage"
	keyTrace   = "trace_id"
)

// handler adds the trace id to each record that names footage.
type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	found := ""
	r.Attrs(func(a slog.Attr) bool {
		found = traceOf(a)
		return found == ""
	})
	if found != "" {
		r = r.Clone()
		r.AddAttrs(slog.String(keyTrace, found))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if id := traceOf(a); id != "" {
			return handler{h.Handler.WithAttrs(append(attrs[:len(attrs):len(attrs)], slog.String(keyTrace, id)))}
		}
	}
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// traceOf returns the trace id of an attribute that names footage, "" for any other.
func traceOf(a slog.Attr) string {
	if a.Key != keyFootage {
		return ""
	}
	id := a.Value.Resolve().String()
	if v, is := a.Value.Any().(fmt.Stringer); is {
		id = v.String()
	}
	if id == "" {
		return ""
	}
	return TraceID(footage.ID(id)).String()
}
