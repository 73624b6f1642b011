package detr

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// library returns ONNX Runtime. Without it a test is skipped, and in CI it fails.
func library(t testing.TB) string {
	t.Helper()
	lib := os.Getenv("ONNXRUNTIME_LIB")
	if lib == "" {
		if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
			t.Fatal("ONNXRUNTIME_LIB is not set")
		}
		t.Skip("ONNXRUNTIME_LIB is not set")
	}
	return lib
}

func open(t testing.TB, path string, change ...func(*Options)) *Model {
	t.Helper()
	o := Options{Path: path, Library: library(t)}
	for _, c := range change {
		c(&o)
	}
	m, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// paint returns a frame of one colour.
func paint(width, height int, b, g, r byte) *video.Frame {
	f := &video.Frame{}
	f.Resize(width, height)
	for i := 0; i < len(f.Pix); i += 3 {
		f.Pix[i], f.Pix[i+1], f.Pix[i+2] = b, g, r
	}
	return f
}

func patch(f *video.Frame, x0, y0, x1, y1 int, b, g, r byte) {
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			o := (y*f.Width + x) * 3
			f.Pix[o], f.Pix[o+1], f.Pix[o+2] = b, g, r
		}
	}
}

func whole(f *video.Frame) detect.Region {
	return detect.Region{Frame: f, Width: f.Width, Height: f.Height}
}

func near(a, b, slack float32) bool { return math.Abs(float64(a-b)) <= float64(slack) }

func TestPostProcessedFamily(t *testing.T) {
	m := open(t, "testdata/blobs")
	info := m.Info()
	if info.Name != "blobs" || info.Tile != 320 || info.Width != 320 || info.Threshold != 0.4 || info.Provider != CPU || info.Digest.IsZero() || info.Cattle != nil {
		t.Errorf("%+v", info)
	}
	b, err := os.ReadFile("testdata/blobs/model.onnx")
	if err != nil || info.Digest != footage.Sum(b) {
		t.Errorf("digest %v, file has %v (%v)", info.Digest, footage.Sum(b), err)
	}
	f := paint(500, 400, 30, 120, 60)
	patch(f, 200, 100, 250, 130, 20, 20, 20)
	regions := []detect.Region{{Frame: f, X: 100, Y: 50, Width: 320, Height: 320}, {Frame: f, X: 180, Y: 80, Width: 320, Height: 320}}
	got, err := m.DetectRegions(t.Context(), nil, regions, 0.4)
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	for i, boxes := range got {
		if len(boxes) != 1 {
			t.Fatalf("region %d: %+v", i, boxes)
		}
		box := boxes[0]
		if !near(box.X1, 200, 6) || !near(box.Y1, 100, 6) || !near(box.X2, 250, 6) || !near(box.Y2, 130, 6) || box.Label != "cow" || box.Score < 0.9 {
			t.Errorf("region %d: %+v", i, box)
		}
	}
	if s := m.Stats(); s.Runs != 1 || s.Regions != 2 || s.Running <= 0 {
		t.Errorf("%+v", s)
	}
}

func TestSoftmaxFamilyWithMaskAndFreeSize(t *testing.T) {
	m := open(t, "testdata/softmax")
	f := paint(300, 200, 0, 255, 0)
	patch(f, 150, 0, 300, 100, 0, 0, 255) // red: a cow
	patch(f, 0, 100, 150, 200, 255, 0, 0) // blue: a car, not cattle
	got, err := m.DetectRegions(t.Context(), nil, []detect.Region{whole(f)}, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || len(got[0]) != 1 {
		t.Fatalf("%+v", got)
	}
	box := got[0][0]
	if !near(box.X1, 150, 0.1) || !near(box.Y1, 0, 0.1) || !near(box.X2, 300, 0.1) || !near(box.Y2, 100, 0.1) || box.Label != "cow" || box.Score < 0.8 {
		t.Errorf("%+v", box)
	}
	if w, h := m.recipe.inputSize(300, 200); w != 60 || h != 40 {
		t.Errorf("300x200 becomes %dx%d, want 60x40", w, h)
	}
}

func TestSigmoidFamilyWithFixedBatch(t *testing.T) {
	m := open(t, "testdata/sigmoid")
	if m.Info().Batch != 2 {
		t.Errorf("%+v", m.Info())
	}
	red, blue, green := paint(64, 64, 0, 0, 255), paint(64, 64, 255, 0, 0), paint(64, 64, 0, 255, 0)
	got, err := m.DetectRegions(t.Context(), nil, []detect.Region{whole(red), whole(green), whole(blue)}, 0.5)
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for i, want := range []string{"cow", "", "sheep"} {
		if n := len(got[i]); (want == "") != (n == 0) || n > 0 && (n != 4 || got[i][0].Label != want) {
			t.Errorf("frame %d: %+v, want four of %q", i, got[i], want)
		}
	}
	if s := m.Stats(); s.Runs != 2 || s.Regions != 3 {
		t.Errorf("%+v", s)
	}
}

// An export of RF-DETR: other names, ImageNet's values, a batch of one, "no object" last, an output that is not used.
func TestRFDETR(t *testing.T) {
	m := open(t, "testdata/rfdetr")
	if i := m.Info(); i.Batch != 1 || i.Tile != 32 || !slices.Equal(i.Cattle, []string{"cattle"}) {
		t.Errorf("%+v", i)
	}
	f := paint(300, 200, 0, 255, 0)
	patch(f, 150, 0, 300, 100, 0, 0, 255) // red: cattle
	patch(f, 0, 100, 150, 200, 255, 0, 0) // blue: a dog
	got, err := m.DetectRegions(t.Context(), nil, []detect.Region{whole(f), whole(f)}, 0.5)
	if err != nil || len(got) != 2 || len(got[0]) != 1 || len(got[1]) != 1 {
		t.Fatal(got, err)
	}
	box := got[1][0]
	if !near(box.X1, 150, 0.1) || !near(box.Y1, 0, 0.1) || !near(box.X2, 300, 0.1) || !near(box.Y2, 100, 0.1) || box.Label != "cattle" || box.Score < 0.99 {
		t.Errorf("%+v", box)
	}
}

func TestParallelRuns(t *testing.T) {
	m := open(t, "testdata/sigmoid", func(o *Options) { o.Parallel = 3 })
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			f := paint(40, 40, 0, 0, 255)
			want := "cow"
			if i%2 == 0 {
				f, want = paint(40, 40, 255, 0, 0), "sheep"
			}
			for range 20 {
				got, err := m.DetectRegions(t.Context(), nil, []detect.Region{whole(f)}, 0.5)
				if err != nil || len(got[0]) != 4 || got[0][0].Label != want {
					t.Errorf("%+v %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestCanceledRun(t *testing.T) {
	m := open(t, "testdata/sigmoid")
	cause := errors.New("shutdown")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := m.DetectRegions(ctx, nil, []detect.Region{whole(paint(40, 40, 0, 0, 0))}, 0.5); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}

func TestBadFrame(t *testing.T) {
	m := open(t, "testdata/sigmoid")
	f := paint(40, 40, 0, 0, 0)
	f.Pix = f.Pix[:17]
	if _, err := m.DetectRegions(t.Context(), nil, []detect.Region{whole(f)}, 0.5); err == nil {
		t.Error("a frame with too few pixels was accepted")
	}
}

func TestOpenRefuses(t *testing.T) {
	lib := library(t)
	network, err := os.ReadFile("testdata/sigmoid/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	type files map[string]string
	for name, c := range map[string]struct {
		files files
		opts  Options
		want  error
		text  string // in the error
	}{
		"no model":       {files{}, Options{}, ErrModel, "model.onnx"},
		"empty":          {files{"model.onnx": ""}, Options{}, ErrModel, "empty"},
		"text":           {files{"model.onnx": "hello"}, Options{}, ErrModel, "ONNX Runtime"},
		"cut":            {files{"model.onnx": string(network[:len(network)/2])}, Options{}, ErrModel, "ONNX Runtime"},
		"not a detector": {files{"model.onnx": string(identity)}, Options{}, ErrModel, "inputs are x float [1,2]"},
		"unknown key":    {files{"model.onnx": string(network), "cattlecounter.yaml": "tiel: 3"}, Options{}, ErrCard, "tiel"},
		"unknown class":  {files{"model.onnx": string(network), "cattlecounter.yaml": "labels: [cow]\ncattle: [yak]"}, Options{}, ErrCard, "yak"},
		"bad config":     {files{"model.onnx": string(network), "config.json": "{"}, Options{}, ErrCard, "config.json"},
		"bad numbers":    {files{"model.onnx": string(network), "preprocessor_config.json": `{"image_std":[0,1,1]}`}, Options{}, ErrCard, "image_std"},
		"no cuda":        {files{"model.onnx": string(network)}, Options{Provider: CUDA}, ErrProvider, "libonnxruntime_providers"},
		"no tensorrt":    {files{"model.onnx": string(network)}, Options{Provider: TensorRT}, ErrProvider, "libonnxruntime_providers"},
		"other library":  {files{"model.onnx": string(network)}, Options{Library: "/nowhere/lib.so"}, ErrRuntime, "/nowhere/lib.so"},
	} {
		t.Run(name, func(t *testing.T) {
			open(t, "testdata/sigmoid") // loads the library
			folder := t.TempDir()
			for file, content := range c.files {
				if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			o := c.opts
			o.Path = folder
			if o.Library == "" {
				o.Library = lib
			}
			m, err := Open(o)
			if err == nil {
				t.Fatal(m.Close(), "the model was opened")
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v; want %v with %q in the text", err, c.want, c.text)
			}
		})
	}
}

// identity is a valid network but not a detector: y = x.
var identity = []byte("\x08\x09\x3a\x40\x0a\x10\x0a\x01\x78\x12\x01\x79\x22\x08\x49\x64\x65\x6e\x74\x69\x74\x79\x12\x02\x69\x64\x5a\x13\x0a\x01" +
	"\x78\x12\x0e\x0a\x0c\x08\x01\x12\x08\x0a\x02\x08\x01\x0a\x02\x08\x02\x62\x13\x0a\x01\x79\x12\x0e\x0a\x0c\x08\x01\x12\x08" +
	"\x0a\x02\x08\x01\x0a\x02\x08\x02\x42\x04\x0a\x00\x10\x12")
