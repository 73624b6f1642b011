package track

import (
	"math"

	"cattlecounter/cloud/count/track/motion"
)

// An animal that walked out of the frame may turn and come back, on about the line on which it walked out. One that comes in
// aside of that line is another one, while the edge of the frame stays where it was: without this, animals that walk out and
// in at one place, as in a lane with traffic, share a track. The measures are sizes of the animal and seconds.
const (
	walking     = 0.2  // a second, out of the frame; the least speed of an animal that walks out by itself
	walkedHits  = 4    // fewest detections from which the filter of a track knows the speed
	cutHits     = 3    // fewest detections at the edge from which the end in view tells the speed
	cutTime     = 0.5  // that these take at least
	shortAway   = 0.5  // up to which the place alone tells
	longAway    = 8.0  // after which it may have walked anywhere
	besideLine  = 0.9  // the largest distance to the line
	besideDrift = 0.05 // how much this grows in a second
	rimMoves    = 0.8  // how far the edge of the frame moves over the ground; beyond, an animal may come in anywhere
	rimTurn     = 0.9  // the cosine of the angle that the camera turns meanwhile
)

// leaving is the last detections of a track, all cut by one edge of the frame. The zero value is none.
type leaving struct {
	first, last cutEnd
	began, at   float64 // seconds
	hits        int
}

// add notes a detection.
func (l *leaving) add(e cutEnd, seconds float64) {
	switch {
	case !e.known():
		*l = leaving{}
	case l.hits == 0 || l.last.nx*e.nx+l.last.ny*e.ny < rimTurn:
		*l = leaving{first: e, last: e, began: seconds, at: seconds, hits: 1}
	default:
		l.last, l.at = e, seconds
		l.hits++
	}
}

// move takes the detections into the ground of another segment.
func (l *leaving) move(m motion.Transform) {
	for _, e := range []*cutEnd{&l.first, &l.last} {
		p := m.Apply(motion.Point{X: e.x, Y: e.y})
		q := m.Apply(motion.Point{X: e.x + e.nx, Y: e.y + e.ny})
		r := m.Apply(motion.Point{X: e.rimX, Y: e.rimY})
		k := max(math.Hypot(q.X-p.X, q.Y-p.Y), 1e-9)
		*e = cutEnd{x: p.X, y: p.Y, rimX: r.X, rimY: r.Y, nx: (q.X - p.X) / k, ny: (q.Y - p.Y) / k}
	}
}

// outwards is the speed over the ground with which the animal walked when it was seen last; ok is false when it did not walk
// out of the frame, or when its speed is not known.
func (t *Track) outwards() (vx, vy float64, ok bool) {
	l := t.leaving
	switch took := l.at - l.began; {
	case l.hits == 0:
		return 0, 0, false
	case l.hits >= cutHits && took >= cutTime:
		vx, vy = (l.last.x-l.first.x)/took, (l.last.y-l.first.y)/took
	case t.Hits >= walkedHits:
		k := math.Exp2((t.seconds - t.seen) / coast) // the filter slows down what is not seen
		vx, vy = k*t.kx.vel, k*t.ky.vel
	default:
		return 0, 0, false
	}
	return vx, vy, vx*l.last.nx+vy*l.last.ny >= walking*t.Size()
}

// otherWalker reports whether a sighting is aside of the line on which the animal of the track walked out of the frame.
func (t *Track) otherWalker(s *sighting) bool {
	away := t.seconds - t.seen
	if away < shortAway || away > longAway {
		return false
	}
	vx, vy, ok := t.outwards()
	if !ok {
		return false
	}
	aside := math.Abs((s.x-t.leaving.last.x)*vy-(s.y-t.leaving.last.y)*vx) / math.Hypot(vx, vy)
	return aside > (besideLine+besideDrift*away)*t.Size()
}
