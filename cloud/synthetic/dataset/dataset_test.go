package dataset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"
)

func small(folder string, images int) Options {
	return Options{Folder: folder, Images: images, Seed: 4, Width: 96, Height: 80, Jobs: 1}
}

func TestWriteCOCO(t *testing.T) {
	o := small(filepath.Join(t.TempDir(), "new", "set"), 25)
	o.Jobs = 2
	sum, err := Write(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var set coco
	raw, err := os.ReadFile(filepath.Join(o.Folder, "annotations.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Images) != 25 || len(set.Categories) != 1 || set.Categories[0] != (cocoCategory{1, "cattle"}) {
		t.Errorf("%d pictures, categories %v", len(set.Images), set.Categories)
	}
	pictures := map[int]bool{}
	for _, m := range set.Images {
		pictures[m.ID] = true
		f, err := os.Open(filepath.Join(o.Folder, "images", m.FileName))
		if err != nil {
			t.Fatal(err)
		}
		k, err := jpeg.DecodeConfig(f)
		f.Close()
		if err != nil || k.Width != m.Width || k.Height != m.Height || m.Width != 96 || m.Height != 80 {
			t.Errorf("%s: %v, %dx%d, announced %dx%d", m.FileName, err, k.Width, k.Height, m.Width, m.Height)
		}
	}
	ids, filled := map[int]bool{}, map[int]bool{}
	for _, a := range set.Annotations {
		b := a.Box
		if ids[a.ID] || !pictures[a.ImageID] || a.Category != 1 || a.Crowd != 0 || a.Area <= 0 || a.Area > b[2]*b[3] {
			t.Errorf("%+v", a)
		}
		if b[0] < 0 || b[1] < 0 || b[2] <= 0 || b[3] <= 0 || b[0]+b[2] > 96 || b[1]+b[3] > 80 {
			t.Errorf("annotation %d: box %v", a.ID, b)
		}
		ids[a.ID], filled[a.ImageID] = true, true
	}
	if sum != (Summary{Pictures: 25, Animals: len(set.Annotations), Empty: 25 - len(filled)}) {
		t.Errorf("summary %+v of %d animals in %d pictures", sum, len(set.Annotations), len(filled))
	}
	if len(pictures) != 25 || len(filled) == 0 || len(filled) == 25 {
		t.Errorf("%d of %d pictures have animals", len(filled), len(pictures))
	}
}

// TestSamePicturesForAnyJobs compares the folders byte by byte.
func TestSamePicturesForAnyJobs(t *testing.T) {
	var all [2][]byte
	for i, jobs := range []int{1, 3} {
		o := small(t.TempDir(), 7)
		o.Jobs = jobs
		if _, err := Write(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(o.Folder, "images", "*.jpg"))
		if err != nil || len(files) != 7 {
			t.Fatalf("%v: %v", files, err)
		}
		for _, f := range append(files, filepath.Join(o.Folder, "annotations.json")) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all[i] = append(all[i], b...)
		}
		if left, _ := filepath.Glob(filepath.Join(o.Folder, ".*")); len(left) != 0 {
			t.Errorf("temporary files remain: %v", left)
		}
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Error("three painters drew another data set than one")
	}
}

func TestWriteRefusesOptions(t *testing.T) {
	full := t.TempDir()
	file := filepath.Join(full, "notes.txt")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"no pictures":  func(o *Options) { o.Images = 0 },
		"too many":     func(o *Options) { o.Images = 1_000_000 },
		"too small":    func(o *Options) { o.Width = 12 },
		"too large":    func(o *Options) { o.Height = 5000 },
		"no jobs":      func(o *Options) { o.Jobs = 0 },
		"full folder":  func(o *Options) { o.Folder = full },
		"not a folder": func(o *Options) { o.Folder = file },
	} {
		o := small(filepath.Join(t.TempDir(), "set"), 2)
		change(&o)
		if _, err := Write(t.Context(), o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
		if o.Folder != full && o.Folder != file {
			if _, err := os.Stat(o.Folder); err == nil {
				t.Errorf("%s: the folder was created", name)
			}
		}
	}
}

func TestCanceledWriteHasNoAnnotations(t *testing.T) {
	o := small(t.TempDir(), 50)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Write(ctx, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(o.Folder, "annotations.json")); err == nil {
		t.Error("annotations.json is in an unfinished data set")
	}
}
