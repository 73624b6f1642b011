package track

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track/motion"
)

// Saved is a track in a form that can be stored: all that a later recording of the same flight needs to continue it.
type Saved struct {
	ID          int                `json:"id"`
	Segment     int                `json:"segment"`
	W           float64            `json:"w"`
	H           float64            `json:"h"`
	First       int                `json:"first"`
	Last        int                `json:"last"`
	Hits        int                `json:"hits"`
	Strong      int                `json:"strong"`
	Visible     int                `json:"visible"`
	ScoreSum    float64            `json:"score_sum"`
	Evidence    float64            `json:"evidence"`
	Best        detect.Box         `json:"best"`
	BestFrame   int                `json:"best_frame"`
	BestWhole   bool               `json:"best_whole,omitempty"`
	Outside     bool               `json:"outside,omitempty"`
	Classes     map[string]float64 `json:"classes"`
	Others      map[string]float64 `json:"others,omitempty"` // as Classes, for detections as another animal
	X           Axis               `json:"x"`
	Y           Axis               `json:"y"`
	Seconds     float64            `json:"seconds"`
	LastSeconds float64            `json:"last_seconds"`
	Color       []float64          `json:"color,omitempty"`
	// Way has the first and the last fixes, and those between that show where the animal walked.
	Way []Fix `json:"way"`
}

// Axis is the state of the filter of one ground axis, in ground pixels and seconds.
type Axis struct {
	Pos float64 `json:"p"`
	Vel float64 `json:"v"`
	PPP float64 `json:"pp"`
	PPV float64 `json:"pv"`
	PVV float64 `json:"vv"`
}

// What is saved of the way of a track.
const (
	savedEnds  = 12  // fixes at each end, because speeds are measured there
	savedFixes = 400 // the most fixes
	savedRun   = 64  // the most fixes that are left out in one place
	// straight is how far a fix that is left out may lie from the straight way between its neighbors, in sizes of the
	// animal. Lines judge the side of an animal to 0.3 sizes.
	straight = 0.1
	// longStep is the longest time in seconds between two fixes of an animal that walks on by stride sizes.
	longStep, stride = 2.0, 0.5
)

// Save returns the track as it is now.
func (t *Track) Save() Saved {
	s := Saved{
		ID: t.ID, Segment: t.Segment, W: t.W, H: t.H, First: t.First, Last: t.Last, Hits: t.Hits, Strong: t.Strong,
		Visible: t.Visible, ScoreSum: t.ScoreSum, Evidence: t.Evidence, Best: t.Best, BestFrame: t.BestFrame,
		BestWhole: t.bestWhole, Outside: t.Outside, Classes: t.classes, Others: t.others, X: saveAxis(t.kx), Y: saveAxis(t.ky),
		Seconds: t.seconds, LastSeconds: t.seen, Way: thin(t.Way, t.Size()),
	}
	if t.color.known {
		s.Color = t.color.bgr[:]
	}
	return s
}

func saveAxis(k kalman) Axis { return Axis{k.pos, k.vel, k.ppp, k.ppv, k.pvv} }

// thin keeps the fixes at the ends, and between them those without which the way would be another one. size is that of
// the animal.
func thin(way []Fix, size float64) []Fix {
	if len(way) <= 2*savedEnds {
		return way
	}
	out := append(make([]Fix, 0, 4*savedEnds), way[:savedEnds]...)
	end := len(way) - savedEnds
	last := savedEnds - 1
	for i := last + 1; i < end; i++ {
		if !spans(way[last:i+2], size) { // the next fix is too far for a straight way that leaves this one out
			out, last = append(out, way[i]), i
		}
	}
	if middle := out[savedEnds:]; len(middle) > savedFixes-2*savedEnds {
		want := savedFixes - 2*savedEnds
		for i := range want {
			middle[i] = middle[i*len(middle)/want]
		}
		out = out[:savedEnds+want]
	}
	return append(out, way[end:]...)
}

// spans reports whether the straight way from the first to the last fix stands for all of them.
func spans(way []Fix, size float64) bool {
	a, b := way[0], way[len(way)-1]
	dt := b.Seconds - a.Seconds
	if len(way) > savedRun || dt > longStep && math.Hypot(b.X-a.X, b.Y-a.Y) > stride*size {
		return false
	}
	for _, f := range way[1 : len(way)-1] {
		part := 0.5
		if dt > 0 {
			part = (f.Seconds - a.Seconds) / dt
		}
		if math.Hypot(a.X+part*(b.X-a.X)-f.X, a.Y+part*(b.Y-a.Y)-f.Y) > straight*size {
			return false
		}
	}
	return true
}

// Restore returns the track that s was made of.
func (s Saved) Restore() *Track {
	t := &Track{
		ID: s.ID, Segment: s.Segment, X: s.X.Pos, Y: s.Y.Pos, W: s.W, H: s.H, First: s.First, Last: s.Last, Hits: s.Hits,
		Strong: s.Strong, Visible: s.Visible, ScoreSum: s.ScoreSum, Evidence: s.Evidence, Best: s.Best,
		BestFrame: s.BestFrame, bestWhole: s.BestWhole, Outside: s.Outside, classes: map[string]float64{},
		others: maps.Clone(s.Others), seconds: s.Seconds,
		seen: s.LastSeconds, Way: append([]Fix(nil), s.Way...),
	}
	maps.Copy(t.classes, s.Classes)
	unit := t.Size()
	t.kx = kalman{s.X.Pos, s.X.Vel, s.X.PPP, s.X.PPV, s.X.PVV, unit}
	t.ky = kalman{s.Y.Pos, s.Y.Vel, s.Y.PPP, s.Y.PPV, s.Y.PVV, unit}
	if len(s.Color) == len(t.color.bgr) {
		t.color.known = true
		copy(t.color.bgr[:], s.Color)
	}
	return t
}

// MoveTo takes the track into the ground of another segment; m maps the ground of its own segment there.
func (t *Track) MoveTo(segment int, m motion.Transform) {
	t.move(motion.Join{From: t.Segment, To: segment, Map: m})
}

// Later moves the track in time: frames and seconds of a recording begin with 0, those of a flight do not.
func (t *Track) Later(frames int, seconds float64) {
	t.First, t.Last, t.BestFrame = t.First+frames, t.Last+frames, t.BestFrame+frames
	t.seconds, t.seen = t.seconds+seconds, t.seen+seconds
	for i := range t.Way {
		t.Way[i].Frame += frames
		t.Way[i].Seconds += seconds
	}
}

// Absorb adds the sightings of a later track of the same animal, of the same segment.
func (t *Track) Absorb(later *Track) { t.absorb(later) }

// Doubts about a place after a break in which no animal was seen, in sizes of the animal.
const (
	breakDoubt  = 0.25 // for each second without a sighting
	mostBreak   = 1.5
	speedFixes  = 6   // at the ends of a track, for its speed
	speedTime   = 3.0 // seconds that these may take
	mostPredict = 6.0 // seconds for which an animal is taken to walk on
)

// Continue finds the tracks of a recording that continue tracks of earlier recordings of the flight. Segments with one
// number must be one ground, and frames and seconds those of the flight. The result has for each track of now the index
// of its animal in old, or -1; no animal of old is named twice.
//
// Both tracks are predicted from the ends that face each other to the middle of the time between them. The doubt grows
// with that time. The pairs are the best assignment.
func Continue(old, now []*Track) []int {
	var edges []edge
	for i, a := range old {
		for k, b := range now {
			if d, ok := a.continues(b); ok {
				edges = append(edges, edge{i, k, d})
			}
		}
	}
	of := make([]int, len(now))
	for k := range of {
		of[k] = -1
	}
	for _, group := range groups(edges) {
		for _, e := range assign(group) {
			of[e.sighting] = e.track
		}
	}
	return of
}

// continues returns the cost of taking the later track b for the same animal as t, and whether that is possible.
func (t *Track) continues(b *Track) (float64, bool) {
	d, apart, ok := t.Apart(b)
	if !ok || math.Abs(math.Log(t.Size()/b.Size())) >= math.Log(sizeRatio) || d > gate+min(breakDoubt*apart, mostBreak) {
		return 0, false
	}
	return d + colorWeight*t.color.difference(b.color), true
}

// Apart compares the end of the track with the start of a later one: distance is that of the two places, in sizes of the
// animals, and seconds the time between them. ok is false for tracks of different segments, tracks that overlap in time
// or have another order, and tracks without a way. Both ends are predicted to the middle of the time between them; an
// animal that stands at one end may have walked at the other, so the places themselves count too.
func (t *Track) Apart(b *Track) (distance, seconds float64, ok bool) {
	if t.Segment != b.Segment || t.Last >= b.First || len(t.Way) == 0 || len(b.Way) == 0 {
		return 0, 0, false
	}
	unit := (t.Size() + b.Size()) / 2
	if !(unit > 0) {
		return 0, 0, false
	}
	end, start := t.Way[len(t.Way)-1], b.Way[0]
	seconds = max(start.Seconds-end.Seconds, 0)
	half := min(seconds, mostPredict) / 2
	vx, vy := speedAt(t.Way, true)
	wx, wy := speedAt(b.Way, false)
	d := math.Hypot(end.X+half*vx-start.X+half*wx, end.Y+half*vy-start.Y+half*wy)
	return min(d, math.Hypot(end.X-start.X, end.Y-start.Y)) / unit, seconds, true
}

// speedAt is the speed over the ground at the end or at the start of a way.
func speedAt(way []Fix, end bool) (vx, vy float64) {
	if end {
		way = way[max(0, len(way)-speedFixes):]
		for len(way) > 2 && way[len(way)-1].Seconds-way[0].Seconds > speedTime {
			way = way[1:]
		}
	} else {
		way = way[:min(len(way), speedFixes)]
		for len(way) > 2 && way[len(way)-1].Seconds-way[0].Seconds > speedTime {
			way = way[:len(way)-1]
		}
	}
	a, b := way[0], way[len(way)-1]
	dt := b.Seconds - a.Seconds
	if dt < 0.5 {
		return 0, 0
	}
	return (b.X - a.X) / dt, (b.Y - a.Y) / dt
}

// SpeedAtStart is the speed over the ground at the start of the way, in ground pixels a second; 0 when it is not known.
func (t *Track) SpeedAtStart() (vx, vy float64) {
	if len(t.Way) == 0 {
		return 0, 0
	}
	return speedAt(t.Way, false)
}

// PlaceAt is where the animal was on the ground of its segment at a time; ok is false outside of its way. Half a second
// behind its end it walks on.
func (t *Track) PlaceAt(seconds float64) (p motion.Point, ok bool) {
	const on = 0.5
	n := len(t.Way)
	if n == 0 || seconds < t.Way[0].Seconds || seconds > t.Way[n-1].Seconds+on {
		return p, false
	}
	i, _ := slices.BinarySearchFunc(t.Way, seconds, func(f Fix, s float64) int { return cmp.Compare(f.Seconds, s) })
	if i == n {
		vx, vy := speedAt(t.Way, true)
		dt := seconds - t.Way[n-1].Seconds
		return motion.Point{X: t.Way[n-1].X + dt*vx, Y: t.Way[n-1].Y + dt*vy}, true
	}
	b := t.Way[i]
	if i == 0 || b.Seconds == seconds {
		return motion.Point{X: b.X, Y: b.Y}, true
	}
	a := t.Way[i-1]
	part := (seconds - a.Seconds) / (b.Seconds - a.Seconds)
	return motion.Point{X: a.X + part*(b.X-a.X), Y: a.Y + part*(b.Y-a.Y)}, true
}

// Trim removes the part of the way before a time. It returns false when nothing is left; the track is then unchanged.
func (t *Track) Trim(before float64) bool {
	i := slices.IndexFunc(t.Way, func(f Fix) bool { return f.Seconds >= before })
	if i < 0 {
		return false
	}
	if i > 0 {
		t.Way = t.Way[i:]
		t.First = t.Way[0].Frame
	}
	return true
}
