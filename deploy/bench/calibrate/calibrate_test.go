package calibrate

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
	"cattlecounter/deploy/bench/scene"
)

// network answers with one box at the first bright pixel of each region.
type network struct{ asked int }

func (n *network) DetectRegions(_ context.Context, dst [][]detect.Box, regions []detect.Region, _ float32) ([][]detect.Box, error) {
	for _, r := range regions {
		n.asked++
		var boxes []detect.Box
		for i := range r.Width * r.Height {
			x, y := r.X+i%r.Width, r.Y+i/r.Width
			if r.Frame.Pix[(y*r.Frame.Width+x)*3] > 128 {
				boxes = append(boxes, detect.Box{X1: float32(x), Y1: float32(y), X2: float32(x + 2), Y2: float32(y + 2), Score: 0.5})
				break
			}
		}
		dst = append(dst, boxes)
	}
	return dst, nil
}

func frame(bright int) *video.Frame {
	f := &video.Frame{}
	f.Resize(64, 64)
	clear(f.Pix)
	f.Pix[bright*3] = 255
	return f
}

func ask(t *testing.T, a *answers, f *video.Frame, x, y int) []detect.Box {
	t.Helper()
	got, err := a.DetectRegions(t.Context(), nil, []detect.Region{{Frame: f, X: x, Y: y, Width: 32, Height: 32}}, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func TestAnswersAreAskedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "answers")
	net := &network{}
	a, err := openAnswers(dir, "digest", net)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, a, frame(64*5+40), 32, 0)
	if got := ask(t, a, frame(64*37+8), 0, 32); got[0].X1 != 8 || got[0].Y1 != 37 { // the same pixels at another place
		t.Errorf("box at %v,%v; want 8,37", got[0].X1, got[0].Y1)
	}
	if net.asked != 1 {
		t.Errorf("the network was asked %d times, want once", net.asked)
	}
	ask(t, a, frame(64*6+40), 32, 0) // other pixels
	if err := a.close(); err != nil {
		t.Fatal(err)
	}

	// A later run knows both answers; another network does not.
	b, err := openAnswers(dir, "digest", net)
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, b, frame(64*6+40), 32, 0); net.asked != 2 || got[0].X1 != 40 || got[0].Y1 != 6 {
		t.Errorf("asked %d times, box %+v; want 2 times and a box at 40,6", net.asked, got[0])
	}
	c, err := openAnswers(dir, "other", net)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, c, frame(64*6+40), 32, 0)
	if net.asked != 3 {
		t.Errorf("asked %d times, want the other network to be asked too", net.asked)
	}
	for _, open := range []*answers{b, c} {
		if err := open.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnswersSurviveAnEndedRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "answers")
	net := &network{}
	a, err := openAnswers(dir, "digest", net)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		ask(t, a, frame(64*i+3), 0, 0)
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(a.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file.Name(), b[:len(b)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := openAnswers(dir, "digest", net)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if len(again.known) != 2 {
		t.Errorf("%d answers, want the 2 complete ones", len(again.known))
	}
}

func TestRows(t *testing.T) {
	rows := Rows([]Outcome{
		{Kind: "b", Truth: 100, Count: 90, Low: 80, High: 95},
		{Kind: "b", Truth: 100, Count: 102, Low: 98, High: 106},
		{Kind: "a", Truth: 10, Count: 10, Low: 10, High: 10},
	})
	if len(rows) != 3 || rows[0].Kind != "a" || rows[2].Kind != "all" || rows[2].Clips != 3 {
		t.Fatalf("%+v", rows)
	}
	b := rows[1]
	near := func(x, y float64) bool { return math.Abs(x-y) < 1e-9 }
	if !near(b.Error, 0.06) || !near(b.Bias, -0.04) || !near(b.Worst, 0.1) || !near(b.Coverage, 0.5) || !near(b.Width, 7.5/90) {
		t.Errorf("%+v", b)
	}
	var text strings.Builder
	WriteFar(&text, []Outcome{{Clip: "near", Truth: 100, Count: 97}, {Clip: "far", Truth: 100, Count: 90}}, 0.05)
	if got := text.String(); !strings.Contains(got, "1 of 2") || !strings.Contains(got, "far") || strings.Contains(got, "near") {
		t.Errorf("list of far clips: %q", got)
	}
}

func TestOutcomesAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outcomes.jsonl")
	if got, err := readOutcomes(path); err != nil || len(got) != 0 {
		t.Errorf("without a file: %v, %v; want none", got, err)
	}
	all := renewed(renewed(renewed(nil, Outcome{Clip: "a", Count: 1}), Outcome{Clip: "b"}), Outcome{Clip: "a", Count: 2})
	if err := writeOutcomes(path, all); err != nil {
		t.Fatal(err)
	}
	got, err := readOutcomes(path)
	if err != nil || len(got) != 2 || got[0].Count != 2 {
		t.Errorf("%+v, %v; want two outcomes, the first with a count of 2", got, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readOutcomes(path); err == nil {
		t.Error("a damaged file is read without an error")
	}
}

func TestOutcomesOfOtherBenchesAreLeftOut(t *testing.T) {
	o := Options{Data: t.TempDir(), Simulated: 2}
	clips, _ := scene.Clips(o.Data, o.Simulated)
	got := known([]Outcome{{Clip: clips[1].Name}, {Clip: "simulated/999/of/an/older/bench"}}, o)
	if len(got) != 1 || got[0].Clip != clips[1].Name {
		t.Errorf("%+v, want the clip %s alone", got, clips[1].Name)
	}
}

func TestClipsOutsideAreInNoSum(t *testing.T) {
	rows := Rows([]Outcome{{Kind: "a", Truth: 10, Count: 10}, {Kind: scene.Outside + "sand", Truth: 10, Count: 90}})
	if len(rows) != 3 || rows[2].Clips != 1 || rows[2].Worst != 0 {
		t.Errorf("%+v, want a row for each and a sum of one clip", rows)
	}
}
