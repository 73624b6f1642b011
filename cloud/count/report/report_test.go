package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
)

var update = flag.Bool("update", false, "write the golden files")

func sample() Result {
	return Result{
		Schema: Schema, Footage: "01jd", Source: Source{Name: "a,b.mp4", Size: 7, SHA256: footage.Sum([]byte("a"))},
		Model: Model{Name: "femto", Digest: footage.Sum([]byte("m")), Provider: "cpu", Threshold: 0.25, Tile: 416, Overlap: 0.2},
		Video: Video{Width: 960, Height: 540, FPS: 30, Frames: 240, Analysed: 24, Every: 10, Duration: 8, Codec: "h264", Container: "mp4"},
		Reading: Reading{Expected: 241, Decoded: 240, Damaged: 30, LostPackets: 1, Missing: []Part{{4, 5.25}},
			TimeJumps: []TimeJumpAt{{At: 4, By: -3.5}}, Sizes: []SizeFrom{{From: 4, Width: 640, Height: 360}}, TimeBase: "1/15360",
			Rotation: 90, PixelFormat: "yuv420p", Recorded: time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC),
			Streams: []Stream{{Type: "video", Codec: "h264", Width: 960, Height: 540, Frames: 241, Chosen: true}}},
		Count: Count{Unique: 1, Low: 0, High: 3, ByClass: map[string]int{"cow": 1}, Method: Method},
		Tracks: []Track{{ID: 1, Label: "cow", FirstFrame: 0, LastFrame: 90, Detections: 9, Confidence: 0.61234,
			Best:    Best{Frame: 30, Box: [4]float64{1, 2, 3.25, 4}, Score: 0.7},
			Segment: 1, Way: []Waypoint{{Frame: 0, Seconds: 0.04, X: 2, Y: 3}, {Frame: 90, Seconds: 3, X: 4.5, Y: 3}}}},
		NotCounted: []NotCounted{{ID: 2, Reason: "part-of", Of: 1, FirstFrame: 10, LastFrame: 20, Detections: 2, Confidence: 0.3,
			Best: Best{Frame: 10, Box: [4]float64{1, 2, 3, 4}, Score: 0.4}}},
		Evidence: &Evidence{Video: &EvidenceVideo{EvidenceFile: EvidenceFile{VideoEnding, 9000}, Width: 1280, Height: 720,
			Pictures: 48, Seconds: 8}, Sheet: &EvidenceFile{SheetEnding, 800}, Contact: []EvidenceFile{{ContactEnding(1), 700}}},
		Lines: []Line{{LineTotal: boundary.LineTotal{Name: "gate, north", In: 1, Net: 1, InHigh: 2},
			Definition: boundary.Line{Name: "gate, north", From: boundary.Point{0, 0.5}, To: boundary.Point{1, 0.5}},
			Crossings: []Crossing{{Track: 1, Seconds: 1.5, Direction: In, At: 0.25, Doubt: DoubtGap},
				{Track: 2, Seconds: 2, Direction: In, At: 0.5, Doubt: DoubtTrack, Uncounted: true}}}},
		Zones: []Zone{{ZoneTotal: boundary.ZoneTotal{Name: "pen", Most: 1, Passed: 1, Low: 1, High: 1},
			Definition: boundary.Zone{Name: "pen", Polygon: []boundary.Point{{0, 0}, {1, 0}, {1, 1}}},
			Visits:     []Visit{{Track: 1, From: 0.5, To: 2}}}},
		Visible: []Visible{{0, 1}}, Warnings: []Warning{{NoTelemetry, "no telemetry"}},
	}
}

func TestGolden(t *testing.T) {
	for name, write := range map[string]func(*bytes.Buffer) error{
		"result.json":   func(b *bytes.Buffer) error { return sample().WriteJSON(b) },
		"crossings.csv": func(b *bytes.Buffer) error { return sample().WriteCrossingsCSV(b) },
		"result.csv":    func(b *bytes.Buffer) error { return sample().WriteCSV(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		path := "testdata/" + name
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, b.Bytes()) {
			t.Errorf("%s differs; run the test with -update and check the difference:\n%s", name, b.Bytes())
		}
	}
	var back Result
	b, _ := os.ReadFile("testdata/result.json")
	if err := json.Unmarshal(b, &back); err != nil || back.Count.Unique != 1 {
		t.Errorf("%v %+v", err, back)
	}
}
