package track

import (
	"math"

	"cattlecounter/cloud/count/track/motion"
)

// Weights of one look in Track.Evidence.
const (
	missWeight = -0.7
	mostWeight = 3.0 // of one hit
	leastScore = 0.01
)

// predict moves the track by dt seconds.
func (t *Track) predict(dt float64) {
	t.kx.predict(dt)
	t.ky.predict(dt)
	t.seconds += dt
	t.X, t.Y = t.kx.pos, t.ky.pos
}

// record updates the track with its sighting in one frame, or with the lack of one.
func (t *Track) record(sightings []sighting, o Observation, v view, threshold float64) {
	if t.matched < 0 {
		if t.expected.whole && !v.guessed && looked(o.Looked, t.expected.box) {
			t.Visible++
			t.Evidence += missWeight
		}
		return
	}
	s := &sightings[t.matched]
	x, y, across := v.middle(t, s)
	nx, ny := s.noise(across)
	t.kx.update(x, nx)
	t.ky.update(y, ny)
	t.X, t.Y = t.kx.pos, t.ky.pos
	t.resize(s)
	t.Visible++
	t.addHit(s, o, threshold)
}

// looked reports whether the corners and the middle of a box lie in parts of the frame that were looked at.
func looked(parts []motion.Rect, box motion.Rect) bool {
	if parts == nil {
		return true
	}
	in := func(x, y float64) bool {
		for _, p := range parts {
			if x >= p.X1 && x <= p.X2 && y >= p.Y1 && y <= p.Y2 {
				return true
			}
		}
		return false
	}
	return in(box.X1, box.Y1) && in(box.X2, box.Y1) && in(box.X1, box.Y2) && in(box.X2, box.Y2) &&
		in((box.X1+box.X2)/2, (box.Y1+box.Y2)/2)
}

// resize follows the size of the box. A box cut by the frame's edge only shows the least size of the animal.
func (t *Track) resize(s *sighting) {
	const follow = 0.2
	if s.cut {
		t.W, t.H = max(t.W, s.w), max(t.H, s.h)
	} else {
		t.W += follow * (s.w - t.W)
		t.H += follow * (s.h - t.H)
	}
	t.kx.unit, t.ky.unit = t.Size(), t.Size()
}

func (t *Track) addHit(s *sighting, o Observation, threshold float64) {
	t.Hits++
	if s.strong {
		t.Strong++
	}
	t.Outside = t.Outside && s.outside
	t.Last, t.seen = o.Index, o.Seconds
	t.leaving.add(s.end, o.Seconds)
	score := float64(s.box.Score)
	t.ScoreSum += score
	t.Evidence += hitWeight(score, threshold)
	if s.box.Other {
		t.addOthers(map[string]float64{s.box.Label: score})
	} else {
		t.classes[s.box.Label] += score
	}
	t.color.add(s.color, t.Hits)
	t.Way = append(t.Way, Fix{Frame: o.Index, Seconds: o.Seconds, X: t.X, Y: t.Y, Box: s.box})
	whole := !s.cut
	better := whole && !t.bestWhole || whole == t.bestWhole && s.box.Score > t.Best.Score
	if t.Hits == 1 || better {
		t.Best, t.BestFrame, t.bestWhole = s.box, o.Index, whole
	}
}

// addOthers adds scores of detections as another animal.
func (t *Track) addOthers(scores map[string]float64) {
	if t.others == nil && len(scores) > 0 {
		t.others = map[string]float64{}
	}
	for l, s := range scores {
		t.others[l] += s
	}
}

// hitWeight is the weight of a detection in Track.Evidence: its odds against those of a detection at the threshold.
func hitWeight(score, threshold float64) float64 {
	logit := func(p float64) float64 {
		p = min(max(p, leastScore), 1-leastScore)
		return math.Log(p / (1 - p))
	}
	return min(max(logit(score)-logit(threshold), missWeight), mostWeight)
}
