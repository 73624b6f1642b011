package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

// asked returns the requests for the network at the storage server.
func asked(h *fakeHub) []string {
	var list []string
	for _, s := range h.requests() {
		if rest, ok := strings.CutPrefix(s, "cdn /store/model.onnx"); ok {
			list = append(list, strings.TrimSpace(rest))
		}
	}
	return list
}

func TestContinuesAfterACut(t *testing.T) {
	h := newHub(t, plain)
	n := 0
	h.cdnHit = func(w http.ResponseWriter, r *http.Request, content string) bool {
		if n++; n == 1 {
			cut(w, content, 30_000)
		}
		if got := r.Header.Get("If-Range"); got == "" {
			t.Error("continues without If-Range")
		}
		return false
	}
	p := newPuller(t, h)
	p.content(p.must("herd/yak").Entry, plain)
	if got := asked(h); !slices.Equal(got, []string{"", "bytes=30000-"}) {
		t.Errorf("requests: %q", got)
	}
	if len(p.notes) != 1 || !strings.Contains(p.notes[0], "retrying in") {
		t.Errorf("notes: %q", p.notes)
	}
}

// TestContinuesInTheNextPull cancels a pull; the next one continues it.
func TestContinuesInTheNextPull(t *testing.T) {
	h := newHub(t, plain)
	h.cdnHit = func(w http.ResponseWriter, _ *http.Request, content string) bool {
		cut(w, content, 40_000)
		return true
	}
	p := newPuller(t, h)
	if _, err := p.pull("herd/yak"); !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "worker model pull ./FOLDER") {
		t.Error(err)
	}
	if got := p.names(); len(got) != 1 || !strings.HasPrefix(got[0], ".pull-") {
		t.Fatalf("files in the store: %v", got)
	}
	if e, err := p.store.List(); err != nil || len(e) != 0 {
		t.Errorf("an incomplete model is listed: %v %v", e, err)
	}
	h.requests()
	h.cdnHit = nil
	p.content(p.must("herd/yak").Entry, plain)
	if got := asked(h); !slices.Equal(got, []string{"bytes=40000-"}) {
		t.Errorf("requests: %q", got)
	}
}

// TestServerWithoutRanges starts the download again each time. A server that never reaches the end is given up.
func TestServerWithoutRanges(t *testing.T) {
	h := newHub(t, plain)
	n := 0
	h.cdnHit = func(w http.ResponseWriter, _ *http.Request, content string) bool {
		if n++; n < 3 {
			cut(w, content, 50_000/n)
		}
		fmt.Fprint(w, content)
		return true
	}
	p := newPuller(t, h)
	p.content(p.must("herd/yak").Entry, plain)

	h.cdnHit = func(w http.ResponseWriter, _ *http.Request, content string) bool {
		cut(w, content, 60_000)
		return true
	}
	p = newPuller(t, h)
	if _, err := p.pull("herd/yak"); !errors.Is(err, ErrOffline) || len(p.waits) != tries-1 {
		t.Errorf("pauses %v: %v", p.waits, err)
	}
}

// TestFileChangedBetweenPulls has another file at the same URL when a transfer without a digest continues. The old part
// must not get a new end.
func TestFileChangedBetweenPulls(t *testing.T) {
	content := strings.Repeat("old ", 1000)
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/m/model.onnx" {
			http.NotFound(w, r)
			return
		}
		if n++; n == 1 {
			cut(w, content, 1000)
		}
		content = strings.Repeat("new ", 900)
		w.Header().Set("ETag", `"second"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	}))
	t.Cleanup(s.Close)
	p := newPuller(t, newHub(t, nil))
	out, err := p.pull(s.URL + "/m")
	if err != nil {
		t.Fatal(err)
	}
	p.content(out.Entry, map[string]string{"model.onnx": strings.Repeat("new ", 900)})
}

// TestDamagedPart has a part with wrong content. The digest shows it, and the file is downloaded once more.
func TestDamagedPart(t *testing.T) {
	for name, part := range map[string]string{"shorter": strings.Repeat("x", 1000), "as long": strings.Repeat("x", len(network)), "longer": network + "x"} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, plain)
			h.cdnHit = func(w http.ResponseWriter, _ *http.Request, content string) bool { cut(w, content, 500); return true }
			p := newPuller(t, h)
			if _, err := p.pull("herd/yak"); !errors.Is(err, ErrOffline) {
				t.Fatal(err)
			}
			h.cdnHit = nil
			path := filepath.Join(p.store.Dir, p.names()[0], "model.onnx.part")
			if err := os.WriteFile(path, []byte(part), 0o600); err != nil {
				t.Fatal(err)
			}
			p.content(p.must("herd/yak").Entry, plain)
		})
	}
}

func TestRangeNotSatisfiable(t *testing.T) {
	h := newHub(t, plain)
	n := 0
	h.cdnHit = func(w http.ResponseWriter, r *http.Request, content string) bool {
		switch n++; n {
		case 1:
			cut(w, content, 100)
		case 2:
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		case 3:
			if r.Header.Get("Range") != "" {
				t.Error("the refused range is requested again")
			}
			cut(w, content, 200)
		case 4: // another range than the requested one
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 100-%d/%d", len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, content[100:])
			return true
		}
		return false
	}
	p := newPuller(t, h)
	p.content(p.must("herd/yak").Entry, plain)
}

func TestWrongContent(t *testing.T) {
	h := newHub(t, plain)
	h.cdnHit = func(w http.ResponseWriter, _ *http.Request, content string) bool {
		fmt.Fprint(w, strings.ToUpper(content))
		return true
	}
	p := newPuller(t, h)
	if _, err := p.pull("herd/yak"); !errors.Is(err, model.ErrDigest) || !strings.Contains(err.Error(), footage.Sum([]byte(network)).String()) {
		t.Error(err)
	}
	if n := len(asked(h)); n != 1 {
		t.Errorf("%d requests", n)
	}
	// A small file only has Git's digest.
	h = newHub(t, plain)
	h.wall = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "config.json") {
			return false
		}
		fmt.Fprint(w, strings.Replace(plain["config.json"], "cow", "car", 1))
		return true
	}
	if _, err := newPuller(t, h).pull("herd/yak"); !errors.Is(err, model.ErrDigest) || !strings.Contains(err.Error(), "config.json") {
		t.Error(err)
	}
}

// TestDigestOfTheRedirect has a hub without digests in its list of files.
func TestDigestOfTheRedirect(t *testing.T) {
	h := newHub(t, plain)
	h.wall = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			return false
		}
		fmt.Fprintf(w, `{"sha":%q,"siblings":[{"rfilename":"model.onnx"},{"rfilename":"config.json"}]}`, commit)
		return true
	}
	want := map[string]string{"model.onnx": network, "config.json": plain["config.json"]}
	p := newPuller(t, h)
	p.content(p.must("herd/yak").Entry, want)
	h.cdnHit = func(w http.ResponseWriter, _ *http.Request, content string) bool {
		fmt.Fprint(w, strings.ToUpper(content))
		return true
	}
	if _, err := newPuller(t, h).pull("herd/yak"); !errors.Is(err, model.ErrDigest) {
		t.Error(err)
	}
}

func TestTooLarge(t *testing.T) {
	h := newHub(t, plain)
	p := newPuller(t, h)
	p.change = func(o *Options) { o.MaxSize = int64(len(network)) - 1 }
	if _, err := p.pull("herd/yak"); !errors.Is(err, ErrTooLarge) || len(asked(h)) != 0 {
		t.Error("by the list:", err)
	}
	for name, serve := range map[string]func(http.ResponseWriter){
		"by its header": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "999999999999"); fmt.Fprint(w, "x") },
		"by its bytes": func(w http.ResponseWriter) {
			for range 3000 {
				fmt.Fprint(w, strings.Repeat("x", 1000))
			}
		},
	} {
		h := newHub(t, nil)
		h.wall = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "model.onnx") {
				http.NotFound(w, r)
				return true
			}
			serve(w)
			return true
		}
		if _, err := newPuller(t, h).pull(h.hub.URL + "/m"); !errors.Is(err, ErrTooLarge) {
			t.Error(name, err)
		}
	}
}

func TestBusyHub(t *testing.T) {
	h := newHub(t, plain)
	n := 0
	h.wall = func(w http.ResponseWriter, _ *http.Request) bool {
		switch n++; n {
		case 1:
			w.Header().Set("Retry-After", "47")
			http.Error(w, "slow down", http.StatusTooManyRequests)
		case 2:
			http.Error(w, "oops", http.StatusBadGateway)
		default:
			return false
		}
		return true
	}
	p := newPuller(t, h)
	p.must("herd/yak")
	if len(p.waits) != 2 || p.waits[0] != 47*time.Second || p.waits[1] > 10*time.Second {
		t.Errorf("pauses %v", p.waits)
	}
	h.wall = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "86400")
		http.Error(w, "tomorrow", http.StatusTooManyRequests)
		return true
	}
	p = newPuller(t, h)
	if _, err := p.pull("herd/yak"); !errors.Is(err, ErrOffline) || len(p.waits) != 0 || !strings.Contains(err.Error(), "24h") {
		t.Errorf("pauses %v: %v", p.waits, err)
	}
	h.wall = func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return true
	}
	p = newPuller(t, h)
	if _, err := p.pull("herd/yak"); !errors.Is(err, ErrOffline) || len(p.waits) != tries-1 {
		t.Errorf("pauses %v: %v", p.waits, err)
	}
}

func TestStall(t *testing.T) {
	h := newHub(t, plain)
	n := 0
	h.cdnHit = func(w http.ResponseWriter, r *http.Request, content string) bool {
		if n++; n > 1 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Header().Set("ETag", `"`+footage.Sum([]byte(content)).String()[:8]+`"`)
		fmt.Fprint(w, content[:7000])
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done() // the client cancels the stalled transfer
		return true
	}
	p := newPuller(t, h)
	p.client = func(c *client) { c.stall = 200 * time.Millisecond }
	p.content(p.must("herd/yak").Entry, plain)
	if len(p.notes) != 1 || !strings.Contains(p.notes[0], errStalled.Error()) {
		t.Errorf("notes: %q", p.notes)
	}
}

func TestOffline(t *testing.T) {
	h := newHub(t, plain)
	h.hub.Close()
	p := newPuller(t, h)
	_, err := p.pull("herd/yak")
	if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "copy its folder to this one") || !strings.Contains(err.Error(), p.store.Dir) {
		t.Error(err)
	}
}

func TestCanceled(t *testing.T) {
	h := newHub(t, plain)
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	h.cdnHit = func(w http.ResponseWriter, r *http.Request, content string) bool {
		cancel(why)
		<-r.Context().Done()
		return true
	}
	p := newPuller(t, h)
	r, err := ParseReference("herd/yak", h.hub.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Pull(ctx, Options{Reference: r, Store: p.store, MaxSize: 1 << 20, Note: func(string) {}, Progress: func(string, int64, int64) {}})
	if !errors.Is(err, why) {
		t.Error(err)
	}
}

// TestNoRedirectToHTTP checks that a redirect from https to http is an error.
func TestNoRedirectToHTTP(t *testing.T) {
	s := httptest.NewTLSServer(http.RedirectHandler("http://127.0.0.1:1/x", http.StatusFound))
	t.Cleanup(s.Close)
	c := newClient(s.URL, secret.New(token))
	defer c.http.CloseIdleConnections()
	_, err := c.getDocument(t.Context(), s.URL, 100)
	if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "certificate") {
		t.Error("an untrusted certificate:", err)
	}
	c.http.Transport = s.Client().Transport
	if _, err := c.getDocument(t.Context(), s.URL, 100); !errors.Is(err, ErrAnswer) || !strings.Contains(err.Error(), "unencrypted URL") {
		t.Error(err)
	}
	if c := newClient("http://hub.example", secret.New(token)); !c.token.IsZero() {
		t.Error("the token would be sent without encryption")
	}
}
