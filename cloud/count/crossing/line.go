package crossing

import (
	"cmp"
	"math"
	"slices"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

const (
	// band is the half width of the dead band in sizes of the animal. Boxes of a standing animal move by less.
	band = 0.3
	// softBand is enough at the start and at the end of a way, where the rest of it is not seen. It is a weak crossing.
	softBand = band / 2
	// endBand is the distance from an end of the line, in sizes, within which a crossing is weak.
	endBand = 0.25
	// longGap is the time in seconds between two sightings above which a crossing between them is weak, and longWay how
	// far the animal has walked meanwhile, in sizes.
	longGap, longWay = 3, 1
)

// meeting is a place where a way meets the infinite line.
type meeting struct {
	crossing report.Crossing
	sign     int // +1 to the right, -1 to the left
	within   bool
}

// judgeLine judges one line.
func (j *Judge) judgeLine(l boundary.Line, ways []way) report.Line {
	r := report.Line{LineTotal: boundary.LineTotal{Name: l.Name}, Definition: l, Crossings: []report.Crossing{}}
	p, drawn, ok := j.locate(l.Place)
	if !ok {
		r.NotJudged = counted(ways)
		return r
	}
	ends := shape{place: l.Place, points: []boundary.Point{l.From, l.To}, drawn: drawn}
	for _, w := range ways {
		samples := j.extend(nil, w, -1, p)
		slices.Reverse(samples)
		samples = j.extend(append(samples, j.samples(w, p)...), w, 1, p)
		if len(samples) == 0 {
			if w.counted {
				r.NotJudged++
			}
			continue
		}
		if w.counted && w.partial {
			r.NotJudged++
		}
		g := gate{judge: j, line: l, shape: &ends, way: w}
		g.follow(samples)
		r.Crossings = append(r.Crossings, g.crossings...)
	}
	slices.SortStableFunc(r.Crossings, func(a, b report.Crossing) int {
		return cmp.Or(cmp.Compare(a.Seconds, b.Seconds), cmp.Compare(a.Track, b.Track))
	})
	sumLine(&r)
	return r
}

func counted(ways []way) int {
	n := 0
	for _, w := range ways {
		if w.counted {
			n++
		}
	}
	return n
}

// gate follows one animal past one line.
type gate struct {
	judge *Judge
	line  boundary.Line
	shape *shape // its two ends
	way   way

	side      int // where the animal was clearly last: -1 left, +1 right, 0 unknown
	soft      bool
	pending   []meeting // since then
	crossings []report.Crossing
}

// offset is the place of a sample relative to the line.
type offset struct {
	d    float64 // distance to the right of the line in sizes of the animal, negative to the left
	u    float64 // place along the line, 0 at from and 1 at to
	long float64 // length of the line in sizes of the animal
}

func (g *gate) offset(s sample) offset {
	ends := g.shape.in(&g.judge.steps[s.step])
	a, b := ends[0], ends[1]
	dx, dy := b.X-a.X, b.Y-a.Y
	length := math.Hypot(dx, dy)
	px, py := s.at.X-a.X, s.at.Y-a.Y
	// y grows downwards, so the right hand of (dx, dy) is (-dy, dx).
	return offset{d: (py*dx - px*dy) / length / s.size, u: (px*dx + py*dy) / length / length, long: length / s.size}
}

// follow judges the whole way.
func (g *gate) follow(samples []sample) {
	var before sample
	var from offset
	begun := false
	for _, s := range samples {
		o := g.offset(s)
		if !finite(motion.Point{X: o.d, Y: o.u}) {
			continue // beyond the horizon of an oblique view
		}
		if !begun {
			begun = true
			if math.Abs(o.d) > softBand {
				g.side, g.soft = sign(o.d), math.Abs(o.d) <= band
			}
		} else if sign(from.d) != sign(o.d) {
			g.pending = append(g.pending, g.meet(before, s, from, o))
		}
		if math.Abs(o.d) > band {
			g.decide(sign(o.d), "")
		}
		before, from = s, o
	}
	g.finish(samples)
}

// sign is the side of a distance: +1 for the right of the line and for the line itself.
func sign(d float64) int {
	if d < 0 {
		return -1
	}
	return 1
}

// meet describes where the way between two samples meets the line.
func (g *gate) meet(a, b sample, from, to offset) meeting {
	part := from.d / (from.d - to.d)
	u := from.u + part*(to.u-from.u)
	m := meeting{sign: sign(to.d), within: u >= 0 && u <= 1}
	c := &m.crossing
	c.Track, c.Seconds, c.At = g.way.id, a.seconds+part*(b.seconds-a.seconds), u
	c.Direction = report.Out
	if m.sign > 0 {
		c.Direction = report.In
	}
	end := min(math.Abs(u), math.Abs(1-u)) * min(from.long, to.long)
	switch {
	case !g.line.OnGround() && !g.inPicture(a, b, part):
		m.within = false // the camera did not show it
	case end < endBand:
		c.Doubt = report.DoubtEnd
	case b.gap > longGap && b.walked > longWay:
		c.Doubt = report.DoubtGap
	case a.guessed || b.guessed:
		c.Doubt = report.DoubtCamera
	case a.presumed && a.beyond < 0:
		c.Doubt = report.DoubtStart
	case b.presumed && b.beyond > 0:
		c.Doubt = report.DoubtFinish
	}
	return m
}

// inPicture reports whether the place between two samples of the frame is within the picture.
func (g *gate) inPicture(a, b sample, part float64) bool {
	s := &g.judge.steps[b.step]
	at := motion.Point{X: a.at.X + part*(b.at.X-a.at.X), Y: a.at.Y + part*(b.at.Y-a.at.Y)}
	return at.X >= 0 && at.Y >= 0 && at.X <= float64(s.Width) && at.Y <= float64(s.Height)
}

// decide is called when the animal is clearly on a side. doubt is added to a crossing that has none.
func (g *gate) decide(side int, doubt report.Doubt) {
	from := g.side
	if from != side {
		g.cross(side, from != 0, doubt)
	}
	g.side, g.soft, g.pending = side, false, nil
}

// cross judges the meetings of a way that leads to side. The line is crossed when the meetings within its ends add up to
// that direction; an animal that walks round an end meets only what lies beyond the ends.
func (g *gate) cross(side int, known bool, doubt report.Doubt) {
	sum, last, nearEnd := 0, -1, -1
	for i, m := range g.pending {
		if m.within {
			sum += m.sign
			if m.sign == side {
				last = i
			}
		} else if m.crossing.Doubt == report.DoubtEnd && m.sign == side {
			nearEnd = i
		}
	}
	var c report.Crossing
	switch {
	case sum*side > 0:
		c = g.pending[last].crossing
	case nearEnd >= 0:
		c = g.pending[nearEnd].crossing
		c.Uncounted = true
	default:
		return
	}
	if g.soft {
		doubt = report.DoubtStart
	}
	if c.Doubt == "" {
		c.Doubt = doubt
	}
	if !known {
		c.Doubt, c.Uncounted = report.DoubtStart, true
	}
	if !g.way.counted {
		c.Doubt, c.Uncounted = report.DoubtTrack, true
	}
	g.crossings = append(g.crossings, c)
}

// finish judges a way that ends within the band. The last sightings may be on the other side, but not clearly.
func (g *gate) finish(samples []sample) {
	if len(g.pending) == 0 || g.side == 0 {
		return
	}
	const last = 3 // samples, so that one bad box does not decide
	mean, n := 0.0, 0.0
	for _, s := range samples[max(0, len(samples)-last):] {
		if o := g.offset(s); finite(motion.Point{X: o.d, Y: o.u}) {
			mean, n = mean+o.d, n+1
		}
	}
	if n == 0 {
		return
	}
	mean /= n
	side := sign(mean)
	if side == g.side {
		return
	}
	before := len(g.crossings)
	g.cross(side, true, report.DoubtFinish)
	if math.Abs(mean) <= softBand && len(g.crossings) > before {
		g.crossings[before].Uncounted = true
	}
}

// sumLine sets the totals. The bounds leave out what is weak, and add what is weak and not counted, and what no crossing
// shows; see unseen.
func sumLine(r *report.Line) {
	for _, c := range r.Crossings {
		n, low, high := &r.In, &r.InLow, &r.InHigh
		if c.Direction == report.Out {
			n, low, high = &r.Out, &r.OutLow, &r.OutHigh
		}
		*high++
		if c.Uncounted {
			continue
		}
		*n++
		if c.Doubt == "" {
			*low++
		}
	}
	r.Net = r.In - r.Out
	for _, b := range []struct {
		n         int
		low, high *int
	}{{r.In, &r.InLow, &r.InHigh}, {r.Out, &r.OutLow, &r.OutHigh}} {
		*b.low, *b.high = max(0, *b.low-unseen(b.n)), *b.high+unseen(b.n)
	}
}

// unseen is how many of n counted crossings are wrong, or how many more there are, beyond those with a doubt: animals that
// are not detected, and tracks that pass from one animal to another near the line. Such faults are independent, so they grow
// with the root of n. The constant follows from simulated clips (make calibrate). Where
// nothing crossed there was nothing to mistake.
func unseen(n int) int {
	const eachRoot = 0.4
	if n == 0 {
		return 0
	}
	return max(1, int(math.Round(eachRoot*math.Sqrt(float64(n)))))
}
