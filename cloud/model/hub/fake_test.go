package hub

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	token  = "hf_a_secret_token"
)

// fakeHub answers like the Hugging Face hub: large files are on another server, which must never get the token.
type fakeHub struct {
	t      *testing.T
	files  map[string]string // by path; .onnx and weights are in LFS
	commit string
	wall   func(w http.ResponseWriter, r *http.Request) bool // returns true when it has answered
	cdnHit func(w http.ResponseWriter, r *http.Request, content string) bool

	mu   sync.Mutex
	seen []string // requests, with their ranges

	hub, cdn *httptest.Server
}

func newHub(t *testing.T, files map[string]string) *fakeHub {
	h := &fakeHub{t: t, files: files, commit: commit}
	h.hub = httptest.NewServer(http.HandlerFunc(h.serve))
	h.cdn = httptest.NewServer(http.HandlerFunc(h.deliver))
	t.Cleanup(h.hub.Close)
	t.Cleanup(h.cdn.Close)
	return h
}

func inLFS(path string) bool { return strings.Contains(path, ".onnx") }

func gitDigest(content string) string {
	s := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content))
	return hex.EncodeToString(s[:])
}

func (h *fakeHub) note(where string, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, strings.TrimSpace(where+" "+r.URL.Path+" "+r.Header.Get("Range")))
}

// requests returns the requests since the last call.
func (h *fakeHub) requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.seen
	h.seen = nil
	return s
}

func (h *fakeHub) serve(w http.ResponseWriter, r *http.Request) {
	h.note("hub", r)
	if h.wall != nil && h.wall(w, r) {
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/api/models/herd/yak/revision/")
	if ok && (rest == "main" || rest == "refs/pr/1" || rest == h.commit) {
		h.list(w)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/herd/yak/resolve/"+h.commit+"/")
	content, there := h.files[path]
	w.Header().Set("X-Repo-Commit", h.commit)
	switch {
	case !ok, !there:
		w.Header().Set("X-Error-Code", "EntryNotFound")
		http.Error(w, "Entry not found", http.StatusNotFound)
	case inLFS(path):
		w.Header().Set("X-Linked-Size", fmt.Sprint(len(content)))
		w.Header().Set("X-Linked-ETag", `"`+footage.Sum([]byte(content)).String()+`"`)
		w.Header().Set("ETag", `"of the redirect"`)
		http.Redirect(w, r, h.cdn.URL+"/store/"+path+"?Signature=sesame", http.StatusFound)
	default:
		w.Header().Set("ETag", `"`+gitDigest(content)+`"`)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, content)
	}
}

func (h *fakeHub) list(w http.ResponseWriter) {
	type object map[string]any
	var siblings []object
	for path, content := range h.files {
		s := object{"rfilename": path, "size": len(content), "blobId": gitDigest(content)}
		if inLFS(path) {
			s["blobId"] = gitDigest("pointer to " + path)
			s["lfs"] = object{"sha256": footage.Sum([]byte(content)).String(), "size": len(content), "pointerSize": 134}
		}
		siblings = append(siblings, s)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err := json.NewEncoder(w).Encode(object{"id": "herd/yak", "sha": h.commit, "gated": false, "siblings": siblings}); err != nil {
		h.t.Error(err)
	}
}

// deliver is the storage server, with ranges and strong entity tags.
func (h *fakeHub) deliver(w http.ResponseWriter, r *http.Request) {
	h.note("cdn", r)
	if r.Header.Get("Authorization") != "" {
		h.t.Errorf("the storage server got the header %s", r.Header.Get("Authorization"))
	}
	content := h.files[strings.TrimPrefix(r.URL.Path, "/store/")]
	if h.cdnHit != nil && h.cdnHit(w, r, content) {
		return
	}
	w.Header().Set("ETag", `"`+footage.Sum([]byte(content)).String()[:8]+`"`)
	http.ServeContent(w, r, "model.onnx", time.Time{}, strings.NewReader(content))
}

// cut sends the first n bytes and closes the connection.
func cut(w http.ResponseWriter, content string, n int) {
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	w.Header().Set("ETag", `"`+footage.Sum([]byte(content)).String()[:8]+`"`)
	fmt.Fprint(w, content[:n])
	if err := http.NewResponseController(w).Flush(); err != nil {
		panic(err)
	}
	panic(http.ErrAbortHandler)
}

// puller pulls without pauses between the tries.
type puller struct {
	t      *testing.T
	store  model.Store
	base   string
	change func(*Options)
	check  func(context.Context, string) error
	client func(*client)
	waits  []time.Duration
	notes  []string
}

func newPuller(t *testing.T, h *fakeHub) *puller {
	return &puller{t: t, store: model.Store{Dir: filepath.Join(t.TempDir(), "models")}, base: h.hub.URL}
}

func (p *puller) pull(text string) (Outcome, error) {
	p.t.Helper()
	r, err := ParseReference(text, p.base)
	if err != nil {
		p.t.Fatal(err)
	}
	o := Options{
		Reference: r, Store: p.store, MaxSize: 1 << 20, Token: secret.New(token), TokenBase: p.base,
		Check: func(context.Context, string) error { return nil }, Bad: func(error) bool { return true }, Progress: func(string, int64, int64) {},
		Note: func(s string) { p.notes = append(p.notes, s) },
	}
	if p.check != nil {
		o.Check = p.check
	}
	if p.change != nil {
		p.change(&o)
	}
	c := newClient(o.TokenBase, o.Token)
	defer c.http.CloseIdleConnections()
	c.pause = func(ctx context.Context, d time.Duration) error {
		p.waits = append(p.waits, d)
		return ctx.Err()
	}
	if p.client != nil {
		p.client(c)
	}
	out, err := run(p.t.Context(), o, c)
	if err != nil && strings.Contains(err.Error(), token) || strings.Contains(strings.Join(p.notes, ""), token) {
		p.t.Errorf("a message contains the token: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "sesame") || strings.Contains(strings.Join(p.notes, ""), "sesame") {
		p.t.Errorf("a message contains the password of the storage server: %v", err)
	}
	return out, err
}

func (p *puller) must(text string) Outcome {
	p.t.Helper()
	out, err := p.pull(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// content checks that a model has exactly these files, and the right digests.
func (p *puller) content(e model.Entry, files map[string]string) {
	p.t.Helper()
	found, err := os.ReadDir(e.Path)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range found {
		b, err := os.ReadFile(filepath.Join(e.Path, f.Name()))
		if err != nil {
			p.t.Fatal(err)
		}
		want, ok := files[f.Name()]
		if ok && string(b) != want || !ok && f.Name() != model.SumsFile && f.Name() != model.SourceFile {
			p.t.Errorf("%s has %.60q", f.Name(), b)
		}
	}
	if len(found) != len(files)+2 {
		p.t.Errorf("found %v, want %d files with digests and source", found, len(files))
	}
	if n, err := model.CheckSums(p.t.Context(), e.Path); err != nil || n != len(files) {
		p.t.Errorf("%d sums: %v", n, err)
	}
}

// names lists the files of the store, including the stages.
func (p *puller) names() []string {
	p.t.Helper()
	found, err := os.ReadDir(p.store.Dir)
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		if f.Name() != "lock" {
			names = append(names, f.Name())
		}
	}
	return names
}
