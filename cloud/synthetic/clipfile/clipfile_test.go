package clipfile

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/libav"
	"cattlecounter/cloud/synthetic"
)

func TestWriteClipAndTruth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "herd.mp4")
	c := synthetic.Config{Seed: 3, Animals: 10, Seconds: 0.5, FPS: 10, Width: 320, Height: 240, Scale: 15, Tilt: 30, Speed: -1, Moving: -1}
	written, err := Write(t.Context(), path, c)
	if err != nil {
		t.Fatal(err)
	}
	if written.Frames != 5 {
		t.Errorf("the returned truth has %d frames, want 5", written.Frames)
	}
	b, err := os.ReadFile(TruthPath(path))
	if err != nil {
		t.Fatal(err)
	}
	var truth synthetic.Truth
	if err := json.Unmarshal(b, &truth); err != nil || truth.Frames != 5 || len(truth.PerFrame) != 5 {
		t.Errorf("truth in the file: %v %+v", err, truth)
	}
	d, err := libav.Open(t.Context(), libav.Config{}, path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	n := 0
	for f := new(video.Frame); ; n++ {
		if err := d.Next(t.Context(), f, 1); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n != 5 || d.Info().Width != 320 {
		t.Errorf("%d frames, %+v", n, d.Info())
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if len(left) != 2 {
		t.Errorf("files in the folder: %v, want the clip and its truth", left)
	}
}

func TestWriteRefusesConfigs(t *testing.T) {
	for name, c := range map[string]synthetic.Config{
		"odd width":  {Width: 321, Height: 240},
		"odd height": {Width: 320, Height: 241},
		"no length":  {Seconds: -1},
	} {
		path := filepath.Join(t.TempDir(), "herd.mp4")
		if _, err := Write(t.Context(), path, c); !errors.Is(err, synthetic.ErrConfig) {
			t.Errorf("%s: %v, want synthetic.ErrConfig", name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) > 0 {
			t.Errorf("%s: files remain: %v", name, left)
		}
	}
}
