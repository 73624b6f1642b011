package intake

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue/embedded"
	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is an intake over real stores, reachable over HTTP.
type site struct {
	t      testing.TB
	dir    string
	clock  *clock.Clock
	ledger *ledger.Ledger
	blobs  *disk.Store
	queue  *embedded.Queue
	in     *Intake
	server *httptest.Server
	device ledger.Device // whose token the requests carry
	raw    sync.Map      // address of a raw client -> chan struct{}, closed when the server is done with the connection
}

// newSite opens everything below dir; alter may change the options.
func newSite(t testing.TB, dir string, alter ...func(*Options)) *site {
	t.Helper()
	s := &site{t: t, dir: dir, clock: clock.New()}
	s.device = ledger.Device{Name: "base-1", Site: "north", Role: ledger.RoleDevice}
	s.ledger = must.Get(ledger.Open(context.Background(), emptyledger.In(t, dir),
		ledger.Options{Now: s.clock.Now}))(t)
	s.blobs = must.Get(disk.New(filepath.Join(dir, "blobs")))(t)
	s.queue = must.Get(embedded.New(context.Background(), s.ledger.DB(), s.clock.Now))(t)
	o := Options{Ledger: s.ledger, Stager: s.blobs, Queue: s.queue, Now: s.clock.Now, MaxSize: 64 << 20}
	for _, f := range alter {
		f(&o)
	}
	s.in = must.Get(New(o))(t)
	s.server = httptest.NewUnstartedServer(s)
	s.server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if end, ok := s.raw.Load(c.RemoteAddr().String()); ok && state == http.StateClosed {
			close(end.(chan struct{}))
			s.raw.Delete(c.RemoteAddr().String())
		}
	}
	s.server.Start()
	t.Cleanup(s.close)
	return s
}

// sweep does everything that Run does, once.
func (in *Intake) sweep(ctx context.Context) error {
	return errors.Join(in.sweepUploads(ctx), in.sweepJobs(ctx))
}

// ServeHTTP acts as the web layer, which knows the holder of the token.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.device.Name != "" {
		r = r.WithContext(WithDevice(r.Context(), s.device))
	}
	s.in.ServeHTTP(w, r)
}

func (s *site) close() {
	s.server.Close()
	s.server.Client().CloseIdleConnections()
	_ = s.ledger.Close()
}

// reply is an answer with its body read.
type reply struct {
	status  int
	header  http.Header
	body    []byte
	problem wire.Problem
}

func (r reply) slug() wire.Slug { return r.problem.Slug() }

// do sends a request; header holds pairs of name and value.
func (s *site) do(method, url string, body io.Reader, header ...string) reply {
	s.t.Helper()
	if !strings.HasPrefix(url, "http") {
		url = s.server.URL + url
	}
	req := must.Get(http.NewRequestWithContext(context.Background(), method, url, body))(s.t)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	if req.Header.Get("Tus-Resumable") == "" {
		req.Header.Set("Tus-Resumable", "1.0.0")
	}
	resp := must.Get(s.server.Client().Do(req))(s.t)
	defer func() { _ = resp.Body.Close() }()
	r := reply{status: resp.StatusCode, header: resp.Header, body: must.Get(io.ReadAll(resp.Body))(s.t)}
	if r.status >= 400 {
		if got := r.header.Get("Content-Type"); got != wire.ProblemMedia {
			s.t.Fatalf("%s %s: %d with %s %q", method, url, r.status, got, r.body)
		}
		if method != http.MethodHead {
			must.Do(s.t, json.Unmarshal(r.body, &r.problem))
			if r.problem.Status != r.status || r.problem.Title == "" || r.problem.Detail == "" {
				s.t.Fatalf("problem of status %d: %s", r.status, r.body)
			}
		}
	}
	return r
}

// meta returns an Upload-Metadata header of pairs.
func meta(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(parts, ",")
}

// create begins an upload and returns its path.
func (s *site) create(size int, metadata ...string) string {
	s.t.Helper()
	r := s.do("POST", "/files/", nil, "Upload-Length", strconv.Itoa(size), "Upload-Metadata", meta(metadata...))
	if r.status != http.StatusCreated || !strings.HasPrefix(r.header.Get("Location"), "/files/") {
		s.t.Fatalf("create: %d %s %s", r.status, r.header.Get("Location"), r.body)
	}
	return r.header.Get("Location")
}

func (s *site) patch(path string, offset int, content []byte) reply {
	s.t.Helper()
	return s.do("PATCH", path, bytes.NewReader(content), "Upload-Offset", strconv.Itoa(offset), "Content-Type",
		"application/offset+octet-stream")
}

func (s *site) wantPatch(path string, offset int, content []byte) {
	s.t.Helper()
	r := s.patch(path, offset, content)
	if want := strconv.Itoa(offset + len(content)); r.status != http.StatusNoContent ||
		r.header.Get("Upload-Offset") != want {
		s.t.Fatalf("patch at %d: %d, offset %q, want %s: %s", offset, r.status, r.header.Get("Upload-Offset"), want, r.body)
	}
}

// head returns the offset of the server.
func (s *site) head(path string) int {
	s.t.Helper()
	r := s.do("HEAD", path, nil)
	if r.status != http.StatusOK {
		s.t.Fatalf("head %s: %d", path, r.status)
	}
	return must.Get(strconv.Atoi(r.header.Get("Upload-Offset")))(s.t)
}

func (s *site) want(r reply, status int, slug wire.Slug) {
	s.t.Helper()
	if r.status != status || r.slug() != slug || !slug.Allows(status) {
		s.t.Fatalf("got %d %s (%s), want %d %s", r.status, r.slug(), r.body, status, slug)
	}
}

// wantGone checks that the session and its bytes are deleted.
func (s *site) wantGone(path string) {
	s.t.Helper()
	if r := s.do("HEAD", path, nil); r.status != http.StatusNotFound {
		s.t.Fatalf("the session still exists: %d", r.status)
	}
	if files := must.Get(filepath.Glob(filepath.Join(s.dir, "blobs", ".staging", "*")))(s.t); len(files) != 0 {
		s.t.Fatalf("staged bytes remain: %q", files)
	}
}

// clip is content that begins like an MP4.
func clip(seed string, size int) []byte {
	b := make([]byte, 0, size+64)
	b = append(b, "\x00\x00\x00\x20ftypisom"...)
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, "%s %d ", seed, i)
	}
	return b[:size]
}

// upload sends a clip in one go and returns the footage.
func (s *site) upload(content []byte, metadata ...string) ledger.FootageView {
	s.t.Helper()
	path := s.create(len(content), metadata...)
	s.wantPatch(path, 0, content)
	return s.footageOf(path)
}

func (s *site) footageOf(path string) ledger.FootageView {
	s.t.Helper()
	u := must.Get(s.ledger.Uploads.Get(context.Background(), strings.TrimPrefix(path, "/files/")))(s.t)
	return must.Get(s.ledger.Footage.Get(context.Background(), u.Footage))(s.t)
}

func (s *site) blob(key string) []byte {
	s.t.Helper()
	r := must.Get(s.blobs.Open(context.Background(), key, 0, -1))(s.t)
	defer func() { _ = r.Close() }()
	return must.Get(io.ReadAll(r))(s.t)
}

// only returns the only video of a footage.
func (s *site) only(id footage.ID) []byte {
	s.t.Helper()
	key := must.Get(s.ledger.Footage.Get(context.Background(), id))(s.t).BlobKey
	for info, err := range s.blobs.List(context.Background(), "footage/") {
		if must.Do(s.t, err); info.Key != key && strings.Contains(info.Key, "/original") {
			s.t.Errorf("unexpected blob %s", info.Key)
		}
	}
	return s.blob(key)
}

func (s *site) messages() int {
	s.t.Helper()
	return must.Get(s.queue.Len(context.Background()))(s.t)
}

func digestOf(b []byte) string { return footage.Sum(b).String() }
