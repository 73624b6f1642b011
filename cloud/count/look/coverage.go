package look

import (
	"math"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

const (
	// enoughLooks is how often each piece of ground is looked at while it is in view.
	enoughLooks = 4
	// longestWait is the longest time between two looks at ground with animals, in seconds: a standing animal that
	// starts to walk must still be near its place.
	longestWait = 2.0
	// longestEdge and longestEmpty are the same for ground at the edge of the frame, where animals may come in, and for
	// other ground, when it has enough looks and no animals.
	longestEdge  = 2.0
	longestEmpty = 6.0
	// soon is the share of its wait after which a tile joins a look that other tiles need.
	soon = 0.6
	// briefLooks is how often ground is looked at that leaves the view again at once, as far as steps and gaps allow.
	briefLooks = 2
	// briefGap is the share of the least time between two looks that such ground waits.
	briefGap = 0.3
	// briefShare is the part of a tile, as its denominator, that must be such ground for a look at once.
	briefShare = 16
	// cellPixels is about the side of a cell of ground in pixels of the frame.
	cellPixels = 80
	// speedOver is the time over which the motion of the ground in the frame is measured, in seconds.
	speedOver = 0.4
)

// cell is a piece of ground.
type cell struct {
	looks      int
	seen, last float64 // seconds of the first time in view and of the last look
}

type place struct{ x, y int }

// coverage knows how often the ground of the current segment was looked at, and when.
type coverage struct {
	gap     float64
	segment int
	side    float64 // of a cell in ground pixels
	cells   map[place]*cell
	poses   []timedPose // of the last moments
	begun   bool        // the segment has been looked at
	step    float64     // seconds from the step before to this one, 0 at first
	length  float64     // of a usual animal in pixels of the frame, 0 when unknown
	moving  float64     // share of the animals in view that walk
}

type timedPose struct {
	seconds float64
	toFrame motion.Transform
}

// begin takes the next step into account.
func (c *coverage) begin(s Step, length float64) {
	if c.cells == nil || c.segment != s.Pose.Segment {
		c.segment, c.cells, c.poses, c.begun = s.Pose.Segment, map[place]*cell{}, nil, false
	}
	c.scale(scaleOf(s))
	c.step = 0
	if n := len(c.poses); n > 0 {
		c.step = max(0, s.Seconds-c.poses[n-1].seconds)
	}
	c.poses = append(c.poses, timedPose{s.Seconds, s.Pose.ToGround.Inverse()})
	for len(c.poses) > 2 && s.Seconds-c.poses[1].seconds >= speedOver {
		c.poses = c.poses[1:]
	}
	c.length = length
	walk, known := 0, 0
	for _, a := range s.InView {
		if a.Track.Hits > 1 {
			known++
			if !a.Standing {
				walk++
			}
		}
	}
	const few = 3
	c.moving = 1
	if known >= few {
		c.moving = float64(walk) / float64(known)
	}
}

// scale keeps the cells at about cellPixels of the frame when the camera climbs, descends or zooms: by powers of two, and
// with some play, because the cells begin empty after a change.
func (c *coverage) scale(k float64) {
	level := math.Log2(k)
	const play = 0.8
	if c.side > 0 && math.Abs(level-math.Log2(c.side/cellPixels)) < play {
		return
	}
	if c.side > 0 {
		c.cells = map[place]*cell{}
	}
	c.side = cellPixels * math.Exp2(math.Round(level))
}

// due returns which zones need a look now, or nil when none does.
func (c *coverage) due(z zones, s Step) []bool {
	urgency := make([]float64, len(z.regions)) // 1 and above needs a look
	herd := c.animals(z, s, urgency)
	margin := c.length / 2
	w, h := float64(s.Frame.Width), float64(s.Frame.Height)
	points, recent, brief := make([]int, len(urgency)), make([]int, len(urgency)), make([]int, len(urgency))
	c.eachPoint(s, func(x, y float64, k *cell) {
		i := z.at(x, y)
		points[i]++
		edge := x < margin || y < margin || x > w-margin || y > h-margin
		if !edge && c.brief(k, x, y, s) {
			brief[i]++
		}
		gap := c.gapAt(x, y, s)
		if recentWithin(gap, k, s) {
			recent[i]++
		}
		urgency[i] = max(urgency[i], c.urgency(k, x, y, gap, edge, herd[i], s))
	})
	any := false
	list := make([]bool, len(urgency))
	for i, u := range urgency {
		if briefShare*brief[i] > points[i] {
			u = 1
		} else if 2*recent[i] > points[i] {
			continue
		}
		list[i] = u >= soon
		any = any || u >= 1
	}
	if !any {
		return nil
	}
	return list
}

// slack is the part of a wait by which a look may come early: steps come at whole frames.
const slack = 0.02

// recentWithin reports whether the last look at a piece of ground is too short ago for another one.
func recentWithin(gap float64, k *cell, s Step) bool { return s.Seconds-k.last < gap-min(slack, gap/4) }

// gapAt is the least time between two looks at the ground at a place of the frame. Ground that crosses the frame in less
// time than its looks take one after the other gets them sooner.
func (c *coverage) gapAt(x, y float64, s Step) float64 {
	if len(c.poses) < 2 || s.Pose.Inliers == 0 {
		return c.gap
	}
	return min(c.gap, c.poses[0].crossing(x, y, s)/(enoughLooks+1))
}

// brief reports whether ground with few looks leaves the view before the next step, or is in view so briefly that it
// needs its second look now.
func (c *coverage) brief(k *cell, x, y float64, s Step) bool {
	if k.looks >= briefLooks || s.Pose.Inliers == 0 || s.Seconds-k.last < briefGap*c.gap-slack {
		return false
	}
	left := min(c.timeInView(x, y, s), s.Remaining)
	if k.looks == 0 {
		return left < 2*c.step
	}
	return left < min(2*c.step, c.gap-(s.Seconds-k.last))
}

// urgency is how much of its wait a piece of ground has waited. It is 0 within gap, the least time between two looks.
func (c *coverage) urgency(k *cell, x, y, gap float64, edge, animals bool, s Step) float64 {
	if recentWithin(gap, k, s) {
		return 0
	}
	wait := longestEmpty
	if animals {
		wait = longestWait
	} else if edge {
		wait = longestEdge
	}
	since := s.Seconds - max(k.last, k.seen)
	if k.looks < enoughLooks && !edge {
		left := min(c.timeInView(x, y, s), s.Remaining)
		wait = min(wait, longestWait, left/(float64(enoughLooks-k.looks)+0.5))
	}
	if s.Pose.Inliers == 0 { // the place is a guess
		wait = 2 * c.gap
	}
	return (since + min(slack, gap/4)) / max(wait, gap)
}

// timeInView is how long the ground at a place of the frame stays in view, in seconds.
func (c *coverage) timeInView(x, y float64, s Step) float64 {
	n := len(c.poses)
	if n < 2 {
		return 0 // unknown: look soon
	}
	// A turn begins within a step.
	return min(c.poses[0].leaving(x, y, s), c.poses[n-2].leaving(x, y, s))
}

// velocity is the motion of the ground at a place of the frame since an earlier pose, in pixels a second. ok is false when
// no time has passed.
func (old timedPose) velocity(x, y float64, s Step) (vx, vy float64, ok bool) {
	dt := s.Seconds - old.seconds
	if dt <= 0 {
		return 0, 0, false
	}
	was := old.toFrame.Apply(s.Pose.ToGround.Apply(motion.Point{X: x, Y: y}))
	return (x - was.X) / dt, (y - was.Y) / dt, true
}

// standing is the speed in pixels a second below which ground does not leave the view.
const standing = 1.0

// leaving is the time after which the ground at a place leaves the view, by its motion since an earlier pose.
func (old timedPose) leaving(x, y float64, s Step) float64 {
	vx, vy, ok := old.velocity(x, y, s)
	if !ok {
		return 0
	}
	leave := func(v, at, end float64) float64 {
		switch {
		case v > standing:
			return (end - at) / v
		case v < -standing:
			return -at / v
		}
		return math.Inf(1)
	}
	return min(leave(vx, x, float64(s.Frame.Width)), leave(vy, y, float64(s.Frame.Height)))
}

// crossing is the time in which ground that moves like that at a place crosses the frame.
func (old timedPose) crossing(x, y float64, s Step) float64 {
	vx, vy, ok := old.velocity(x, y, s)
	if !ok {
		return math.Inf(1)
	}
	cross := func(v, length float64) float64 {
		if v = math.Abs(v); v > standing {
			return length / v
		}
		return math.Inf(1)
	}
	return min(cross(vx, float64(s.Frame.Width)), cross(vy, float64(s.Frame.Height)))
}

// animals raises the urgency of zones whose animals must be found again soon, and returns which zones have animals.
func (c *coverage) animals(z zones, s Step, urgency []float64) []bool {
	herd := make([]bool, len(z.regions))
	if s.Pose.Inliers == 0 {
		return herd
	}
	for i, a := range s.InView {
		x, y := (a.Box.X1+a.Box.X2)/2, (a.Box.Y1+a.Box.Y2)/2
		if x < 0 || y < 0 || x >= float64(s.Frame.Width) || y >= float64(s.Frame.Height) {
			continue
		}
		zone := z.at(x, y)
		herd[zone] = true
		k := c.at(s.Pose.ToGround.Apply(motion.Point{X: x, Y: y}))
		if k != nil && recentWithin(c.gapAt(x, y, s), k, s) {
			continue
		}
		urgency[zone] = max(urgency[zone], c.need(a, nearest(s.InView, i), k, s))
	}
	return herd
}

// need is how urgently an animal must be seen again, given the distance to its nearest neighbor in sizes.
func (c *coverage) need(a track.Placed, neighbor float64, k *cell, s Step) float64 {
	u := 0.0
	if !a.Standing || a.Track.Hits == 1 && c.moving > 0.1 {
		most := min(max(0.3*neighbor, 0.2), 0.6) // sizes of doubt before it may be confused with its neighbor
		u = a.Doubt / most
	}
	const unsure, patience, looks = 1.5, 1.0, 8 // evidence, seconds
	if k != nil && a.Whole && math.Abs(a.Track.Evidence-tally.Even) < unsure && a.Track.Visible < looks {
		u = max(u, (min(s.Seconds-k.last, a.Unseen)+slack)/patience)
	}
	return u
}

// nearest is the distance from animal i to its nearest neighbor, in sizes of the animal.
func nearest(all []track.Placed, i int) float64 {
	a := all[i].Box
	best := math.Inf(1)
	for k, o := range all {
		if k != i {
			best = min(best, math.Hypot((a.X1+a.X2-o.Box.X1-o.Box.X2)/2, (a.Y1+a.Y2-o.Box.Y1-o.Box.Y2)/2))
		}
	}
	return best / max(math.Sqrt((a.X2-a.X1)*(a.Y2-a.Y1)), 1)
}

func (c *coverage) key(g motion.Point) place {
	return place{int(math.Floor(g.X / c.side)), int(math.Floor(g.Y / c.side))}
}

// at is the cell of a place on the ground, nil when it was never in view.
func (c *coverage) at(g motion.Point) *cell { return c.cells[c.key(g)] }

// eachPoint calls visit for points all over the frame, each with its cell.
func (c *coverage) eachPoint(s Step, visit func(x, y float64, k *cell)) {
	step := c.side / scaleOf(s)
	w, h := float64(s.Frame.Width), float64(s.Frame.Height)
	nx, ny := max(2, math.Ceil(w/step)), max(2, math.Ceil(h/step))
	for i := range int(ny) {
		for j := range int(nx) {
			x, y := (float64(j)+0.5)*w/nx, (float64(i)+0.5)*h/ny
			key := c.key(s.Pose.ToGround.Apply(motion.Point{X: x, Y: y}))
			k := c.cells[key]
			if k == nil {
				k = &cell{seen: s.Seconds, last: math.Inf(-1)}
				if !c.begun { // nothing is known at the start: do not wait
					k.seen = math.Inf(-1)
				}
				c.cells[key] = k
			}
			visit(x, y, k)
		}
	}
}

// looked records a look at regions of the frame.
func (c *coverage) looked(regions []detect.Region, s Step) {
	c.begun = true
	margin := c.length / 2
	w, h := float64(s.Frame.Width), float64(s.Frame.Height)
	done := map[*cell]bool{}
	c.eachPoint(s, func(x, y float64, k *cell) {
		if done[k] {
			return
		}
		for _, r := range regions {
			x1, y1, x2, y2 := float64(r.X), float64(r.Y), float64(r.X+r.Width), float64(r.Y+r.Height)
			if x < x1 || y < y1 || x > x2 || y > y2 {
				continue
			}
			k.last, done[k] = s.Seconds, true
			if x >= margin && y >= margin && x <= w-margin && y <= h-margin {
				k.looks++
			}
			return
		}
	})
}
