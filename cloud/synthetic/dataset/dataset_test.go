package simulatecmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func asked(images int) RenderCommand {
	return RenderCommand{Images: images, Seed: 4, Size: Size{96, 80}, Jobs: 1}
}

func TestRenderWritesCOCO(t *testing.T) {
	c := asked(25)
	c.Out = filepath.Join(t.TempDir(), "new", "set")
	var said strings.Builder
	if err := c.Run(t.Context(), &said); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "25 pictures") {
		t.Errorf("said %q", &said)
	}
	var set coco
	raw, err := os.ReadFile(filepath.Join(c.Out, "annotations.json"))
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
		f, err := os.Open(filepath.Join(c.Out, "images", m.FileName))
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
	if len(pictures) != 25 || len(filled) == 0 || len(filled) == 25 {
		t.Errorf("%d of %d pictures have animals", len(filled), len(pictures))
	}
}

// TestRenderIsTheSameForAnyJobs compares the folders byte by byte.
func TestRenderIsTheSameForAnyJobs(t *testing.T) {
	var all [2][]byte
	for i, jobs := range []int{1, 3} {
		c := asked(7)
		c.Out, c.Jobs = t.TempDir(), jobs
		if err := c.Run(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(c.Out, "images", "*.jpg"))
		if err != nil || len(files) != 7 {
			t.Fatalf("%v: %v", files, err)
		}
		for _, f := range append(files, filepath.Join(c.Out, "annotations.json")) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all[i] = append(all[i], b...)
		}
		if left, _ := filepath.Glob(filepath.Join(c.Out, ".*")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Error("three painters drew another data set than one")
	}
}

func TestRenderRefuses(t *testing.T) {
	full := t.TempDir()
	file := filepath.Join(full, "notes.txt")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*RenderCommand){
		"no pictures":  func(c *RenderCommand) { c.Images = 0 },
		"too many":     func(c *RenderCommand) { c.Images = 1_000_000 },
		"too small":    func(c *RenderCommand) { c.Size.Width = 12 },
		"too large":    func(c *RenderCommand) { c.Size.Height = 5000 },
		"no jobs":      func(c *RenderCommand) { c.Jobs = 0 },
		"full folder":  func(c *RenderCommand) { c.Out = full },
		"not a folder": func(c *RenderCommand) { c.Out = file },
	} {
		c := asked(2)
		c.Out = filepath.Join(t.TempDir(), "set")
		spoil(&c)
		if err := c.Run(t.Context(), io.Discard); !errors.Is(err, ErrDataset) {
			t.Errorf("%s: %v", name, err)
		}
		if c.Out != full && c.Out != file {
			if _, err := os.Stat(c.Out); err == nil {
				t.Errorf("%s: the folder was made all the same", name)
			}
		}
	}
}

func TestRenderStopped(t *testing.T) {
	c := asked(50)
	c.Out = t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Run(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(c.Out, "annotations.json")); err == nil {
		t.Error("an unfinished data set looks finished")
	}
}
