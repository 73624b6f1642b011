package footage

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Recording is what the rule of siblings knows of one video file.
type Recording struct {
	// Path is relative to a folder that holds all files of the comparison, with slashes. Its bytes may have any encoding.
	Path string
	// Started is the time that the container records, zero when unknown. An implausible time counts as unknown.
	Started time.Time
	// Duration is 0 when unknown.
	Duration time.Duration
	// Width and Height are pixels, 0 when unknown.
	Width, Height int
}

func (r Recording) pixels() int { return r.Width * r.Height }

// Flight is one recording with all of its files, as indices of the list given to GroupSiblings. The first one is the
// best to count.
type Flight []int

// Doubt is a file whose name looks like that of a sibling, but whose start, length or size does not confirm it.
type Doubt struct {
	File   int    // index of the file
	Other  int    // index of the file that its name belongs to
	Reason string // for a person, such as "the lengths differ (10.0 s and 25.0 s)"
}

// GroupSiblings puts the files of one recording together: the cameras of one flight and low-resolution copies.
//
// Files are siblings when all of this holds:
//   - ReadName gives them the same key;
//   - they start together: the times in their names differ by at most 3 s, else those of their containers by at most
//     5 s;
//   - they have the same length: it differs by at most a twentieth, between 0.25 s and 1 s, and a thousandth more.
//
// When a start is unknown, the files must be in the same folder, apart from folders such as "proxy" or "thermal", and
// must have different cameras, or one must be a low-resolution copy. Two files of one camera then count as a recording
// and its copy only if one has at most 60 % of the pixels of the other in the same shape. A file of unknown length has
// no siblings.
//
// A flight lists its files in this order: wide camera or a name without a camera, visible camera, zoom, split screen,
// thermal; then by the number of pixels, originals before copies, and by path. Flights are in the order of their first
// files. Every index is in exactly one flight. A flight that a camera cut into several files is several flights.
func GroupSiblings(files []Recording) ([]Flight, []Doubt) {
	named := make([]candidate, len(files))
	byKey := map[string][]int{}
	for i, f := range files {
		named[i] = candidate{f, ReadName(f.Path)}
		byKey[named[i].Key] = append(byKey[named[i].Key], i)
	}
	var flights []Flight
	var doubts []Doubt
	for _, members := range byKey {
		slices.SortFunc(members, func(a, b int) int {
			return cmp.Or(preferred(named[a], named[b]), cmp.Compare(a, b))
		})
		f, d := splitFlights(named, members)
		flights = append(flights, f...)
		doubts = append(doubts, d...)
	}
	slices.SortFunc(flights, func(a, b Flight) int { return cmp.Compare(a[0], b[0]) })
	slices.SortFunc(doubts, func(a, b Doubt) int { return cmp.Compare(a.File, b.File) })
	return flights, doubts
}

// PreferredOrder returns the given indices of files in the order of a Flight.
func PreferredOrder(files []Recording, members []int) Flight {
	ordered := slices.Clone(members)
	slices.SortFunc(ordered, func(a, b int) int {
		return cmp.Or(preferred(candidate{files[a], ReadName(files[a].Path)}, candidate{files[b], ReadName(files[b].Path)}),
			cmp.Compare(a, b))
	})
	return ordered
}

// candidate is a file with what its name says.
type candidate struct {
	Recording
	Name
}

// splitFlights divides files of one key, the preferred first, into flights. Each file is compared with the first file
// of each flight only, so a flight never grows by a chain of small differences.
func splitFlights(named []candidate, members []int) ([]Flight, []Doubt) {
	var flights []Flight
	var doubts []Doubt
	for _, i := range members {
		var doubt *Doubt
		joined := false
		for k := range flights {
			first := flights[k][0]
			same, reason := areSiblings(named[first], named[i])
			if same {
				flights[k] = append(flights[k], i)
				joined = true
				break
			}
			if reason != "" && doubt == nil {
				doubt = &Doubt{File: i, Other: first, Reason: reason}
			}
		}
		if joined {
			continue
		}
		flights = append(flights, Flight{i})
		if doubt != nil {
			doubts = append(doubts, *doubt)
		}
	}
	return flights, doubts
}

// preferred orders files of one flight: the one to count first.
func preferred(a, b candidate) int {
	return cmp.Or(
		cmp.Compare(a.Lens, b.Lens),
		cmp.Compare(b.pixels(), a.pixels()),
		compareBool(a.Proxy, b.Proxy),
		cmp.Compare(a.Path, b.Path),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// areSiblings compares two files of one key. reason tells why they are not siblings, and is empty when their names do
// not claim it.
func areSiblings(a, b candidate) (same bool, reason string) {
	together, known := startTogether(a, b)
	nearby := a.Place == b.Place
	switch {
	case known && !together:
		if nearby {
			reason = "they start at different times"
		}
		return false, reason
	case !known && !nearby:
		return false, ""
	case a.Duration <= 0 || b.Duration <= 0:
		return false, "the length is unknown"
	case !sameLength(a.Duration, b.Duration):
		return false, fmt.Sprintf("the lengths differ (%.1f s and %.1f s)", a.Duration.Seconds(), b.Duration.Seconds())
	case known, a.Lens != b.Lens, a.Proxy || b.Proxy, isScaled(a.Recording, b.Recording):
		return true, ""
	}
	return false, "their starts are unknown and neither is clearly a smaller copy"
}

// Tolerances of the start: two cameras of a drone write the name and the header of their file one after the other.
const (
	nameTolerance      = 3 * time.Second
	containerTolerance = 5 * time.Second
)

// startTogether compares the starts. The time in a name outlives a conversion, the time in a container does not, so
// names decide when both have a time.
func startTogether(a, b candidate) (together, known bool) {
	if !a.Stamp.IsZero() && !b.Stamp.IsZero() {
		return a.Stamp.Sub(b.Stamp).Abs() <= nameTolerance, true
	}
	if plausible(a.Started) && plausible(b.Started) {
		return a.Started.Sub(b.Started).Abs() <= containerTolerance, true
	}
	return false, false
}

// plausible reports whether a camera can have written t. A camera without a set clock writes the epoch of its system.
func plausible(t time.Time) bool { return IsPlausible(t, time.Time{}, false) }

// sameLength allows for encoders that start and stop one after the other, and for rounded frame rates.
func sameLength(a, b time.Duration) bool {
	longer := max(a, b)
	allowed := min(max(longer/20, time.Second/4), time.Second) + longer/1000
	return (a - b).Abs() <= allowed
}

// isScaled reports whether one picture is a clearly smaller copy of the other: at most 60 % of the pixels, in a shape
// that differs by at most 3 %.
func isScaled(a, b Recording) bool {
	small, large := a, b
	if small.pixels() > large.pixels() {
		small, large = large, small
	}
	if small.pixels() <= 0 {
		return false
	}
	shape := float64(small.Width) * float64(large.Height) / (float64(small.Height) * float64(large.Width))
	return float64(small.pixels()) <= 0.6*float64(large.pixels()) && shape > 0.97 && shape < 1.03
}
