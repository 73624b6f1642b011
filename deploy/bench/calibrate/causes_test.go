package calibrate

import (
	"strings"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/synthetic"
)

// stand is a frame in which each animal stands at its place: animal i has its box at 100 i.
func stand(frame int, ids ...int) synthetic.FrameTruth {
	f := synthetic.FrameTruth{Frame: frame}
	for _, id := range ids {
		x := 100 * float64(id)
		f.Animals = append(f.Animals, synthetic.Sighting{ID: id, Box: [4]float64{x, 100, x + 40, 120}, Visible: 1})
	}
	return f
}

func boxOf(animal int, score float32) detect.Box {
	x := 100 * float32(animal)
	return detect.Box{X1: x, Y1: 100, X2: x + 40, Y2: 120, Score: score, Label: "cow"}
}

// saw is a track with a box of each of the animals, in frames from 0 on.
func saw(id, segment int, evidence float64, animals ...int) *track.Track {
	s := track.Saved{ID: id, Segment: segment, W: 40, H: 20, Hits: len(animals), Visible: len(animals), Evidence: evidence,
		Last: len(animals) - 1, BestWhole: true, Best: boxOf(animals[0], 0.8), X: track.Axis{Pos: 1000 * float64(id)}}
	for f, a := range animals {
		s.Way = append(s.Way, track.Fix{Frame: f, Seconds: float64(f), X: s.X.Pos, Box: boxOf(a, 0.8)})
	}
	return s.Restore()
}

func TestFaultsHaveTheirCause(t *testing.T) {
	const frames = 4
	// 9 is only in view beyond the tiles, 10 never with its middle.
	truth := synthetic.Truth{UniqueAnimals: 9}
	for id := 1; id <= 10; id++ {
		truth.Animals = append(truth.Animals, synthetic.AnimalTruth{ID: id, Seen: id != 10})
	}
	var looks []Look
	for f := range frames {
		truth.PerFrame = append(truth.PerFrame, stand(f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
		// 6 is never found, 7 only with low scores.
		boxes := []detect.Box{boxOf(1, 0.8), boxOf(2, 0.8), boxOf(3, 0.8), boxOf(4, 0.8), boxOf(7, 0.2), boxOf(8, 0.8)}
		looks = append(looks, Look{Frame: f, Tiles: []detect.Region{{Width: 880, Height: 480}}, Boxes: boxes})
	}
	tracks := []*track.Track{
		saw(1, 0, 5, 1, 1, 1, 1),  // right
		saw(2, 0, 5, 2, 2, 2, 3),  // passes from 2 to 3
		saw(3, 0, 5, 4, 4, 4, 4),  // right
		saw(4, 0, 5, 4, 4, 4, 4),  // the same animal once more
		saw(5, 1, 5, 1, 1, 1, 1),  // on ground that was lost
		saw(6, 0, -3, 5, 5, 5, 5), // too little evidence
		saw(7, 0, 5, 20, 20, 20, 20),
		saw(8, 0, 5, 10, 10, 10, 10),
	}
	want := map[Cause]int{ // the animal, or the track where there is none
		Joined: 3, Twice: 4, TwiceLost: 1, LeftOut + "weak": 5, Undetected: 6, Faint: 7, Untracked: 8, Unlooked: 9, NoAnimal: 0,
		OutOfFrame: 10,
	}
	faults := Faults(truth, looks, tracks, 0.4)
	for _, f := range faults {
		animal, ok := want[f.Cause]
		if !ok || animal != f.Animal {
			t.Errorf("%+v; want the animals of each cause to be %v", f, want)
		}
		delete(want, f.Cause)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	extra := 0
	for _, f := range faults {
		if f.Extra() {
			extra++
		}
	}
	if counted := 7; truth.UniqueAnimals+extra-(len(faults)-extra) != counted {
		t.Errorf("%d too many and %d too few of %d animals do not give a count of %d", extra, len(faults)-extra,
			truth.UniqueAnimals, counted)
	}
	var text strings.Builder
	WriteCauses(&text, append(faults, Fault{Cause: Undetected}), 9)
	if got := text.String(); !strings.Contains(got, "| not detected | -2 | 22.2 % |\n") || !strings.Contains(got, "| no animal | +1 |") {
		t.Errorf("table of the causes:\n%s", got)
	}
}

func TestNoFaultsInARightCount(t *testing.T) {
	truth := synthetic.Truth{UniqueAnimals: 1, Animals: []synthetic.AnimalTruth{{ID: 1, Seen: true}},
		PerFrame: []synthetic.FrameTruth{stand(0, 1), stand(1, 1)}}
	if got := Faults(truth, nil, []*track.Track{saw(1, 0, 5, 1, 1)}, 0.4); len(got) > 0 {
		t.Errorf("%+v, want none", got)
	}
}

func TestAFolderWithoutClipsIsAnError(t *testing.T) {
	var text strings.Builder
	dir := t.TempDir()
	if code := Main(t.Context(), []string{"-clips", dir, "-out", dir}, &text, &text); code != 1 || !strings.Contains(text.String(), dir) {
		t.Errorf("code %d, %q; want 1 and the folder in the message", code, text.String())
	}
}
