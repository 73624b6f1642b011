package flight

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// ground is the ground of a flight: where each segment of each part lies on it.
type ground struct {
	places   []map[int]place // by part of the chain and segment of the part
	segments int             // of the flight
}

type place struct {
	segment int              // of the flight
	to      motion.Transform // ground of the part -> ground of the flight
}

// place returns where a segment of part k lies, which may be a new segment of the flight.
func (g *ground) place(k, segment int) place {
	p, ok := g.places[k][segment]
	if !ok {
		p = place{g.segments, motion.Identity}
		g.places[k][segment] = p
		g.segments++
	}
	return p
}

// lay brings the segments of part k onto the ground of the parts before it, those of the nearest part first. It looks
// at the lookBack parts with a ground just before it and at the first part. If these do not show all of its ground, it
// looks at the parts between, until they do. apart reports that none of its ground is known there.
func (g *ground) lay(j *joiner, chain []int, k int) (apart bool) {
	g.places = append(g.places, map[int]place{})
	type candidate struct {
		motion.Alignment
		before int
	}
	best := map[int]candidate{}
	look := func(before int) {
		for _, a := range j.alignments(chain[before], chain[k]) {
			if old, ok := best[a.From]; a.Confidence >= sureAlign && (!ok || a.Confidence > old.Confidence+laterBonus) {
				best[a.From] = candidate{a, before}
			}
		}
	}
	var between []int
	for before, looked := k-1, 0; before >= 0; before-- {
		switch {
		case before > 0 && j.parts[chain[before]].Trace == nil:
		case before > 0 && looked == lookBack:
			between = append(between, before)
		default:
			looked++
			look(before)
		}
	}
	segments := j.parts[chain[k]].Trace.segments()
	for _, before := range between[:min(len(between), mostBack)] {
		if len(best) >= segments {
			break
		}
		look(before)
	}
	for from, c := range best {
		p := g.place(c.before, c.To)
		g.places[k][from] = place{p.segment, c.Map.Then(p.to)}
	}
	return k > 0 && len(best) == 0
}

// lookBack bounds the parts whose ground is compared with that of a part: to find nothing in common takes seconds.
const lookBack = 4

// mostBack bounds the further parts whose ground is compared with that of a part which none of the others shows.
const mostBack = 24

// segments is the number of segments in which there are tracks, at least 1.
func (t *Trace) segments() int {
	if t == nil {
		return 0
	}
	seen := map[int]bool{}
	for _, s := range t.Tracks {
		seen[s.Segment] = true
	}
	return max(len(seen), 1)
}

// laterBonus is by how much an alignment with an earlier part must be surer than one with the part just before.
const laterBonus = 0.2

// merged is the tracks of a flight and where they come from.
type merged struct {
	tracks  []*track.Track
	sources map[int][]Sighting // by ID of a track
	seen    map[Sighting]span
	nextID  int
}

// span is a time from which to which, in seconds of the flight.
type span struct{ from, to float64 }

// add joins the tracks of the next part of the flight.
func (m *merged) add(part int, now []*track.Track) {
	of := track.Continue(m.tracks, now)
	for i, t := range now {
		source := Sighting{Part: part, Track: t.ID}
		if n := len(t.Way); n > 0 {
			m.seen[source] = span{t.Way[0].Seconds, t.Way[n-1].Seconds}
		}
		if of[i] >= 0 {
			old := m.tracks[of[i]]
			old.Absorb(t)
			m.sources[old.ID] = append(m.sources[old.ID], source)
			continue
		}
		m.nextID++
		t.ID = m.nextID
		m.sources[t.ID] = append(m.sources[t.ID], source)
		m.tracks = append(m.tracks, t)
	}
}

// combine counts a flight of several parts.
func (j *joiner) combine(chain []int) Flight {
	f := Flight{Parts: chain, ByClass: map[string]int{}, Animals: []Animal{}}
	warn := func(code, format string, args ...any) {
		f.Warnings = append(f.Warnings, Warning{code, fmt.Sprintf(format, args...)})
	}
	g, m := &ground{}, &merged{sources: map[int][]Sighting{}, seen: map[Sighting]span{}}
	w := &whole{merged: m, ground: g}
	f.whole = w
	var lost []Part // without a trace
	frames, seconds := 0, 0.0
	same := 0 // animals that two pieces without common ground share
	for k, i := range chain {
		p := j.parts[i]
		paused := k == 0 // so that the part cannot repeat the one before
		if k > 0 {
			gap, known := j.gapAfter(chain[k-1], i)
			frames, seconds = frames+int(gap.Seconds()*rate(p)), seconds+gap.Seconds()
			paused = known && gap > time.Second
			if known && gap >= 2*time.Second {
				warn(Break, "%.0f s between %s and %s are not recorded; an animal seen only then is not counted",
					gap.Seconds(), j.parts[chain[k-1]].About.Path, p.About.Path)
			}
		}
		apart := g.lay(j, chain, k)
		if p.Trace == nil {
			lost = append(lost, p)
			warn(NoTrace, "%s left no trace; its animals may also be those of other parts", p.About.Path)
			long := p.About.Duration.Seconds()
			w.parts = append(w.parts, stretch{part: p, span: span{seconds, seconds + long}})
			frames, seconds = frames+int(long*p.About.FPS), seconds+long
			continue
		}
		if t := p.Trace; t.LostSteps > 0 || t.LostTracks > 0 {
			warn(Damaged, "the trace of %s lacks %d steps and %d tracks, which cannot be used; count it again", p.About.Path,
				t.LostSteps, t.LostTracks)
		}
		if apart {
			n := j.shared(chain[k-1], i)
			same += n
			warn(Apart, "the ground of %s cannot be joined with that of the parts before it; %d animals at the cut are "+
				"taken for the same, others may be counted twice", p.About.Path, n)
		}
		length, long := w.add(p, frames, seconds, paused, func(segment int) place { return g.place(k, segment) })
		frames, seconds = frames+length, seconds+long
	}
	if j.mixedModels(chain) {
		warn(MixModels, "the parts were counted with different models")
	}
	if j.full[chain[len(chain)-1]] {
		warn(Full, "the flight has %d parts, which is the most; the recording after it is another flight", len(chain))
	}
	f.Grounds = j.grounds(chain)
	f.count(m, same, lost, j.circumstances(chain))
	return f
}

// circumstances are those of the parts, by their lengths.
func (j *joiner) circumstances(chain []int) (c tally.Circumstances) {
	total := 0.0
	for _, i := range chain {
		t := j.parts[i].Trace
		if t == nil {
			continue
		}
		c.Width, c.Height = t.Width, t.Height
		c.Guessed, c.Poor, total = c.Guessed+t.Guessed*t.Seconds, c.Poor+t.Poor*t.Seconds, total+t.Seconds
		c.Hasty += t.Steps.Hasty() * t.Seconds
	}
	if total > 0 {
		c.Guessed, c.Poor, c.Hasty = c.Guessed/total, c.Poor/total, c.Hasty/total
	}
	return c
}

func rate(p Part) float64 {
	if p.Trace == nil {
		return 0
	}
	return p.Trace.FPS
}

func (j *joiner) mixedModels(chain []int) bool {
	models := map[string]bool{}
	for _, i := range chain {
		if t := j.parts[i].Trace; t != nil {
			models[t.Model] = true
		}
	}
	return len(models) > 1
}

// count counts the tracks of the flight. same is how many of the animals two pieces without common ground share, and
// lost are parts of which only the count is known.
func (f *Flight) count(m *merged, same int, lost []Part, c tally.Circumstances) {
	r := tally.Count(m.tracks)
	r.Judge(c)
	f.whole.counted = r
	f.Unique, f.Low, f.High, f.Others = r.Unique, r.Low, r.High, r.Others
	for label, n := range r.ByClass {
		f.ByClass[label] = n
	}
	for _, u := range r.Uncounted {
		if u.Reason == tally.SameAs {
			m.sources[u.Of] = append(m.sources[u.Of], m.sources[u.Track.ID]...)
		}
	}
	for n, t := range r.Counted {
		tracks := m.sources[t.ID]
		slices.SortFunc(tracks, func(a, b Sighting) int { return cmp.Or(a.Part-b.Part, a.Track-b.Track) })
		f.Animals = append(f.Animals, Animal{ID: n + 1, Label: t.Label(), Tracks: tracks})
	}
	for _, p := range lost {
		f.Low, f.High = max(f.Low, p.Low), f.High+p.High
		f.Unique = max(f.Unique, p.Unique)
		if f.Unique == p.Unique {
			f.ByClass = map[string]int{}
			for label, n := range p.ByClass {
				f.ByClass[label] = n
			}
		}
	}
	largest := 0
	if len(r.Segments) > 0 {
		largest = slices.Max(r.Segments)
	}
	if same = min(same, f.Unique-largest); same > 0 {
		f.takeAway(same)
	}
	f.Low = min(f.Low, f.Unique)
	f.High = max(f.High, f.Unique)
}

// takeAway lowers the count by n animals of the largest classes.
func (f *Flight) takeAway(n int) {
	f.Unique -= n
	for ; n > 0; n-- {
		label := ""
		for l, v := range f.ByClass {
			if label == "" || v > f.ByClass[label] || v == f.ByClass[label] && l < label {
				label = l
			}
		}
		if f.ByClass[label]--; f.ByClass[label] <= 0 {
			delete(f.ByClass, label)
		}
	}
}

// shared is how many animals two pieces of one recording show at the cut: those in the last second of the first and in
// the first second of the second piece, whichever are fewer.
func (j *joiner) shared(a, b int) int {
	ta, tb := j.parts[a].Trace, j.parts[b].Trace
	if ta == nil || tb == nil {
		return 0
	}
	const moment = 1.0
	var ends, starts int
	for _, s := range ta.Tracks {
		if counts(s) && s.LastSeconds >= ta.Seconds-moment {
			ends++
		}
	}
	for _, s := range tb.Tracks {
		if counts(s) && len(s.Way) > 0 && s.Way[0].Seconds <= moment {
			starts++
		}
	}
	return min(ends, starts)
}

func counts(s track.Saved) bool { return tally.Probability(s.Restore()) > 0.5 }

func distance(p motion.Point, x, y float64) float64 { return math.Hypot(p.X-x, p.Y-y) }
