// Package collector receives OpenTelemetry spans over OTLP/HTTP, for tests. No program imports this package.
package collector

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one received span.
type Span struct {
	Service, Name     string
	Trace, ID, Parent string            // hex; Parent is "" for a root
	Texts             map[string]string // its attributes that are texts
	Fault             string            // the text of its status, when that is an error
}

// Receiver is a running receiver. Its methods are safe for concurrent use.
type Receiver struct {
	URL    string // for OTEL_EXPORTER_OTLP_ENDPOINT
	server *httptest.Server

	mu    sync.Mutex
	spans []Span
}

// New starts a receiver on loopback that ends with the test. A request that is not OTLP fails the test.
func New(t testing.TB) *Receiver {
	t.Helper()
	r := &Receiver{}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if err := r.receive(q); err != nil {
			t.Errorf("collector: %s %s: %v", q.Method, q.URL, err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	r.URL = r.server.URL
	t.Cleanup(r.Close)
	return r
}

// Close stops the receiver. It may be called twice.
func (r *Receiver) Close() { r.server.Close() }

// Spans returns what was received so far, in order of arrival.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

func (r *Receiver) receive(q *http.Request) error {
	if q.Method != http.MethodPost || q.URL.Path != "/v1/traces" {
		return errors.New("only POST /v1/traces is expected")
	}
	b, err := io.ReadAll(q.Body)
	if err != nil {
		return err
	}
	var m collect.ExportTraceServiceRequest
	if err := proto.Unmarshal(b, &m); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range m.ResourceSpans {
		service := ""
		for _, a := range rs.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				r.spans = append(r.spans, span(service, s))
			}
		}
	}
	return nil
}

func span(service string, s *otlp.Span) Span {
	out := Span{Service: service, Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId),
		Parent: hex.EncodeToString(s.ParentSpanId), Texts: map[string]string{}}
	for _, a := range s.Attributes {
		if text := a.Value.GetStringValue(); text != "" {
			out.Texts[a.Key] = text
		}
	}
	if s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR {
		out.Fault = s.Status.GetMessage()
	}
	return out
}
