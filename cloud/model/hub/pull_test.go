package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

var (
	network = strings.Repeat("weights of a network. ", 5000)
	plain   = map[string]string{"model.onnx": network, "config.json": `{"id2label":{"0":"cow"}}`, "README.md": "# Yak"}
)

func TestPull(t *testing.T) {
	h := newHub(t, map[string]string{"onnx/model.onnx": network, "onnx/model.onnx_data": "more weights", "config.json": `{"a":1}`,
		"onnx/config.json": `{"b":2}`, "preprocessor_config.json": "{}", "README.md": "# Yak", "LICENSE": "free", "model.safetensors": "no",
		"onnx/model_fp16.onnx": "16 bits", "onnx/model_fp16.onnx_data": "16 more"})
	seen := ""
	h.wall = func(_ http.ResponseWriter, r *http.Request) bool { seen = r.Header.Get("Authorization"); return false }
	p := newPuller(t, h)
	out := p.must("herd/yak")
	if out.Name != "yak" || out.Already || out.Source.Commit != commit || out.Source.Revision != "main" || out.Source.Repository != "herd/yak" ||
		out.Source.Base != h.hub.URL || out.Source.Network != "onnx/model.onnx" {
		t.Errorf("%+v", out)
	}
	p.content(out.Entry, map[string]string{"model.onnx": network, "model.onnx_data": "more weights", "config.json": `{"b":2}`,
		"preprocessor_config.json": "{}", "README.md": "# Yak", "LICENSE": "free"})
	if s, ok, err := model.ReadSource(out.Path); err != nil || !ok || !s.Same(out.Source) {
		t.Errorf("%+v %v", s, err)
	}
	if seen != "Bearer "+token {
		t.Errorf("requests to the hub: %q", seen)
	}
	if got := p.names(); !slices.Equal(got, []string{"yak"}) {
		t.Errorf("the store has %v", got)
	}

	h.requests()
	if out := p.must("herd/yak"); !out.Already || out.Name != "yak" || len(h.requests()) != 1 {
		t.Errorf("the second pull: %+v", out)
	}
	p.change = func(o *Options) { o.Reference.File = "onnx/model_fp16.onnx" }
	half := p.must("herd/yak@refs/pr/1")
	if half.Name != "yak-fp16" || half.Source.Revision != "refs/pr/1" {
		t.Errorf("%+v", half)
	}
	p.content(half.Entry, map[string]string{"model.onnx": "16 bits", "model_fp16.onnx_data": "16 more", "config.json": `{"b":2}`,
		"preprocessor_config.json": "{}", "README.md": "# Yak", "LICENSE": "free"})

	// A copy on a machine without internet has the same source.
	away := newPuller(t, h)
	carried := away.must(half.Path)
	away.content(carried.Entry, map[string]string{"model.onnx": "16 bits", "model_fp16.onnx_data": "16 more", "config.json": `{"b":2}`,
		"preprocessor_config.json": "{}", "README.md": "# Yak", "LICENSE": "free"})
	if carried.Name != "yak-fp16" || !carried.Source.Same(half.Source) {
		t.Errorf("%+v, was %+v", carried, half)
	}

	// A stored commit and network need no hub.
	h.requests()
	if out := p.must("herd/yak@" + commit); !out.Already || out.Name != "yak-fp16" || len(h.requests()) != 0 {
		t.Errorf("pinned: %+v", out)
	}
}

func TestAnotherRevisionGetsAnotherName(t *testing.T) {
	h := newHub(t, plain)
	p := newPuller(t, h)
	first := p.must("herd/yak")
	h.commit, h.files = strings.Repeat("ab", 20), map[string]string{"model.onnx": "new weights"}
	if out := p.must("herd/yak"); out.Name != "yak-abababa" {
		t.Errorf("%+v", out)
	}
	p.content(first.Entry, plain)
	other := newHub(t, map[string]string{"model.onnx": "of somebody else"})
	p.base = other.hub.URL
	if _, err := p.pull("herd/yak"); !errors.Is(err, model.ErrTaken) || !strings.Contains(err.Error(), "--name") {
		t.Error(err)
	}
	p.change = func(o *Options) { o.Name = "mine" }
	other.requests()
	if out := p.must("herd/yak"); out.Name != "mine" || slices.ContainsFunc(other.requests(), func(s string) bool { return strings.HasPrefix(s, "cdn") }) {
		t.Errorf("%+v; the files from before the refused name were downloaded again", out)
	}
	p.change = func(o *Options) { o.Name = "default" }
	if _, err := p.pull("herd/yak"); !errors.Is(err, model.ErrName) {
		t.Error(err)
	}
}

func TestChooseNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		paths []string
		file  string
		want  string
		err   error
		says  string
	}{
		"only one":   {[]string{"weights/best.onnx", "a.txt"}, "", "weights/best.onnx", nil, ""},
		"root first": {[]string{"onnx/model.onnx", "model.onnx", "b.onnx"}, "", "model.onnx", nil, ""},
		"then onnx":  {[]string{"onnx/model.onnx", "b.onnx"}, "", "onnx/model.onnx", nil, ""},
		"named":      {[]string{"onnx/model.onnx", "b.onnx"}, "b.onnx", "b.onnx", nil, ""},
		"several":    {[]string{"a.onnx", "b.onnx"}, "", "", ErrChoice, "a.onnx (0.0 MB), b.onnx"},
		"none":       {[]string{"model.safetensors"}, "", "", ErrChoice, "no .onnx file"},
		"missing":    {[]string{"a.onnx"}, "c.onnx", "", ErrNotFound, "has a.onnx"},
		"not onnx":   {[]string{"a.onnx", "a.txt"}, "a.txt", "", ErrNotFound, "has a.onnx"},
	} {
		var l listing
		for _, p := range c.paths {
			l.files = append(l.files, remote{path: p, size: 7})
		}
		got, err := chooseNetwork(l, c.file)
		if got.path != c.want || !errors.Is(err, c.err) || c.err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	answer := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("X-Error-Code", code)
			w.Header().Set("X-Error-Message", "a word of the hub")
			http.Error(w, "no", status)
			return true
		}
	}
	for name, c := range map[string]struct {
		wall    func(http.ResponseWriter, *http.Request) bool
		noToken bool
		want    error
		says    string
	}{
		"no repository, no token": {answer(401, "RepoNotFound"), true, ErrDenied, "set HF_TOKEN"},
		"no repository":           {answer(401, "RepoNotFound"), false, ErrDenied, "the token in HF_TOKEN has no access to it"},
		"no repository, 404":      {answer(404, "RepoNotFound"), false, ErrNotFound, "a word of the hub"},
		"no revision":             {answer(404, "RevisionNotFound"), false, ErrNotFound, "the revision does not"},
		"gated":                   {answer(403, "GatedRepo"), false, ErrDenied, "accept the terms"},
		"gated, no token":         {answer(401, "GatedRepo"), true, ErrDenied, "accept the terms"},
		"forbidden":               {answer(403, ""), false, ErrDenied, "needs a token with more rights"},
		"bad request":             {answer(400, ""), false, ErrAnswer, "400"},
		"web page": {func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<!DOCTYPE html><html>Welcome to this hotel's network")
			return true
		}, false, ErrAnswer, "web page"},
		"endless redirects": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
			return true
		}, false, ErrAnswer, "redirects"},
		"redirect to http": {func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Location", "gopher://old")
			w.WriteHeader(http.StatusFound)
			return true
		}, false, ErrAnswer, "unencrypted URL"},
		"path out of the repository": {func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprintf(w, `{"sha":%q,"siblings":[{"rfilename":"model.onnx"},{"rfilename":"../../.bashrc"}]}`, commit)
			return true
		}, false, ErrAnswer, "../../.bashrc"},
		"half a list": {func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, `{"sha":"`); return true }, false, ErrAnswer, "list of files"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, plain)
			h.wall = c.wall
			p := newPuller(t, h)
			if c.noToken {
				p.change = func(o *Options) { o.Token = secret.String{} }
			}
			_, err := p.pull("herd/yak")
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "herd/yak@main") {
				t.Error(err)
			}
			if got := p.names(); len(got) != 0 || len(p.waits) != 0 {
				t.Errorf("files in the store: %v, pauses %v", got, p.waits)
			}
		})
	}
}

func TestFailedCheckGivesNoName(t *testing.T) {
	p := newPuller(t, newHub(t, plain))
	broken := errors.New("no detector")
	p.check = func(_ context.Context, dir string) error {
		if n, err := model.CheckSums(t.Context(), dir); err != nil || n != 3 {
			t.Errorf("the checked folder is not finished: %d %v", n, err)
		}
		return broken
	}
	if _, err := p.pull("herd/yak"); !errors.Is(err, broken) {
		t.Error(err)
	}
	if got := p.names(); len(got) != 0 {
		t.Errorf("files in the store: %v", got)
	}
}

func TestOnePullAtATime(t *testing.T) {
	h := newHub(t, plain)
	p, q := newPuller(t, h), newPuller(t, h)
	q.store = p.store
	p.check = func(context.Context, string) error {
		if _, err := q.pull("herd/yak"); !errors.Is(err, model.ErrBusy) {
			t.Error(err)
		}
		return nil
	}
	p.must("herd/yak")
}

// TestFolder pulls from a plain web server, which must not get the token of the hub.
func TestFolder(t *testing.T) {
	h := newHub(t, nil)
	files := map[string]string{"model.onnx": network, "model.onnx.data": "more", "config.json": "{}"}
	h.wall = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" {
			t.Error("a server that is not the hub got the token")
		}
		content, ok := files[strings.TrimPrefix(r.URL.Path, "/yaks/")]
		if !ok {
			http.NotFound(w, r)
			return true
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		fmt.Fprint(w, content)
		return true
	}
	p := newPuller(t, h)
	p.base = "https://hub.example"
	out := p.must(h.hub.URL + "/yaks/")
	if out.Name != "yaks" || out.Source.Base != h.hub.URL+"/yaks" || out.Source.Commit != "" {
		t.Errorf("%+v", out)
	}
	p.content(out.Entry, files)
	if out := p.must(h.hub.URL + "/yaks"); !out.Already || out.Name != "yaks" || len(p.names()) != 1 {
		t.Errorf("the second pull: %+v, %v", out, p.names())
	}
	// With digests, only the listed files and the unlisted descriptions are requested, and the digests must match.
	sums := []model.Sum{{File: "model.onnx", SHA256: footage.Sum([]byte(network))}, {File: "config.json", SHA256: footage.Sum([]byte("{}"))}}
	files[model.SumsFile] = string(model.FormatSums(sums))
	p.change = func(o *Options) { o.Name = "recorded" }
	h.requests()
	p.content(p.must(h.hub.URL+"/yaks").Entry, map[string]string{"model.onnx": network, "config.json": "{}"})
	if got := h.requests(); len(got) != 5 {
		t.Errorf("requests: %v", got)
	}
	files["config.json"] = "{} "
	p.change = func(o *Options) { o.Name = "wrong" }
	if _, err := p.pull(h.hub.URL + "/yaks"); !errors.Is(err, model.ErrDigest) || !strings.Contains(err.Error(), "config.json") {
		t.Error(err)
	}
	files[model.SumsFile] = strings.Repeat("0", 63) + "1  ../../etc/passwd\n"
	if _, err := p.pull(h.hub.URL + "/yaks"); !errors.Is(err, model.ErrDigest) {
		t.Error(err)
	}
}

func TestLocalFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my yak")
	p := newPuller(t, newHub(t, nil))
	if _, err := p.pull(dir); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := p.pull(dir); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "model.onnx") {
		t.Error(err)
	}
	for name, content := range map[string]string{"model.onnx": network, "config.json": "{}", "best.onnx": "other", "notes.txt": "no"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := p.must(dir)
	p.content(out.Entry, map[string]string{"model.onnx": network, "config.json": "{}"})
	if out.Name != "my-yak" || out.Source.Base != dir {
		t.Errorf("%+v", out)
	}
	if out := p.must(filepath.Join(dir, "best.onnx")); out.Name != "my-yak-best" {
		t.Errorf("%+v", out)
	}
	// A folder copied from another store still has its digests.
	if err := os.WriteFile(filepath.Join(out.Path, "model.onnx"), []byte("damaged on the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.store.Dir = t.TempDir()
	if _, err := p.pull(out.Path); !errors.Is(err, model.ErrDigest) {
		t.Error(err)
	}
}

func TestFileOfAReference(t *testing.T) {
	p := newPuller(t, newHub(t, plain))
	for _, c := range [][2]string{{"herd/yak", "../model.onnx"}, {"herd/yak", "README.md"}, {"./yak", "onnx/model.onnx"}, {"https://x.example/m", "../model.onnx"}} {
		p.change = func(o *Options) { o.Reference.File = c[1] }
		if _, err := p.pull(c[0]); !errors.Is(err, ErrReference) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestPin(t *testing.T) {
	h := newHub(t, plain)
	p := newPuller(t, h)
	p.change = func(o *Options) { o.SHA256 = footage.Sum([]byte("another")) }
	if _, err := p.pull("herd/yak"); !errors.Is(err, model.ErrDigest) || len(h.requests()) != 1 {
		t.Error("before the download:", err)
	}
	p.change = func(o *Options) { o.SHA256 = footage.Sum([]byte(network)) }
	p.must("herd/yak")
}
