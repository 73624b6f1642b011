package compare

import (
	"context"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/count/coco"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
)

// fixed finds the same boxes in every picture.
type fixed []detect.Box

func (f fixed) Detect(_ context.Context, frames []*video.Frame) ([][]detect.Box, error) {
	out := make([][]detect.Box, len(frames))
	for i := range out {
		out[i] = f
	}
	return out, nil
}

// folder has a picture with two animals and a sheep, one with an ignored region, and one of another flight.
func folder(t *testing.T) string {
	t.Helper()
	dir, f := t.TempDir(), coco.New()
	for i, clip := range []string{"a", "a", "b"} {
		name := string(rune('x'+i)) + ".png"
		f.Images = append(f.Images, &coco.Image{ID: i + 1, File: name, Width: 100, Height: 50, Clip: clip})
		path := filepath.Join(dir, coco.Images, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(out, image.NewGray(image.Rect(0, 0, 100, 50))), out.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range []coco.Annotation{
		{Image: 1, Category: 1, Box: [4]float64{0, 0, 10, 10}}, {Image: 1, Category: 1, Box: [4]float64{40, 0, 10, 10}},
		{Image: 1, Category: 2, Box: [4]float64{80, 0, 10, 10}}, {Image: 2, Category: 1, Crowd: 1, Box: [4]float64{0, 0, 30, 30}},
	} {
		a.ID = i + 1
		f.Annotations = append(f.Annotations, &a)
	}
	if err := f.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMeasure(t *testing.T) {
	list, err := Load(folder(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := fixed{{X1: 1, Y1: 1, X2: 9, Y2: 9, Score: 0.9}, {X1: 60, Y1: 20, X2: 70, Y2: 30, Score: 0.6}, {X1: 80, X2: 90, Y2: 10, Score: 0.5, Other: true}}
	got, err := Measure(t.Context(), list, found, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Tally{{"a", 2, 2, 3, 1}, {"b", 1, 0, 2, 0}, {Total, 3, 2, 5, 1}}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%+v, want %+v", got, want)
	}
	if f := got[2].False(); f < 1.33 || f > 1.34 {
		t.Errorf("%v false boxes a picture", f)
	}
}

func TestFoldersThatCannotBeCompared(t *testing.T) {
	dir := folder(t)
	if _, err := Load(dir, []string{"a", "c"}); !errors.Is(err, coco.ErrFolder) || !strings.Contains(err.Error(), "the clips c") {
		t.Error(err)
	}
	if list, err := Load(dir, []string{"b"}); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
	if _, err := Load(t.TempDir(), nil); !errors.Is(err, coco.ErrFolder) {
		t.Error(err)
	}
	list, err := Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	list[1].Width = 99
	if _, err := Measure(t.Context(), list, fixed{}, 1, nil); !errors.Is(err, coco.ErrFolder) {
		t.Error(err)
	}
	if err := os.Remove(list[1].Path); err != nil {
		t.Fatal(err)
	}
	if _, err := Measure(t.Context(), list, fixed{}, 1, nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		before, now Tally
		want        string
	}{
		"the same":             {Tally{"", 10, 100, 100, 90}, Tally{"", 10, 100, 100, 90}, Equal},
		"better":               {Tally{"", 10, 100, 100, 90}, Tally{"", 10, 100, 100, 93}, Better},
		"worse":                {Tally{"", 10, 100, 100, 90}, Tally{"", 10, 100, 100, 88}, Worse},
		"count":                {Tally{"", 10, 100, 100, 90}, Tally{"", 10, 100, 108, 94}, Worse},
		"false boxes":          {Tally{"", 10, 0, 0, 0}, Tally{"", 10, 0, 3, 0}, Worse},
		"one more among many":  {Tally{"", 9, 217, 222, 214}, Tally{"", 9, 217, 223, 214}, Equal},
		"fewer false boxes":    {Tally{"", 10, 0, 30, 0}, Tally{"", 10, 0, 3, 0}, Better},
		"nothing in pictures":  {Tally{"", 10, 0, 0, 0}, Tally{"", 10, 0, 0, 0}, Equal},
		"better in one, worse": {Tally{"", 10, 100, 95, 85}, Tally{"", 10, 100, 130, 99}, Worse},
	} {
		if got, why := Judge(c.before, c.now); got != c.want || (got != Equal) != (len(why) > 0) {
			t.Errorf("%s: %s %v, want %s", name, got, why, c.want)
		}
	}
}
