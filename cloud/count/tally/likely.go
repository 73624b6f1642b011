package tally

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/track"
)

// likely is the chance that a track is an animal of any kind, by the looks at it and by more evidence: that of its size,
// which holds for what walks too, and the outlook of the clip. The constants follow from the tracks of simulated clips
// and from counts over real stills (shared/adr/0043-what-many-looks-prove.md).
func likely(t *track.Track, more float64) float64 {
	looks := float64(max(t.Visible, t.Hits, 1))
	e := weight * t.Evidence / (1 + (looks-1)*alike)
	e = min(max(e, -mostEvidence), mostEvidence)
	if t.Visible <= 1 {
		e -= once
	}
	if walks(t) {
		e = max(e, walking)
	}
	return 1 / (1 + math.Exp(-prior-e-more))
}

const (
	// usualScore is the median score of the tracks of a herd that is seen well.
	usualScore = 0.75
	// presumed is the number of tracks with the usual score that each clip is taken to have beside its own, so that a few
	// stones on empty ground do not look like a herd.
	presumed = 8
	// leastScore and mostScore bound the median of the scores.
	leastScore, mostScore = 0.6, 0.85
	// byHerd is the weight of the score of the herd, in the logarithm of its odds.
	byHerd = 3.0
)

// faintness is how much lower the scores of the tracks of a clip are than usual, in the logarithm of their odds. It is
// negative for higher scores.
func faintness(tracks []*track.Track) float64 {
	scores := slices.Repeat([]float64{usualScore}, presumed)
	for _, t := range tracks {
		if t.Evidence > Even && !t.Other() {
			scores = append(scores, t.Confidence())
		}
	}
	slices.Sort(scores)
	return logit(usualScore) - logit(scores[len(scores)/2])
}

// outlook is the evidence for every track that follows from the scores of all of them. Where the herd has low scores, because
// it is far or in fog, a low score may be an animal. Among animals with high scores it is probably a stone.
func outlook(faintness float64) float64 {
	return byHerd * min(max(faintness, logit(usualScore)-logit(mostScore)), logit(usualScore)-logit(leastScore))
}

func logit(p float64) float64 {
	const least = 0.01
	p = min(max(p, least), 1-least)
	return math.Log(p / (1 - p))
}
