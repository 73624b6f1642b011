// Package tracing follows footage through every program as one OpenTelemetry trace. It is the only room that uses
// OpenTelemetry.
//
// The trace id of footage is a function of its id (TraceID). So every program finds the trace without being handed one:
// it survives the spool, the queue, restarts, resumed uploads and other attempts at a job, and nothing of it is stored.
// Programs sample by the trace id, so with the same sampler all of them keep the same footage.
//
// Tracing is off until the environment names where spans go, by the standard variables of OpenTelemetry (On). Without it
// every function here returns at once.
package tracing

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"cattlecounter/shared/footage"
)

// flushLimit is how long a stop waits for the last spans.
const flushLimit = 5 * time.Second

// Options name a program in its spans.
type Options struct {
	Service string // such as cloud-api; OTEL_SERVICE_NAME overrides it
	Version string
	Environ []string // of the program, in the form of os.Environ
	Log     *slog.Logger
}

// on is the running tracing of the program, nil while it is off.
var on atomic.Pointer[sdktrace.TracerProvider]

// ErrProtocol marks an OTLP protocol other than http/protobuf.
var ErrProtocol = errors.New("only http/protobuf is supported")

// On reports whether the environment turns tracing on: OTEL_TRACES_EXPORTER=otlp, or an address in
// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. OTEL_SDK_DISABLED=true and
// OTEL_TRACES_EXPORTER=none turn it off. Any other exporter or protocol is an error.
func On(environ []string) (bool, error) {
	value := func(name string) string {
		for _, kv := range environ {
			if v, has := strings.CutPrefix(kv, name+"="); has {
				return strings.TrimSpace(v)
			}
		}
		return ""
	}
	if strings.EqualFold(value("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	addressed := value("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	switch exporter := value("OTEL_TRACES_EXPORTER"); {
	case exporter == "none", exporter == "" && !addressed:
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER=%s: set otlp or none", exporter)
	}
	p := cmp.Or(value("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), value("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	if p != "http/protobuf" {
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL=%s: %w", p, ErrProtocol)
	}
	return true, nil
}

// Start turns tracing on for the program if its environment says so. stop sends what waits, for at most five seconds,
// and turns it off; it is safe to call when tracing is off. log is o.Log; with tracing on, each of its lines that names
// footage has the trace id. Start may be called again after stop.
//
// Spans that cannot be sent are dropped after the limits of the OTEL_BSP_ variables: nothing waits for a collector.
func Start(ctx context.Context, o Options) (log *slog.Logger, stop func(), err error) {
	enabled, err := On(o.Environ)
	if err != nil {
		return nil, nil, fmt.Errorf("tracing: %w", err)
	}
	if !enabled {
		return o.Log, func() {}, nil
	}
	exporter, err := otlptracehttp.New(ctx) // reads the rest of the OTEL_ variables
	if err != nil {
		return nil, nil, fmt.Errorf("tracing: %w", err)
	}
	what, err := resource.New(ctx, resource.WithAttributes(
		text("service.name", o.Service), text("service.version", o.Version)), resource.WithFromEnv(), resource.WithHost())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("tracing: OTEL_RESOURCE_ATTRIBUTES: %w", err), exporter.Shutdown(ctx))
	}
	log = slog.New(handler{o.Log.Handler()})
	otel.SetErrorHandler(&faults{log: log})
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(what), sdktrace.WithIDGenerator(ids{}))
	on.Store(p)
	log.Info("tracing is on", "service", o.Service)
	return log, func() {
		on.CompareAndSwap(p, nil)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			log.Warn("cannot send the last spans", "err", err)
		}
	}, nil
}

// TraceID is the trace of footage.
func TraceID(id footage.ID) trace.TraceID {
	sum := sha256.Sum256([]byte("cattlecounter footage " + string(id)))
	return trace.TraceID(sum[:16])
}

// footageKey is where the context has the footage of a new trace.
type footageKey struct{}

// ids makes trace ids out of footage ids.
type ids struct{}

// NewIDs implements sdktrace.IDGenerator.
func (g ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, _ := ctx.Value(footageKey{}).(footage.ID)
	t := TraceID(id)
	return t, g.NewSpanID(ctx, t)
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(context.Context, trace.TraceID) (s trace.SpanID) {
	for !s.IsValid() {
		n := rand.Uint64()
		for i := range s {
			s[i] = byte(n >> (8 * i))
		}
	}
	return s
}

// faultsEvery is the time between two lines about spans that cannot be sent.
const faultsEvery = time.Minute

// faults logs the errors of OpenTelemetry.
type faults struct {
	log  *slog.Logger
	last atomic.Int64 // Unix nanoseconds
}

// Handle implements otel.ErrorHandler.
func (f *faults) Handle(err error) {
	now, last := time.Now().UnixNano(), f.last.Load()
	if now-last < int64(faultsEvery) || !f.last.CompareAndSwap(last, now) {
		return
	}
	f.log.Warn("tracing: spans are lost", "err", err)
}
