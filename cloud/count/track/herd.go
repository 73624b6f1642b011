package track

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/track/motion"
)

// mover is a track with a well-known speed on the ground.
type mover struct{ x, y, vx, vy float64 }

// herdSpeeds lists the tracks of the last seconds whose speed is known.
func (tr *Tracker) herdSpeeds() []mover {
	const enough, recent = 3, 5.0
	var list []mover
	for _, t := range tr.tracks {
		if t.Hits >= enough && tr.lastTime-t.seen <= recent {
			list = append(list, mover{t.kx.pos, t.ky.pos, t.kx.vel, t.ky.vel})
		}
	}
	return list
}

// walkWith starts the track with the speed of its neighbors: animals of a herd often walk together.
func (t *Track) walkWith(herd []mover) {
	const (
		near   = 12.0 // sizes
		fewest = 3
	)
	unit := t.Size()
	var vx, vy []float64
	for _, m := range herd {
		if math.Hypot(m.x-t.X, m.y-t.Y) < near*unit {
			vx, vy = append(vx, m.vx), append(vy, m.vy)
		}
	}
	if len(vx) < fewest {
		return
	}
	for _, axis := range []struct {
		k *kalman
		v []float64
	}{{&t.kx, vx}, {&t.ky, vy}} {
		mid := median(axis.v)
		spread := 0.0
		for _, v := range axis.v {
			spread += (v - mid) * (v - mid)
		}
		// The prior of an unknown animal stays the widest: a neighbor may also stand.
		axis.k.vel = mid
		sd := max(math.Sqrt(spread/float64(len(axis.v))), firstSpeed*unit/2)
		axis.k.pvv = sd * sd
	}
}

// median reorders v, which is not empty.
func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// Placed is a track at its place in one frame.
type Placed struct {
	Track *Track
	// Box is the box of the whole animal in pixels of the frame; a part of it may be outside.
	Box motion.Rect
	// Whole says that the animal lies inside the frame, away from its edges.
	Whole bool
	// Doubt is the standard deviation of the place in sizes of the animal.
	Doubt float64
	// Speed is the speed over the ground in sizes of the animal a second; Standing says that it is not above zero
	// beyond doubt.
	Speed    float64
	Standing bool
	Unseen   float64 // seconds since the last detection
}

// InView predicts where the tracks of the current segment are in a frame with a pose, at a time not before the last
// observation. It lists the tracks of which a part should be visible, and changes nothing.
func (tr *Tracker) InView(p motion.Pose, seconds float64, width, height int) []Placed {
	if p.Segment != tr.segment {
		return nil
	}
	v := newView(Observation{Width: width, Height: height, Pose: p})
	var list []Placed
	for _, t := range tr.tracks {
		// Copies: a prediction for a later frame must not change the filters.
		kx, ky := t.kx, t.ky
		kx.predict(max(seconds-t.seconds, 0))
		ky.predict(max(seconds-t.seconds, 0))
		e := v.project(t, kx, ky)
		if !e.inView || e.x < 0 || e.y < 0 || e.x > v.width || e.y > v.height {
			continue
		}
		unit := max(t.Size(), 1)
		speed := math.Hypot(kx.vel, ky.vel) / unit
		sure := math.Sqrt(kx.pvv+ky.pvv) / unit
		const slow = 0.12
		list = append(list, Placed{Track: t, Box: e.box, Whole: e.whole, Doubt: e.doubt / max(e.size, 1),
			Speed: speed, Standing: speed < max(slow, sure), Unseen: seconds - t.seen})
	}
	return list
}

// join brings the tracks of the segment j.From into the ground of the segment j.To, and joins the tracks of one animal.
func (tr *Tracker) join(j motion.Join) {
	var old []*Track
	tr.ended = slices.DeleteFunc(tr.ended, func(t *Track) bool {
		if t.Segment == j.To {
			old = append(old, t)
		}
		return t.Segment == j.To
	})
	var left []*Track // of From, not followed any more
	tr.ended = slices.DeleteFunc(tr.ended, func(t *Track) bool {
		if t.Segment == j.From {
			left = append(left, t)
		}
		return t.Segment == j.From
	})
	now := left
	if tr.segment == j.From {
		now = tr.tracks
		for _, t := range left {
			t.move(j)
		}
		tr.ended = append(tr.ended, left...)
		tr.lengths.scale(j.Map.Scale())
	}
	for _, t := range old {
		t.predict(max(tr.lastTime-t.seconds, 0))
	}
	for _, t := range now {
		t.move(j)
	}
	merged := joinTracks(old, now)
	if tr.segment == j.From {
		tr.segment = j.To
	}
	if tr.segment == j.To {
		tr.tracks = merged
	} else {
		tr.ended = append(tr.ended, merged...)
	}
}

// enter leaves the tracks of the current segment and takes up those of another one: none, or those of an earlier visit.
func (tr *Tracker) enter(segment int) {
	left := tr.tracks
	tr.tracks, tr.segment, tr.lengths = nil, segment, lengths{}
	tr.ended = slices.DeleteFunc(tr.ended, func(t *Track) bool {
		if t.Segment == segment {
			t.predict(max(tr.lastTime-t.seconds, 0))
			tr.tracks = append(tr.tracks, t)
		}
		return t.Segment == segment
	})
	tr.ended = append(tr.ended, left...)
}

// move takes a track into the ground of another segment.
func (t *Track) move(j motion.Join) {
	t.Segment = j.To
	k := j.Map.Scale()
	for i := range t.Way {
		p := j.Map.Apply(motion.Point{X: t.Way[i].X, Y: t.Way[i].Y})
		t.Way[i].X, t.Way[i].Y = p.X, p.Y
	}
	at := motion.Point{X: t.kx.pos, Y: t.ky.pos}
	ahead := j.Map.Apply(motion.Point{X: at.X + t.kx.vel, Y: at.Y + t.ky.vel})
	p := j.Map.Apply(at)
	for axis, f := range []*kalman{&t.kx, &t.ky} {
		f.unit *= k
		f.ppp, f.ppv, f.pvv = f.ppp*k*k, f.ppv*k*k, f.pvv*k*k
		if axis == 0 {
			f.pos, f.vel = p.X, ahead.X-p.X
		} else {
			f.pos, f.vel = p.Y, ahead.Y-p.Y
		}
	}
	t.X, t.Y, t.W, t.H = p.X, p.Y, t.W*k, t.H*k
	t.leaving.move(j.Map)
}

// joinTracks joins each track of now with the track of old that is the same animal, and returns all tracks. The older
// track keeps its ID.
func joinTracks(old, now []*Track) []*Track {
	all := old
	for k, of := range Continue(old, now) {
		if of >= 0 {
			old[of].absorb(now[k])
		} else {
			all = append(all, now[k])
		}
	}
	return all
}

// absorb adds the sightings of a later track of the same animal.
func (t *Track) absorb(b *Track) {
	t.X, t.Y, t.W, t.H = b.X, b.Y, b.W, b.H
	t.kx, t.ky, t.seconds, t.seen, t.leaving = b.kx, b.ky, b.seconds, b.seen, b.leaving
	t.Last = b.Last
	t.Hits, t.Strong, t.Visible = t.Hits+b.Hits, t.Strong+b.Strong, t.Visible+b.Visible
	t.ScoreSum, t.Evidence = t.ScoreSum+b.ScoreSum, t.Evidence+b.Evidence
	t.Outside = t.Outside && b.Outside
	t.Way = append(t.Way, b.Way...)
	for l, s := range b.classes {
		t.classes[l] += s
	}
	t.addOthers(b.others)
	if b.bestWhole && !t.bestWhole || b.bestWhole == t.bestWhole && b.Best.Score > t.Best.Score {
		t.Best, t.BestFrame, t.bestWhole = b.Best, b.BestFrame, b.bestWhole
	}
}
