package tracing

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"cattlecounter/deploy/testkit/collector"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start turns tracing on as a program does, with its spans going to the receiver.
func start(t *testing.T, r *collector.Receiver) (stop func(), log *bytes.Buffer, logger *slog.Logger) {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)
	log = &bytes.Buffer{}
	logger, stop, err := Start(t.Context(), Options{Service: "test", Version: "1.2.3", Environ: os.Environ(),
		Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return stop, log, logger
}

func TestOn(t *testing.T) {
	for _, c := range []struct {
		environ string
		want    bool
		fault   string
	}{
		{"", false, ""},
		{"HOME=/root", false, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=", false, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", true, ""},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://collector:4318/v1/traces", true, ""},
		{"OTEL_TRACES_EXPORTER=otlp", true, ""},
		{"OTEL_TRACES_EXPORTER=none OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", false, ""},
		{"OTEL_SDK_DISABLED=TRUE OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", false, ""},
		{"OTEL_TRACES_EXPORTER=zipkin", false, "OTEL_TRACES_EXPORTER=zipkin: set otlp or none"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=grpc", false, "only http/protobuf"},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", true, ""},
	} {
		got, err := On(strings.Fields(c.environ))
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: %v, %v", c.environ, got, err)
		}
	}
}

func TestNothingHappensWhileItIsOff(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	same, stop, err := Start(t.Context(), Options{Service: "test", Log: log})
	if err != nil || same != log {
		t.Fatal(err)
	}
	ctx, span := Begin(t.Context(), "upload", "f1")
	span.Number("bytes", 1)
	span.End(errors.New("a fault"))
	h := http.Header{}
	Inject(ctx, h)
	if len(h) != 0 || ctx != t.Context() {
		t.Errorf("header %v", h)
	}
	stop()
}

// A station, a server and a worker know the footage alone; their steps are one trace. The server's step belongs to the
// station's, because a header says so.
func TestOneTraceForOneFootage(t *testing.T) {
	r := collector.New(t)
	stop, log, logger := start(t, r)
	const id footage.ID = "01m8p1n6x3b1dqzxx2zg7qmfa9"
	h := http.Header{}
	ctx, upload := Begin(context.Background(), "upload", id)
	Inject(ctx, h)
	receiving, receive := Receive(context.Background(), h.Get(HeaderParent), "receive", id)
	_, record := Begin(receiving, "record", id)
	record.End(nil)
	receive.Number("bytes", 17)
	receive.End(nil)
	upload.End(errors.New("the link \x1b[31mis down"))
	_, count := Begin(context.Background(), "count", id)
	count.End(nil)
	_, other := Receive(context.Background(), h.Get(HeaderParent), "receive", "another")
	other.End(nil)
	_, nested := Begin(ctx, "count", "another")
	nested.End(nil)
	logger.With("footage", id).Info("job done")
	logger.Info("upload finished", "footage", id)
	logger.Info("nothing to do", "footage", "")
	stop()

	all, by := r.Spans(), map[string]collector.Span{}
	for _, s := range all {
		of := s.Texts["cattle.footage"]
		if want := TraceID(footage.ID(of)).String(); s.Trace != want || s.Service != "test" {
			t.Errorf("%s of %s: trace %s, want %s; service %s", s.Name, of, s.Trace, want, s.Service)
		}
		by[s.Name+" of "+of] = s
	}
	if len(all) != 6 || len(by) != 6 {
		t.Fatalf("%d spans: %v", len(all), by)
	}
	for _, c := range []struct{ step, parent string }{{"receive", "upload"}, {"record", "receive"}} {
		if got, want := by[c.step+" of "+string(id)].Parent, by[c.parent+" of "+string(id)].ID; got != want {
			t.Errorf("%s: parent %s, want %s", c.step, got, want)
		}
	}
	for _, root := range []string{"upload of " + string(id), "count of " + string(id), "receive of another", "count of another"} {
		if p := by[root].Parent; p != "" {
			t.Errorf("%s: parent %s, want none", root, p)
		}
	}
	if fault := by["upload of "+string(id)].Fault; fault == "" || strings.Contains(fault, "\x1b") {
		t.Errorf("fault %q", fault)
	}
	if n := strings.Count(log.String(), "trace_id="+TraceID(id).String()); n != 2 || strings.Count(log.String(), "trace_id=") != 2 {
		t.Errorf("log:\n%s", log)
	}
}

// Programs that sample keep the same footage, whichever is asked first.
func TestSamplingGoesByFootage(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
	kept := [2]map[string]bool{}
	for program := range kept {
		r := collector.New(t)
		stop, _, _ := start(t, r)
		for n := range 400 {
			_, s := Begin(context.Background(), "count", footage.ID("f"+string(rune('a'+n%26))+strings.Repeat("x", n/26)))
			s.End(nil)
		}
		stop()
		kept[program] = map[string]bool{}
		for _, s := range r.Spans() {
			kept[program][s.Trace] = true
		}
	}
	if n := len(kept[0]); n < 60 || n > 140 {
		t.Errorf("%d of 400 traces are kept, want about 100", n)
	}
	for id := range kept[0] {
		if !kept[1][id] {
			t.Fatalf("one program keeps the trace %s, the other one does not", id)
		}
	}
}

// A collector that does not answer holds up nothing and is reported once.
func TestLostSpansAreReported(t *testing.T) {
	r := collector.New(t)
	r.Close()
	stop, log, _ := start(t, r)
	_, s := Begin(context.Background(), "count", "f1")
	s.End(nil)
	stop()
	if !strings.Contains(log.String(), "spans") || strings.Count(log.String(), "level=WARN") > 2 {
		t.Errorf("log:\n%s", log)
	}
}

func TestFaultyEnvironment(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "no equals sign")
	_, _, err := Start(t.Context(), Options{Service: "test", Environ: []string{"OTEL_TRACES_EXPORTER=otlp"}, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "OTEL_RESOURCE_ATTRIBUTES") {
		t.Errorf("error %v", err)
	}
}

// FuzzReceive: whatever a stranger writes into the header, the step is of the footage's trace.
func FuzzReceive(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "f1")
	f.Add("00-"+TraceID("f1").String()+"-b7ad6b7169203331-01", "f1")
	f.Add("", "")
	_, stop, err := Start(context.Background(), Options{Service: "fuzz", Environ: []string{"OTEL_TRACES_EXPORTER=otlp"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(stop)
	// The spans are never ended: nothing is sent.
	f.Fuzz(func(t *testing.T, parent, id string) {
		ctx, _ := Receive(context.Background(), parent, "receive", footage.ID(id))
		h := http.Header{}
		Inject(ctx, h)
		if want := TraceID(footage.ID(id)).String(); id != "" && !strings.HasPrefix(h.Get(HeaderParent), "00-"+want) {
			t.Errorf("%q: %s, want the trace %s", parent, h.Get(HeaderParent), want)
		}
	})
}

func BenchmarkBegin(b *testing.B) {
	for b.Loop() {
		_, s := Begin(context.Background(), "count", "f1")
		s.End(nil)
	}
}
