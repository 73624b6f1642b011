package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/footage"
)

// webFolder serves only m/model.onnx, by answer.
func webFolder(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) string {
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/m/model.onnx" {
			http.NotFound(w, r)
			return
		}
		n++
		answer(n, w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/m"
}

// rest answers with the bytes from..to of content and ignores If-Range.
func rest(w http.ResponseWriter, content, tag string, from, to int) {
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(content)))
	w.Header().Set("Content-Length", fmt.Sprint(to-from))
	w.WriteHeader(http.StatusPartialContent)
	fmt.Fprint(w, content[from:to])
}

// TestServerThatIgnoresIfRange sends the end of another file of the same size.
func TestServerThatIgnoresIfRange(t *testing.T) {
	before, after := strings.Repeat("old ", 1000), strings.Repeat("new ", 1000)
	url := webFolder(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch {
		case n == 1:
			cut(w, before, 1000)
		case r.Header.Get("Range") != "":
			rest(w, after, `"second"`, 1000, len(after))
		default:
			fmt.Fprint(w, after)
		}
	})
	p := newPuller(t, newHub(t, nil))
	p.content(p.must(url).Entry, map[string]string{"model.onnx": after})
}

// TestServerWithShortRanges sends less than requested; the rest is requested again.
func TestServerWithShortRanges(t *testing.T) {
	content := strings.Repeat("network ", 1000)
	tag := `"` + footage.Sum([]byte(content)).String()[:8] + `"`
	url := webFolder(t, func(n int, w http.ResponseWriter, r *http.Request) {
		var from int
		if n == 1 {
			cut(w, content, 1000)
		}
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err != nil {
			t.Error(err)
		}
		rest(w, content, tag, from, min(from+3000, len(content)))
	})
	p := newPuller(t, newHub(t, nil))
	p.content(p.must(url).Entry, map[string]string{"model.onnx": content})
}

// TestCompletePart continues a pull that was interrupted between the last byte and the rename.
func TestCompletePart(t *testing.T) {
	content := strings.Repeat("network ", 1000)
	asked := 0
	url := webFolder(t, func(n int, w http.ResponseWriter, r *http.Request) {
		asked = n
		if n == 1 {
			cut(w, content, 7000)
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", len(content)))
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	})
	p := newPuller(t, newHub(t, nil))
	p.change = func(o *Options) { o.Note = func(string) { p.complete(content) } }
	p.content(p.must(url).Entry, map[string]string{"model.onnx": content})
	if asked != 2 {
		t.Errorf("%d requests", asked)
	}
}

// complete completes the part, as if the connection had been closed after the last byte.
func (p *puller) complete(content string) {
	parts, err := filepath.Glob(filepath.Join(p.store.Dir, ".pull-*", "model.onnx.part"))
	if err != nil || len(parts) != 1 {
		p.t.Fatal(parts, err)
	}
	if err := os.WriteFile(parts[0], []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// TestLoginPageDuringATransfer has the login page of a network in the middle of a transfer. The part must stay.
func TestLoginPageDuringATransfer(t *testing.T) {
	h := newHub(t, plain)
	h.cdnHit = func(w http.ResponseWriter, _ *http.Request, content string) bool {
		cut(w, content, 40_000)
		return true
	}
	p := newPuller(t, h)
	if _, err := p.pull("herd/yak"); !errors.Is(err, ErrOffline) {
		t.Fatal(err)
	}
	h.cdnHit = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>Please log in")
		return true
	}
	if _, err := p.pull("herd/yak"); !errors.Is(err, ErrAnswer) || !strings.Contains(err.Error(), "web page") {
		t.Fatal(err)
	}
	h.cdnHit = nil
	h.requests()
	p.content(p.must("herd/yak").Entry, plain)
	if got := asked(h); len(got) != 1 || got[0] != "bytes=40000-" {
		t.Errorf("requests: %q", got)
	}
}

// TestPinOfAStoredModel checks that a stored model with another digest is an error.
func TestPinOfAStoredModel(t *testing.T) {
	p := newPuller(t, newHub(t, plain))
	p.must("herd/yak")
	p.change = func(o *Options) { o.SHA256 = footage.Sum([]byte("another")) }
	if _, err := p.pull("herd/yak"); !errors.Is(err, model.ErrDigest) || !strings.Contains(err.Error(), "as yak") {
		t.Error(err)
	}
	p.change = func(o *Options) { o.SHA256 = footage.Sum([]byte(network)) }
	if out := p.must("herd/yak"); !out.Already {
		t.Errorf("%+v", out)
	}
}

// TestFilesStayAfterAFaultOfTheMachine checks that a fault other than the content keeps the downloaded files.
func TestFilesStayAfterAFaultOfTheMachine(t *testing.T) {
	h := newHub(t, plain)
	p := newPuller(t, h)
	p.check = func(context.Context, string) error { return errors.New("no memory left") }
	p.change = func(o *Options) { o.Bad = func(error) bool { return false } }
	if _, err := p.pull("herd/yak"); err == nil {
		t.Fatal("the model got its name")
	}
	p.check, p.change = nil, nil
	h.requests()
	p.content(p.must("herd/yak").Entry, plain)
	if got := asked(h); len(got) != 0 {
		t.Errorf("downloaded again: %q", got)
	}
}

// TestForbiddenMeansMissing answers 403 for missing files, like buckets without the right to list them.
func TestForbiddenMeansMissing(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/m/model.onnx" {
			http.Error(w, "AccessDenied", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, network)
	}))
	t.Cleanup(s.Close)
	p := newPuller(t, newHub(t, nil))
	p.content(p.must(s.URL+"/m").Entry, map[string]string{"model.onnx": network})
	if len(p.notes) == 0 || !strings.Contains(p.notes[0], "without digests") {
		t.Errorf("notes: %q", p.notes)
	}
	if _, err := p.pull(s.URL + "/absent"); !errors.Is(err, ErrDenied) || strings.Contains(err.Error(), "HF_TOKEN") {
		t.Error(err)
	}
}

// TestDescriptionWithoutDigest has an unlisted description, which would change the meaning of the outputs.
func TestDescriptionWithoutDigest(t *testing.T) {
	dir := t.TempDir()
	sums := model.FormatSums([]model.Sum{{File: "model.onnx", SHA256: footage.Sum([]byte(network))}})
	for name, content := range map[string]string{"model.onnx": network, "preprocessor_config.json": "{}", model.SumsFile: string(sums)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(s.Close)
	for _, from := range []string{dir, s.URL} {
		p := newPuller(t, newHub(t, nil))
		p.change = func(o *Options) { o.Name = "yak" }
		if _, err := p.pull(from); !errors.Is(err, model.ErrDigest) || !strings.Contains(err.Error(), "preprocessor_config.json") {
			t.Errorf("%s: %v", from, err)
		}
	}
}

// TestChangedCopyHasAnotherSource copies a folder of a store and changes a description and the digests. It is another
// model and not that commit any more.
func TestChangedCopyHasAnotherSource(t *testing.T) {
	p := newPuller(t, newHub(t, plain))
	first := p.must("herd/yak")
	dir := filepath.Join(t.TempDir(), "yak")
	if err := os.CopyFS(dir, os.DirFS(first.Path)); err != nil {
		t.Fatal(err)
	}
	if out := p.must(dir); !out.Already || out.Name != "yak" {
		t.Errorf("unchanged: %+v", out)
	}
	sums, err := model.ReadSums(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sums {
		if sums[i].File == "config.json" {
			sums[i].SHA256 = footage.Sum([]byte("{ }"))
		}
	}
	for name, content := range map[string]string{"config.json": "{ }", model.SumsFile: string(model.FormatSums(sums))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.change = func(o *Options) { o.Name = "yak-changed" }
	if out := p.must(dir); out.Already || out.Source.Commit != "" || out.Source.Base != dir {
		t.Errorf("changed: %+v", out)
	}
}
