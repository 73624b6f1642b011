// Package survey counts the animals of a site over several flights: each animal once, in the paddock where it was, with the
// share of each paddock that was seen. It is pure Go, does no I/O and is deterministic.
package survey

import (
	"cmp"
	"math"
	"slices"
	"time"

	"cattlecounter/cloud/place"
	"cattlecounter/cloud/place/paddock"
)

// Animal is a counted animal with its place and time.
type Animal struct {
	Lat, Lon float64 // WGS 84, degrees
	Radius   float64 // metres, 95 %
	At       time.Time
}

// Part is one counted piece of footage.
type Part struct {
	At                time.Time        // when it was recorded; zero when not known
	Unique, Low, High int              // its count
	Animals           []Animal         // those with a position
	Footprint         [][][][2]float64 // the ground that it saw, as the coordinates of a GeoJSON MultiPolygon
	Flight            *Flight          // that it is a part of; nil for none. Parts of one flight have the same pointer.
}

// Flight is the count of footage that was recorded one after the other: animals in two of its parts are in it once.
type Flight struct {
	Unique, Low, High int
	Parts             int // how many it has; its count is used when all of them are there
}

// Count is a number of animals in one paddock.
type Count struct {
	Name         string
	Animals      *int    // nil when nothing was placed there
	Low, High    *int    // 95 % interval
	Border, Near int     // animals that may be on the other side of its border, inside and outside of it
	Area         float64 // square metres
	Seen         float64 // share of the area that the parts saw together, 0 to 1
}

// Result is the count of a site.
type Result struct {
	Unique, Low, High int // animals of all parts, each once
	Placed            int // of them have a position
	Double            int // animals that were seen again by another part
	// Earlier is how many animals stood on ground that a later part saw again after the window. They are not counted: the
	// later part says what is there.
	Earlier  int
	Paddocks []Count
	Outside  int // animals with a position in no paddock
}

// Window is how long after one flight another one may see the same animal at the same place: cattle graze and walk on.
const Window = 15 * time.Minute

// animal is an animal of a part with its number.
type animal struct {
	Animal
	part  int
	group int
}

// Take counts the animals of the parts of one site. set may be nil for a site without paddocks. A flight whose parts are all
// there has its own count.
func Take(parts []Part, set *paddock.Set) Result {
	var r Result
	var all []animal
	for i, p := range parts {
		for _, a := range p.Animals {
			all = append(all, animal{a, i, len(all)})
		}
	}
	all, moved := latest(parts, all)
	r.Earlier = moved.before
	r.Double = join(parts, all)
	wholes := wholesOf(parts)
	same := joinedWithin(wholes, all)
	var below, above float64
	unplaced, apart := 0, 0
	for i, w := range wholes {
		below += float64((w.unique - w.low) * (w.unique - w.low))
		above += float64((w.high - w.unique) * (w.high - w.unique))
		placed := w.placed - same[i]
		unplaced += min(w.unplaced, max(0, w.unique-placed))
		apart += max(0, placed-w.unique)
	}
	groups := pointsOf(all)
	alone := int(math.Ceil(alone(parts, all)))
	r.Placed = len(groups)
	r.Unique = r.Placed + unplaced
	// Every pair that counts once may be two animals, or one of a pair that was not found. Where ground has fewer animals
	// than before, the others may be where no later part looked; where it has more, they may have come from counted ground.
	// An animal that one part saw and another one did not may be missing there, or one too many here. Animals that the count
	// of a flight has once, and whose places are apart, are one.
	r.Low = max(0, r.Unique-int(math.Round(math.Sqrt(below+float64(r.Double))))-max(0, moved.after-moved.before)-alone-apart)
	more := int(math.Round(math.Sqrt(above + float64(r.Double))))
	r.High = r.Unique + max(0, more-alone) + max(0, moved.before-moved.after)
	if unplaced > 0 && len(wholes) > 1 {
		r.Low = min(r.Low, fewest(wholes, r.Placed))
	}
	if set != nil {
		r.divide(parts, groups, set)
	}
	return r
}

// fewest is the smallest number of animals where some have no position: they can be those of any other whole.
func fewest(wholes []whole, placed int) int {
	least := placed
	for _, w := range wholes {
		least = max(least, w.low)
	}
	return least
}

// changed is how many animals ground had that was seen again after the window: before, and after.
type changed struct{ before, after int }

// latest leaves out the animals on ground that a later part saw again after the window, and numbers the others again.
func latest(parts []Part, all []animal) ([]animal, changed) {
	looks, views := looksOf(parts), viewsOf(parts)
	var kept []animal
	var c changed
	for _, a := range all {
		var last time.Time // when its ground was seen at last, besides within the window
		for i := range parts {
			if i == a.part || a.At.IsZero() || looks[i].first.IsZero() || !views[i].has(a.Animal) {
				continue
			}
			if at := looks[i].at(a.Animal); at.Sub(a.At).Abs() > Window && at.After(last) {
				last = at
			}
		}
		switch {
		case last.IsZero():
		case last.After(a.At):
			c.before++
			continue
		default:
			c.after++
		}
		a.group = len(kept)
		kept = append(kept, a)
	}
	return kept, c
}

// pair is two animals of two parts that may be the same.
type pair struct {
	a, b  int
	share float64 // their distance as a share of the largest one that is allowed
}

// join gives the animals that are the same the same group, and returns how many it joined to others. Two animals are the
// same when they are of different parts, close in place and time, and each lies on ground that the other part saw. The
// nearest pairs come first, and a group has one animal of each part.
func join(parts []Part, all []animal) int {
	var pairs []pair
	views := viewsOf(parts)
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[a].Lat, all[b].Lat) })
	widest := 0.0
	for _, a := range all {
		widest = max(widest, a.Radius)
	}
	for n, i := range order {
		a := &all[i]
		frame := place.NewFrame(a.Lat, a.Lon)
		for _, k := range order[n+1:] {
			b := &all[k]
			east, north := frame.Metres(b.Lat, b.Lon)
			if north > math.Hypot(a.Radius, widest) {
				break
			}
			most := math.Hypot(a.Radius, b.Radius)
			d := math.Hypot(east, north)
			if a.part == b.part || d > most || !soon(a.At, b.At) ||
				!views[b.part].has(a.Animal) || !views[a.part].has(b.Animal) {
				continue
			}
			pairs = append(pairs, pair{i, k, d / max(most, 1e-9)})
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.share, b.share) })
	members := map[int][]int{}
	for i := range all {
		members[i] = []int{i}
	}
	joined := 0
	for _, p := range pairs {
		a, b := all[p.a].group, all[p.b].group
		if a == b || shareAPart(all, members[a], members[b]) {
			continue
		}
		for _, m := range members[b] {
			all[m].group = a
		}
		members[a] = append(members[a], members[b]...)
		delete(members, b)
		joined++
	}
	return joined
}

// alone is by how much the animals on ground that several parts saw are more than the mean of what each saw there.
func alone(parts []Part, all []animal) float64 {
	views, members := viewsOf(parts), map[int]int{}
	for _, a := range all {
		members[a.group]++
	}
	sum := 0.0
	done := map[int]bool{}
	for _, a := range all {
		if done[a.group] {
			continue
		}
		done[a.group] = true
		seen := 1
		for i, p := range parts {
			if i != a.part && soon(a.At, p.At) && views[i].has(a.Animal) {
				seen++
			}
		}
		if n := members[a.group]; n < seen {
			sum += 1 - float64(n)/float64(seen)
		}
	}
	return sum
}

// soon reports whether two times are within the window. A time that is not known is never near to another one.
func soon(a, b time.Time) bool {
	return !a.IsZero() && !b.IsZero() && a.Sub(b).Abs() <= Window
}

func shareAPart(all []animal, a, b []int) bool {
	for _, i := range a {
		for _, k := range b {
			if all[i].part == all[k].part {
				return true
			}
		}
	}
	return false
}

// pointsOf is one place for each group: the one with the smallest radius.
func pointsOf(all []animal) []paddock.Point {
	best := map[int]int{}
	for i, a := range all {
		if k, ok := best[a.group]; !ok || a.Radius < all[k].Radius {
			best[a.group] = i
		}
	}
	var out []paddock.Point
	for i, a := range all {
		if best[a.group] == i {
			out = append(out, paddock.Point{ID: i, Lat: a.Lat, Lon: a.Lon, Radius: a.Radius, Flight: a.part})
		}
	}
	return out
}

// divide counts the animals of every paddock.
func (r *Result) divide(parts []Part, points []paddock.Point, set *paddock.Set) {
	var ground [][][][2]float64
	for _, p := range parts {
		ground = append(ground, p.Footprint...)
	}
	found := set.Points(points, ground, paddock.Whole{Unique: r.Unique, Low: r.Low, High: r.High, Placed: r.Placed})
	in := map[int]bool{}
	for i, p := range set.List() {
		c := Count{Name: p.Name, Area: math.Round(set.Size(i))}
		if f, ok := found[i]; ok {
			c.Animals, c.Low, c.High, c.Border, c.Near, c.Seen = f.Animals, f.Low, f.High, f.Border, f.Near, f.Seen
			for _, id := range f.Tracks {
				in[id] = true
			}
		}
		r.Paddocks = append(r.Paddocks, c)
	}
	r.Outside = len(points) - len(in)
}

// Verdict is what a count says about an expected number.
type Verdict string

// The verdicts.
const (
	Agrees   Verdict = "agrees"    // the expected number lies within the interval
	Fewer    Verdict = "fewer"     // there are fewer animals than expected
	More     Verdict = "more"      // there are more
	PartSeen Verdict = "part_seen" // fewer were counted, and the others may be on ground that was not seen
	NotSeen  Verdict = "not_seen"  // nothing was counted there
)

// Against compares a count with an expected number: counted minus expected, nil when nothing was counted, and the verdict of
// Judge.
func Against(expected int, counted, low, high *int, seen float64) (difference *int, verdict Verdict) {
	if counted != nil {
		d := *counted - expected
		difference = &d
	}
	return difference, Judge(expected, low, high, seen)
}

// Wholly is the share of a paddock from which on its animals are taken to be seen.
const Wholly = 0.95

// Judge compares a count with an expected number. low and high are nil when nothing was counted; seen is the share of the
// ground that was seen, 1 where it is not known.
func Judge(expected int, low, high *int, seen float64) Verdict {
	switch {
	case low == nil || high == nil:
		return NotSeen
	case expected < *low:
		return More
	case expected <= *high:
		return Agrees
	case seen < Wholly:
		return PartSeen
	}
	return Fewer
}
