package calibrate

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/synthetic"
)

// Cause says what went wrong with one animal or one track.
type Cause string

// Causes of animals that were seen and not counted, by the first step that lost them.
const (
	Unlooked   Cause = "not looked at"   // no look while its middle was in view
	Undetected Cause = "not detected"    // no box in any look
	Faint      Cause = "scores too low"  // only boxes with scores that start no track
	Untracked  Cause = "without a track" // its boxes joined no track, or started none
	Joined     Cause = "joined wrongly"  // its boxes are in the track of another animal
	LeftOut    Cause = "left out: "      // begins the cause of an animal whose track is not counted; a tally.Reason follows
)

// Causes of tracks that were counted and should not be.
const (
	Twice      Cause = "counted twice"
	TwiceLost  Cause = "counted twice, ground lost"
	NoAnimal   Cause = "no animal"
	OutOfFrame Cause = "middle never in view"
)

// Fault is one animal too few or too many.
type Fault struct {
	Cause  Cause
	Animal int        // of the truth, 0 for none
	Track  int        // 0 for none
	Of     int        // the track that stands for the animal, or that this one is a part or a piece of; 0 for none
	Frame  int        // that shows it best
	Box    [4]float64 // there, in pixels
	Looks  int        // at the animal, or at the track
	Hits   int        // boxes of it in these looks
}

// Extra reports whether the fault is an animal too many.
func (f Fault) Extra() bool {
	return f.Cause == Twice || f.Cause == TwiceLost || f.Cause == NoAnimal || f.Cause == OutOfFrame
}

// Look is what the detector answered for the tiles of one frame.
type Look struct {
	Frame int
	Tiles []detect.Region // without their pixels
	Boxes []detect.Box
}

// sighted is what the looks at one animal showed.
type sighted struct {
	looks, hits, strong int
	frame               int // with the best view
	box                 [4]float64
	visible             float64
}

// Faults compares a count with the exact truth of its clip and names the cause of every single fault. The counted animals
// less the extra ones plus the missed ones are those of the truth.
func Faults(truth synthetic.Truth, looks []Look, tracks []*track.Track, threshold float64) []Fault {
	counted := tally.Count(tracks)
	seen := sightedIn(truth, looks, threshold)
	owner, holders := owners(truth, tracks)
	var faults []Fault
	standsFor := map[int][]*track.Track{}
	for _, t := range counted.Counted {
		a := owner[t.ID]
		f := Fault{Animal: a, Track: t.ID, Frame: t.BestFrame, Box: corners(t.Best), Looks: t.Visible, Hits: t.Hits}
		switch first := standsFor[a]; {
		case a == 0:
			f.Cause = NoAnimal
		case !isSeen(truth, a):
			f.Cause = OutOfFrame
		case len(first) > 0 && first[0].Segment != t.Segment:
			f.Cause, f.Of = TwiceLost, first[0].ID
		case len(first) > 0:
			f.Cause, f.Of = Twice, first[0].ID
		}
		standsFor[a] = append(standsFor[a], t)
		if f.Cause != "" {
			faults = append(faults, f)
		}
	}
	why := map[int]tally.Uncounted{} // by track
	for _, u := range counted.Uncounted {
		why[u.Track.ID] = u
	}
	for _, a := range truth.Animals {
		if a.Seen && len(standsFor[a.ID]) == 0 {
			faults = append(faults, missed(a.ID, seen[a.ID], tracks, owner, holders, why))
		}
	}
	return faults
}

// missed finds the cause of an animal that was not counted.
func missed(animal int, s *sighted, tracks []*track.Track, owner map[int]int, holders map[int][]int,
	why map[int]tally.Uncounted) Fault {
	f := Fault{Animal: animal, Cause: Unlooked}
	if s != nil {
		f.Looks, f.Hits, f.Frame, f.Box = s.looks, s.hits, s.frame, s.box
	}
	var own *track.Track
	for _, t := range tracks {
		if owner[t.ID] == animal && (own == nil || t.Hits > own.Hits) {
			own = t
		}
	}
	switch {
	case own != nil:
		f.Track, f.Of, f.Cause = own.ID, why[own.ID].Of, LeftOut+Cause(why[own.ID].Reason)
	case s == nil || s.looks == 0:
	case s.hits == 0:
		f.Cause = Undetected
	case len(holders[animal]) > 0:
		f.Track, f.Cause = holders[animal][0], Joined
	case s.strong == 0:
		f.Cause = Faint
	default:
		f.Cause = Untracked
	}
	return f
}

func isSeen(truth synthetic.Truth, id int) bool {
	return slices.ContainsFunc(truth.Animals, func(a synthetic.AnimalTruth) bool { return a.ID == id && a.Seen })
}

func corners(b detect.Box) [4]float64 {
	return [4]float64{float64(b.X1), float64(b.Y1), float64(b.X2), float64(b.Y2)}
}

// sightedIn sums up the looks at each animal while its middle was in view.
func sightedIn(truth synthetic.Truth, looks []Look, threshold float64) map[int]*sighted {
	const half = 0.5
	all := map[int]*sighted{}
	for _, l := range looks {
		if l.Frame >= len(truth.PerFrame) {
			continue
		}
		animals := truth.PerFrame[l.Frame].Animals
		found := assigned(animals, l.Boxes)
		for i, a := range animals {
			s := all[a.ID]
			if s == nil {
				s = &sighted{}
				all[a.ID] = s
			}
			if a.Visible > s.visible {
				s.visible, s.frame, s.box = a.Visible, l.Frame, a.Box
			}
			if a.Visible < half || !lookedAt(l.Tiles, a.Box) {
				continue
			}
			s.looks++
			if k := found[i]; k >= 0 {
				s.hits++
				if float64(l.Boxes[k].Score) >= threshold {
					s.strong++
				}
			}
		}
	}
	return all
}

// lookedAt reports whether a tile has the middle of a box.
func lookedAt(tiles []detect.Region, box [4]float64) bool {
	x, y := int(box[0]+box[2])/2, int(box[1]+box[3])/2
	return slices.ContainsFunc(tiles, func(t detect.Region) bool {
		return x >= t.X && x < t.X+t.Width && y >= t.Y && y < t.Y+t.Height
	})
}

// assigned returns for each animal the index of its box, or -1. Pairs that overlap most come first.
func assigned(animals []synthetic.Sighting, boxes []detect.Box) []int {
	type pair struct {
		animal, box int
		overlap     float64
	}
	var pairs []pair
	for i, a := range animals {
		for k, b := range boxes {
			if o := overlap(a.Box, corners(b)); o > leastOverlap {
				pairs = append(pairs, pair{i, k, o})
			}
		}
	}
	slices.SortStableFunc(pairs, func(p, q pair) int { return cmp.Compare(q.overlap, p.overlap) })
	of, taken := make([]int, len(animals)), make([]bool, len(boxes))
	for i := range of {
		of[i] = -1
	}
	for _, p := range pairs {
		if of[p.animal] < 0 && !taken[p.box] {
			of[p.animal], taken[p.box] = p.box, true
		}
	}
	return of
}

// leastOverlap is the least intersection over union of an animal and its box. Boxes around an animal and its shadow, or
// around a part of it, are of that animal.
const leastOverlap = 0.2

func overlap(a, b [4]float64) float64 {
	w, h := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
	if w <= 0 || h <= 0 {
		return 0
	}
	both := w * h
	return both / ((a[2]-a[0])*(a[3]-a[1]) + (b[2]-b[0])*(b[3]-b[1]) - both)
}

// owners finds the animal that most of the boxes of each track show, 0 for none, and for each animal the tracks with a box
// of it.
func owners(truth synthetic.Truth, tracks []*track.Track) (owner map[int]int, holders map[int][]int) {
	votes := map[int]map[int]int{} // track -> animal -> boxes
	for _, t := range tracks {
		votes[t.ID] = map[int]int{}
		for _, w := range t.Way {
			if a := shownBy(truth, w.Frame, corners(w.Box)); a != 0 {
				votes[t.ID][a]++
			}
		}
	}
	holders = map[int][]int{}
	owner = map[int]int{}
	for _, t := range tracks {
		const least = 0.4 // of the boxes
		best, most := 0, int(least*float64(len(t.Way)))
		for a, n := range votes[t.ID] {
			if n > most || n == most && best != 0 && a < best {
				best, most = a, n
			}
			if !slices.Contains(holders[a], t.ID) {
				holders[a] = append(holders[a], t.ID)
			}
		}
		owner[t.ID] = best
	}
	return owner, holders
}

// shownBy is the animal that a box of a frame overlaps most, 0 for none.
func shownBy(truth synthetic.Truth, frame int, box [4]float64) int {
	if frame >= len(truth.PerFrame) {
		return 0
	}
	best, most := 0, leastOverlap
	for _, a := range truth.PerFrame[frame].Animals {
		if o := overlap(a.Box, box); o > most {
			best, most = a.ID, o
		}
	}
	return best
}

// writeFaults writes a line for each fault of a clip.
func writeFaults(w io.Writer, faults []Fault) {
	for _, f := range faults {
		fmt.Fprintf(w, "    %-28s animal %3d track %4d of %4d frame %4d at %.0f; %d hits in %d looks\n", f.Cause, f.Animal,
			f.Track, f.Of, f.Frame, f.Box, f.Hits, f.Looks)
	}
}

// WriteCauses writes how many animals too few and too many each cause gave, the most frequent first.
func WriteCauses(w io.Writer, faults []Fault, animals int) {
	n, extra := map[Cause]int{}, map[Cause]bool{}
	for _, f := range faults {
		n[f.Cause]++
		extra[f.Cause] = f.Extra()
	}
	var causes []Cause
	for c := range n {
		causes = append(causes, c)
	}
	slices.SortFunc(causes, func(a, b Cause) int { return cmp.Or(n[b]-n[a], cmp.Compare(a, b)) })
	fmt.Fprintln(w, "| cause | animals | share |")
	fmt.Fprintln(w, "| --- | --- | --- |")
	for _, c := range causes {
		sign := "-"
		if extra[c] {
			sign = "+"
		}
		fmt.Fprintf(w, "| %s | %s%d | %.1f %% |\n", c, sign, n[c], 100*float64(n[c])/float64(max(animals, 1)))
	}
}
