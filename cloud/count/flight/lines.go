package flight

import (
	"cmp"
	"fmt"
	"slices"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/shared/boundary"
)

// Drawing is the lines and zones that a flight is judged by.
type Drawing struct {
	Set boundary.Set // valid
	// Anchor is the key of the part from whose start the seconds of definitions on the ground are measured. The empty
	// anchor is the start of the flight. An anchor that is no part of the flight leaves these definitions without a place.
	Anchor string
}

// Line is what was found at one line in the whole flight.
type Line struct {
	boundary.LineTotal
	Definition boundary.Line `json:"definition"`
	Crossings  []Crossing    `json:"crossings"` // in order of time
}

// Crossing is one animal that crosses a line. Its seconds are those of the flight, and its track is one of the part.
type Crossing struct {
	report.Crossing
	Where
}

// Zone is what was found in one zone in the whole flight.
type Zone struct {
	boundary.ZoneTotal
	Definition boundary.Zone `json:"definition"`
	MostAt     float64       `json:"most_at_seconds"`
	Visits     []Visit       `json:"visits"` // in order of From
}

// Visit is the time for which an animal was in a zone, in seconds of the flight. Where is that of its begin.
type Visit struct {
	report.Visit
	Where
}

// Where is an animal in a part of the flight.
type Where struct {
	Animal      int     `json:"animal,omitempty"` // 0 for a track that is not counted as an animal
	Part        int     `json:"part"`             // from 1 on; the part before a break for a time in the break
	PartSeconds float64 `json:"part_seconds"`     // from the start of the part; beyond its end in a break
}

// whole is a flight of several parts as lines are judged on it.
type whole struct {
	merged  *merged
	counted tally.Result
	ground  *ground
	steps   []crossing.Step // in order of frame, without those that repeat an earlier part
	parts   []stretch       // in their order
}

// stretch is the time of a part in the flight.
type stretch struct {
	part Part
	span
	frames int    // of the flight before it
	steps  bool   // the part has steps
	holes  []span // times without steps, when some of them were lost
}

// length is the number of frames and seconds after which the next part of a flight may begin.
func (t *Trace) length() (frames int, seconds float64) {
	frames, seconds = t.Frames, t.Seconds
	if n := len(t.Steps); n > 0 {
		frames, seconds = max(frames, t.Steps[n-1].Frame+1), max(seconds, t.Steps[n-1].Seconds)
	}
	for _, s := range t.Tracks {
		frames = max(frames, s.Last+1)
	}
	return frames, seconds
}

// add adds the next part, which begins at a frame and a second of the flight. paused says that it begins after a break.
// place tells where its segments lie. The length of the part is returned.
func (w *whole) add(p Part, frame int, second float64, paused bool, place func(segment int) place) (frames int,
	seconds float64) {
	now := p.Trace.restored(frame, second)
	for _, t := range now {
		at := place(t.Segment)
		t.MoveTo(at.segment, at.to)
	}
	steps := p.Trace.Steps.on(frame, second, place)
	if !paused {
		if again := w.repeated(steps, now, second); again > 0 {
			steps, now = without(steps, now, second+again)
		}
	}
	w.merged.add(len(w.parts)+1, now)
	w.steps = append(w.steps, steps...)
	frames, seconds = p.Trace.length()
	w.parts = append(w.parts, stretch{part: p, span: span{second, second + seconds}, frames: frame,
		steps: len(p.Trace.Steps) > 0, holes: p.Trace.holes(second, seconds)})
	return frames, seconds
}

// holes are the times for which the steps do not show the way of the camera because some are lost, in the time of the
// flight. The part begins at a second of the flight.
func (t *Trace) holes(begin, length float64) (list []span) {
	if t.LostSteps == 0 || len(t.Steps) == 0 {
		return nil
	}
	const long = 1.0 // seconds; the way is known beside a shorter hole
	last := 0.0
	for _, s := range t.Steps {
		if s.Seconds-last > long {
			list = append(list, span{begin + last, begin + s.Seconds})
		}
		last = s.Seconds
	}
	if length-last > long {
		list = append(list, span{begin + last, begin + length})
	}
	return list
}

// Judge judges a flight of several parts by lines and zones, and sets Lines, Zones and their warnings. It replaces what an
// earlier call found. A flight of one part has the lines of its part, so Judge changes nothing there.
func (f *Flight) Judge(d Drawing) {
	f.Lines, f.Zones = nil, nil
	f.Warnings = slices.DeleteFunc(f.Warnings, func(w Warning) bool { return w.Code == NoSteps || w.Code == LineLost })
	if f.whole == nil || d.Set.Empty() {
		return
	}
	w := f.whole
	j := crossing.New(w.placed(d))
	missing := 0 // animals of parts that are not among the tracks
	for _, p := range w.parts {
		if !p.steps {
			j.Unknown(p.from, p.to)
			f.Warnings = append(f.Warnings, Warning{NoSteps, fmt.Sprintf("who crosses a line in %s is not known, because its "+
				"count left no way of the camera; count it again", p.part.About.Path)})
		}
		for _, h := range p.holes {
			j.Unknown(h.from, h.to)
		}
		if p.part.Trace == nil {
			missing += p.part.Unique
		}
	}
	for _, s := range w.steps {
		j.Add(s)
	}
	found := j.Result(w.animals())
	for i, l := range found.Lines {
		n := w.line(l)
		n.Definition, n.NotJudged = d.Set.Lines[i], n.NotJudged+missing
		f.Lines = append(f.Lines, n)
		f.warnLost("line", n.Name, n.NotJudged)
	}
	for i, z := range found.Zones {
		n := w.zone(z)
		n.Definition, n.NotJudged = d.Set.Zones[i], n.NotJudged+missing
		f.Zones = append(f.Zones, n)
		f.warnLost("zone", n.Name, n.NotJudged)
	}
}

func (f *Flight) warnLost(what, name string, notJudged int) {
	if notJudged > 0 {
		f.Warnings = append(f.Warnings, Warning{LineLost, fmt.Sprintf("%s %q: the place of %d animals relative to it is not "+
			"known; its numbers are too low", what, name, notJudged)})
	}
}

// Totals are the totals of all lines and zones.
func (f Flight) Totals() boundary.Totals {
	var t boundary.Totals
	for _, l := range f.Lines {
		t.Lines = append(t.Lines, l.LineTotal)
	}
	for _, z := range f.Zones {
		t.Zones = append(t.Zones, z.ZoneTotal)
	}
	return t
}

// placed returns the set with the seconds of definitions on the ground in the time of the flight.
func (w *whole) placed(d Drawing) boundary.Set {
	from := 0.0
	if d.Anchor != "" {
		i := slices.IndexFunc(w.parts, func(p stretch) bool { return p.part.Key == d.Anchor })
		if i < 0 {
			from = w.parts[len(w.parts)-1].to + 1 // after the last step, where nothing is drawn
		} else {
			from = w.parts[i].from
		}
	}
	s := boundary.Set{Lines: slices.Clone(d.Set.Lines), Zones: slices.Clone(d.Set.Zones)}
	for i := range s.Lines {
		s.Lines[i].Seconds += from
	}
	for i := range s.Zones {
		s.Zones[i].Seconds += from
	}
	return s
}

// animals are those of the flight with the detections whose step is known.
func (w *whole) animals() []crossing.Animal {
	all := crossing.Animals(w.counted)
	lost := func(x track.Fix) bool { // at a time without steps
		return slices.ContainsFunc(w.parts, func(p stretch) bool {
			in := func(s span) bool { return x.Seconds > s.from && x.Seconds < s.to }
			return !p.steps && x.Seconds >= p.from && x.Seconds < p.to || slices.ContainsFunc(p.holes, in)
		})
	}
	for i := range all {
		all[i].Partial = slices.ContainsFunc(all[i].Fixes, lost)
		all[i].Fixes = slices.DeleteFunc(slices.Clone(all[i].Fixes), func(x track.Fix) bool {
			_, known := slices.BinarySearchFunc(w.steps, x.Frame, func(s crossing.Step, frame int) int {
				return cmp.Compare(s.Frame, frame)
			})
			return !known
		})
	}
	return all
}

// where finds out in which part an animal, by its track of the flight, is at a time. It returns its track in that part,
// 0 when it has none there.
func (w *whole) where(id int, seconds float64) (Where, int) {
	at := Where{Part: 1}
	for i, p := range w.parts {
		if i == 0 || seconds >= p.from {
			at.Part, at.PartSeconds = i+1, seconds-p.from
		}
	}
	for n, t := range w.counted.Counted {
		if t.ID == id {
			at.Animal = n + 1
		}
	}
	best, nearest := 0, 0.0
	for _, s := range w.merged.sources[id] {
		if s.Part != at.Part {
			continue
		}
		seen := w.merged.seen[s]
		if d := max(seen.from-seconds, seconds-seen.to, 0); best == 0 || d < nearest {
			best, nearest = s.Track, d
		}
	}
	return at, best
}

func (w *whole) line(l report.Line) Line {
	n := Line{LineTotal: l.LineTotal, Crossings: make([]Crossing, len(l.Crossings))}
	for i, c := range l.Crossings {
		at, id := w.where(c.Track, c.Seconds)
		c.Track = id
		n.Crossings[i] = Crossing{c, at}
	}
	return n
}

func (w *whole) zone(z report.Zone) Zone {
	n := Zone{ZoneTotal: z.ZoneTotal, MostAt: z.MostAt, Visits: make([]Visit, len(z.Visits))}
	for i, v := range z.Visits {
		at, id := w.where(v.Track, v.From)
		v.Track = id
		n.Visits[i] = Visit{v, at}
	}
	return n
}
