package simulatecmd

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/opencv"
	"cattlecounter/cloud/synthetic"
)

func TestSimulate(t *testing.T) {
	c := Command{Out: filepath.Join(t.TempDir(), "herd.mp4"), Seed: 3, Animals: 10, Seconds: 0.5, FPS: 10, Size: Size{320, 240}, Scale: 15, Tilt: 30}
	var said strings.Builder
	if err := c.Run(t.Context(), &said); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "5 frames") {
		t.Errorf("said %q", &said)
	}
	b, err := os.ReadFile(TruthPath(c.Out))
	if err != nil {
		t.Fatal(err)
	}
	var truth synthetic.Truth
	if err := json.Unmarshal(b, &truth); err != nil || truth.Frames != 5 || len(truth.PerFrame) != 5 {
		t.Errorf("%v %+v", err, truth)
	}
	d, err := opencv.Open(c.Out)
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
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(c.Out), "*"))
	if len(left) != 2 {
		t.Errorf("files: %v", left)
	}
}

func TestSize(t *testing.T) {
	var s Size
	if err := s.UnmarshalText([]byte("640x480")); err != nil || s != (Size{640, 480}) {
		t.Errorf("%v %v", s, err)
	}
	for _, text := range []string{"", "640", "640x", "x480", "640x480p", "wide"} {
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %v", text, s)
		}
	}
}
