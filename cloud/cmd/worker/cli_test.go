package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/synthetic/clipfile"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"worker": main})
}

// leakChecked fails a package whose tests leave goroutines behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines remain after the tests:", err)
		return 1
	}
	return code
}

// TestScripts runs the program as a person does. The scripts use the small detector of bright blobs of the tests of
// cloud/count/detect/detr.
func TestScripts(t *testing.T) {
	model, err := filepath.Abs(blobs)
	if err != nil {
		t.Fatal(err)
	}
	clips := t.TempDir()
	for name, c := range map[string]synthetic.Config{
		"herd.mp4":  {Seconds: 0.2, Width: 320, Height: 320},
		"small.mp4": {Seconds: 0.2, Width: 160, Height: 160, Scale: 11},
		"other.mp4": {Seconds: 0.4, Width: 320, Height: 320, Seed: 7},
	} {
		if _, err := clipfile.Write(t.Context(), filepath.Join(clips, name), c); err != nil {
			t.Fatal(err)
		}
	}
	log := clipfile.Log{Dialect: clipfile.Brackets, Lat: -31.7, Lon: 24.3}
	above := synthetic.Config{Seconds: 0.4, Width: 320, Height: 320, Tilt: -1, Seed: 7}
	if _, err := clipfile.WriteLogged(t.Context(), filepath.Join(clips, "logged.mp4"), above, log); err != nil {
		t.Fatal(err)
	}
	if err := writeFlown(t.Context(), clips); err != nil {
		t.Fatal(err)
	}
	cattle, err := filepath.Abs("../../model/default")
	if err != nil {
		t.Fatal(err)
	}
	library := os.Getenv("ONNXRUNTIME_LIB")
	if library == "" { // the place where the set-up installs it
		if library, err = filepath.Abs("../../../build/onnxruntime/libonnxruntime.so.1"); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := filepath.Abs("../../flightlog/testdata")
	if err != nil {
		t.Fatal(err)
	}
	hub := serveHub(t, filepath.Dir(model))
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"places": comparePlaces},
		Setup: func(e *testscript.Env) error {
			e.Setenv("BLOBS", model)
			e.Setenv("CLIP", filepath.Join(clips, "herd.mp4"))
			e.Setenv("CLIPS", clips)
			e.Setenv("LOGS", logs)
			e.Setenv("MODELS", filepath.Dir(model))
			e.Setenv("CATTLE", cattle)
			e.Setenv("HUB", hub)
			e.Setenv("ONNXRUNTIME_LIB", library)
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}

// serveHub is a small Hugging Face hub. Each folder of root is a repository of the owner "herd" with one revision.
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
