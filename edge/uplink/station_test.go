package uplink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

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
	cloud := fakecloud.New(token)
	srv := httptest.NewServer(cloud)
	t.Cleanup(srv.Close)
	return build(t, cloud, CloudOptions{URL: srv.URL, IdleTimeout: 10 * time.Second}, change)
}

// newBubble is a station without sockets for a synctest bubble.
func newBubble(t *testing.T, change ...func(*CloudOptions, *Options)) *station {
	t.Helper()
	cloud := fakecloud.New(token)
	return build(t, cloud, CloudOptions{URL: "http://cloud", Transport: inProcess{cloud, func() bool { return true }}},
		change)
}

func build(t *testing.T, cloud *fakecloud.Cloud, co CloudOptions, change []func(*CloudOptions, *Options)) *station {
	t.Helper()
	st := &station{t: t, cloud: cloud, changed: make(chan struct{}, 1)}
	sp, err := spool.Open(spool.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sp.Close() })
	st.spool = sp
	sp.Records.OnChange(st.note)
	co.Token = NewToken(secret.New(token), "", nil)
	o := Options{Spool: Spool{Records: sp.Records, Content: sp.Content, Uploads: sp.Uploads, Recovery: sp.Recovery,
		Link: sp.Link}}
	for _, f := range change {
		f(&co, &o)
	}
	c, err := NewCloud(co)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	o.Cloud = c
	if st.up, err = New(o); err != nil {
		t.Fatal(err)
	}
	return st
}

// received is how many bytes of bodies the cloud has read.
func (st *station) received() int64 {
	st.cloud.Lock()
	defer st.cloud.Unlock()
	return st.cloud.Received
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
	r, err := st.spool.Captures.Add(spool.Source{Path: "/card/" + name, Size: int64(size)}, nil)
	if err != nil {
		st.t.Fatal(err)
	}
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID, Video: st.put(r.ID, spool.Video, name, size)}
	if telemetry {
		f := st.put(r.ID, spool.Telemetry, name+".srt", 200)
		m.Telemetry = &f
	}
	if r, err = st.spool.Captures.Commit(m); err != nil {
		st.t.Fatal(err)
	}
	return r
}

func (st *station) put(id footage.ID, p spool.Part, name string, size int) footage.File {
	st.t.Helper()
	if _, err := st.spool.Captures.BeginRead(id); err != nil {
		st.t.Fatal(err)
	}
	b := bytes.Repeat([]byte(name+string(p)+"0123456789abcdef"), size/16+1)[:size]
	f := footage.File{Name: name, Size: int64(size), SHA256: footage.Sum(b)}
	for at := 0; at < size; at += footage.ChunkSize {
		c := b[at:min(at+footage.ChunkSize, size)]
		f.Chunks = append(f.Chunks, footage.Chunk{Index: len(f.Chunks), Size: int64(len(c)), SHA256: footage.Sum(c)})
		if err := st.spool.Content.PutChunk(id, p, f.Chunks[len(f.Chunks)-1], c); err != nil {
			st.t.Fatal(err)
		}
	}
	return f
}

// run runs the uplink until the end of the test.
func (st *station) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = st.up.Run(ctx) }()
	st.t.Cleanup(func() { cancel(); <-done })
}

// waitFor waits until a record satisfies ok.
func (st *station) waitFor(what string, id footage.ID, ok func(spool.Record) bool) spool.Record {
	st.t.Helper()
	limit := time.After(3 * time.Minute)
	for {
		if r, _ := st.spool.Records.Get(id); ok(r) {
			return r
		}
		select {
		case <-st.changed:
		case <-limit:
			r, _ := st.spool.Records.Get(id)
			st.t.Fatalf("%s: not within the time limit: %+v; link %+v", what, r, st.up.Link())
		}
	}
}

func reclaimed(r spool.Record) bool { return r.State == spool.Reclaimed }

func quarantined(r spool.Record) bool { return r.State == spool.Quarantined }

// inProcess is a network without sockets, so that a synctest bubble's clock runs.
type inProcess struct {
	h  http.Handler
	up func() bool
}

func (n inProcess) RoundTrip(r *http.Request) (_ *http.Response, err error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if !n.up() {
		return nil, errors.New("dial tcp: connection refused")
	}
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.Body = http.NoBody
	if r.Body != nil {
		in.Body = &faulty{r.Body, &err}
	}
	defer func() {
		if p := recover(); p != nil && err == nil {
			err = fmt.Errorf("connection reset: %v", p)
		}
	}()
	n.h.ServeHTTP(w, in)
	if err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// faulty records a body's own error, which ends the request as with a transport.
type faulty struct {
	io.ReadCloser
	err *error
}

func (f *faulty) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		*f.err = err
	}
	return n, err
}

// after advances the time of a bubble.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (st *station) record(id footage.ID) spool.Record {
	st.t.Helper()
	r, ok := st.spool.Records.Get(id)
	if !ok {
		st.t.Fatalf("no record of %s", id)
	}
	return r
}
