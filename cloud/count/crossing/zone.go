package crossing

import (
	"cmp"
	"math"
	"slices"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// lostLooks is the number of looks at the place of an animal without a detection after which it is no longer there. One
// miss says little: detectors miss animals.
const lostLooks = 3

// judgeZone judges one zone.
func (j *Judge) judgeZone(z boundary.Zone, ways []way) report.Zone {
	r := report.Zone{ZoneTotal: boundary.ZoneTotal{Name: z.Name}, Definition: z, Visits: []report.Visit{}}
	p, drawn, ok := j.locate(z.Place)
	if !ok {
		r.NotJudged = counted(ways)
		return r
	}
	corners := shape{place: z.Place, points: z.Polygon, drawn: drawn}
	for _, w := range ways {
		samples := j.samples(w, p)
		if len(samples) == 0 {
			if w.counted {
				r.NotJudged++
			}
			continue
		}
		if w.counted && w.partial {
			r.NotJudged++
		}
		v := visitor{judge: j, zone: z, plane: p, shape: &corners, way: w}
		v.follow(samples)
		v.addTo(&r)
	}
	slices.SortStableFunc(r.Visits, func(a, b report.Visit) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Track, b.Track))
	})
	r.Most, r.MostAt = mostAtOnce(r.Visits)
	return r
}

// visitor follows one animal into and out of one zone.
type visitor struct {
	judge *Judge
	zone  boundary.Zone
	plane plane
	shape *shape // its corners
	way   way

	inside  bool
	changed float64 // when the way met the edge of the zone last
	deepest float64 // in thresholds; negative outside
	visits  []report.Visit
	entered int
	left    int
	atEnd   bool
}

// depth is how deep inside of the zone a place is, in thresholds of the animal; negative outside.
func (v *visitor) depth(s sample) float64 {
	corners := v.shape.in(&v.judge.steps[s.step])
	// A zone that is narrower than an animal has a smaller band, or nothing could be inside.
	return depth(corners, s.at) / min(band*s.size, v.shape.inner/2)
}

// follow judges the whole way. The animal is inside from clearly inside to clearly outside.
func (v *visitor) follow(samples []sample) {
	before := 0.0
	for k, s := range samples {
		d := v.depth(s)
		if math.IsNaN(d) {
			d = -1 // beyond the horizon of an oblique view
		}
		if k == 0 {
			v.deepest, v.changed, v.inside = d, s.seconds, d > 0
			if v.inside {
				v.visits = append(v.visits, report.Visit{Track: v.way.id, From: s.seconds})
			}
		}
		v.deepest = max(v.deepest, d)
		if (d > 0) != (before > 0) {
			v.changed = s.seconds
		}
		switch {
		case !v.inside && d > 1:
			v.inside = true
			v.entered++
			v.visits = append(v.visits, report.Visit{Track: v.way.id, From: v.changed})
		case v.inside && d < -1:
			v.leave(v.changed)
		}
		before = d
	}
	v.afterwards(samples[len(samples)-1])
}

func (v *visitor) leave(at float64) {
	v.inside = false
	v.left++
	v.visits[len(v.visits)-1].To = at
}

// afterwards follows an animal that is inside from its last sighting to the end of the clip. It stays where it was, until
// the camera moves the zone away or several looks do not find it.
func (v *visitor) afterwards(last sample) {
	if !v.inside {
		return
	}
	visit := &v.visits[len(v.visits)-1]
	f := v.way.fixes[len(v.way.fixes)-1]
	visit.To = last.seconds
	misses := 0
	for i := f.step + 1; i < len(v.judge.steps); i++ {
		s := &v.judge.steps[i]
		if s.Pose.Segment != f.segment {
			if !v.plane.ground {
				return // its place in this picture is not known
			}
			continue
		}
		at := v.judge.sampleAt(nil, v.way, fix{i, f.segment, f.ground}, pause{}, v.plane)
		if len(at) == 0 || v.depth(at[0]) < -1 {
			v.leave(s.Seconds)
			return
		}
		if lookedAt(s, s.toFrame.Apply(f.ground)) {
			if misses++; misses >= lostLooks {
				return
			}
		}
	}
	v.atEnd = true
	visit.To = v.judge.steps[len(v.judge.steps)-1].Seconds
}

// lookedAt reports whether the detector looked at a place of a frame.
func lookedAt(s *step, p motion.Point) bool {
	if !s.shows(p) {
		return false
	}
	return s.Looked == nil || slices.ContainsFunc(s.Looked, func(r motion.Rect) bool {
		return p.X >= r.X1 && p.X < r.X2 && p.Y >= r.Y1 && p.Y < r.Y2
	})
}

// addTo adds the animal to the totals.
func (v *visitor) addTo(r *report.Zone) {
	stay := 0.0
	for _, visit := range v.visits {
		stay += visit.To - visit.From
	}
	const near = 0.5 // thresholds outside of the edge
	passed := len(v.visits) > 0 && stay >= v.zone.Stay
	if !v.way.counted {
		if passed {
			r.High++
		}
		return
	}
	switch {
	case passed:
		r.Passed++
		r.High++
		// Firmly: well inside, or inside from the edge of the zone to its middle, and not for just long enough.
		if v.deepest >= 1 && (v.zone.Stay == 0 || stay >= 1.2*v.zone.Stay) {
			r.Low++
		}
	case len(v.visits) > 0 && stay >= 0.8*v.zone.Stay, len(v.visits) == 0 && v.zone.Stay == 0 && v.deepest > -near:
		r.High++
	}
	r.Entered += v.entered
	r.Left += v.left
	if v.atEnd {
		r.End++
	}
	r.Visits = append(r.Visits, v.visits...)
}

// mostAtOnce returns the largest number of visits at one time, and the first such time.
func mostAtOnce(visits []report.Visit) (most int, at float64) {
	type change struct {
		at float64
		by int
	}
	var changes []change
	for _, v := range visits {
		changes = append(changes, change{v.From, 1}, change{v.To, -1})
	}
	// A visit of one moment counts, so what begins comes before what ends at the same time.
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.at, b.at), b.by-a.by) })
	n := 0
	for _, c := range changes {
		if n += c.by; n > most {
			most, at = n, c.at
		}
	}
	return most, at
}

// depth is the distance of a point to the edge of a polygon, negative outside. A polygon that crosses itself is inside
// where a ray meets its edges an odd number of times.
func depth(corners []motion.Point, p motion.Point) float64 {
	nearest, inside := math.Inf(1), false
	for i, a := range corners {
		b := corners[(i+1)%len(corners)]
		nearest = min(nearest, toSegment(p, a, b))
		if (a.Y > p.Y) != (b.Y > p.Y) && p.X < a.X+(p.Y-a.Y)/(b.Y-a.Y)*(b.X-a.X) {
			inside = !inside
		}
	}
	if inside {
		return nearest
	}
	return -nearest
}

// toSegment is the distance of a point to the segment from a to b.
func toSegment(p, a, b motion.Point) float64 {
	dx, dy := b.X-a.X, b.Y-a.Y
	u := 0.0
	if n := dx*dx + dy*dy; n > 0 {
		u = min(max(((p.X-a.X)*dx+(p.Y-a.Y)*dy)/n, 0), 1)
	}
	return math.Hypot(p.X-a.X-u*dx, p.Y-a.Y-u*dy)
}

// innerRadius is about the radius of the largest circle in a polygon: exact for triangles and squares.
func innerRadius(corners []motion.Point) float64 {
	area, around := 0.0, 0.0
	for i, a := range corners {
		b := corners[(i+1)%len(corners)]
		area += (a.X*b.Y - b.X*a.Y) / 2
		around += math.Hypot(b.X-a.X, b.Y-a.Y)
	}
	return 2 * math.Abs(area) / max(around, 1e-9)
}
