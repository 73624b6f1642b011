// Package tally turns tracks into a count of different animals with a 95 % interval. It is pure Go and does no I/O.
//
// A track is counted when the looks at it are evidence of an animal: detections by their score, against looks that
// showed its place in plain view without a detection. Two tracks at one place that are never in the same frame are one
// animal with a broken track. A track that lies within another one is a part of that animal. Both cases count once. A
// track that is much larger or smaller than the animals around it is no animal.
package tally

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"cattlecounter/cloud/count/track"
)

// Result is the count of one clip.
type Result struct {
	Unique    int
	Low, High int            // 95 % interval, Low <= Unique <= High
	ByClass   map[string]int // label of the detector -> animals; sums to Unique
	// Others are animals of other kinds by their label, which are not in Unique. They are in Uncounted, too.
	Others map[string]int
	// Counted are the tracks behind Unique, in order of ID.
	Counted []*track.Track
	// Uncounted are the other tracks, in order of ID.
	Uncounted []Uncounted
	// Segments has the counted animals of each piece between which the motion of the camera was lost, in order of time.
	// With several pieces an animal that is in two of them is counted twice; Low is then at most the largest piece.
	Segments []int

	doubt   float64 // variance of the number of animals by the evidence of each track
	faint   float64 // see faintness
	outlook float64 // see outlook
}

// Uncounted is a track that is not counted.
type Uncounted struct {
	Track  *track.Track
	Reason Reason
	Of     int // for PartOf and SameAs: the ID of the track that stands for the animal
}

// Reason says why a track is not counted.
type Reason string

// Reasons.
const (
	TooBrief Reason = "too-brief" // too few looks to tell
	Weak     Reason = "weak"      // low scores, or many looks without a detection
	PartOf   Reason = "part-of"   // a part of an animal that is counted
	SameAs   Reason = "same-as"   // another piece of the track of an animal
	Outside  Reason = "outside"   // the middle of the animal was never in the picture
	Size     Reason = "size"      // much larger or smaller than the animals around it
	// OtherAnimal is the reason of an animal that the detector takes for another one, such as a sheep.
	OtherAnimal Reason = "other-animal"
)

const (
	// prior is the logarithm of the odds of a track before any look.
	prior = -0.9
	// alike is how much two looks at a track are alike, 0..1: looks repeat the same mistake, so n looks prove as much as
	// n / (1 + (n-1) * alike) independent ones. weight is that of an independent look.
	alike, weight = 0.5, 2.4
	// mostEvidence bounds what many looks can prove.
	mostEvidence = 6.0
	// once is the evidence that a track with a single look needs more than others: nothing confirms the look.
	once = 1.5
	// walking is the evidence of a track that walks steadily, at least: stones and shadows do not walk.
	walking = 3.6
	// brief is the number of looks up to which a track that is not counted is too brief rather than weak.
	brief = 2
	// reach is how far, in sides of its box, an animal may walk between two pieces of its track.
	reach = 3.0
	// samePlace is the largest distance of two pieces of one track, in animal sizes.
	samePlace = 0.6
	// partOf is the least share of a box inside another box that makes it a part of that animal. The boxes of two real
	// neighbours overlap less.
	partOf = 0.6
)

// Count counts the animals of one finished clip from its tracks.
func Count(tracks []*track.Track) Result {
	r := Result{ByClass: map[string]int{}, Others: map[string]int{}}
	usual := newSizes(tracks)
	r.faint = faintness(tracks)
	r.outlook = outlook(r.faint)
	more := map[*track.Track]float64{} // evidence beside the looks at a track
	// Kind and size come first: a sheep or a shed must not stand for the cow at its place.
	var cattle, others []*track.Track
	for _, t := range tracks {
		more[t] = usual.evidence(t) + r.outlook
		switch {
		case t.Other():
			others = append(others, t)
		case likely(t, more[t]) <= 0.5 && likely(t, r.outlook) > 0.5:
			r.leaveOut(t, Size)
		default:
			cattle = append(cattle, t)
		}
	}
	pieces := map[int]int{}
	for _, t := range r.merged(cattle) {
		p := likely(t, more[t])
		r.doubt += p * (1 - p)
		if !r.stands(t, p) {
			continue
		}
		pieces[t.Segment]++
		r.Counted = append(r.Counted, t)
		r.ByClass[t.Label()]++
	}
	for _, t := range r.merged(others) {
		if r.stands(t, likely(t, 0)) {
			r.Others[t.Label()]++
			r.leaveOut(t, OtherAnimal)
		}
	}
	slices.SortFunc(r.Uncounted, func(a, b Uncounted) int { return a.Track.ID - b.Track.ID })
	r.Unique = len(r.Counted)
	for _, s := range slices.Sorted(maps.Keys(pieces)) {
		r.Segments = append(r.Segments, pieces[s])
	}
	r.Judge(Circumstances{})
	return r
}

func (r *Result) leaveOut(t *track.Track, why Reason) {
	r.Uncounted = append(r.Uncounted, Uncounted{Track: t, Reason: why})
}

// merged returns one track for each animal and leaves out the rest.
func (r *Result) merged(tracks []*track.Track) []*track.Track {
	kept, dropped := merge(tracks)
	r.Uncounted = append(r.Uncounted, dropped...)
	return kept
}

// stands reports whether a track with the chance p is an animal that was in the picture. If not, it leaves it out.
func (r *Result) stands(t *track.Track, p float64) bool {
	switch {
	case p > 0.5 && !t.Outside:
		return true
	case p > 0.5:
		r.leaveOut(t, Outside)
	case t.Visible <= brief:
		r.leaveOut(t, TooBrief)
	default:
		r.leaveOut(t, Weak)
	}
	return false
}

// Judge sets Low and High by the tracks and the circumstances of the clip, and returns what they follow from. Other
// animals may be cattle of a look that the detector does not know, so High has them too.
func (r *Result) Judge(c Circumstances) Features {
	f := r.features(c)
	r.Low, r.High = f.Interval()
	for _, n := range r.Others {
		r.High += n
	}
	return f
}

// Even is the evidence of a track with a few looks that is about as likely an animal as none.
const Even = 0.9

// Probability is the chance that a track is an animal that counts, by the looks at it alone.
func Probability(t *track.Track) float64 {
	if t.Other() {
		return 0
	}
	return likely(t, 0)
}

// walks reports whether a track moved over the ground by more than its size, without much of a detour, and was detected in
// most looks at it.
func walks(t *track.Track) bool {
	const (
		fewest = 6
		most   = 0.6 // of the looks
		detour = 1.6
	)
	n := len(t.Way)
	if n < fewest || float64(t.Hits) < most*float64(t.Visible) || t.Size() <= 0 {
		return false
	}
	// Means of a few places, at places all along the way: the box of a standing animal also trembles.
	const few, places = 2, 40
	mean := func(part []track.Fix) (x, y float64) {
		for _, f := range part {
			x, y = x+f.X/float64(len(part)), y+f.Y/float64(len(part))
		}
		return x, y
	}
	length := 0.0
	fromX, fromY := mean(t.Way[:few])
	lastX, lastY := fromX, fromY
	for i := few; i+few <= n; i += max(few, n/places) {
		x, y := mean(t.Way[i : i+few])
		length += math.Hypot(x-lastX, y-lastY)
		lastX, lastY = x, y
	}
	x, y := mean(t.Way[n-few:])
	length += math.Hypot(x-lastX, y-lastY)
	moved := math.Hypot(x-fromX, y-fromY)
	return moved > t.Size() && length < detour*moved
}

// merge drops the weaker of two tracks of one animal: two pieces of a broken track, or an animal and a part of it that
// was detected by itself.
func merge(tracks []*track.Track) (kept []*track.Track, dropped []Uncounted) {
	sorted := slices.Clone(tracks)
	slices.SortStableFunc(sorted, func(a, b *track.Track) int {
		return cmp.Or(cmp.Compare(min(b.Evidence, mostEvidence), min(a.Evidence, mostEvidence)), b.Hits-a.Hits)
	})
	g := newGrid(tracks)
	for _, t := range sorted {
		if k, reason := g.find(t); k != nil {
			dropped = append(dropped, Uncounted{Track: t, Reason: reason, Of: k.ID})
			if reason == SameAs {
				g.pieces[k] = append(g.pieces[k], t)
			}
			continue
		}
		g.add(t)
		kept = append(kept, t)
	}
	slices.SortFunc(kept, func(a, b *track.Track) int { return a.ID - b.ID })
	return kept, dropped
}

// grid finds the tracks near a place without a look at all of them.
type grid struct {
	side  float64 // ground pixels; the ends of two tracks of one animal are not farther apart
	cells map[cell][]*track.Track
	// pieces are the further tracks of an animal.
	pieces map[*track.Track][]*track.Track
}

type cell struct{ segment, x, y int }

func newGrid(tracks []*track.Track) *grid {
	g := &grid{side: 1, cells: map[cell][]*track.Track{}, pieces: map[*track.Track][]*track.Track{}}
	for _, t := range tracks {
		g.side = max(g.side, reach*t.W, reach*t.H)
	}
	return g
}

func (g *grid) cell(t *track.Track) cell {
	return cell{t.Segment, int(math.Floor(t.X / g.side)), int(math.Floor(t.Y / g.side))}
}

// add notes a track at its place and at the ends of its way.
func (g *grid) add(t *track.Track) {
	for _, c := range g.places(t) {
		g.cells[c] = append(g.cells[c], t)
	}
}

func (g *grid) places(t *track.Track) []cell {
	list := []cell{g.cell(t)}
	if n := len(t.Way); n > 0 {
		for _, f := range []track.Fix{t.Way[0], t.Way[n-1]} {
			c := cell{t.Segment, int(math.Floor(f.X / g.side)), int(math.Floor(f.Y / g.side))}
			if !slices.Contains(list, c) {
				list = append(list, c)
			}
		}
	}
	return list
}

// find returns an earlier track of the same animal and the reason, or nil.
func (g *grid) find(t *track.Track) (*track.Track, Reason) {
	for _, at := range g.places(t) {
		for dy := -1; dy <= 1; dy++ {
			for dx := -1; dx <= 1; dx++ {
				for _, k := range g.cells[cell{at.segment, at.x + dx, at.y + dy}] {
					reason, same := sameAnimal(k, t)
					if same && (reason == PartOf || !slices.ContainsFunc(g.pieces[k], func(o *track.Track) bool { return together(o, t) })) {
						return k, reason
					}
				}
			}
		}
	}
	return nil, ""
}

// sameAnimal compares two tracks of one segment; a has at least as much evidence. Of two tracks one after the other the ends
// that face each other count: where they would be at the end of the clip is a guess.
func sameAnimal(a, b *track.Track) (Reason, bool) {
	if together(a, b) {
		return PartOf, covered(a, b) > partOf
	}
	if a.First > b.First {
		a, b = b, a
	}
	d, _, ok := a.Apart(b)
	if !ok {
		d = math.Hypot(a.X-b.X, a.Y-b.Y) / ((a.Size() + b.Size()) / 2)
	}
	return SameAs, d < samePlace
}

// together reports whether two tracks were followed at the same time: they are two animals, or one is a part.
func together(a, b *track.Track) bool { return a.First <= b.Last && b.First <= a.Last }

// covered is the share of the smaller box on the ground that the other covers, on average over the time in which both were
// followed: where an animal is that has left the view is a guess.
func covered(a, b *track.Track) float64 {
	sum, n := 0.0, 0
	for _, pair := range [2][2]*track.Track{{a, b}, {b, a}} {
		for _, f := range pair[0].Way {
			if at, ok := pair[1].PlaceAt(f.Seconds); ok && f.Frame <= pair[1].Last {
				sum += coveredAt(pair[0], f.X, f.Y, pair[1], at.X, at.Y)
				n++
			}
		}
	}
	if n == 0 {
		return coveredAt(a, a.X, a.Y, b, b.X, b.Y)
	}
	return sum / float64(n)
}

// coveredAt is covered for places on the ground.
func coveredAt(a *track.Track, ax, ay float64, b *track.Track, bx, by float64) float64 {
	w := min(ax+a.W/2, bx+b.W/2) - max(ax-a.W/2, bx-b.W/2)
	h := min(ay+a.H/2, by+b.H/2) - max(ay-a.H/2, by-b.H/2)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / min(a.W*a.H, b.W*b.H)
}
