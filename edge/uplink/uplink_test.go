package uplink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink/fakecloud"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

const token = "cc_test"

// station is a spool with an uplink to a fake cloud.
type station struct {
	t     *testing.T
	spool *spool.Spool
	cloud *fakecloud.Cloud
	up    *Uplink

	mu      sync.Mutex
	changed chan struct{}
	seen    []spool.Record
}

func newStation(t *testing.T, change ...func(*CloudOptions, *Options)) *station {
	t.Helper()
	st := &station{t: t, cloud: fakecloud.New(token), changed: make(chan struct{}, 1)}
	srv := httptest.NewServer(st.cloud)
	t.Cleanup(srv.Close)
	sp, err := spool.Open(spool.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sp.Close() })
	st.spool = sp
	sp.OnChange(st.note)
	co, o := CloudOptions{URL: srv.URL, Token: secret.New(token), IdleTimeout: 10 * time.Second}, Options{Spool: sp}
	for _, f := range change {
		f(&co, &o)
	}
	c, err := NewCloud(co)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	o.Cloud = c
	st.up = New(o)
	return st
}

func (st *station) note(r spool.Record) {
	st.mu.Lock()
	st.seen = append(st.seen, r)
	st.mu.Unlock()
	select {
	case st.changed <- struct{}{}:
	default:
	}
}

// add spools random footage, with telemetry if asked.
func (st *station) add(name string, size int, telemetry bool) spool.Record {
	st.t.Helper()
	r, err := st.spool.Capture(spool.Source{Path: "/card/" + name, Size: int64(size)}, nil)
	if err != nil {
		st.t.Fatal(err)
	}
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID, Video: st.put(r.ID, spool.Video, name, size)}
	if telemetry {
		f := st.put(r.ID, spool.Telemetry, name+".srt", 200)
		m.Telemetry = &f
	}
	if r, err = st.spool.Commit(m); err != nil {
		st.t.Fatal(err)
	}
	return r
}

func (st *station) put(id footage.ID, p spool.Part, name string, size int) footage.File {
	st.t.Helper()
	if _, err := st.spool.BeginRead(id); err != nil {
		st.t.Fatal(err)
	}
	b := bytes.Repeat([]byte(name+string(p)+"0123456789abcdef"), size/16+1)[:size]
	f := footage.File{Name: name, Size: int64(size), SHA256: footage.Sum(b)}
	for at := 0; at < size; at += footage.ChunkSize {
		c := b[at:min(at+footage.ChunkSize, size)]
		f.Chunks = append(f.Chunks, footage.Chunk{Index: len(f.Chunks), Size: int64(len(c)), SHA256: footage.Sum(c)})
		if err := st.spool.PutChunk(id, p, f.Chunks[len(f.Chunks)-1], c); err != nil {
			st.t.Fatal(err)
		}
	}
	return f
}

// run starts the uplink until the test's end.
func (st *station) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = st.up.Run(ctx) }()
	st.t.Cleanup(func() { cancel(); <-done })
}

// until waits for a record that ok likes.
func (st *station) until(what string, id footage.ID, ok func(spool.Record) bool) spool.Record {
	st.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		if r, _ := st.spool.Record(id); ok(r) {
			return r
		}
		select {
		case <-st.changed:
		case <-limit:
			r, _ := st.spool.Record(id)
			st.t.Fatalf("%s: not reached: %+v; link %+v", what, r, st.up.Link())
		}
	}
}

func reclaimed(r spool.Record) bool { return r.State == spool.Reclaimed }

func quarantined(r spool.Record) bool { return r.State == spool.Quarantined }

func TestTelemetryThenVideoThenConfirmed(t *testing.T) {
	st := newStation(t)
	r := st.add("a.mp4", 9<<20, true)
	st.run()
	st.until("done", r.ID, reclaimed)
	st.cloud.Lock()
	defer st.cloud.Unlock()
	if want := []string{"POST telemetry", "DONE telemetry", "POST video", "DONE video"}; !slices.Equal(st.cloud.Order, want) {
		t.Errorf("%v", st.cloud.Order)
	}
	for _, u := range st.cloud.Uploads {
		if u.Meta["footage"] != string(r.ID) || u.Meta["device"] != "" {
			t.Errorf("%v", u.Meta)
		}
	}
	if st.up.Link().State != LinkUp {
		t.Errorf("%+v", st.up.Link())
	}
}

// Cut at many places: the server's offset wins and nothing but the piece in
// flight is sent twice.
func TestCuts(t *testing.T) {
	st := newStation(t)
	st.cloud.CutAfter = 3<<20 + 17
	r := st.add("cut.mp4", 10<<20, false)
	st.run()
	st.until("done", r.ID, func(rec spool.Record) bool {
		st.up.Kick() // no waiting in a test
		return reclaimed(rec)
	})
	st.cloud.Lock()
	defer st.cloud.Unlock()
	if st.cloud.Received != 10<<20 || len(st.cloud.Uploads) != 1 {
		t.Errorf("%d bytes in %d uploads", st.cloud.Received, len(st.cloud.Uploads))
	}
}

func TestResumeAfterRestartUsesTheServersOffset(t *testing.T) {
	st := newStation(t)
	r := st.add("r.mp4", 9<<20, false)
	var patches []string
	st.cloud.CutAfter = 5 << 20
	st.cloud.Before = func(w http.ResponseWriter, q *http.Request) bool {
		st.cloud.Lock()
		defer st.cloud.Unlock()
		if q.Method == http.MethodPatch {
			patches = append(patches, q.Header.Get("Upload-Offset"))
		}
		return false
	}
	if err := st.up.send(t.Context(), r); !errors.Is(err, ErrLink) {
		t.Fatal(err)
	}
	rec, _ := st.spool.Record(r.ID)
	rec.Video.Offset = 8 << 20 // whatever we believed
	if err := st.spool.SetTransfer(r.ID, spool.Video, rec.Video); err != nil {
		t.Fatal(err)
	}
	rec, _ = st.spool.Record(r.ID)
	if err := st.up.send(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if want := []string{"0", "5242880"}; !slices.Equal(patches, want) {
		t.Errorf("%v", patches)
	}
}

func TestLostUploads(t *testing.T) {
	st := newStation(t)
	r := st.add("l.mp4", 1<<20, false)
	if err := st.spool.SetTransfer(r.ID, spool.Video, spool.Transfer{URL: st.up.o.Cloud.at("/files/old"), Offset: 5}); err != nil {
		t.Fatal(err)
	}
	st.run()
	st.until("begun again", r.ID, reclaimed)
	st.up.SetPaused(true)

	// Gone because it is there already: nothing is sent.
	st.cloud.Lock()
	before := st.cloud.Received
	st.cloud.Unlock()
	r2 := st.add("l2.mp4", 1<<20, false)
	m, err := st.spool.Manifest(r2.ID)
	if err != nil {
		t.Fatal(err)
	}
	st.cloud.Lock()
	st.cloud.Footage[string(r2.ID)] = &fakecloud.Footage{ID: string(r2.ID), Size: m.Video.Size, SHA256: m.Video.SHA256.String(), DuplicateOf: "first"}
	st.cloud.Unlock()
	if err := st.spool.SetTransfer(r2.ID, spool.Video, spool.Transfer{URL: st.up.o.Cloud.at("/files/old"), Offset: 5}); err != nil {
		t.Fatal(err)
	}
	st.up.SetPaused(false)
	if got := st.until("there", r2.ID, reclaimed); got.DuplicateOf != "first" {
		t.Errorf("%+v", got)
	}
	st.cloud.Lock()
	defer st.cloud.Unlock()
	if st.cloud.Received != before {
		t.Errorf("%d bytes were sent for nothing", st.cloud.Received-before)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status       int
		kind, detail string
	}{
		"not a video": {415, "not-a-video", "begins with GIF89a"},
		"too large":   {413, "too-large", "at most 64 GiB"},
		"metadata":    {400, "bad-metadata", "captured is no time"},
		"id is taken": {409, "conflict", "known with other content"},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStation(t)
			st.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				fakecloud.Problem(w, c.status, c.kind, c.detail)
				return true
			}
			bad := st.add("bad.mp4", 1<<20, false)
			st.run()
			if r := st.until("quarantine", bad.ID, quarantined); !strings.Contains(r.Reason, c.detail) {
				t.Error(r.Reason)
			}
		})
	}
}

func TestTokenRefused(t *testing.T) {
	st := newStation(t, func(c *CloudOptions, _ *Options) { c.Token = secret.New("cc_wrong") })
	r := st.add("t.mp4", 100, false)
	st.run()
	rec := st.until("waiting", r.ID, func(r spool.Record) bool { return r.Waiting != "" })
	if !strings.Contains(rec.Waiting, "token refused: no such device") || rec.State == spool.Quarantined || st.up.Link().State != LinkRefused {
		t.Errorf("%+v, link %+v", rec, st.up.Link())
	}
}

func TestWrongHashIsTriedThreeTimes(t *testing.T) {
	st := newStation(t)
	var tries atomic.Int64
	st.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		tries.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		st.cloud.Lock()
		delete(st.cloud.Uploads, r.URL.Path)
		st.cloud.Unlock()
		fakecloud.Problem(w, 422, "hash-mismatch", "got 00")
		return true
	}
	r := st.add("h.mp4", 1<<20, false)
	st.run()
	rec := st.until("quarantine", r.ID, quarantined)
	if tries.Load() != maxHashFaults+1 || !strings.Contains(rec.Reason, "spool's copy is right") {
		t.Errorf("%d tries, %s", tries.Load(), rec.Reason)
	}
}

// The cloud has other content under our id: nothing of ours may be deleted.
func TestConfirmationOfOtherContent(t *testing.T) {
	st := newStation(t)
	r := st.add("o.mp4", 1<<20, false)
	st.cloud.Before = func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasPrefix(q.URL.Path, "/api/") {
			return false
		}
		_, _ = w.Write([]byte(`{"id":"` + string(r.ID) + `","size":1,"sha256":"` + footage.Sum(nil).String() + `"}`))
		return true
	}
	st.run()
	st.until("quarantine", r.ID, quarantined)
	if err := st.spool.Verify(t.Context(), r.ID); err != nil {
		t.Errorf("content is gone: %v", err)
	}
}

func TestPause(t *testing.T) {
	st := newStation(t, func(c *CloudOptions, o *Options) { o.Paused = true })
	r := st.add("p.mp4", 1<<20, false)
	st.run()
	if st.up.Link().State != LinkPaused || !st.up.Paused() {
		t.Errorf("%+v", st.up.Link())
	}
	st.up.SetPaused(false)
	st.until("resumed", r.ID, reclaimed)
}

func TestRateLimit(t *testing.T) {
	st := newStation(t, func(_ *CloudOptions, o *Options) { o.RateLimit = 2 << 20 })
	r := st.add("s.mp4", 4<<20, false) // burst of one second, then 2 MiB/s
	began := time.Now()
	st.run()
	st.until("done", r.ID, reclaimed)
	if d := time.Since(began); d < time.Second {
		t.Errorf("4 MiB at 2 MiB/s took %s", d)
	}
}

func TestStall(t *testing.T) {
	release := make(chan struct{})
	st := newStation(t, func(c *CloudOptions, _ *Options) { c.IdleTimeout = 200 * time.Millisecond })
	var once atomic.Bool
	st.cloud.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && once.CompareAndSwap(false, true) {
			<-release // takes nothing and says nothing
			return true
		}
		return false
	}
	r := st.add("stall.mp4", 16<<20, false)
	st.run()
	rec := st.until("cut", r.ID, func(r spool.Record) bool { return r.Waiting != "" })
	if !strings.Contains(rec.Waiting, "no byte moved for 200ms") {
		t.Error(rec.Waiting)
	}
	close(release)
	st.up.Kick()
	st.until("done", r.ID, reclaimed)
}

func TestDamagedSpoolIsReadAgain(t *testing.T) {
	st := newStation(t)
	r := st.add("d.mp4", 1<<20, false)
	// The chunk's place holds other bytes now.
	if err := st.spool.PutChunk(r.ID, spool.Video, footage.Chunk{Index: 0, Size: 3, SHA256: footage.Sum([]byte("bad"))}, []byte("bad")); err != nil {
		t.Fatal(err)
	}
	st.run()
	st.until("captured again", r.ID, func(r spool.Record) bool { return r.State == spool.Captured })
}

// inProcess is a network without sockets, so that a synctest bubble's clock runs.
type inProcess struct {
	h  http.Handler
	up func() bool
}

func (n inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if !n.up() {
		return nil, errors.New("dial tcp: connection refused")
	}
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	n.h.ServeHTTP(w, in)
	return w.Result(), nil
}

// The cloud is away at the start and for minutes in the middle.
func TestCloudAwayForMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := fakecloud.New(token)
		cloud.CutAfter, cloud.Cut = 3<<20, func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }
		began := time.Now()
		up := func() bool {
			d := time.Since(began)
			return d > 3*time.Minute && d < 4*time.Minute || d > 20*time.Minute
		}
		sp, err := spool.Open(spool.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewCloud(CloudOptions{URL: "http://cloud", Token: secret.New(token), Transport: inProcess{cloud, up}})
		if err != nil {
			t.Fatal(err)
		}
		st := &station{t: t, spool: sp, cloud: cloud, up: New(Options{Spool: sp, Cloud: c})}
		r := st.add("away.mp4", 10<<20, true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = st.up.Run(ctx) }()
		for range 40 {
			<-time.After(time.Minute) // of the bubble
		}
		rec, _ := sp.Record(r.ID)
		cancel()
		<-done
		if err := sp.Close(); err != nil {
			t.Error(err)
		}
		if rec.State != spool.Reclaimed {
			t.Errorf("after 40 minutes: %+v", rec)
		}
	})
}
