package track

// predict moves the track to the time of the next frame.
func (t *Track) predict(dt float64) {
	t.kx.predict(dt)
	t.ky.predict(dt)
	t.X, t.Y = t.kx.pos, t.ky.pos
}

// record updates the track with its sighting in one frame, or with the lack of one.
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
	t.addHit(s, frame)
}

// resize follows the size of the box. A box cut by the frame's edge only shows the least size of the animal.
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

func (t *Track) addHit(s *sighting, frame int) {
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
