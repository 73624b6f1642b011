// Package tally turns tracks into a count of different animals with a 95 %
// interval. It is pure Go and does no I/O.
//
// A track is counted when it was seen often enough for the time it was in plain
// view; one that was seen rarely is more likely a stone or a shadow. Two tracks
// at one place that were never seen in the same frame are one animal whose
// track broke, and a track that lies within another one is a part of that
// animal; both are counted once.
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
	// Segments is the number of stretches between which the camera's way was
	// lost. Above 1 an animal seen in two stretches is counted twice.
	Segments int
}

// Rules of confirmation.
const (
	// enoughHits confirm a track that was in view for long.
	enoughHits = 3
	// leastShare of the frames in plain view must have a detection.
	leastShare = 0.5
	// briefHits confirm a track that passed through a corner of the view only.
	briefHits   = 2
	briefFrames = 4
	briefShare  = 0.5
	// samePlace is how near, in animal sizes, two pieces of one track lie.
	samePlace = 0.6
	// partOf is the share of a box that lies in another one's from which on it
	// is a part of that animal: detection lets two real neighbours overlap less.
	partOf = 0.6
	// systematic is the standard deviation, as a share of the count, of what no
	// track can tell: animals that are never detected or hidden behind others,
	// and things taken for animals. It is the spread of the errors over a dozen
	// pans across real stills of two species.
	systematic = 0.1
)

// Count judges the tracks of one finished clip.
func Count(tracks []*track.Track) Result {
	r := Result{ByClass: map[string]int{}}
	variance := 0.0
	segments := map[int]bool{}
	for _, t := range merge(tracks) {
		segments[t.Segment] = true
		p := belief(t)
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

// confirmed judges by the strong detections: weak ones hold a track together
// but are no evidence that there is an animal.
func confirmed(t *track.Track) bool {
	share := float64(t.Strong) / float64(max(t.Visible, 1))
	if t.Visible <= briefFrames {
		return t.Strong >= briefHits && share >= briefShare
	}
	return t.Strong >= enoughHits && share >= leastShare
}

// belief is the chance that a track is an animal: 1/2 at the border of
// confirmation, rising with detections and with the share of frames that have one.
func belief(t *track.Track) float64 {
	need := float64(enoughHits)
	if t.Visible <= briefFrames {
		need = briefHits
	}
	share := float64(t.Strong) / float64(max(t.Visible, 1))
	evidence := min(float64(t.Strong)/need, share/leastShare)
	const steep = 3
	return 1 / (1 + math.Pow(evidence, -steep))
}

// merge drops the weaker of two tracks that are one animal: pieces of a broken
// track, or an animal and a part of it that was detected for itself.
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
