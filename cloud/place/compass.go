package place

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/crossing"
)

// compass is the heading of the camera between the records of a log. A log with a record a second does not know how the
// camera turned in between; the pictures know it, but not where north is. So the heading is that of the records plus the
// turn of the pictures since then. Where the pictures were lost, it is interpolated between the records, and loose says
// how far off that may be.
type compass struct {
	log  series // headings of the records in radians
	runs []turning
	lost bool // there are pictures, so that a time outside of the runs is one at which they were lost
}

// turning is how the camera turned while the pictures were followed without a break.
type turning struct {
	way  series // turn since the first step in radians, unwrapped
	rest series // the records against it: heading minus turn, unwrapped
	rate series // turn at the records in radians a second
}

const (
	lagHeading = 3.0 // seconds for which a heading is used beyond its record
	// leastDown is the least sine of the angle below the horizon at which the turn of a picture is that of the camera.
	leastDown = 0.5
	mostStep  = 1.0 // seconds between two steps of a run
)

// newCompass follows the pictures. pitch is the pitch of the camera in radians; unknown stands for straight down.
func newCompass(log series, pitch *series, steps []crossing.Step) *compass {
	c := &compass{log: log, lost: len(steps) > 0}
	var run *turning
	var last *crossing.Step
	for i := range steps {
		s := &steps[i]
		if s.Pose.Inliers == 0 {
			continue
		}
		down := 1.0
		if p := pitch.at(s.Seconds, lagHeading); known(p) {
			down = -math.Sin(p)
		}
		if down < leastDown {
			last = nil
			continue
		}
		if last == nil || s.Pose.Segment != last.Pose.Segment || s.Seconds-last.Seconds > mostStep {
			c.runs = append(c.runs, turning{})
			run = &c.runs[len(c.runs)-1]
			run.way.add(s.Seconds, 0)
			last = s
			continue
		}
		a, b := last.Pose.ToGround, s.Pose.ToGround
		turn := math.Remainder(math.Atan2(b.B, b.A)-math.Atan2(a.B, a.A), 2*math.Pi)
		// A picture that looks along the horizon shifts when the camera turns, one from straight above turns with it.
		run.way.add(s.Seconds, run.way.v[len(run.way.v)-1]+turn/down)
		last = s
	}
	c.runs = slices.DeleteFunc(c.runs, func(t turning) bool { return len(t.way.t) < 2 })
	return c
}

// measure compares the records with the runs.
func (c *compass) measure() {
	for i := range c.runs {
		t := &c.runs[i]
		t.rest, t.rate = series{}, series{}
		records := c.log.during(t.way.t[0], t.way.t[len(t.way.t)-1])
		for k, at := range records.t {
			const dt = 0.2
			rest := records.v[k] - t.way.between(at)
			if n := len(t.rest.v); n > 0 {
				rest = t.rest.v[n-1] + math.Remainder(rest-t.rest.v[n-1], 2*math.Pi)
			}
			t.rest.add(at, rest)
			before, after := t.way.at(at-dt, mostStep), t.way.at(at+dt, mostStep)
			t.rate.add(at, (after-before)/(2*dt))
		}
	}
}

// heading is the heading in radians, how fast that of the records changes, and the standard error of what the records
// do not show. It is NaN when the log knows nothing around t.
func (c *compass) heading(t float64) (yaw, rate, loose float64) {
	for i := range c.runs {
		r := &c.runs[i]
		turn := r.way.between(t)
		rest := r.rest.at(t, lagHeading)
		if !known(turn, rest) {
			continue
		}
		return rest + turn, r.rate.at(t, lagHeading), r.loose(t)
	}
	const dt = 0.25
	rate = (c.log.at(t+dt, lagHeading) - c.log.at(t-dt, lagHeading)) / (2 * dt)
	if !known(rate) {
		rate = 0
	}
	const bent = 0.25 // of a second difference that a straight line may be off
	loose = bent * c.log.bend(t)
	if c.lost {
		// Pictures are lost when the camera turns fast, which the records around t may not show.
		const most, rest = 0.2, 2.0 // radians a second, and seconds
		loose = max(loose, most*min(c.log.gap(t), rest))
	}
	return c.log.at(t, lagHeading), rate, loose
}

// loose is the standard error in radians of a turn since the records around t.
func (r *turning) loose(t float64) float64 {
	i, _ := slices.BinarySearch(r.rest.t, t)
	if i > 0 && i < len(r.rest.t) {
		const part = 0.25 // of the disagreement of two records, in the middle between them
		return part * math.Abs(r.rest.v[i]-r.rest.v[i-1])
	}
	near := r.rest.t[min(i, len(r.rest.t)-1)]
	const part, drift = 0.15, 0.02 // of the turn, and radians a second
	return part*math.Abs(r.way.between(t)-r.way.between(near)) + drift*math.Abs(t-near)
}

// late finds how many seconds the log is late, by when its headings turn and when the pictures do, and the standard
// error of that. usual is the standard error of a clock.
func (c *compass) late(usual float64) (seconds, sigma float64) {
	const step, most = 0.02, 30
	log := c.log.every(0.45)
	cost := func(d float64) float64 {
		sum := d * d / (2 * usual * usual)
		for i := range c.runs {
			way := &c.runs[i].way
			records := log.during(way.t[0]-step*most, way.t[len(way.t)-1]+step*most)
			sum += c.runs[i].disagreement(&records, d)
		}
		return sum
	}
	costs := make([]float64, 0, 2*most+1)
	for k := -most; k <= most; k++ {
		costs = append(costs, cost(step*float64(k)))
	}
	least := slices.Min(costs)
	var w0, w1, w2 float64
	for i, c := range costs {
		w, d := math.Exp(least-c), step*float64(i-most)
		w0, w1, w2 = w0+w, w1+w*d, w2+w*d*d
	}
	const surest = 0.05 // seconds; the parts of a record are not of one moment
	seconds = w1 / w0
	return seconds, min(max(math.Sqrt(max(w2/w0-seconds*seconds, 0)), surest), usual)
}

// disagreement compares how much the log and the pictures turn between its records, when the log is late by d seconds.
func (r *turning) disagreement(log *series, d float64) float64 {
	const exact, part = 0.03, 0.1 // radians, and of the turn
	sum := 0.0
	before := math.NaN()
	for k, at := range log.t {
		turn := r.way.between(at - d)
		if known(turn, before) {
			grow, seen := log.v[k]-log.v[k-1], turn-before
			off := math.Remainder(grow-seen, 2*math.Pi) / math.Hypot(exact, part*seen)
			sum += math.Log1p(off * off / 2)
		}
		before = turn
	}
	return sum
}
