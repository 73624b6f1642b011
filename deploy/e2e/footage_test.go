package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	shared       = "../../../shared"
	sharedModel  = shared + "/models/deimv2-femto-coco"
	sharedClip   = shared + "/data/drone-pans/yak1_single_pass.mp4"
	defaultModel = "../../cloud/model/default"
)

// handedOut reports whether the development hand-outs stand beside the
// project. In CI they must be whole when they are there.
func handedOut(t testing.TB) bool {
	t.Helper()
	if _, err := os.Stat(filepath.Join(sharedModel, "model.onnx")); err == nil {
		return true
	}
	if _, err := os.Stat(shared); err == nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is not there", sharedModel)
	}
	return false
}

// model is the detector: the handed-out one, whose counts of the handed-out
// clip are known, else the project's own.
func model(t testing.TB) string {
	t.Helper()
	m := defaultModel
	if handedOut(t) {
		m = sharedModel
	}
	abs, err := filepath.Abs(m)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// library is ONNX Runtime, where the set-up puts it unless told otherwise.
func library(t testing.TB) string {
	t.Helper()
	if lib := os.Getenv("ONNXRUNTIME_LIB"); lib != "" {
		return lib
	}
	abs, err := filepath.Abs("../../build/onnxruntime/libonnxruntime.so.1")
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// clip is a short piece of footage with the true number of animals in it.
func clip(t testing.TB) (path string, animals int) {
	t.Helper()
	if !handedOut(t) {
		return rendered(t)
	}
	b, err := os.ReadFile(sharedClip[:len(sharedClip)-len("mp4")] + "json")
	if err != nil {
		t.Fatal(err)
	}
	var truth struct {
		Unique int `json:"unique_animals"`
	}
	if err := json.Unmarshal(b, &truth); err != nil || truth.Unique == 0 {
		t.Fatalf("truth: %+v %v", truth, err)
	}
	return sharedClip, truth.Unique
}

// rendered is a clip of a simulated herd, for machines without the hand-outs.
func rendered(t testing.TB) (path string, animals int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "herd.mp4")
	if out, err := exec.Command(filepath.Join(bin, "worker"), "simulate", "--out", path).CombinedOutput(); err != nil {
		t.Fatalf("render a clip: %v: %s", err, out)
	}
	b, err := os.ReadFile(path[:len(path)-len("mp4")] + "json")
	if err != nil {
		t.Fatal(err)
	}
	var truth struct {
		Unique int `json:"unique_animals"`
	}
	if err := json.Unmarshal(b, &truth); err != nil || truth.Unique == 0 {
		t.Fatalf("truth: %+v %v", truth, err)
	}
	return path, truth.Unique
}
