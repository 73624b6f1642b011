package main

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

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/worker/engine"
)

const blobs = "../../count/detect/detr/testdata/blobs"

// writeHerds fills a folder with pictures of simulated herds and returns the number of animals in each.
func writeHerds(t *testing.T, names ...string) (folder string, animals []int) {
	t.Helper()
	folder = t.TempDir()
	for i, name := range names {
		clip, err := synthetic.New(synthetic.Config{Seed: uint64(i + 1), Animals: 12, Width: 640, Height: 480, Speed: -1, Clutter: -1})
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
		if err := errors.Join(png.Encode(out, f.Image()), out.Close()); err != nil {
			t.Fatal(err)
		}
		animals = append(animals, clip.Truth().UniqueAnimals)
	}
	return folder, animals
}

func TestDetect(t *testing.T) {
	lib := library(t)
	folder, animals := writeHerds(t, "a.png", "c.png", "d.PNG")
	for name, content := range map[string]string{"b.jpg": "not a picture", "e.jpg": "not a picture", "notes.txt": "ignored"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "out.jsonl")
	c := detectCommand{Images: folder, Out: out, detectFlags: detectFlags{Model: blobs, runtimeFlag: runtimeFlag{lib}, Threads: 2}}
	var stderr strings.Builder
	err := c.run(t.Context(), io.Discard, &stderr)
	if !errors.Is(err, errPictures) || !strings.Contains(err.Error(), "2 of 5") {
		t.Errorf("error %v, want errPictures of 2 of 5", err)
	}
	if !strings.Contains(stderr.String(), "5 pictures") {
		t.Errorf("standard error: %q", &stderr)
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
				t.Errorf("%s: %d animals found, want %d within 2", line.Image, n, animals[i])
			}
			i++
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); len(left) > 0 {
		t.Errorf("temporary files remain: %v", left)
	}
}

func TestDetectToStdout(t *testing.T) {
	folder, _ := writeHerds(t, "a.png")
	c := detectCommand{Images: filepath.Join(folder, "a.png"), Out: "-", detectFlags: detectFlags{Model: blobs, runtimeFlag: runtimeFlag{library(t)}, Tile: engine.WholeFrame, Threshold: 0.5, deviceFlags: deviceFlags{Provider: detr.CPU}}}
	var out strings.Builder
	if err := c.run(t.Context(), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(strings.NewReader(out.String()))
	n := 0
	for ; s.Scan(); n++ {
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(s.Bytes(), &keys); err != nil || len(keys) != 6 || string(keys["width"]) != "640" || keys["image"] == nil || keys["detections"] == nil ||
			string(keys["model"]) != `"blobs"` || len(keys["digest"]) != 66 {
			t.Errorf("%s: %v", s.Bytes(), err)
		}
	}
	if n != 1 {
		t.Errorf("%d lines", n)
	}
}

// Animals of other kinds are no detections of cattle.
func TestDetectListsOtherAnimals(t *testing.T) {
	folder, animals := writeHerds(t, "a.png")
	model := t.TempDir()
	if err := os.CopyFS(model, os.DirFS(blobs)); err != nil {
		t.Fatal(err)
	}
	card := "name: sheep\nlabels: [sheep]\ncattle: []\nother: [sheep]\nthreshold: 0.4\n"
	if err := os.WriteFile(filepath.Join(model, "cattlecounter.yaml"), []byte(card), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.jsonl")
	c := detectCommand{Images: folder, Out: out, detectFlags: detectFlags{Model: model, runtimeFlag: runtimeFlag{library(t)}}}
	if err := c.run(t.Context(), io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	for line := range lines(t, out) {
		if n := len(line.Others); len(line.Detections) != 0 || n < animals[0]-2 || n > animals[0]+2 || line.Others[0].Label != "sheep" {
			t.Errorf("%d detections, %d others, want %d within 2", len(line.Detections), n, animals[0])
		}
	}
}

func TestDetectRefuses(t *testing.T) {
	folder, _ := writeHerds(t, "a.png")
	good := detectCommand{Images: folder, Out: filepath.Join(t.TempDir(), "o"), detectFlags: detectFlags{Model: blobs, runtimeFlag: runtimeFlag{library(t)}}}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		change func(*detectCommand)
		ctx    context.Context
		want   error
	}{
		"no pictures":   {func(c *detectCommand) { c.Images = t.TempDir() }, t.Context(), errPictures},
		"no folder":     {func(c *detectCommand) { c.Images = "/nowhere" }, t.Context(), fs.ErrNotExist},
		"no model":      {func(c *detectCommand) { c.Model = t.TempDir() }, t.Context(), detr.ErrModel},
		"no provider":   {func(c *detectCommand) { c.Provider = detr.CUDA }, t.Context(), detr.ErrProvider},
		"no out folder": {func(c *detectCommand) { c.Out = "/nowhere/o" }, t.Context(), fs.ErrNotExist},
		"canceled":      {func(*detectCommand) {}, canceled, context.Canceled},
	} {
		cmd := good
		c.change(&cmd)
		if err := cmd.run(c.ctx, io.Discard, io.Discard); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(cmd.Out); err == nil {
			t.Errorf("%s: output was written", name)
		}
	}
}

// parseDetect parses a command line of `worker detect`.
func parseDetect(t *testing.T, flags ...string) (detectCommand, error) {
	t.Helper()
	var c struct {
		Detect detectCommand `cmd:""`
	}
	p, err := kong.New(&c, kong.Exit(func(int) { t.Error("kong ended the program") }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Parse(append([]string{"detect", "--images", t.TempDir(), "--out", "-", "--model", "m"}, flags...))
	return c.Detect, err
}

func TestDetectFlags(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		want  engine.Settings
	}{
		"default": {nil, engine.Settings{Provider: detr.CPU}},
		"zeros":   {[]string{"--tile", "0", "--overlap", "0", "--threshold", "0"}, engine.Settings{Provider: detr.CPU}},
		"tile":    {[]string{"--tile", "416", "--provider", "tensorrt"}, engine.Settings{Tile: 416, Provider: detr.TensorRT}},
		"whole":   {[]string{"--tile", "whole"}, engine.Settings{Tile: engine.WholeFrame, Provider: detr.CPU}},
		"all given": {[]string{"--overlap", "0.3", "--threshold", "0.5", "--batch", "2", "--threads", "1", "--device", "1"},
			engine.Settings{Overlap: 0.3, Threshold: 0.5, Batch: 2, Threads: 1, Provider: detr.CPU, GPU: detr.GPU{Device: 1}}},
	} {
		got, err := parseDetect(t, c.flags...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := got.settings()
		s.Model, s.Store, s.Library = "", c.want.Store, ""
		if s != c.want {
			t.Errorf("%s: settings %+v, want %+v", name, s, c.want)
		}
	}
	for _, bad := range []string{"--provider=npu", "--tile=-1", "--tile=31", "--tile=wide", "--overlap=0.95", "--overlap=-1",
		"--threshold=1", "--threshold=-1", "--batch=-1", "--threads=-1", "--device=-1"} {
		if _, err := parseDetect(t, bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

// TestZeroMeansTheSameInConfigurationAndFlags compares the default of each detection setting, and its explicit 0.
func TestZeroMeansTheSameInConfigurationAndFlags(t *testing.T) {
	conf := config.Default()
	conf.Worker.Tile, conf.Worker.Overlap, conf.Worker.Threshold, conf.Worker.Batch, conf.Worker.Threads = 0, 0, 0, 0, 0
	var c struct {
		Count countCommand `cmd:""`
	}
	p, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{nil, {"--tile=0", "--overlap=0", "--threshold=0", "--batch=0", "--threads=0"}} {
		if _, err := p.Parse(append([]string{"count", "clip.mp4"}, flags...)); err != nil {
			t.Fatal(err)
		}
		got, want := c.Count.settings(), engineSettings(conf)
		got.Model, got.Store, got.Library, want.Library = "", want.Store, "", ""
		if got != want {
			t.Errorf("flags %v give %+v, the configuration %+v", flags, got, want)
		}
	}
}
