package azure

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestSmoke runs smoke.sh against a small server that behaves like cloud-api.
func TestSmoke(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string // of the footage, one after the other; the last one stays
		want    string   // part of the output
		ok      bool
	}{
		"counted":       {[]string{`{"job":{"state":"running"}}`, `{"job":{"state":"done"},"count":{"unique":12}}`}, "counted 12 of 12", true},
		"nearly":        {[]string{`{"count":{"unique":14}}`}, "counted 14 of 12", true},
		"wrong":         {[]string{`{"job":{"state":"done"},"count":{"unique":3}}`}, "counted 3 animals, expected 12", false},
		"none":          {[]string{`{"count":{"unique":0}}`}, "counted 0 animals, expected 12", false},
		"failed":        {[]string{`{"job":{"state":"failed"}}`}, "the job is failed", false},
		"never counted": {[]string{`{"job":{"state":"queued"}}`}, "no count after 3 tries; the job is queued", false},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, received := serveCloud(t, c.answers)
			clip := filepath.Join(t.TempDir(), "clip.mp4")
			if err := os.WriteFile(clip, []byte("movie"), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "./smoke.sh", cloud, clip, "12")
			cmd.Env = append(os.Environ(), "SMOKE_TOKEN=cc_x", "SMOKE_TRIES=3", "SMOKE_PAUSE=0")
			out, err := cmd.CombinedOutput()
			if (err == nil) != c.ok || !strings.Contains(string(out), c.want) {
				t.Errorf("%v\n%s", err, out)
			}
			if n := received.Load(); n != 5+40 {
				t.Errorf("the server received %d bytes, want the clip and a box of 40", n)
			}
		})
	}
}

// serveCloud answers one upload and then for its footage.
func serveCloud(t *testing.T, answers []string) (string, *atomic.Int64) {
	t.Helper()
	var received, asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /files/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer cc_x" || r.Header.Get("Upload-Length") != "45" ||
			!strings.Contains(r.Header.Get("Upload-Metadata"), "sha256 ") {
			t.Errorf("creation with %v", r.Header)
		}
		w.Header().Set("Location", "/files/one")
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("PATCH /files/one", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		received.Store(n)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /api/v1/footage/{id}", func(w http.ResponseWriter, r *http.Request) {
		if len(r.PathValue("id")) != 26 {
			t.Errorf("asked for footage %q", r.PathValue("id"))
		}
		i := min(int(asked.Add(1))-1, len(answers)-1)
		fmt.Fprint(w, answers[i])
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL, &received
}
