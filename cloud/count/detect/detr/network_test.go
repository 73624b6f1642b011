package detr

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/shared/footage"
)

// TestWeightsOfOtherKinds compares the detections with 32-bit weights, 16-bit weights, and weights in a separate file.
func TestWeightsOfOtherKinds(t *testing.T) {
	f := paint(64, 64, 200, 30, 30)
	patch(f, 0, 0, 32, 32, 20, 20, 240)
	var want []detect.Box
	for _, folder := range []string{"sigmoid", "half", "external"} {
		got, err := open(t, "testdata/"+folder).DetectRegions(t.Context(), nil, []detect.Region{whole(f)}, 0.5)
		if err != nil {
			t.Fatal(folder, err)
		}
		if folder == "sigmoid" {
			if want = got[0]; len(want) == 0 {
				t.Fatal("no detections with 32-bit weights")
			}
			continue
		}
		if len(got[0]) != len(want) {
			t.Fatalf("%s: detections %+v, want those with 32-bit weights %+v", folder, got[0], want)
		}
		for i, b := range got[0] {
			if !near(b.Score, want[i].Score, 0.01) || !near(b.X1, want[i].X1, 0.1) || b.Class != want[i].Class {
				t.Errorf("%s: detections %+v, want those with 32-bit weights %+v", folder, b, want[i])
			}
		}
	}
}

// TestDigestCoversWeights checks that a change in the weights changes the digest.
func TestDigestCoversWeights(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{}
	for _, name := range []string{"model.onnx", "model.onnx_data"} {
		b, err := os.ReadFile(filepath.Join("testdata/external", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range files {
		write(name, b)
	}
	first, err := findNetwork(dir)
	if err != nil {
		t.Fatal(err)
	}
	lines := ""
	for _, name := range []string{"model.onnx", "model.onnx_data"} {
		lines += footage.Sum(files[name]).String() + "  " + name + "\n"
	}
	if want := footage.Sum([]byte(lines)); first.digest != want || first.size != int64(len(files["model.onnx"])+len(files["model.onnx_data"])) {
		t.Errorf("digest %s of %d bytes, want %s", first.digest, first.size, want)
	}
	write("other.onnx_data", []byte("weights of another network"))
	if n, err := findNetwork(dir); err != nil || n.digest != first.digest {
		t.Errorf("a file that the network does not name changed the digest: %v", err)
	}
	changed := append([]byte(nil), files["model.onnx_data"]...)
	changed[3] ^= 1
	write("model.onnx_data", changed)
	if n, err := findNetwork(dir); err != nil || n.digest == first.digest {
		t.Errorf("the digest did not change with the weights: %v", err)
	}
}

// TestNameAcrossPieces checks that the name of the weights is found at any place of a large network file.
func TestNameAcrossPieces(t *testing.T) {
	const piece = 1 << 20
	for _, at := range []int{0, piece - 520, piece - 512, piece - 8, piece, 2*piece - 700} {
		dir := t.TempDir()
		b := make([]byte, 3*piece)
		copy(b[at:], "model.onnx.data")
		for name, content := range map[string][]byte{"model.onnx": b, "model.onnx.data": []byte("w")} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := findNetwork(dir); err != nil || len(n.data) != 1 || n.size != int64(len(b)+1) {
			t.Errorf("at %d: %+v %v", at, n, err)
		}
	}
}

// TestFilesSavedByMistake checks the errors for files that people save instead of a network.
func TestFilesSavedByMistake(t *testing.T) {
	external, err := os.ReadFile("testdata/external/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		text    string // in the error
	}{
		"web page":        {[]byte("\n<!DOCTYPE html><html>sign in</html>"), "web page"},
		"git lfs":         {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"},
		"checkpoint":      {[]byte("PK\x03\x04archive/data.pkl"), "PyTorch checkpoint"},
		"noise":           {[]byte(strings.Repeat("\xff\x03noise", 100)), "check that the file is whole"},
		"weights missing": {external, "that its weights are beside it"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, networkFile), c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(Options{Path: dir, Library: library(t)})
		if !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
