package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"worker": func() { os.Exit(Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// The scripts show the command line as a person meets it. They use the small
// detector of bright blobs among the tests of cloud/count/detect/detr.
func TestScripts(t *testing.T) {
	model, err := filepath.Abs("../../count/detect/detr/testdata/blobs")
	if err != nil {
		t.Fatal(err)
	}
	library := os.Getenv("ONNXRUNTIME_LIB")
	if library == "" { // where the set-up puts it
		if library, err = filepath.Abs("../../../build/onnxruntime/libonnxruntime.so.1"); err != nil {
			t.Fatal(err)
		}
	}
	hub := serveHub(t, filepath.Dir(model))
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("BLOBS", model)
			e.Setenv("MODELS", filepath.Dir(model))
			e.Setenv("HUB", hub)
			e.Setenv("ONNXRUNTIME_LIB", library)
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}

// serveHub is a small Hugging Face hub that has each folder of root as a
// repository of the owner "herd", in one revision.
func serveHub(t *testing.T, root string) string {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/models/herd/{name}/revision/{revision}", func(w http.ResponseWriter, r *http.Request) {
		files, err := os.ReadDir(filepath.Join(root, r.PathValue("name")))
		if err != nil {
			w.Header().Set("X-Error-Code", "RepoNotFound")
			http.Error(w, "no such repository", http.StatusUnauthorized)
			return
		}
		var siblings []map[string]any
		for _, f := range files {
			siblings = append(siblings, map[string]any{"rfilename": f.Name()})
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": siblings}); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /herd/{name}/resolve/"+commit+"/{file}", func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(filepath.Join(root, r.PathValue("name"), r.PathValue("file")))
		if err != nil {
			http.Error(w, "no such file", http.StatusNotFound)
			return
		}
		w.Header().Set("X-Linked-ETag", footage.Sum(b).String())
		w.Header().Set("Content-Type", "application/octet-stream")
		if _, err := w.Write(b); err != nil {
			t.Error(err)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}
