package hub

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/footage"
)

// mirror serves a folder like a plain web server: no list, no digests.
func mirror(t *testing.T, files map[string]string) *puller {
	served := fstest.MapFS{}
	for name, content := range files {
		served[name] = &fstest.MapFile{Data: []byte(content)}
	}
	h := newHub(t, nil)
	h.wall = func(w http.ResponseWriter, r *http.Request) bool {
		http.FileServerFS(served).ServeHTTP(w, r)
		return true
	}
	return newPuller(t, h)
}

func TestMirrorWithoutAList(t *testing.T) {
	sums := string(model.FormatSums([]model.Sum{{File: "model.onnx", SHA256: footage.Sum([]byte(network))}, {File: "config.json", SHA256: footage.Sum([]byte("{}"))}}))
	for name, c := range map[string]struct {
		files   map[string]string
		pull    string
		network string
		want    map[string]string
	}{
		"as the hub": {
			map[string]string{"herd/yak/resolve/main/model.onnx": network, "herd/yak/resolve/main/config.json": "{}"}, "herd/yak",
			"model.onnx", map[string]string{"model.onnx": network, "config.json": "{}"},
		},
		"a revision": {
			map[string]string{"herd/yak/resolve/v2/model.onnx": network}, "herd/yak@v2", "model.onnx", map[string]string{"model.onnx": network},
		},
		"network in a sub-folder": {
			map[string]string{
				"herd/yak/resolve/main/onnx/model.onnx": network, "herd/yak/resolve/main/onnx/model.onnx_data": "more",
				"herd/yak/resolve/main/config.json": "{}",
			}, "herd/yak",
			"onnx/model.onnx", map[string]string{"model.onnx": network, "model.onnx_data": "more", "config.json": "{}"},
		},
		"plain, with digests": {
			map[string]string{"herd/yak/model.onnx": network, "herd/yak/config.json": "{}", "herd/yak/README.md": "not listed", "herd/yak/SHA256SUMS": sums}, "herd/yak",
			"model.onnx", map[string]string{"model.onnx": network, "config.json": "{}"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := mirror(t, c.files)
			out := p.must(c.pull)
			if out.Name != "yak" || !strings.Contains(out.Source.Base, "/herd/yak") || out.Source.Repository != "" || out.Source.Network != c.network || out.Source.Commit != "" {
				t.Errorf("%+v", out)
			}
			p.content(out.Entry, c.want)
			if out := p.must(c.pull); !out.Already {
				t.Errorf("the second pull: %+v", out)
			}
		})
	}
}

func TestMirrorWithoutTheModel(t *testing.T) {
	p := mirror(t, map[string]string{"herd/yak/model.onnx": network})
	for _, text := range []string{"herd/goat", "herd/yak@v2"} {
		_, err := p.pull(text)
		if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "model.onnx below") || !strings.Contains(err.Error(), "/resolve/") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if n := p.names(); len(n) != 0 {
		t.Error(n)
	}
}

func TestMirrorWithWrongDigest(t *testing.T) {
	sums := string(model.FormatSums([]model.Sum{{File: "model.onnx", SHA256: footage.Sum([]byte("another"))}}))
	p := mirror(t, map[string]string{"herd/yak/resolve/main/model.onnx": network, "herd/yak/resolve/main/SHA256SUMS": sums})
	if _, err := p.pull("herd/yak"); !errors.Is(err, model.ErrDigest) {
		t.Error(err)
	}
}

func TestMirrorWithADigest(t *testing.T) {
	for stated, want := range map[string]error{network: nil, "another": model.ErrDigest} {
		h := newHub(t, nil)
		h.wall = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/herd/yak/resolve/main/model.onnx" {
				http.NotFound(w, r)
				return true
			}
			w.Header().Set("X-Linked-Etag", `"`+footage.Sum([]byte(stated)).String()+`"`)
			http.ServeContent(w, r, "model.onnx", time.Time{}, strings.NewReader(network))
			return true
		}
		if _, err := newPuller(t, h).pull("herd/yak"); !errors.Is(err, want) {
			t.Errorf("a digest of %q: %v", stated, err)
		}
	}
}
