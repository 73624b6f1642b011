// Package score compares detections with points that people set on animals.
package score

import (
	"cmp"
	"slices"

	"cattlecounter/cloud/count/detect"
)

// Slack is how far outside a box, in pixels, a point still counts as inside.
const Slack = 4

// Point is an animal in pixels of the picture.
type Point struct{ X, Y float32 }

// Tally counts over one or more pictures.
type Tally struct {
	Points int // animals there are
	Boxes  int // animals found
	Hits   int // boxes with an animal of their own
}

// Add sums two tallies.
func (t Tally) Add(o Tally) Tally {
	return Tally{Points: t.Points + o.Points, Boxes: t.Boxes + o.Boxes, Hits: t.Hits + o.Hits}
}

// Precision is the part of the boxes that have an animal, 0 without boxes.
func (t Tally) Precision() float64 { return ratio(t.Hits, t.Boxes) }

// Recall is the part of the animals that have a box, 0 without animals.
func (t Tally) Recall() float64 { return ratio(t.Hits, t.Points) }

// F1 is the harmonic mean of precision and recall.
func (t Tally) F1() float64 { return ratio(2*t.Hits, t.Points+t.Boxes) }

// CountError is how far the number of boxes is off, as a part of the animals.
func (t Tally) CountError() float64 { return ratio(t.Boxes-t.Points, t.Points) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Match goes through the boxes by falling score; each takes the free point
// nearest to its centre among those inside it, Slack included. A point is
// taken once.
func Match(boxes []detect.Box, points []Point) Tally {
	order := slices.Clone(boxes)
	slices.SortStableFunc(order, func(a, b detect.Box) int { return cmp.Compare(b.Score, a.Score) })
	taken := make([]bool, len(points))
	t := Tally{Points: len(points), Boxes: len(boxes)}
	for _, b := range order {
		best, bestD := -1, float32(0)
		for i, p := range points {
			if taken[i] || p.X < b.X1-Slack || p.X > b.X2+Slack || p.Y < b.Y1-Slack || p.Y > b.Y2+Slack {
				continue
			}
			dx, dy := p.X-(b.X1+b.X2)/2, p.Y-(b.Y1+b.Y2)/2
			if d := dx*dx + dy*dy; best < 0 || d < bestD {
				best, bestD = i, d
			}
		}
		if best >= 0 {
			taken[best] = true
			t.Hits++
		}
	}
	return t
}
