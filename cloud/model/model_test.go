package model

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestFind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "project")
	own := filepath.Join(dir, "cloud", "model", "default")
	handed := filepath.Join(dir, "..", "shared", "models", "deimv2-femto-coco")
	for _, d := range []string{own, handed} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	put := func(d string) {
		if err := os.WriteFile(filepath.Join(d, Network), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Find(""); !errors.Is(err, ErrNoModel) {
		t.Errorf("nothing there: %q %v", got, err)
	}
	put(handed)
	if got, err := Find(""); err != nil || filepath.Base(got) != "deimv2-femto-coco" {
		t.Errorf("handed-out model: %q %v", got, err)
	}
	put(own)
	if got, err := Find(""); err != nil || filepath.Base(got) != "default" {
		t.Errorf("own model: %q %v", got, err)
	}
	if got, err := Find(handed); err != nil || got != handed {
		t.Errorf("named model: %q %v", got, err)
	}
	if _, err := Find(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent model: %v", err)
	}
}
