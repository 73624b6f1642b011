package web

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"cattlecounter/cloud/server/ground"
	"cattlecounter/cloud/server/notify"
	"cattlecounter/cloud/server/overview"
	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/server/stations"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue/embedded"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) {
	// fasthttp's pool sleeps for ten seconds before it sees that it was stopped.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		// Its clock for the Date header lives as long as the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// site is a running server with its own ledger.
type site struct {
	*Server
	t      *testing.T
	ledger *ledger.Ledger
	blobs  *disk.Store
	queue  *embedded.Queue
	url    string
	tokens map[ledger.Role]string
	stop   func() // ends Run and waits; twice is fine
	client *http.Client
}

type deviceKey struct{}

var testPage fs.FS = fstest.MapFS{"index.html": {Data: []byte("<!doctype html><title>x</title>")},
	"app.js": {Data: []byte("1")}}

func open(t *testing.T, change func(*Options)) *site {
	t.Helper()
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), emptyledger.In(t, dir), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, ledger: l, tokens: map[ledger.Role]string{}, client: &http.Client{Transport: &http.Transport{}}}
	if s.blobs, err = disk.New(filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	if s.queue, err = embedded.New(t.Context(), l.DB(), nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range []ledger.Role{ledger.RoleDevice, ledger.RoleReader, ledger.RoleOperator} {
		token, err := l.Devices.Add(t.Context(), string(r)+"1", "farm", r)
		if err != nil {
			t.Fatal(err)
		}
		s.tokens[r] = token.Reveal()
	}
	o := Options{
		Listen: "127.0.0.1:0", OpenReading: true, Hosts: []string{"x"}, Guesses: 10_000, IdleTimeout: 20 * time.Second, HeadTimeout: 20 * time.Second,
		Ledger: LedgerOf(l), Blobs: s.blobs, Queue: s.queue, Hub: progress.NewHub(l.Changes, l.Uploads,
			discard()), Page: testPage, Stations: stations.New(stations.Options{Devices: l.Devices}),
		Uploads: http.NotFoundHandler(), Metrics: prometheus.NewRegistry(), Log: discard(),
		WithDevice: func(ctx context.Context, d ledger.Device) context.Context {
			return context.WithValue(ctx, deviceKey{}, d)
		},
	}
	if o.Overview, err = overview.New(overview.Options{Sites: l.Sites, Borders: &ground.Names{Book: l.Borders}, Book: l.Book, Work: l.Work, Workers: l.Workers, Models: l.Models, Logs: l.Grounds, Uploads: l.Uploads,
		Stations: o.Stations}); err != nil {
		t.Fatal(err)
	}
	if o.Notifier, err = notify.New(notify.Options{Rules: l.Notifications, Events: l.Notifications, Messages: l.Notifications,
		Attention: o.Overview.(*overview.Overview), Feed: l.Changes, Flights: l.Flights, Book: l.Book, Channels: map[string]notify.Channel{wire.ChannelWebhook: notify.NewWebhooks(
			[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)}}); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&o)
	}
	if s.Server, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + s.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served, hub := make(chan error, 1), make(chan error, 1)
	go func() { hub <- o.Hub.Run(ctx) }()
	go func() { served <- s.Run(ctx) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		s.client.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := <-hub; err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

type response struct {
	status int
	header http.Header
	body   []byte
}

func (s *site) do(method, path, token string, headers ...string) response {
	s.t.Helper()
	return s.send(method, path, token, nil, headers...)
}

func (s *site) send(method, path, token string, body io.Reader, headers ...string) response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, text}
}

func (r response) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
}

// wantProblem checks that the answer is a complete problem document.
func (r response) wantProblem(t *testing.T, status int, slug string) {
	t.Helper()
	var p wire.Problem
	if r.header.Get("Content-Type") != wire.ProblemMedia {
		t.Fatalf("status %d, content type %q: %s", r.status, r.header.Get("Content-Type"), r.body)
	}
	r.decode(t, &p)
	if r.status != status || p.Status != status || p.Type != "/problems/"+slug || p.Title == "" || p.Detail == "" ||
		p.RequestID == "" || p.RequestID != r.header.Get("X-Request-Id") {
		t.Errorf("want %d %s, got status %d and %s", status, slug, r.status, r.body)
	}
}

// record adds a piece of footage with its job.
func (s *site) record(id string, content string) ledger.Recorded {
	s.t.Helper()
	rec, err := s.ledger.Footage.Record(s.t.Context(),
		ledger.Footage{ID: footage.ID(id), Site: "farm", Device: "device1", Name: id + ".mp4",
			Size: int64(len(content)), SHA256: footage.Sum([]byte(content)), BlobKey: "footage/" + id + "/original.mp4",
			Captured: time.Unix(1e9, 0)})
	if err != nil {
		s.t.Fatal(err)
	}
	return rec
}
