package worker

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/synthetic/clipfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	blobs  = "../../../cloud/count/detect/detr/testdata/blobs"
	shared = "../../../../shared"
)

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

func simulated(t testing.TB, width, height int, seconds float64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "herd.mp4")
	c := synthetic.Config{Seed: 1, Animals: 30, Seconds: seconds, FPS: 10, Width: width, Height: height}
	if _, err := clipfile.Write(t.Context(), path, c); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMeasure(t *testing.T) {
	rep, err := Measure(t.Context(), Options{Clip: simulated(t, 640, 480, 1), Workers: 2, Every: 1, Frames: 8,
		Model: detr.Options{Path: blobs, Library: library(t)}})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Frames != 8 || rep.Regions != 8*6 || rep.Boxes < 8 || rep.FPS() <= 0 || rep.Ratio() <= 0 || rep.CPURatio() <= 0 || rep.Inside <= 0 || rep.Inside > 1 || rep.PeakRSS == 0 {
		t.Errorf("%+v", rep)
	}
}

// BenchmarkWorker measures real footage with a real network, or a simulated herd with the test network when the test
// material is missing. Settings: WORKERS, THREADS, BATCH, FRAMES in the environment.
func BenchmarkWorker(b *testing.B) {
	setting := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return otherwise
	}
	o := Options{Workers: setting("WORKERS", runtime.GOMAXPROCS(0)), Every: 5, Frames: setting("FRAMES", 24),
		Clip:  filepath.Join(shared, "data/drone-pans/yak1_single_pass.mp4"),
		Model: detr.Options{Path: filepath.Join(shared, "models/deimv2-femto-coco"), Library: library(b), Threads: setting("THREADS", 0), Batch: setting("BATCH", 0)}}
	for _, path := range []string{o.Clip, o.Model.Path} {
		if _, err := os.Stat(path); err != nil {
			o.Clip, o.Model.Path, o.Every = simulated(b, 1280, 720, 3), blobs, 1
			break
		}
	}
	var all []Report
	for b.Loop() {
		rep, err := Measure(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		b.Log(rep)
		all = append(all, rep)
	}
	// The median by ratio: other work on the machine disturbs some runs.
	slices.SortFunc(all, func(x, y Report) int { return cmp.Compare(x.Ratio(), y.Ratio()) })
	rep := all[len(all)/2]
	b.ReportMetric(rep.FPS(), "frames/s")
	b.ReportMetric(100*rep.Inside, "%inside")
	b.ReportMetric(rep.Ratio(), "of-bare")
	b.ReportMetric(rep.CPURatio(), "of-bare-cpu")
	b.ReportMetric(float64(rep.PeakRSS)/(1<<20), "MiB-peak")
}
