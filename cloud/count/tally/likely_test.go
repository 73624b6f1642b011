package tally

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/track"
)

// scored is a track with looks that all have one score, at a threshold of 0.4.
func scored(id int, score float64, looks int) *track.Track {
	t := seen(id, 300*float64(id), looks)
	t.ScoreSum = score * float64(looks)
	t.Evidence = float64(looks) * (math.Log(score/(1-score)) - math.Log(0.4/0.6))
	return t
}

func TestManyFaintLooksProveLittle(t *testing.T) {
	for _, c := range []struct {
		score     float64
		looks     int
		low, high float64
	}{
		{0.4, 20, 0.2, 0.4}, // no look says more than that a track may begin
		{0.45, 10, 0.35, 0.5},
		{0.55, 10, 0.7, 0.9},
		{0.75, 1, 0.6, 0.8},
		{0.6, 1, 0.3, 0.5},
		{0.8, 2, 0.9, 1},
		{0.8, 10, 0.97, 1},
	} {
		if p := Probability(scored(1, c.score, c.looks)); p < c.low || p > c.high {
			t.Errorf("%d looks of %.2f: %.3f, want %.2f to %.2f", c.looks, c.score, p, c.low, c.high)
		}
	}
}

// A faint track among animals with high scores is a stone, and one of a herd that is faint as a whole is an animal.
func TestTheHerdTellsWhatAFaintTrackIs(t *testing.T) {
	count := func(n int, score float64) int {
		all := []*track.Track{scored(1, 0.5, 6)}
		for i := range n {
			all = append(all, scored(i+2, score, 6))
		}
		return Count(all).Unique
	}
	if got := count(30, 0.85); got != 30 {
		t.Errorf("among clear animals: %d, want 30", got)
	}
	if got := count(30, 0.55); got != 31 {
		t.Errorf("among faint animals: %d, want 31", got)
	}
	few := []*track.Track{scored(1, 0.5, 6), scored(2, 0.5, 6)}
	if a, b := outlook(faintness(nil)), outlook(faintness(few)); a != 0 || b != 0 {
		t.Errorf("without animals %.2f, with two faint tracks %.2f; want no evidence", a, b)
	}
}
