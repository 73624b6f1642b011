// Package score compares detections with points that people placed on animals.
package score

import (
	"cmp"
	"slices"

	"cattlecounter/cloud/count/detect"
)

// Slack is the distance from a box, in pixels, within which a point counts as inside.
const Slack = 4

// Point is an animal in pixels of the picture.
type Point struct{ X, Y float32 }

// Tally counts over one or more pictures.
type Tally struct {
	Points int // animals in the pictures
	Boxes  int // animals found
	Hits   int // boxes matched to an animal
}

// Add sums two tallies.
func (t Tally) Add(o Tally) Tally {
	return Tally{Points: t.Points + o.Points, Boxes: t.Boxes + o.Boxes, Hits: t.Hits + o.Hits}
}

// Precision is the share of boxes with an animal, 0 without boxes.
func (t Tally) Precision() float64 { return ratio(t.Hits, t.Boxes) }

// Recall is the share of animals with a box, 0 without animals.
func (t Tally) Recall() float64 { return ratio(t.Hits, t.Points) }

// F1 is the harmonic mean of precision and recall.
func (t Tally) F1() float64 { return ratio(2*t.Hits, t.Points+t.Boxes) }

// CountError is the error of the number of boxes, as a share of the animals.
func (t Tally) CountError() float64 { return ratio(t.Boxes-t.Points, t.Points) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Match matches boxes to points, by falling score: each box gets the nearest unmatched point to its centre among the
// points inside it, Slack included. A point is matched once.
func Match(boxes []detect.Box, points []Point) Tally {
	return MatchOutside(boxes, points, nil)
}

// Region is a part of a picture in which boxes without a point count neither as right nor as wrong.
type Region struct{ X1, Y1, X2, Y2 float32 }

// MatchOutside is Match without the unmatched boxes whose middle is in a region.
func MatchOutside(boxes []detect.Box, points []Point, ignored []Region) Tally {
	order := slices.Clone(boxes)
	slices.SortStableFunc(order, func(a, b detect.Box) int { return cmp.Compare(b.Score, a.Score) })
	matched := make([]bool, len(points))
	t := Tally{Points: len(points)}
	for _, b := range order {
		x, y := (b.X1+b.X2)/2, (b.Y1+b.Y2)/2
		best, bestD := -1, float32(0)
		for i, p := range points {
			if matched[i] || p.X < b.X1-Slack || p.X > b.X2+Slack || p.Y < b.Y1-Slack || p.Y > b.Y2+Slack {
				continue
			}
			dx, dy := p.X-x, p.Y-y
			if d := dx*dx + dy*dy; best < 0 || d < bestD {
				best, bestD = i, d
			}
		}
		if best >= 0 {
			matched[best] = true
			t.Hits++
		} else if slices.ContainsFunc(ignored, func(r Region) bool { return x >= r.X1 && x <= r.X2 && y >= r.Y1 && y <= r.Y2 }) {
			continue
		}
		t.Boxes++
	}
	return t
}
