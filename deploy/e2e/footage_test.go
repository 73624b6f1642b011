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

// hasHandOuts reports whether the sample files of a development machine stand beside the project. In CI they must be
// complete when their folder exists.
func hasHandOuts(t testing.TB) bool {
	t.Helper()
	if _, err := os.Stat(filepath.Join(sharedModel, "model.onnx")); err == nil {
		return true
	}
	if _, err := os.Stat(shared); err == nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", sharedModel)
	}
	return false
}

// model is the detector: the sample model, whose count of the sample clip is known, else the project's own.
func model(t testing.TB) string {
	t.Helper()
	m := defaultModel
	if hasHandOuts(t) {
		m = sharedModel
	}
	abs, err := filepath.Abs(m)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// library is ONNX Runtime: ONNXRUNTIME_LIB, else the file of the set-up.
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

// clip is a short clip and the true number of animals in it.
func clip(t testing.TB) (path string, animals int) {
	t.Helper()
	if !hasHandOuts(t) {
		return renderedClip(t)
	}
	return sharedClip, truth(t, sharedClip)
}

// renderedClip is a clip of a simulated herd, for machines without the sample files.
func renderedClip(t testing.TB) (path string, animals int) {
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

// truth is the number of animals in the file beside a clip.
func truth(t testing.TB, clip string) (animals int) {
	t.Helper()
	b, err := os.ReadFile(strings.TrimSuffix(clip, ".mp4") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var beside struct {
		Unique int `json:"unique_animals"`
	}
	if err := json.Unmarshal(b, &beside); err != nil || beside.Unique == 0 {
		t.Fatalf("truth: %+v %v", beside, err)
	}
	return beside.Unique
}
