// Package tally turns tracks into a count of different animals with a 95 % interval. It is pure Go and does no I/O.
//
// A track is counted when it has detections in enough of the frames that showed its place in plain view. A track with
// few detections is more likely a stone or a shadow. Two tracks at one place that are never in the same frame are one
// animal with a broken track. A track that lies within another one is a part of that animal. Both cases count once.
package tally

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/track"
)

// Result is the count of one clip.
type Result struct {
	Unique    int
	Low, High int            // 95 % interval, Low <= Unique <= High
	ByClass   map[string]int // label of the detector -> animals; sums to Unique
	// Counted are the tracks behind Unique, in order of ID.
	Counted []*track.Track
	// Segments is the number of pieces between which the motion of the camera was lost. Above 1 an animal that is in
	// two pieces is counted twice.
	Segments int
}

// Rules of confirmation.
const (
	// enoughHits confirm a track that was in view for several frames.
	enoughHits = 3
	// leastShare of the frames in plain view must have a detection.
	leastShare = 0.5
	// briefHits confirm a track that only passed through a corner of the view.
	briefHits   = 2
	briefFrames = 4
	briefShare  = 0.5
	// samePlace is the largest distance of two pieces of one track, in animal sizes.
	samePlace = 0.6
	// partOf is the least share of a box inside another box that makes it a part of that animal. The boxes of two real
	// neighbours overlap less.
	partOf = 0.6
	// systematic is the standard deviation, as a share of the count, of errors that no track shows: animals that are
	// never detected or hidden behind others, and objects detected as animals. It is the spread of the errors over a
	// dozen pans across real stills of two species.
	systematic = 0.1
)

// Count counts the animals of one finished clip from its tracks.
func Count(tracks []*track.Track) Result {
	r := Result{ByClass: map[string]int{}}
	variance := 0.0
	segments := map[int]bool{}
	for _, t := range merge(tracks) {
		segments[t.Segment] = true
		p := probability(t)
		variance += p * (1 - p)
		if confirmed(t) {
			r.Counted = append(r.Counted, t)
			r.ByClass[t.Label()]++
		}
	}
	r.Segments = len(segments)
	r.Unique = len(r.Counted)
	n := float64(r.Unique)
	half := 1.96 * math.Sqrt(variance+systematic*n*systematic*n)
	r.Low, r.High = max(0, int(math.Floor(n-half))), int(math.Ceil(n+half))
	return r
}

// confirmed decides by the strong detections. Weak ones only connect a track; they are no evidence of an animal.
func confirmed(t *track.Track) bool {
	share := float64(t.Strong) / float64(max(t.Visible, 1))
	if t.Visible <= briefFrames {
		return t.Strong >= briefHits && share >= briefShare
	}
	return t.Strong >= enoughHits && share >= leastShare
}

// probability is the chance that a track is an animal. It is 1/2 at the border of confirmation and grows with the
// number of detections and with the share of frames that have one.
func probability(t *track.Track) float64 {
	need := float64(enoughHits)
	if t.Visible <= briefFrames {
		need = briefHits
	}
	share := float64(t.Strong) / float64(max(t.Visible, 1))
	evidence := min(float64(t.Strong)/need, share/leastShare)
	const steep = 3
	return 1 / (1 + math.Pow(evidence, -steep))
}

// merge drops the weaker of two tracks of one animal: two pieces of a broken track, or an animal and a part of it that
// was detected by itself.
func merge(tracks []*track.Track) []*track.Track {
	sorted := slices.Clone(tracks)
	slices.SortStableFunc(sorted, func(a, b *track.Track) int { return b.Hits - a.Hits })
	var kept []*track.Track
	for _, t := range sorted {
		if !slices.ContainsFunc(kept, func(k *track.Track) bool { return sameAnimal(k, t) }) {
			kept = append(kept, t)
		}
	}
	slices.SortFunc(kept, func(a, b *track.Track) int { return a.ID - b.ID })
	return kept
}

func sameAnimal(a, b *track.Track) bool {
	switch together := a.First <= b.Last && b.First <= a.Last; {
	case a.Segment != b.Segment:
		return false
	case together:
		return covered(a, b) > partOf
	default:
		return math.Hypot(a.X-b.X, a.Y-b.Y) < samePlace*(a.Size()+b.Size())/2
	}
}

// covered is the share of the smaller box on the ground that the other covers.
func covered(a, b *track.Track) float64 {
	w := min(a.X+a.W/2, b.X+b.W/2) - max(a.X-a.W/2, b.X-b.W/2)
	h := min(a.Y+a.H/2, b.Y+b.H/2) - max(a.Y-a.H/2, b.Y-b.H/2)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / min(a.W*a.H, b.W*b.H)
}
