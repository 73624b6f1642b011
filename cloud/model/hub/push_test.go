package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// pushHub adds the writing side to the fake hub: preupload, LFS batch, storage, verify and commit.
type pushHub struct {
	*fakeHub
	exists   bool
	chunk    int // of multipart uploads, 0 for whole files
	stored   map[string][]byte
	parts    map[string][]byte
	verified []string
	failPut  int // so many first uploads fail
	refuse   string
}

func newPushHub(t *testing.T) *pushHub {
	h := &pushHub{fakeHub: newHub(t, map[string]string{}), exists: true, stored: map[string][]byte{}, parts: map[string][]byte{}}
	h.wall = h.write
	h.cdnHit = h.store
	return h
}

func (h *pushHub) write(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return true
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Error(err)
	}
	switch path := r.URL.Path; {
	case path == "/api/repos/create":
		if h.exists {
			w.WriteHeader(http.StatusConflict)
		}
		h.exists = true
		fmt.Fprint(w, `{"url": "x"}`)
	case !h.exists:
		w.Header().Set("X-Error-Code", "RepoNotFound")
		w.WriteHeader(http.StatusNotFound)
	case path == "/api/models/herd/yak/preupload/main":
		h.preupload(w, body)
	case path == "/herd/yak.git/info/lfs/objects/batch":
		h.batch(w, body)
	case path == "/verify":
		h.verified = append(h.verified, string(body))
	case strings.HasPrefix(path, "/complete/"):
		h.complete(strings.TrimPrefix(path, "/complete/"), body)
	case path == "/api/models/herd/yak/commit/main":
		h.commitLines(w, body)
	default:
		h.t.Errorf("unexpected %s", path)
	}
	return true
}

func (h *pushHub) preupload(w http.ResponseWriter, body []byte) {
	var ask struct {
		Files []struct {
			Path   string
			Size   int64
			Sample []byte
		}
	}
	if err := json.Unmarshal(body, &ask); err != nil {
		h.t.Error(err)
	}
	var out []map[string]any
	for _, f := range ask.Files {
		if f.Size > 0 && len(f.Sample) == 0 || len(f.Sample) > 512 {
			h.t.Errorf("%s: sample of %d bytes", f.Path, len(f.Sample))
		}
		mode := "regular"
		if inLFS(f.Path) {
			mode = "lfs"
		}
		out = append(out, map[string]any{"path": f.Path, "uploadMode": mode, "shouldIgnore": f.Path == h.refuse})
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"files": out}); err != nil {
		h.t.Error(err)
	}
}

func (h *pushHub) batch(w http.ResponseWriter, body []byte) {
	var ask struct {
		Operation string
		Objects   []struct {
			OID  string
			Size int
		}
	}
	if err := json.Unmarshal(body, &ask); err != nil || ask.Operation != "upload" {
		h.t.Error(err, ask)
	}
	var out []map[string]any
	for _, o := range ask.Objects {
		entry := map[string]any{"oid": o.OID, "size": o.Size}
		if h.stored[o.OID] == nil {
			up := map[string]any{"href": h.cdn.URL + "/put/" + o.OID + "?Signature=sesame", "header": map[string]string{"x-amz-acl": "private"}}
			if h.chunk > 0 {
				header := map[string]string{"chunk_size": fmt.Sprint(h.chunk)}
				for n := 0; n*h.chunk < o.Size; n++ {
					header[fmt.Sprintf("%05d", n+1)] = fmt.Sprintf("%s/put/%s.%d?Signature=sesame", h.cdn.URL, o.OID, n)
				}
				up = map[string]any{"href": h.hub.URL + "/complete/" + o.OID, "header": header}
			}
			entry["actions"] = map[string]any{"upload": up, "verify": map[string]any{"href": h.hub.URL + "/verify"}}
		}
		out = append(out, entry)
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"objects": out}); err != nil {
		h.t.Error(err)
	}
}

// store takes uploads of large files.
func (h *pushHub) store(w http.ResponseWriter, r *http.Request, _ string) bool {
	name, ok := strings.CutPrefix(r.URL.Path, "/put/")
	if !ok {
		return false
	}
	b, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPut {
		h.t.Error(r.Method, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failPut > 0 {
		h.failPut--
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return true
	}
	w.Header().Set("ETag", fmt.Sprintf("%q", footage.Sum(b).String()[:8]))
	if strings.Contains(name, ".") {
		h.parts[name] = b
	} else {
		h.stored[name] = b
	}
	return true
}

func (h *pushHub) complete(oid string, body []byte) {
	var done struct {
		Parts []struct {
			PartNumber int
			ETag       string
		}
	}
	if err := json.Unmarshal(body, &done); err != nil {
		h.t.Error(err)
	}
	var whole []byte
	for i, p := range done.Parts {
		b := h.parts[fmt.Sprintf("%s.%d", oid, i)]
		if p.PartNumber != i+1 || p.ETag != fmt.Sprintf("%q", footage.Sum(b).String()[:8]) {
			h.t.Errorf("part %+v", p)
		}
		whole = append(whole, b...)
	}
	h.stored[oid] = whole
}

func (h *pushHub) commitLines(w http.ResponseWriter, body []byte) {
	lines := json.NewDecoder(bytes.NewReader(body))
	for n := 0; ; n++ {
		var line struct {
			Key   string
			Value struct {
				Summary, Path, Encoding, Algo, OID string
				Content                            []byte
				Size                               int
			}
		}
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			h.t.Fatal(err)
		}
		switch v := line.Value; {
		case n == 0 && line.Key == "header" && v.Summary != "":
		case n > 0 && line.Key == "file" && v.Encoding == "base64" && !inLFS(v.Path):
			h.files[v.Path] = string(v.Content)
		case n > 0 && line.Key == "lfsFile" && v.Algo == "sha256" && len(h.stored[v.OID]) == v.Size && footage.Sum(h.stored[v.OID]).String() == v.OID:
			h.files[v.Path] = string(h.stored[v.OID])
		default:
			h.t.Errorf("line %d: %+v", n, line)
		}
	}
	fmt.Fprintf(w, `{"success": true, "commitOid": %q, "commitUrl": "x"}`, commit)
}

// pushed pushes without pauses, and checks that no message has the token.
func (h *pushHub) push(dir string, change func(*PushOptions)) (Pushed, error) {
	h.t.Helper()
	var notes []string
	o := PushOptions{Dir: dir, Reference: Reference{Base: h.hub.URL, Repository: "herd/yak", Revision: "main"}, Token: secret.New(token),
		Progress: func(string, int64, int64) {}, Note: func(s string) { notes = append(notes, s) }}
	if change != nil {
		change(&o)
	}
	c := newClient(o.Reference.Base, o.Token)
	defer c.http.CloseIdleConnections()
	c.pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	out, err := push(h.t.Context(), o, c)
	for _, text := range append(notes, fmt.Sprint(err)) {
		if strings.Contains(text, token) || strings.Contains(text, "sesame") {
			h.t.Errorf("a message has a secret: %s", text)
		}
	}
	return out, err
}

// modelFolder has a model with its digests, and files that are no part of it.
func modelFolder(t *testing.T) (dir string, sums []model.Sum) {
	t.Helper()
	dir = t.TempDir()
	files := map[string]string{"model.onnx": network, "model.onnx_data": "more weights", "config.json": `{"a":1}`, "cattlecounter.yaml": "name: yak\n",
		"README.md": "# Yak"}
	for name, content := range files {
		sums = append(sums, model.Sum{File: name, SHA256: footage.Sum([]byte(content))})
	}
	slices.SortFunc(sums, func(a, b model.Sum) int { return strings.Compare(a.File, b.File) })
	files[model.SumsFile] = string(model.FormatSums(sums))
	files[model.ComparisonFile], files["notes.txt"], files[".env"] = "{}", "mine", "HF_TOKEN=x"
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, sums
}

func TestPushAndPullGiveTheSameDigests(t *testing.T) {
	for name, change := range map[string]func(*pushHub){
		"whole files": func(*pushHub) {},
		"in parts":    func(h *pushHub) { h.chunk = 9_999 },
		"lossy":       func(h *pushHub) { h.failPut = 3 },
	} {
		h := newPushHub(t)
		change(h)
		dir, sums := modelFolder(t)
		out, err := h.push(dir, nil)
		if err != nil || out.Commit != commit || out.Sent != 2 {
			t.Fatalf("%s: %+v %v", name, out, err)
		}
		if len(h.verified) != 2 || len(h.files) != len(sums)+1 {
			t.Errorf("%s: verified %v, %d files", name, h.verified, len(h.files))
		}
		p := newPuller(t, h.fakeHub)
		e := p.must("herd/yak").Entry
		got, err := model.ReadSums(e.Path)
		if err != nil || !slices.Equal(got, sums) {
			t.Errorf("%s: pulled %v, want %v: %v", name, got, sums, err)
		}
		// What the hub has is not sent again.
		if out, err := h.push(e.Path, nil); err != nil || out.Sent != 0 {
			t.Errorf("%s: again: %+v %v", name, out, err)
		}
	}
}

func TestPushThatFails(t *testing.T) {
	dir, _ := modelFolder(t)
	h := newPushHub(t)
	h.exists = false
	if _, err := h.push(dir, nil); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "--create") {
		t.Errorf("no repository: %v", err)
	}
	if out, err := h.push(dir, func(o *PushOptions) { o.Create, o.Private = true, true }); err != nil || out.Sent != 2 {
		t.Errorf("created: %+v %v", out, err)
	}
	h.refuse = "config.json"
	if _, err := h.push(dir, nil); !errors.Is(err, ErrAnswer) || !strings.Contains(err.Error(), ".gitignore leaves out config.json") {
		t.Errorf("ignored: %v", err)
	}
	h.refuse = ""
	for name, c := range map[string]struct {
		change func(*PushOptions)
		class  error
	}{
		"wrong token":    {func(o *PushOptions) { o.Token = secret.New("other") }, ErrDenied},
		"no token":       {func(o *PushOptions) { o.Token = secret.String{} }, ErrDenied},
		"no repository":  {func(o *PushOptions) { o.Reference.Repository = "" }, ErrReference},
		"unencrypted":    {func(o *PushOptions) { o.Reference.Base = "http://hub.example" }, ErrDenied},
		"no model":       {func(o *PushOptions) { o.Dir = t.TempDir() }, model.ErrNoModel},
		"missing folder": {func(o *PushOptions) { o.Dir = filepath.Join(dir, "none") }, model.ErrNoModel},
	} {
		if _, err := h.push(dir, c.change); !errors.Is(err, c.class) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h2 := newPushHub(t)
	h2.failPut = 1000
	if _, err := h2.push(dir, nil); !errors.Is(err, ErrOffline) || len(h2.files) != 0 {
		t.Errorf("storage that fails: %v, %d files in the repository", err, len(h2.files))
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := h.push(dir, nil); !errors.Is(err, model.ErrDigest) {
		t.Errorf("changed file: %v", err)
	}
}

func FuzzPushAnswers(f *testing.F) {
	f.Add([]byte(`{"files": [{"path": "model.onnx", "uploadMode": "lfs", "shouldIgnore": false}], "commitOid": "` + commit + `"}`))
	f.Add([]byte(`{"objects": [{"oid": "` + strings.Repeat("ab", 32) + `", "actions": {"upload": {"href": "https://x/y", "header": {"chunk_size": "5"}}}}]}`))
	f.Add([]byte(`{"objects": [{"error": {"code": 403, "message": "no"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := parsePreupload(b, []*pushed{{Sum: model.Sum{File: "model.onnx"}, size: 5}}, mostInline); err != nil && !errors.Is(err, ErrAnswer) {
			t.Fatal(err)
		}
		if id, err := parseCommit(b); err == nil && !model.IsCommit(id) || err != nil && !errors.Is(err, ErrAnswer) {
			t.Fatal(id, err)
		}
		if _, err := parseBatch(b); err != nil && !errors.Is(err, ErrAnswer) && !errors.Is(err, ErrDenied) {
			t.Fatal(err)
		}
	})
}
