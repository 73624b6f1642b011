package examples

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
	"time"

	"cattlecounter/cloud/count/coco"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// The clip of the tests: 1600 x 700 pixels, 200 frames at 10 a second, a camera that moves 4 pixels a frame to the right
// over animals that stand still: bright squares of 40 pixels at places of the ground.
const (
	clipWidth, clipHeight, clipFrames = 1600, 700, 200
	rate, speed                       = 10, 4
	animalSide                        = 40
)

// herd has the places of the animals on the ground: 1 to 6 are tracks, 7 is a stone, 8 a sheep, 9 was not counted, 10 is
// not in the result.
var herd = map[int][2]float64{
	1: {300, 100}, 2: {500, 300}, 3: {900, 500}, 4: {1200, 200}, 5: {1500, 400}, 6: {1900, 600},
	7: {700, 150}, 8: {1100, 550}, 9: {1400, 100}, 10: {420, 120},
}

func boxAt(id, frame int) [4]float64 {
	x, y := herd[id][0]-float64(frame*speed), herd[id][1]
	return [4]float64{x, y, x + animalSide, y + animalSide}
}

func inFrame(b [4]float64) bool { return b[0] >= 0 && b[2] <= clipWidth }

// frames draws the clip.
type frames struct{ next int }

func (f *frames) Close() error { return nil }

func (f *frames) Next(_ context.Context, out *video.Frame, every int) error {
	if f.next >= clipFrames {
		return io.EOF
	}
	out.Resize(clipWidth, clipHeight)
	out.Index, out.Time = f.next, time.Duration(f.next)*time.Second/rate
	for y := range clipHeight {
		for x := range clipWidth {
			g := x + f.next*speed
			v := byte(60 + (g*7919+y*104729)%97/4 + (g/90+y/70)%5*8) // ground with a pattern that moves along
			o := (y*clipWidth + x) * 3
			out.Pix[o], out.Pix[o+1], out.Pix[o+2] = v, v+10, v
		}
	}
	for id := range herd {
		b := boxAt(id, f.next)
		for y := int(b[1]); y < int(b[3]); y++ {
			for x := max(int(b[0]), 0); x < min(int(b[2]), clipWidth); x++ {
				o := (y*clipWidth + x) * 3
				out.Pix[o], out.Pix[o+1], out.Pix[o+2] = 230, 230, 230
			}
		}
	}
	f.next += max(every, 1)
	return nil
}

// bright finds the squares, as a detector would: every animal of the herd that is whole in a frame.
type bright struct{ looked int }

func (b *bright) Detect(_ context.Context, list []*video.Frame) ([][]detect.Box, error) {
	out := make([][]detect.Box, len(list))
	for i, f := range list {
		b.looked++
		seen := make([]bool, f.Width*f.Height)
		for y := range f.Height {
			for x := range f.Width {
				if seen[y*f.Width+x] || f.Pix[(y*f.Width+x)*3] < 200 {
					continue
				}
				x2, y2 := x, y
				for x2 < f.Width && f.Pix[(y*f.Width+x2)*3] >= 200 {
					x2++
				}
				for y2 < f.Height && f.Pix[(y2*f.Width+x)*3] >= 200 {
					y2++
				}
				for v := y; v < y2; v++ {
					for u := x; u < x2; u++ {
						seen[v*f.Width+u] = true
					}
				}
				if x2-x > 5 && y2-y > 5 {
					out[i] = append(out[i], detect.Box{X1: float32(x), Y1: float32(y), X2: float32(x2), Y2: float32(y2), Score: 0.5})
				}
			}
		}
	}
	return out, nil
}

// result is the document of the clip: tracks 1 to 8 counted, 9 not.
func result(digest footage.Digest, size int64) report.Result {
	r := report.Result{Schema: report.Schema, Source: report.Source{Name: "DJI_0001.MP4", Size: size, SHA256: digest},
		Model: report.Model{Threshold: 0.4},
		Video: report.Video{Width: clipWidth, Height: clipHeight, FPS: rate, Frames: clipFrames, Duration: clipFrames / rate}}
	for id := 1; id <= 9; id++ {
		var way []report.Waypoint
		best := report.Best{Frame: -1, Score: 0.5 + float64(id)/20}
		for f := id; f < clipFrames; f += 25 { // every track at other frames
			b := boxAt(id, f)
			if !inFrame(b) {
				continue
			}
			if best.Frame < 0 {
				best.Frame, best.Box = f, b
			}
			way = append(way, report.Waypoint{Frame: f, Seconds: float64(f) / rate, X: herd[id][0], Y: herd[id][1], Box: &b})
		}
		if id == 9 {
			r.NotCounted = append(r.NotCounted, report.NotCounted{ID: id, Reason: "weak", Detections: 2, Confidence: 0.3, Best: best})
			continue
		}
		r.Tracks = append(r.Tracks, report.Track{ID: id, Label: "cattle", Detections: len(way), Confidence: best.Score, Best: best, Segment: 1, Way: way})
	}
	return r
}

// stage writes the clip, its result and a review into a folder.
func stage(t *testing.T, verdicts string) (dir string, o Options) {
	t.Helper()
	dir = t.TempDir()
	content := []byte("stands for a clip")
	r := result(footage.Sum(content), int64(len(content)))
	var doc bytes.Buffer
	if err := r.WriteJSON(&doc); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(verdicts, "DIGEST", footage.Sum(content).String())
	for name, b := range map[string][]byte{"clip.mp4": content, "results/clip.json": doc.Bytes(), "review.csv": []byte(text)} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, Options{Folder: filepath.Join(dir, "herd"), Images: 8, Seed: 1, Detector: &bright{},
		Open: func(context.Context, string) (Frames, error) { return &frames{}, nil }}
}

func gather(t *testing.T, dir string) ([]*Footage, error) {
	t.Helper()
	clip := filepath.Join(dir, "clip.mp4")
	info, err := os.Stat(clip)
	if err != nil {
		t.Fatal(err)
	}
	return Gather(t.Context(), []string{filepath.Join(dir, "review.csv")}, []string{filepath.Join(dir, "results")}, []Clip{{clip, info.Size()}})
}

const head = "name,sha256,verdict,id,class,frame,seconds,x1,y1,x2,y2\n"

const signed = head +
	"DJI_0001.MP4,DIGEST,rest,,,,,,,,\n" +
	"DJI_0001.MP4,DIGEST,rejected,7,,,,,,,\n" +
	"DJI_0001.MP4,DIGEST,rejected,8,other animal,,,,,,\n" +
	"DJI_0001.MP4,DIGEST,added,,,10,,380,120,420,160\n"

// animalAt is the animal of the herd whose middle is in a box of a picture, 0 for none.
func animalAt(m *coco.Image, b [4]float64) int {
	for id := range herd {
		p := boxAt(id, m.Source.Frame)
		x, y := (p[0]+p[2])/2-float64(m.Source.X), (p[1]+p[3])/2-float64(m.Source.Y)
		if x > b[0] && x < b[0]+b[2] && y > b[1] && y < b[1]+b[3] {
			return id
		}
	}
	return 0
}

func TestMake(t *testing.T) {
	dir, o := stage(t, signed)
	list, err := gather(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Make(t.Context(), list, o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := coco.Read(o.Folder)
	if err != nil {
		t.Fatal(err)
	}
	if s.Pictures != len(f.Images) || s.Pictures < 4 || s.Flights != 1 || s.Cattle == 0 {
		t.Fatalf("%+v", s)
	}
	boxes := f.ByImage()
	seen := map[int]int{}
	for _, m := range f.Images {
		if m.Clip != "DJI_0001-"+list[0].Review.SHA256.String()[:8] || m.Width != 640 || m.Height != 640 {
			t.Errorf("%+v", m)
		}
		file, err := os.Open(m.Path(o.Folder))
		if err != nil {
			t.Fatal(err)
		}
		img, err := jpeg.DecodeConfig(file)
		if err := errors.Join(err, file.Close()); err != nil || img.Width != m.Width || img.Height != m.Height {
			t.Error(img, err)
		}
		labeled := map[int]string{}
		for _, a := range boxes[m.ID] {
			id := animalAt(m, a.Box)
			what := map[bool]string{true: "ignored", false: "cattle"}[a.Crowd == 1]
			if a.Category != 1 {
				what = "other"
			}
			labeled[id] = what
			if a.Crowd == 0 {
				seen[id]++
				want := boxAt(id, m.Source.Frame)
				got := [4]float64{a.Box[0] + float64(m.Source.X), a.Box[1] + float64(m.Source.Y), a.Box[0] + a.Box[2] + float64(m.Source.X), a.Box[1] + a.Box[3] + float64(m.Source.Y)}
				if overlap(want, got) < 0.4 {
					t.Errorf("%s: animal %d at %v, labeled %v", m.File, id, want, got)
				}
			}
		}
		for id := range herd { // what is whole in the picture
			p := box(boxAt(id, m.Source.Frame))
			view := box{float64(m.Source.X), float64(m.Source.Y), float64(m.Source.X + m.Width), float64(m.Source.Y + m.Height)}
			if p.cut(view) != p {
				continue
			}
			want := "cattle"
			switch {
			case id == 7:
				want = ""
			case id == 8:
				want = "other"
			case id == 9, id == 10 && m.Source.Frame != 10:
				want = "ignored" // not reviewed, or added in another frame
			}
			if labeled[id] != want {
				t.Errorf("%s (frame %d, %s): animal %d is %q, want %q", m.File, m.Source.Frame, m.Source.Why, id, labeled[id], want)
			}
		}
	}
	if seen[10] != 1 || seen[8] == 0 {
		t.Errorf("boxes by animal: %v", seen)
	}
	if used := o.Detector.(*bright).looked; used > 20 {
		t.Errorf("%d looks for %d pictures", used, s.Pictures)
	}
}

func TestASecondRunChangesNothing(t *testing.T) {
	dir, o := stage(t, signed)
	other := filepath.Join(o.Folder, coco.File)
	if err := errors.Join(os.MkdirAll(o.Folder, 0o755), os.WriteFile(other, []byte(
		`{"licenses": [7], "images": [{"id": 3, "file_name": "mine.jpg", "width": 9, "height": 9}], "annotations": [{"id": 5, "image_id": 3, "category_id": 4, "bbox": [1, 1, 5, 5]}], "categories": [{"id": 4, "name": "cow"}]}`), 0o644)); err != nil {
		t.Fatal(err)
	}
	var states []map[string]string
	for range 2 {
		list, err := gather(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Make(t.Context(), list, o); err != nil {
			t.Fatal(err)
		}
		state := map[string]string{}
		if err := filepath.WalkDir(o.Folder, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			state[path] = footage.Sum(b).String()
			return err
		}); err != nil {
			t.Fatal(err)
		}
		states = append(states, state)
	}
	if len(states[0]) < 4 || len(states[0]) != len(states[1]) {
		t.Fatalf("%d and %d files", len(states[0]), len(states[1]))
	}
	for path, sum := range states[0] {
		if states[1][path] != sum {
			t.Errorf("%s changed", path)
		}
	}
	b, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"licenses":[7]`, `"id":3,"file_name":"mine.jpg"`, `"id":5,"image_id":3`, `"name":"cow"`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s is lost", want)
		}
	}
	// Fewer pictures replace the earlier ones; files that are not named any more are removed.
	o.Images = 1
	list, err := gather(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Make(t.Context(), list, o); err != nil || s.Pictures != 1 || s.Total != 2 {
		t.Errorf("%+v %v", s, err)
	}
	if left, err := os.ReadDir(filepath.Join(o.Folder, coco.Images)); err != nil || len(left) != 1 {
		t.Errorf("%d files, %v", len(left), err)
	}
}

func TestWhatNobodyReviewedIsLeftOut(t *testing.T) {
	dir, o := stage(t, head+"x,DIGEST,accepted,2,,,,,,,\n")
	list, err := gather(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Make(t.Context(), list, o); err != nil {
		t.Fatal(err)
	}
	f, err := coco.Read(o.Folder)
	if err != nil {
		t.Fatal(err)
	}
	ignored := 0
	for _, m := range f.Images {
		for _, a := range f.Of(m.ID) {
			id := animalAt(m, a.Box)
			ignored += a.Crowd
			if (a.Crowd == 0) != (id == 2) {
				t.Errorf("%s: animal %d has iscrowd %d", m.File, id, a.Crowd)
			}
		}
	}
	if len(f.Images) == 0 || ignored == 0 {
		t.Errorf("%d pictures, %d ignored regions", len(f.Images), ignored)
	}
}

func TestInputsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		review string
		change func(dir string) error
		says   string
	}{
		"another clip":  {strings.ReplaceAll(signed, "DIGEST", strings.Repeat("ab", 32)), nil, "a result of another file with this name"},
		"no such id":    {head + "x,DIGEST,accepted,77,,,,,,,\n", nil, "line 2 (accepted, id 77): "},
		"box outside":   {head + "x,DIGEST,added,,,5,,1590,0,1640,40\n", nil, "line 2 (added, box [1590 0 1640 40]): the box is outside"},
		"frame outside": {head + "x,DIGEST,added,,,200,,10,0,50,40\n", nil, "frame 200 is not in the clip of 200 frames"},
		"time outside":  {head + "x,DIGEST,added,,,,99,10,0,50,40\n", nil, "is not in the clip"},
		"no clip": {signed, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "clip.mp4"), []byte("another content!!"), 0o644)
		},
			"DJI_0001.MP4 (SHA-256 "},
		"no result": {signed, func(dir string) error { return os.Remove(filepath.Join(dir, "results", "clip.json")) }, "worker count --out"},
		"two results": {signed, func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, "results", "clip.json"))
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "results", "old.json"), bytes.Replace(b, []byte(`"id": 8`), []byte(`"id": 88`), 1), 0o644))
		}, "different results"},
		"not a review": {"x", nil, `review.csv: column "x" is unknown`},
	} {
		dir, o := stage(t, c.review)
		if c.change != nil {
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
		}
		list, err := gather(t, dir)
		if err == nil {
			_, err = Make(t.Context(), list, o)
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "review.csv") && name != "two results" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPartsOfAFlightHaveOneName(t *testing.T) {
	dir, _ := stage(t, signed)
	digest := footage.Sum([]byte("stands for a clip"))
	doc, err := json.Marshal(map[string]any{"schema": 1, "source": map[string]any{"name": "DJI_0000.MP4", "sha256": strings.Repeat("cd", 32)},
		"parts": []map[string]any{{"name": "DJI_0000.MP4", "sha256": strings.Repeat("cd", 32)}, {"name": "DJI_0001.MP4", "sha256": digest}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "results", "DJI_0000.flight.json"), doc, 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := gather(t, dir)
	if err != nil || list[0].Flight != "DJI_0000-cdcdcdcd" {
		t.Errorf("%+v %v", list, err)
	}
}

func FuzzParseResult(f *testing.F) {
	var b bytes.Buffer
	if err := result(footage.Sum(nil), 1).WriteJSON(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"schema":1,"video":{"width":640,"height":640,"frames":3},"tracks":[{"id":1,"best":{"frame":1,"box":[1,2,3,4]},"way":[{"frame":-5}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResult(b)
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Fatal(err)
			}
			return
		}
		x := &Footage{Result: r}
		x.Review.Rest = "accepted"
		if _, err := x.candidates(0, 1); err != nil {
			t.Fatal(err)
		}
	})
}
