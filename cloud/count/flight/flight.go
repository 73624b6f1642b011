// Package flight counts a flight whose recording consists of several files: each animal once.
//
// Cameras begin a new file at 4 GB, and crews stop and start the recording. The parts of a flight show the same herd, so
// the sum of their counts is no count. Each part is counted by itself, in any order, and leaves a Trace: its tracks and
// a small map of its ground. Join finds out which parts follow each other, brings them onto one ground by their
// pictures, and joins the tracks of one animal, as the tracker does within a part. The tracks of the whole flight are
// then counted as those of one recording, with the same interval.
//
// Names and times propose which parts follow each other, and the pictures decide: the end of a part must show ground of
// the next one. Only pieces of one recording belong together without that: chapters, and following names without a
// break between their times. When the ground of such pieces cannot be joined, the flight says so and has a wide
// interval.
//
// It is pure Go, does no I/O and is deterministic.
package flight

import (
	"cmp"
	"slices"
	"time"

	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/footage"
)

// Part is a counted recording.
type Part struct {
	Key    string // names the part in the result, such as a footage id or a path; unique
	About  footage.Part
	Unique int
	Low    int // 95 % interval
	High   int
	// ByClass sums to Unique.
	ByClass map[string]int
	// Trace is nil when it is lost; the part then has no ground and no tracks.
	Trace *Trace
	// GroundKey names the ground of the trace: parts with one key have one ground. It may be empty.
	GroundKey string
	// Hand says that a person decided which part this one follows: that with the key After, or none.
	Hand  bool
	After string
}

// Ground is how the grounds of two parts lie to each other. To find it takes seconds, so a Join passes it on to later
// ones.
type Ground struct {
	A          string             `json:"a"` // GroundKey of two parts
	B          string             `json:"b"`
	Alignments []motion.Alignment `json:"alignments"` // of B in A; empty when they have nothing in common
}

// sound reports whether the grounds can be used. Stored ones may be damaged.
func (g Ground) sound() bool {
	return g.A != "" && g.B != "" && !slices.ContainsFunc(g.Alignments, func(a motion.Alignment) bool {
		back := a.Map.Then(a.Map.Inverse()).Apply(motion.Point{X: 1, Y: 1})
		return a.From < 0 || a.To < 0 || !(distance(back, 1, 1) < 1)
	})
}

// Flight is one flight.
type Flight struct {
	Parts []int // indices of the parts, in their order
	Unique,
	Low, High int // 95 % interval
	ByClass  map[string]int
	Others   map[string]int // other animals by class; not in Unique
	Animals  []Animal       // empty for a flight of one part
	Warnings []Warning
	// Lines and Zones are what Judge found, in the order of their definitions.
	Lines []Line
	Zones []Zone
	// Grounds are those of its parts that were compared, for those with a GroundKey.
	Grounds []Ground

	whole *whole // nil for a flight of one part
}

// Animal is one counted animal of a flight.
type Animal struct {
	ID     int        `json:"id"` // from 1 on
	Label  string     `json:"label"`
	Tracks []Sighting `json:"tracks"` // in order of time
}

// Sighting is a track of a part.
type Sighting struct {
	Part  int `json:"part"` // place of the part in the flight, from 1 on
	Track int `json:"track"`
}

// Warning is a reason for less trust in the count of a flight.
type Warning struct {
	Code string `json:"code"` // stable, for programs
	Text string `json:"text"`
}

// Codes of warnings.
const (
	Apart     = "parts-apart"   // the ground of a part cannot be joined with that of the others
	Break     = "break"         // seconds between two parts are not recorded
	NoTrace   = "no-trace"      // a part left no trace
	Damaged   = "damaged-trace" // the trace of a part lacks steps or tracks
	MixModels = "mixed-models"  // parts were counted with different models
	NoSteps   = "no-steps"      // a part does not tell who crossed a line in it
	LineLost  = "line-lost"     // a line or a zone could not be judged for every animal
	Full      = "full"          // the recording continues in another flight
)

// Aligner returns how the segments of b lie in the ground of a. motion.Align is one.
type Aligner func(a, b motion.Map) []motion.Alignment

// MostParts is the largest number of parts of a flight. A longer recording continues in another flight.
const MostParts = 200

// Join divides the parts of one device or folder into flights. Every part is in exactly one of them. The flights are in
// the order of their first parts. Grounds in known are not compared again.
func Join(parts []Part, align Aligner, known ...Ground) []Flight {
	j := &joiner{parts: parts, align: align, known: map[[2]int][]motion.Alignment{}, before: map[[2]string]Ground{},
		full: map[int]bool{}}
	for _, g := range known {
		if g.sound() {
			j.before[[2]string{g.A, g.B}] = g
		}
	}
	var flights []Flight
	for _, chain := range j.chains() {
		if len(chain) == 1 {
			p := parts[chain[0]]
			flights = append(flights, Flight{Parts: chain, Unique: p.Unique, Low: p.Low, High: p.High, ByClass: p.ByClass})
			continue
		}
		flights = append(flights, j.combine(chain))
	}
	slices.SortFunc(flights, func(a, b Flight) int { return cmp.Compare(a.Parts[0], b.Parts[0]) })
	return flights
}

type joiner struct {
	parts []Part
	align Aligner
	known map[[2]int][]motion.Alignment // results of align by pair of parts
	// before has results of earlier joins.
	before map[[2]string]Ground
	full   map[int]bool // last parts of flights that are cut because they have MostParts
}

// alignments is align for parts a and b, once for each pair.
func (j *joiner) alignments(a, b int) []motion.Alignment {
	ta, tb := j.parts[a].Trace, j.parts[b].Trace
	if ta == nil || tb == nil {
		return nil
	}
	if found, ok := j.known[[2]int{a, b}]; ok {
		return found
	}
	g, ok := j.before[[2]string{j.parts[a].GroundKey, j.parts[b].GroundKey}]
	found := g.Alignments
	if !ok {
		found = j.align(ta.Map, tb.Map)
	}
	j.known[[2]int{a, b}] = found
	return found
}

// link says that part b follows on part a.
type link struct {
	a, b int
	s    footage.Succession
	hand bool // a person said so
}

// chains finds the parts that follow each other: the likeliest pairs first, and each only if its pictures agree.
func (j *joiner) chains() [][]int {
	next, prev := j.unlinked(), j.unlinked()
	tries := make([]int, len(j.parts))
	for _, l := range j.links() {
		if next[l.a] >= 0 || prev[l.b] >= 0 || first(prev, l.a) == l.b || tries[l.a] >= mostTries {
			continue
		}
		if l.s.Bond < footage.BondSure {
			tries[l.a]++
		}
		if j.agree(l) {
			next[l.a], prev[l.b] = l.b, l.a
		}
	}
	var chains [][]int
	for i := range j.parts {
		if prev[i] >= 0 {
			continue
		}
		var chain []int
		for k := i; k >= 0; k = next[k] {
			chain = append(chain, k)
		}
		for ; len(chain) > MostParts; chain = chain[MostParts:] {
			chains = append(chains, chain[:MostParts:MostParts])
			j.full[chain[MostParts-1]] = true
		}
		chains = append(chains, chain)
	}
	return chains
}

// grounds lists what is known of the grounds of a flight.
func (j *joiner) grounds(chain []int) []Ground {
	var list []Ground
	for _, a := range chain {
		for _, b := range chain {
			found, ok := j.known[[2]int{a, b}]
			if ka, kb := j.parts[a].GroundKey, j.parts[b].GroundKey; ok && ka != "" && kb != "" {
				list = append(list, Ground{ka, kb, found})
			}
		}
	}
	return list
}

// mostTries bounds the pictures that are compared to find the successor of one part.
const mostTries = 4

func (j *joiner) unlinked() []int { return slices.Repeat([]int{-1}, len(j.parts)) }

// first is the first part of the chain that i is in.
func first(prev []int, i int) int {
	for prev[i] >= 0 {
		i = prev[i]
	}
	return i
}

// links lists the pairs of parts that may follow each other, the likeliest first. Where names and times say nothing,
// only neighbors in the order of the names are compared.
func (j *joiner) links() []link {
	var links []link
	for a := range j.parts {
		for b := range j.parts {
			if a == b {
				continue
			}
			s := footage.Succeeds(j.parts[a].About, j.parts[b].About)
			if p := j.parts[b]; p.Hand {
				if p.After == j.parts[a].Key {
					s.Bond = footage.BondSure
					links = append(links, link{a, b, s, true})
				}
				continue
			}
			if s.Bond > footage.BondOpen || s.Bond == footage.BondOpen && j.neighbors(a, b) {
				links = append(links, link{a, b, s, false})
			}
		}
	}
	slices.SortStableFunc(links, func(x, y link) int {
		if x.hand != y.hand {
			return map[bool]int{true: -1, false: 1}[x.hand]
		}
		return cmp.Or(x.s.Compare(y.s), cmp.Compare(j.parts[x.a].Key, j.parts[y.a].Key),
			cmp.Compare(j.parts[x.b].Key, j.parts[y.b].Key))
	})
	return links
}

// neighbors reports whether no other path lies between those of a and b, a the first.
func (j *joiner) neighbors(a, b int) bool {
	pa, pb := j.parts[a].About.Path, j.parts[b].About.Path
	if pa >= pb {
		return false
	}
	return !slices.ContainsFunc(j.parts, func(p Part) bool { return p.About.Path > pa && p.About.Path < pb })
}

// Agreement of pictures.
const (
	sureAlign  = 0.6 // confidence
	nearViews  = 1.5 // distance of the last and the first view in widths of the picture, for names without times
	sameView   = 0.5 // share of the first view that the last one must cover, without names and times
	strongOpen = 0.7 // confidence, without names and times
)

// agree reports whether the pictures of two parts allow that they are of one flight.
func (j *joiner) agree(l link) bool {
	if l.s.Bond == footage.BondSure {
		return true
	}
	best, ok := j.seam(l.a, l.b)
	switch {
	case l.s.Bond == footage.BondOpen:
		return ok && best.confidence >= strongOpen && best.overlap >= sameView
	case l.s.GapKnown:
		return slices.ContainsFunc(j.alignments(l.a, l.b), func(a motion.Alignment) bool { return a.Confidence >= sureAlign })
	}
	return ok && best.confidence >= sureAlign && best.distance <= nearViews
}

// seam is how the last view of a part and the first view of the next one lie to each other.
type seam struct {
	confidence float64
	overlap    float64 // share of the first view that the last one covers
	distance   float64 // of their middles, in widths of the picture
}

func (j *joiner) seam(a, b int) (seam, bool) {
	ta, tb := j.parts[a].Trace, j.parts[b].Trace
	if ta == nil || tb == nil || !ta.End.Known || !tb.Begin.Known {
		return seam{}, false
	}
	for _, al := range j.alignments(a, b) {
		if al.From == tb.Begin.Segment && al.To == ta.End.Segment {
			toLast := tb.Begin.ToGround.Then(al.Map).Then(ta.End.ToGround.Inverse())
			return compareViews(toLast, ta, tb, al.Confidence), true
		}
	}
	return seam{}, false
}

// compareViews samples places of the first view of b in the last view of a.
func compareViews(toLast motion.Transform, a, b *Trace, confidence float64) seam {
	w, h := float64(a.Width), float64(a.Height)
	const n = 8
	in := 0
	for x := range n {
		for y := range n {
			p := toLast.Apply(motion.Point{X: (float64(x) + 0.5) / n * float64(b.Width), Y: (float64(y) + 0.5) / n *
				float64(b.Height)})
			if p.X >= 0 && p.Y >= 0 && p.X < w && p.Y < h {
				in++
			}
		}
	}
	mid := toLast.Apply(motion.Point{X: float64(b.Width) / 2, Y: float64(b.Height) / 2})
	return seam{confidence: confidence, overlap: float64(in) / (n * n), distance: distance(mid, w/2, h/2) / max(w, 1)}
}

// gapAfter is the time between two parts of a flight, and whether their times say so. Where these are unknown, it is
// the time in which the camera flies from the last to the first view at its last speed.
func (j *joiner) gapAfter(a, b int) (time.Duration, bool) {
	s := footage.Succeeds(j.parts[a].About, j.parts[b].About)
	if s.GapKnown {
		return max(s.Gap, 0), true
	}
	return j.flightTime(a, b), false
}

// mostGuess bounds a guess of the time between two parts.
const mostGuess = 20 * time.Second

func (j *joiner) flightTime(a, b int) time.Duration {
	ta, tb := j.parts[a].Trace, j.parts[b].Trace
	at, ok := j.seam(a, b)
	if !ok || !ta.Before.Known || ta.Before.Segment != ta.End.Segment || !tb.Begin.Known {
		return 0
	}
	seconds := ta.End.Seconds - ta.Before.Seconds
	mid := motion.Point{X: float64(ta.Width) / 2, Y: float64(ta.Height) / 2}
	was := ta.Before.ToGround.Then(ta.End.ToGround.Inverse()).Apply(mid)
	speed := distance(was, mid.X, mid.Y) / max(float64(ta.Width), 1) / seconds // widths of the picture a second
	const standing = 0.02
	if !(seconds > 0) || speed < standing {
		return 0
	}
	return min(time.Duration(at.distance/speed*float64(time.Second)), mostGuess)
}

// restored are the tracks of a part in the time of the flight.
func (t *Trace) restored(frames int, seconds float64) []*track.Track {
	out := make([]*track.Track, 0, len(t.Tracks))
	for _, s := range t.Tracks {
		r := s.Restore()
		r.Later(frames, seconds)
		out = append(out, r)
	}
	return out
}
