package track

// predict moves the track to the time of the next frame.
func (t *Track) predict(dt float64) {
	t.kx.predict(dt)
	t.ky.predict(dt)
	t.X, t.Y = t.kx.pos, t.ky.pos
}

// record takes the outcome of one frame.
func (t *Track) record(sightings []sighting, frame int, v view) {
	if t.matched < 0 {
		if t.expected.whole {
			t.Visible++
		}
		return
	}
	s := &sightings[t.matched]
	t.kx.update(s.x, s.cut)
	t.ky.update(s.y, s.cut)
	t.X, t.Y = t.kx.pos, t.ky.pos
	t.resize(s)
	t.Visible++
	t.hit(s, frame)
}

// resize follows the box's size; a box cut by the frame's edge can only say
// that the animal is at least so large.
func (t *Track) resize(s *sighting) {
	const follow = 0.2
	if s.cut {
		t.W, t.H = max(t.W, s.w), max(t.H, s.h)
	} else {
		t.W += follow * (s.w - t.W)
		t.H += follow * (s.h - t.H)
	}
	t.kx.unit, t.ky.unit = t.Size(), t.Size()
}

func (t *Track) hit(s *sighting, frame int) {
	t.Hits++
	if s.strong {
		t.Strong++
	}
	t.Last = frame
	score := float64(s.box.Score)
	t.ScoreSum += score
	t.classes[s.box.Label] += score
	whole := !s.cut
	better := whole && !t.bestWhole || whole == t.bestWhole && s.box.Score > t.Best.Score
	if t.Hits == 1 || better {
		t.Best, t.BestFrame, t.bestWhole = s.box, frame, whole
	}
}
