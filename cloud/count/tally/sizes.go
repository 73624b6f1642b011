package tally

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/track"
)

// Animals of one herd have one size on the ground, calves a smaller one. Something that is much larger or smaller than the
// animals around it is a vehicle, a shed, a bush or a dropping, whatever its score is. The animals around it are the
// measure, because the ground of an oblique view has another scale far away.
const (
	sizeNeighbors = 9 // that are compared with
	leastMeasure  = 5 // of them; fewer say nothing
	// largest and smallest are the logarithms of the sizes, relative to that of the neighbors, beyond which it speaks
	// against an animal: 1.65 times as long, for boxes that lie across, and 0.43 times, for a new calf.
	largest, smallest = 0.5, -0.85
	spreads           = 2.5 // of the neighbors' own sizes, when that is more
	// sizeWeight is the evidence by the square of what is beyond: a cow among calves loses 1.7, something three times
	// as large as a cow 5.8.
	sizeWeight = 16.0
	mostBySize = 6.0
)

// sizes has the tracks that are animals by the looks at them, by segment.
type sizes map[int]tree

type sized struct {
	track *track.Track
	at    [2]float64 // on the ground
	log   float64
}

func newSizes(tracks []*track.Track) sizes {
	s := sizes{}
	for _, t := range tracks {
		if t.Whole() && Probability(t) > 0.5 {
			s[t.Segment] = append(s[t.Segment], sized{t, [2]float64{t.X, t.Y}, logLength(t)})
		}
	}
	for segment, all := range s {
		s[segment] = newTree(all)
	}
	return s
}

// logLength is the logarithm of the diagonal of a track's box on the ground. It hardly changes as an animal turns.
func logLength(t *track.Track) float64 { return math.Log(max(math.Hypot(t.W, t.H), 1e-6)) }

// evidence is what the size of a track says about it: 0, or negative when it is another one than that of the animals
// around it. A box that was cut in every look is at least as large as it seems.
func (s sizes) evidence(t *track.Track) float64 {
	logs := s.around(t)
	if len(logs) < leastMeasure {
		return 0
	}
	usual := middle(logs)
	for i := range logs {
		logs[i] = math.Abs(logs[i] - usual)
	}
	spread := 1.48 * middle(logs) // the deviation, when the sizes are normal
	d := logLength(t) - usual
	beyond := d - max(largest, spreads*spread)
	if d < 0 {
		beyond = min(smallest, -spreads*spread) - d
		if !t.Whole() {
			return 0
		}
	}
	return -min(sizeWeight*max(beyond, 0)*max(beyond, 0), mostBySize)
}

// around returns the sizes of the nearest animals.
func (s sizes) around(t *track.Track) []float64 {
	near := make(nearby, 0, sizeNeighbors)
	s[t.Segment].search([2]float64{t.X, t.Y}, 0, t.ID, &near)
	logs := make([]float64, len(near))
	for i, n := range near {
		logs[i] = n.log
	}
	return logs
}

// middle sorts the values and returns their median.
func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
