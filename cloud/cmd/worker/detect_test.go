package detectcmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.uber.org/goleak"

	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/still"
	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/worker/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const blobs = "../../count/detect/detr/testdata/blobs"

// pasture fills a folder with pictures of simulated herds.
func pasture(t *testing.T, names ...string) (folder string, animals []int) {
	t.Helper()
	folder = t.TempDir()
	for i, name := range names {
		clip, err := synthetic.New(synthetic.Config{Seed: uint64(i + 1), Animals: 12, Width: 640, Height: 480, Speed: -1})
		if err != nil {
			t.Fatal(err)
		}
		var f video.Frame
		if err := clip.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(out, still.Image(&f)), out.Close()); err != nil {
			t.Fatal(err)
		}
		animals = append(animals, clip.Truth().UniqueAnimals)
	}
	return folder, animals
}

func TestDetect(t *testing.T) {
	lib := library(t)
	folder, animals := pasture(t, "a.png", "c.png", "d.PNG")
	for name, content := range map[string]string{"b.jpg": "I am no picture", "e.jpg": "nor am I", "notes.txt": "not looked at"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "out.jsonl")
	c := Command{Images: folder, Out: out, DetectFlags: engine.DetectFlags{Model: blobs, Runtime: lib, Tile: -1, Overlap: -1, Threshold: -1, Threads: 2}}
	var said strings.Builder
	err := c.Run(t.Context(), io.Discard, &said)
	if !errors.Is(err, ErrPictures) || !strings.Contains(err.Error(), "2 of 5") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(said.String(), "5 pictures") {
		t.Errorf("said %q", &said)
	}
	var names []string
	for line := range lines(t, out) {
		names = append(names, line.Image)
		bad := strings.HasSuffix(line.Image, ".jpg")
		if bad != (line.Error != "") || bad != (line.Detections == nil) {
			t.Errorf("%+v", line)
		}
	}
	if strings.Join(names, " ") != "a.png b.jpg c.png d.PNG e.jpg" {
		t.Errorf("order: %v", names)
	}
	i := 0
	for line := range lines(t, out) {
		if line.Error == "" {
			if n := len(line.Detections); n < animals[i]-2 || n > animals[i]+2 {
				t.Errorf("%s: %d found, %d there", line.Image, n, animals[i])
			}
			i++
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDetectToStdout(t *testing.T) {
	folder, _ := pasture(t, "a.png")
	c := Command{Images: folder, Out: "-", DetectFlags: engine.DetectFlags{Model: blobs, Runtime: library(t), Tile: 0, Overlap: -1, Threshold: 0.5, Provider: detr.CPU}}
	var out strings.Builder
	if err := c.Run(t.Context(), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(strings.NewReader(out.String()))
	n := 0
	for ; s.Scan(); n++ {
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(s.Bytes(), &keys); err != nil || len(keys) != 4 || keys["image"] == nil || keys["detections"] == nil ||
			string(keys["model"]) != `"blobs"` || len(keys["digest"]) != 66 {
			t.Errorf("%s: %v", s.Bytes(), err)
		}
	}
	if n != 1 {
		t.Errorf("%d lines", n)
	}
}

func TestDetectRefuses(t *testing.T) {
	folder, _ := pasture(t, "a.png")
	good := Command{Images: folder, Out: filepath.Join(t.TempDir(), "o"), DetectFlags: engine.DetectFlags{Model: blobs, Runtime: library(t), Tile: -1, Overlap: -1, Threshold: -1}}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		change func(*Command)
		ctx    context.Context
		want   error
	}{
		"no pictures":   {func(c *Command) { c.Images = t.TempDir() }, t.Context(), fs.ErrNotExist},
		"no model":      {func(c *Command) { c.Model = t.TempDir() }, t.Context(), detr.ErrModel},
		"no provider":   {func(c *Command) { c.Provider = detr.CUDA }, t.Context(), detr.ErrProvider},
		"no out folder": {func(c *Command) { c.Out = "/nowhere/o" }, t.Context(), fs.ErrNotExist},
		"cancelled":     {func(*Command) {}, cancelled, context.Canceled},
	} {
		cmd := good
		c.change(&cmd)
		if err := cmd.Run(c.ctx, io.Discard, io.Discard); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(cmd.Out); err == nil {
			t.Errorf("%s: output was written", name)
		}
	}
	for _, tile := range []int{3, 5} {
		cmd := good
		cmd.Tile = tile
		if err := cmd.Run(t.Context(), io.Discard, io.Discard); err == nil {
			t.Errorf("tile %d was taken", tile)
		}
	}
}

func TestFlags(t *testing.T) {
	var cli struct {
		Detect Command `cmd:""`
	}
	p, err := kong.New(&cli, kong.Exit(func(int) { t.Error("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Parse([]string{"detect", "--images", t.TempDir(), "--out", "-", "--model", "m", "--tile", "416", "--provider", "tensorrt", "--threshold", "0"}); err != nil {
		t.Fatal(err)
	}
	if cli.Detect.Tile != 416 || cli.Detect.Overlap != -1 || cli.Detect.Threshold != 0 || cli.Detect.Provider != detr.TensorRT {
		t.Errorf("%+v", cli.Detect)
	}
	if _, err := p.Parse([]string{"detect", "--images", t.TempDir(), "--out", "-", "--model", "m", "--provider", "npu"}); err == nil {
		t.Error("provider npu was taken")
	}
}
