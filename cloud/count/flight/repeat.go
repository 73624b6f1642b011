package flight

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// Some cameras begin a file with the last moments of the one before, and people cut recordings with an overlap. An animal
// would walk back over a line in a moment and cross it twice. So the steps that repeat an earlier part are left out.
const (
	mostRepeat = 5.0  // seconds
	sameStep   = 0.01 // of the width of the picture: the camera is at the same place
	movedStep  = 0.03 // of the width: it is at another place
)

// repeated is the time for which the next part repeats the end of the flight so far: 0 for none. now are its tracks, and
// begin the second at which it begins.
func (w *whole) repeated(steps []crossing.Step, now []*track.Track, begin float64) float64 {
	if seconds, moves := repeatedByCamera(w.steps, steps); moves {
		return seconds
	}
	return repeatedByAnimals(w.merged.tracks, now, begin)
}

// without leaves out what lies before a second.
func without(steps []crossing.Step, tracks []*track.Track, before float64) ([]crossing.Step, []*track.Track) {
	steps = slices.DeleteFunc(steps, func(s crossing.Step) bool { return s.Seconds < before })
	return steps, slices.DeleteFunc(tracks, func(t *track.Track) bool { return !t.Trim(before) })
}

// repeatedByCamera is the time for which the way of the camera in now repeats the end of its way in old. moves is false
// when the camera stands, or the ground of both is not related, so that its way tells nothing.
func repeatedByCamera(old, now []crossing.Step) (seconds float64, moves bool) {
	if len(old) == 0 || len(now) == 0 {
		return 0, false
	}
	last, first := old[len(old)-1], now[0]
	if last.Pose.Segment != first.Pose.Segment {
		return 0, false
	}
	for i := len(old) - 1; i >= 0 && last.Seconds-old[i].Seconds <= mostRepeat; i-- {
		s := old[i]
		if s.Pose.Segment != last.Pose.Segment {
			break
		}
		moves = moves || apart(s, last) > movedStep
		if apart(s, first) > sameStep || !moves {
			continue
		}
		// The frame after the last one of old is at the end of the repeat.
		ahead := last.Seconds - s.Seconds
		k := slices.IndexFunc(now, func(n crossing.Step) bool { return n.Seconds-first.Seconds >= ahead })
		if k >= 0 && apart(now[k], last) <= sameStep {
			return ahead + 1e-3, true
		}
	}
	return 0, moves
}

// apart is how far the middles of two frames lie apart on the ground, in widths of the first one.
func apart(a, b crossing.Step) float64 {
	m := motion.Point{X: float64(a.Width) / 2, Y: float64(a.Height) / 2}
	p := a.Pose.ToGround.Apply(m)
	q := b.Pose.ToGround.Apply(motion.Point{X: float64(b.Width) / 2, Y: float64(b.Height) / 2})
	return math.Hypot(p.X-q.X, p.Y-q.Y) / (a.Pose.ToGround.ScaleAt(m) * float64(max(a.Width, 1)))
}

// repeatedByAnimals is the time for which animals that walk are seen again where they were before. 0 is for none.
func repeatedByAnimals(old, now []*track.Track, begin float64) float64 {
	const (
		least = 0.4  // sizes a second of an animal that walks
		first = 0.5  // seconds of a part in which its animals must be seen
		few   = 3    // animals that walk
		grain = 0.05 // seconds
		// fit is by how many sizes the animals may differ on average from a repeat. It is narrow: animals that walk in a file
		// come past the places of those before them, but not all at one time.
		fit   = 0.15
		worse = 0.5 // sizes by which they differ more without a repeat
		most  = 2.0 // sizes
	)
	var walkers []*track.Track
	for _, t := range now {
		if vx, vy := t.SpeedAtStart(); math.Hypot(vx, vy) > least*t.Size() && t.Way[0].Seconds-begin < first {
			walkers = append(walkers, t)
		}
	}
	if len(walkers) < few {
		return 0
	}
	differ := func(by float64) float64 {
		sum := 0.0
		for _, t := range walkers {
			nearest := most
			for _, s := range old {
				if p, ok := s.PlaceAt(t.Way[0].Seconds - by); ok && s.Segment == t.Segment {
					nearest = min(nearest, math.Hypot(p.X-t.Way[0].X, p.Y-t.Way[0].Y)/t.Size())
				}
			}
			sum += nearest
		}
		return sum / float64(len(walkers))
	}
	best, by := differ(grain), grain
	none := best
	for n := 2; float64(n)*grain <= mostRepeat; n++ {
		if d := differ(float64(n) * grain); d < best {
			best, by = d, float64(n)*grain
		}
	}
	if best > fit || none-best < worse {
		return 0
	}
	return by
}
