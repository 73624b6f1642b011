package synthetic

import "math"

// herdSpeed is the speed of the whole herd of a replay in metres per second.
const herdSpeed = 0.9

// placeTracks places the animals of a recording. The middle of those seen first is at the origin, and the whole herd
// walks along +x, the direction in which it is longest. Before and after its part of the recording an animal walks
// with the herd. An animal whose body is inside of another one is left out: it is the same one with another id, or the
// recording shows both from the side. Things are no obstacle.
func (c *Clip) placeTracks() {
	t := c.config.Tracks
	for i := range t.animals {
		a := c.book.animal(c.rand, i+1)
		a.way = t.animals[i].way(t)
		if c.alone(a, 0.6) {
			c.herd = append(c.herd, a)
		}
	}
}

// way is the way of a recorded animal.
func (r *recorded) way(tracks *Tracks) way {
	shift := tracks.shift
	place := func(t float64) point {
		k := t*recordFPS/recordStep - float64(r.first)
		i := int(math.Min(math.Max(math.Floor(k), 0), float64(len(r.at)-1)))
		j := min(i+1, len(r.at)-1)
		f := math.Min(math.Max(k-float64(i), 0), 1)
		return shift(point{r.at[i].x + f*(r.at[j].x-r.at[i].x), r.at[i].y + f*(r.at[j].y-r.at[i].y)}, t)
	}
	return func(t float64) stance {
		const step = 0.4
		p, q := place(t-step), place(t+step)
		speed := p.dist(q) / (2 * step)
		s := stance{at: place(t), heading: math.Atan2(q.y-p.y, q.x-p.x), gait: walking, steps: 100 + herdSpeed*t}
		if speed < 0.2 {
			s.gait = standing
			s.heading = 0
		}
		return s
	}
}

// recordedAt is the way of the drone of a recording. After the end the drone follows the herd.
func (t *Tracks) recordedAt(now float64) (at point, heading float64) {
	k := math.Min(math.Max(now*recordFPS/recordStep, 0), float64(len(t.aims)-1))
	i := int(k)
	j := min(i+1, len(t.aims)-1)
	f := k - float64(i)
	a, b := t.aims[i], t.aims[j]
	return t.shift(point{a.x + f*(b.x-a.x), a.y + f*(b.y-a.y)}, now), t.turns[i] + f*(t.turns[j]-t.turns[i]) - t.axis
}

// shift moves a place of the recording with the herd. The first aim of the drone is the origin, and the herd is longest
// along +x. The animals are a little farther apart than recorded, because the middles of boxes that are seen from the
// side are closer than the bodies.
func (t *Tracks) shift(p point, now float64) point {
	const apart = 1.2
	sin, cos := math.Sincos(t.axis)
	dx, dy := apart*(p.x-t.aims[0].x), apart*(p.y-t.aims[0].y)
	return point{dx*cos + dy*sin + herdSpeed*now, dy*cos - dx*sin}
}
