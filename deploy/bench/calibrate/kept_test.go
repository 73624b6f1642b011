package calibrate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/synthetic"
	"cattlecounter/shared/boundary"
)

// crossed is the trace of a still camera over two animals: one walks over the middle of the picture to the right, the
// other one stands.
func crossed() flight.Trace {
	t := flight.Trace{Width: 1000, Height: 600, FPS: 1, Frames: 10, Seconds: 10}
	walker, standing := saw(1, 0, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), saw(2, 0, 5, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2)
	for i := range walker.Way {
		walker.Way[i].X, walker.Way[i].Y = 200+60*float64(i), 300
		walker.Way[i].Box.X1, walker.Way[i].Box.X2 = 180+60*float32(i), 220+60*float32(i)
		walker.Way[i].Box.Y1, walker.Way[i].Box.Y2 = 290, 310
		t.Steps = append(t.Steps, crossing.Step{Frame: i, Seconds: float64(i), Width: 1000, Height: 600,
			Pose: motion.Pose{ToGround: motion.Identity, Inliers: 50}})
	}
	t.Tracks = []track.Saved{walker.Save(), standing.Save()}
	return t
}

func TestKeptTracksAreJudgedAgain(t *testing.T) {
	out := t.TempDir()
	if err := keepTrace(out, "a/b", crossed()); err != nil {
		t.Fatal(err)
	}
	lines := newLines(synthetic.Truth{PerFrame: make([]synthetic.FrameTruth, 1), Lines: []synthetic.LineTruth{{In: 1, Out: 2}, {}}})
	all, err := judgedAgain(out, []Outcome{{Clip: "a/b", Truth: 3, Lines: lines}, {Clip: "without tracks", Count: 7}})
	if err != nil {
		t.Fatal(err)
	}
	a := all[0]
	if a.Count != 2 || a.Low > 2 || a.High < 2 || a.Features.Animals != 2 || a.Truth != 3 {
		t.Errorf("%+v, want a count of 2 and a truth of 3", a)
	}
	// The line leads down, so its right hand is the left side of the picture.
	if l := a.Lines[0]; l.In != 0 || l.Out != 1 || l.TrueIn != 1 || l.TrueOut != 2 || a.Lines[1].Out != 1 {
		t.Errorf("lines: %+v, want one animal out on both", a.Lines)
	}
	if all[1].Count != 7 {
		t.Errorf("a clip without tracks counts %d, want what it was", all[1].Count)
	}
	if err := os.WriteFile(tracePath(out, "a/b"), []byte("no trace"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := judgedAgain(out, all); err == nil || !strings.Contains(err.Error(), filepath.Join(out, "traces")) {
		t.Errorf("a damaged file: %v, want an error with its path", err)
	}
}

func TestLinesAreOfViewsFromAbove(t *testing.T) {
	oblique := synthetic.Truth{PerFrame: []synthetic.FrameTruth{{Camera: synthetic.CameraTruth{Tilt: 20}}},
		Lines: make([]synthetic.LineTruth, 2)}
	if got := newLines(oblique); got != nil {
		t.Errorf("an oblique view has the lines %+v", got)
	}
}

func TestTableOfLines(t *testing.T) {
	of := func(in, low, high, truth int) Outcome {
		l := LineOutcome{LineTotal: boundary.LineTotal{In: in, InLow: low, InHigh: high}, TrueIn: truth}
		return Outcome{Lines: []LineOutcome{l, {}}}
	}
	var text strings.Builder
	WriteLines(&text, []Outcome{of(10, 8, 12, 11), of(5, 5, 5, 8), of(5, 4, 6, 5), {}})
	if want := "| picture | 3 | 24 | 20 | 4 (16.7 %) | 66.7 % | 1.0 |"; !strings.Contains(text.String(), want) {
		t.Errorf("table:\n%s\nwant the row %s", text.String(), want)
	}
}
