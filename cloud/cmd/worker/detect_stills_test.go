package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/detect/score"
)

// shared is the folder of test material beside the project.
const shared = "../../../../shared"

// needShared skips the test without the material. In CI a folder with a part of the material is a failure, so that a
// missing measurement is noticed.
func needShared(t *testing.T, path string) string {
	t.Helper()
	path = filepath.Join(shared, path)
	if _, err := os.Stat(path); err != nil {
		_, there := os.Stat(shared)
		if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci && there == nil {
			t.Fatalf("test material is missing: %v", err)
		}
		t.Skipf("test material is missing: %v", err)
	}
	return path
}

func library(t *testing.T) string {
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

// TestRealStills checks the accuracy on real drone pictures, with the published detector and with the project's own as
// a user gets it. The project's own was trained with these pictures, so its bounds only show a change for the worse.
func TestRealStills(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute of all cores")
	}
	data := needShared(t, "data/drone-stills")
	for name, c := range map[string]struct {
		flags      detectFlags
		f1, offset float64 // least F1, largest error of the count
	}{
		"published": {detectFlags{Model: needShared(t, "models/deimv2-femto-coco"), Tile: 416, Overlap: 0.2, Threshold: 0.25}, 0.89, 0.04},
		"own":       {detectFlags{Model: "../../model/default"}, 0.94, 0.03},
	} {
		t.Run(name, func(t *testing.T) {
			c.flags.Runtime = library(t)
			all := measure(t, data, c.flags)
			if all.F1() < c.f1 || math.Abs(all.CountError()) > c.offset {
				t.Errorf("F1 %.4f and count error %+.4f, want at least %v and at most %v", all.F1(), all.CountError(), c.f1, c.offset)
			}
		})
	}
}

// measure detects animals in the 59 stills and returns the tally of all of them.
func measure(t *testing.T, data string, flags detectFlags) score.Tally {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.jsonl")
	c := detectCommand{Images: filepath.Join(data, "images"), Out: out, detectFlags: flags}
	if err := c.run(t.Context(), io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	var all score.Tally
	clips := map[string]score.Tally{}
	pictures := 0
	for line := range lines(t, out) {
		clip, _, _ := strings.Cut(line.Image, "__")
		points := readPoints(t, filepath.Join(data, "points", strings.TrimSuffix(line.Image, filepath.Ext(line.Image))+".csv"))
		tally := score.Match(boxesOf(line), points)
		all, clips[clip] = all.Add(tally), clips[clip].Add(tally)
		pictures++
	}
	clips["all"] = all
	for clip, tally := range clips {
		t.Logf("%-16s %5d animals: precision %.3f, recall %.3f, F1 %.4f, count %+.1f %%", clip, tally.Points,
			tally.Precision(), tally.Recall(), tally.F1(), 100*tally.CountError())
	}
	if pictures != 59 {
		t.Fatalf("%d pictures, want 59", pictures)
	}
	return all
}

// lines yields the lines of an output file.
func lines(t *testing.T, path string) func(func(detectLine) bool) {
	return func(yield func(detectLine) bool) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		s := bufio.NewScanner(f)
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			var l detectLine
			if err := json.Unmarshal(s.Bytes(), &l); err != nil {
				t.Fatal(err)
			}
			if !yield(l) {
				return
			}
		}
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func boxesOf(l detectLine) []detect.Box {
	var boxes []detect.Box
	for _, d := range l.Detections {
		boxes = append(boxes, detect.Box{X1: float32(d.Box[0]), Y1: float32(d.Box[1]), X2: float32(d.Box[2]), Y2: float32(d.Box[3]), Score: float32(d.Score)})
	}
	return boxes
}

func readPoints(t *testing.T, path string) []score.Point {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var points []score.Point
	for _, row := range rows[1:] {
		x, errX := strconv.ParseFloat(row[0], 32)
		y, errY := strconv.ParseFloat(row[1], 32)
		if errX != nil || errY != nil {
			t.Fatal(path, row)
		}
		points = append(points, score.Point{X: float32(x), Y: float32(y)})
	}
	return points
}
