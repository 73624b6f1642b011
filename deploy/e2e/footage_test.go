package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
	return sharedClip, truth(t, sharedClip)
}

// rendered is a clip of a simulated herd, for machines without the hand-outs.
func rendered(t testing.TB) (path string, animals int) {
	t.Helper()
	path, err := herd()
	if err != nil {
		t.Fatal(err)
	}
	return path, truth(t, path)
}

// herd renders the clip once for all tests.
var herd = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(bin, "herd.mp4")
	if out, err := exec.CommandContext(context.Background(), filepath.Join(bin, "herdsim"), "clip", "--out", path).CombinedOutput(); err != nil {
		return "", fmt.Errorf("render a clip: %w: %s", err, out)
	}
	return path, nil
})

// truth is the number of animals that the file beside a clip says.
func truth(t testing.TB, clip string) (animals int) {
	t.Helper()
	b, err := os.ReadFile(strings.TrimSuffix(clip, ".mp4") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Unique int `json:"unique_animals"`
	}
	if err := json.Unmarshal(b, &said); err != nil || said.Unique == 0 {
		t.Fatalf("truth: %+v %v", said, err)
	}
	return said.Unique
}
