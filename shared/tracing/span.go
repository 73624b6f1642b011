package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"cattlecounter/shared/footage"
)

// HeaderParent is the header of W3C Trace Context, for Receive.
const HeaderParent = "traceparent"

const scope = "cattlecounter" // the name of the tracer

// Span is one step of the way of footage. The zero value is a step without a trace. It is not safe for concurrent use.
type Span struct{ s trace.Span }

// Begin begins a step of the footage's trace; the caller must call End. The step belongs to the one that ctx has, if that
// is of the same footage. The returned context carries the step.
func Begin(ctx context.Context, name string, id footage.ID) (context.Context, Span) {
	p := on.Load()
	if p == nil || id == "" {
		return ctx, Span{}
	}
	var o []trace.SpanStartOption
	if trace.SpanContextFromContext(ctx).TraceID() != TraceID(id) {
		o = append(o, trace.WithNewRoot())
		ctx = context.WithValue(ctx, footageKey{}, id)
	}
	o = append(o, trace.WithAttributes(text("cattle.footage", string(id))))
	ctx, s := p.Tracer(scope).Start(ctx, name, o...)
	return ctx, Span{s}
}

func text(key, value string) attribute.KeyValue { return attribute.String(key, value) }

// Number adds a number to the step, such as bytes.
func (s Span) Number(key string, value int64) {
	if s.s != nil {
		s.s.SetAttributes(attribute.Int64("cattle."+key, value))
	}
}

// Text adds a text to the step, such as the name of its job.
func (s Span) Text(key, value string) {
	if s.s != nil {
		s.s.SetAttributes(text("cattle."+key, value))
	}
}

// End ends the step. An error becomes its status; its text goes with it.
func (s Span) End(err error) {
	if s.s == nil {
		return
	}
	if err != nil {
		s.s.SetStatus(codes.Error, footage.SafeText(err.Error()))
	}
	s.s.End()
}

// Inject writes the step of ctx into the header of a request.
func Inject(ctx context.Context, h http.Header) {
	if on.Load() != nil {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	}
}

// Receive begins a step whose caller may have written its own step into the header of the request (Inject). Strangers
// write headers too: the step of another trace than the footage's is ignored.
func Receive(ctx context.Context, parent, name string, id footage.ID) (context.Context, Span) {
	if on.Load() != nil && parent != "" {
		from := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{HeaderParent: parent})
		if remote := trace.SpanContextFromContext(from); remote.IsValid() && remote.TraceID() == TraceID(id) {
			ctx = trace.ContextWithRemoteSpanContext(ctx, remote)
		}
	}
	return Begin(ctx, name, id)
}
