package model

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// put writes files below dir.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "project")
	own := filepath.Join(dir, "cloud", "model", "default")
	development := filepath.Join(dir, "..", "shared", "models", "deimv2-femto-coco")
	for _, d := range []string{own, development} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	put(t, development, map[string]string{Network: "h"})
	s := Store{Dir: filepath.Join(dir, "data", "models")}
	// Beside a folder that is not the source tree, shared is somebody else's.
	if got, err := s.Find(""); !errors.Is(err, ErrNoModel) || !strings.Contains(err.Error(), "worker model pull") {
		t.Errorf("without a model: %+v %v", got, err)
	}
	put(t, dir, map[string]string{"go.mod": "module cattlecounter\n"})
	if got, err := s.Find(""); err != nil || got.Name != "deimv2-femto-coco" || got.Origin != Development {
		t.Errorf("development model: %+v %v", got, err)
	}
	put(t, own, map[string]string{Network: "o"})
	if got, err := s.Find(""); err != nil || got.Name != Default || got.Origin != BuiltIn {
		t.Errorf("own model: %+v %v", got, err)
	}
	if got, err := (Store{}).Find(""); err != nil || got.Name != Default {
		t.Errorf("without a store: %+v %v", got, err)
	}
	put(t, s.Dir, map[string]string{"yak/model.onnx": "y", "cow/model.onnx": "c", "cow/onnx/b.onnx": "b", "empty/readme": ""})
	if err := s.Use("yak"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Find(""); err != nil || got != (Entry{"yak", filepath.Join(s.Dir, "yak"), Stored}) {
		t.Errorf("chosen model: %+v %v", got, err)
	}
	put(t, dir, map[string]string{"yak/model.onnx": "another", "goat/model.onnx": "g"})
	for named, want := range map[string]Entry{
		"cow":                     {"cow", filepath.Join(s.Dir, "cow"), Stored},
		"yak":                     {"yak", filepath.Join(s.Dir, "yak"), Stored}, // a name has priority over a path
		"./yak":                   {"yak", "./yak", Path},
		"goat":                    {"goat", "goat", Path},
		"default":                 {Default, filepath.Join("cloud", "model", "default"), BuiltIn},
		"data/models/cow":         {"cow", "data/models/cow", Stored},
		"data/models/cow/x/..":    {"cow", "data/models/cow/x/..", Stored},
		development:               {"deimv2-femto-coco", development, Path},
		"goat/model.onnx":         {"goat", "goat/model.onnx", Path},
		"data/models/cow/onnx":    {"onnx", "data/models/cow/onnx", Path},
		"data/models/../../goat/": {"goat", "data/models/../../goat/", Path},
	} {
		if err := os.MkdirAll("data/models/cow/x", 0o750); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Find(named); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", named, got, err, want)
		}
	}
	for _, named := range []string{"none", "./none", "none.onnx", "/none/at/all"} {
		if got, err := s.Find(named); !errors.Is(err, ErrNoModel) || !strings.Contains(err.Error(), named) {
			t.Errorf("%s: %+v %v", named, got, err)
		}
	}
	if _, err := s.Find("none"); !strings.Contains(err.Error(), "cow, empty, yak") {
		t.Errorf("the error does not list the models: %v", err)
	}
	if _, err := (Store{}).Find(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing model: %v", err)
	}
}

// TestMissingChosenModelIsAnError removes the chosen model. Another model must not replace it silently.
func TestMissingChosenModelIsAnError(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	put(t, dir, map[string]string{"cloud/model/default/model.onnx": "o", "models/yak/model.onnx": "y"})
	s := Store{Dir: "models"}
	if err := s.Use("yak"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll("models/yak"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Find(""); !errors.Is(err, ErrNoModel) || !strings.Contains(err.Error(), "model yak was chosen") {
		t.Errorf("%+v %v", got, err)
	}
	for name, content := range map[string]string{"empty": "", "path": "../yak\n", "long": strings.Repeat("x", 5000), "reserved": "default"} {
		put(t, dir, map[string]string{"models/current": content})
		if got, err := s.Find(""); !errors.Is(err, ErrStore) || !strings.Contains(err.Error(), "models/current") {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if err := s.Use(Default); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Find(""); err != nil || got.Origin != BuiltIn {
		t.Errorf("%+v %v", got, err)
	}
	if err := errors.Join(s.Use(Default), (Store{Dir: "nowhere"}).Use(Default)); err != nil {
		t.Errorf("choosing the default twice: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"yak", "Yak-1.2_b", "7", strings.Repeat("x", 100)} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", ".", "..", ".hidden", "a/b", `a\b`, "-x", "a b", "default", "current", "lock", "x.onnx", "yäk", "a\n", strings.Repeat("x", 101)} {
		if err := CheckName(name); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := (Store{Dir: t.TempDir()}).Get("../x"); !errors.Is(err, ErrName) {
		t.Error(err)
	}
}

func TestIsData(t *testing.T) {
	for name, want := range map[string]bool{
		"model.onnx": false, "model.onnx_data": true, "model.onnx.data": true, "model.onnx_data_1": true, "model_fp16.onnx_data": true,
		"model.onnx.bak": false, "config.json": false, "data": false,
	} {
		if IsData(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}
