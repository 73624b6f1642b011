package examples

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/review"
)

// kind is what a reviewer says that something is.
type kind int

const (
	unknown kind = iota // not reviewed
	cattle
	other // another animal
	none  // no animal
)

// box is x1, y1, x2, y2 in pixels of a frame.
type box [4]float64

func (b box) width() float64  { return b[2] - b[0] }
func (b box) height() float64 { return b[3] - b[1] }
func (b box) area() float64   { return max(0, b.width()) * max(0, b.height()) }
func (b box) length() float64 { return max(b.width(), b.height()) }
func (b box) centre() (x, y float64) {
	return (b[0] + b[2]) / 2, (b[1] + b[3]) / 2
}
func (b box) moved(dx, dy float64) box { return box{b[0] + dx, b[1] + dy, b[2] + dx, b[3] + dy} }
func (b box) grown(part float64) box {
	dx, dy := b.width()*part/2, b.height()*part/2
	return box{b[0] - dx, b[1] - dy, b[2] + dx, b[3] + dy}
}
func (b box) cut(o box) box {
	return box{max(b[0], o[0]), max(b[1], o[1]), min(b[2], o[2]), min(b[3], o[3])}
}

// overlap is the intersection over union.
func overlap(a, b box) float64 {
	both := a.cut(b).area()
	return both / max(a.area()+b.area()-both, 1e-9)
}

// covered is the share of a that b covers.
func covered(a, b box) float64 { return a.cut(b).area() / max(a.area(), 1e-9) }

// sight is one detection of an animal, or a box of a reviewer.
type sight struct {
	frame   int
	seconds float64
	box     box
	ground  bool // x and y are known
	x, y    float64
}

// animal is a track, or what a reviewer marked with a box alone.
type animal struct {
	id      int // of the track, 0 for none
	kind    kind
	counted bool
	segment int
	sights  []sight // in order of frames, one in each
	best    int     // index in sights
	doubt   float64 // 0..1, how much training may learn from it
	why     string
}

// clock turns frames into seconds and back, by what a result document knows of a clip.
type clock struct {
	frames  []float64
	seconds []float64
}

func newClock(r report.Result) clock {
	at := map[int]float64{0: 0}
	for _, t := range r.Tracks {
		for _, w := range t.Way {
			at[w.Frame] = w.Seconds
		}
	}
	if last := r.Video.Frames - 1; last > 0 && r.Video.Duration > 0 {
		if _, ok := at[last]; !ok {
			at[last] = r.Video.Duration * float64(last) / float64(r.Video.Frames)
		}
	}
	var c clock
	for f := range at {
		c.frames = append(c.frames, float64(f))
	}
	slices.Sort(c.frames)
	for _, f := range c.frames {
		s := at[int(f)]
		if n := len(c.seconds); n > 0 { // time stamps may jump
			s = max(s, c.seconds[n-1])
		}
		c.seconds = append(c.seconds, s)
	}
	return c
}

// between interpolates in a rising list.
func between(from, to []float64, v float64) float64 {
	i := sort.SearchFloat64s(from, v)
	switch {
	case i < len(from) && from[i] == v:
		return to[i]
	case len(from) == 1:
		return to[0]
	case i == 0:
		i = 1
	case i == len(from):
		i--
	}
	span := from[i] - from[i-1]
	if span <= 0 {
		return to[i]
	}
	return to[i-1] + (to[i]-to[i-1])*(v-from[i-1])/span
}

func (c clock) secondsOf(frame int) float64 { return between(c.frames, c.seconds, float64(frame)) }
func (c clock) frameOf(seconds float64) int {
	return int(math.Round(between(c.seconds, c.frames, seconds)))
}

// animals joins the tracks of a result with the verdicts on them. The error names every entry that does not fit.
func (f *Footage) animals() ([]*animal, error) {
	var list []*animal
	byID := map[int]*animal{}
	c := newClock(f.Result)
	threshold := f.Result.Model.Threshold
	for _, t := range f.Result.Tracks {
		a := &animal{id: t.ID, counted: true, segment: t.Segment, doubt: doubtOf(t.Confidence, threshold, t.Detections), why: "signed"}
		for _, w := range t.Way {
			if w.Box != nil && proper(*w.Box, f.Result.Video.Width, f.Result.Video.Height) && w.Frame >= 0 && w.Frame < f.Result.Video.Frames {
				a.sights = append(a.sights, sight{frame: w.Frame, seconds: w.Seconds, box: *w.Box, ground: true, x: w.X, y: w.Y})
			}
		}
		a.setBest(t.Best, c)
		list, byID[t.ID] = append(list, a), a
	}
	of := map[*animal]int{}
	for _, t := range f.Result.NotCounted {
		a := &animal{id: t.ID, doubt: doubtOf(t.Confidence, threshold, t.Detections), why: "not counted: " + t.Reason}
		a.setBest(t.Best, c)
		list, byID[t.ID] = append(list, a), a
		if t.Reason == "same-as" {
			of[a] = t.Of
		}
	}
	faults := make([]error, 0)
	for _, v := range f.Review.Animals {
		a, err := f.judge(v, byID, c)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s, %s, %s: %w", f.ReviewFile, f.Review.Label(), v, err))
		} else if a.id == 0 {
			list = append(list, a)
		}
	}
	if f.Review.Rest == review.Accepted {
		for _, a := range list {
			if a.counted && a.kind == unknown {
				a.kind = cattle
			}
		}
	}
	for a, id := range of { // one more track of the same animal
		if target := byID[id]; a.kind == unknown && target != nil && target.counted {
			a.kind, a.why = target.kind, "same as another track"
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrInput)
	}
	return list, nil
}

// setBest adds the best detection to the sights.
func (a *animal) setBest(b report.Best, c clock) {
	a.best = a.add(b.Frame, c.secondsOf(b.Frame), b.Box)
}

// add puts a box into a frame and returns the index of its sight.
func (a *animal) add(frame int, seconds float64, b box) int {
	i, found := slices.BinarySearchFunc(a.sights, frame, func(s sight, f int) int { return s.frame - f })
	if found {
		a.sights[i].box = b
		return i
	}
	a.sights = slices.Insert(a.sights, i, sight{frame: frame, seconds: seconds, box: b})
	return i
}

// doubtOf is how unsure the model was, from 0.1 to 1: scores near the threshold, and few looks.
func doubtOf(confidence, threshold float64, detections int) float64 {
	const reach, few = 0.3, 3
	d := 0.1 + 0.6*max(0, 1-math.Abs(confidence-threshold)/reach)
	if detections <= few {
		d += 0.15
	}
	return d
}

// Doubt of verdicts against the count.
const (
	contradicted = 1.0
	confirmed    = 0.7 // the count dropped it, and it is no cattle
)

// judge applies a verdict. The animal is a track, or a new one for a verdict with a box alone.
func (f *Footage) judge(v review.Animal, byID map[int]*animal, c clock) (*animal, error) {
	a := &animal{why: "added by a reviewer"}
	if v.ID != 0 {
		if a = byID[v.ID]; a == nil {
			return nil, fmt.Errorf("%s has no track %d", f.ResultFile, v.ID)
		}
	}
	k := cattle
	switch {
	case v.IsOther():
		k = other
	case v.Verdict == review.Rejected:
		k = none
	}
	switch {
	case v.Verdict == review.Added:
		a.doubt = contradicted
	case v.ID == 0:
		a.doubt, a.why = contradicted, "a box that a reviewer rejected"
	case a.counted != (k == cattle):
		a.doubt, a.why = contradicted, "the reviewer disagrees with the count"
	case k != cattle:
		a.doubt = max(a.doubt, confirmed)
	default:
		a.why = "accepted"
	}
	a.kind = k
	if v.Box == nil {
		return a, nil
	}
	if w, h := f.Result.Video.Width, f.Result.Video.Height; !proper(*v.Box, w, h) {
		return nil, fmt.Errorf("the box is outside of the picture of %dx%d", w, h)
	}
	var frame int
	if v.Frame != nil {
		frame = *v.Frame
	} else {
		frame = c.frameOf(*v.Seconds)
	}
	if frame < 0 || frame >= f.Result.Video.Frames {
		return nil, fmt.Errorf("frame %d is not in the clip of %d frames", frame, f.Result.Video.Frames)
	}
	a.best = a.add(frame, c.secondsOf(frame), box(*v.Box).cut(box{0, 0, float64(f.Result.Video.Width), float64(f.Result.Video.Height)}))
	return a, nil
}
