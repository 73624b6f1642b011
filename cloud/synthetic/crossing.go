package synthetic

// LineTruth holds the true crossings of one line.
type LineTruth struct {
	Name string `json:"name"`
	// Frame is picture for a line that is fixed in the picture, ground for one that is fixed on the ground.
	Frame string `json:"frame"`
	// Line is x1, y1, x2, y2 in pixels; that of a ground line is its place in the first frame.
	Line [4]float64 `json:"line"`
	// In counts crossings from the left of the line to its right, seen from its first point to its second.
	In        int             `json:"in"`
	Out       int             `json:"out"`
	Crossings []CrossingTruth `json:"crossings"`
}

// CrossingTruth is one crossing: the middle of the animal was crossBand metres on one side of the line and then as far
// on the other one. The animal was in view, by half of its box, when its middle was on the line.
type CrossingTruth struct {
	ID        int     `json:"id"`
	Seconds   float64 `json:"seconds"`   // when the middle of the animal was on the line, the last time
	Direction string  `json:"direction"` // in or out
}

// crossBand is how far an animal must be from the line before and after a crossing, in metres.
const crossBand = 0.5

// crosser follows the animals on the two sides of a line.
type crosser struct {
	ground [2]point        // of a ground line
	state  map[int]*aspect // by ID of the animal
}

// aspect is where an animal was.
type aspect struct {
	side    int     // 1 left, -1 right, 0 unknown: of the last place outside of the band
	last    float64 // distance to the left at the last frame
	when    float64 // of the last passage
	inView  bool    // at the last passage
	lastNow float64
}

// startLines adds the upright line through the middle of the picture, fixed in the picture and on the ground.
func (t *Truth) startLines(cam *camera) {
	mid, high := float64(cam.width)/2, float64(cam.rows)
	line := [4]float64{mid, 0, mid, high}
	ends := [2]point{cam.ground(mid, 0), cam.ground(mid, high)}
	for _, frame := range []string{"picture", "ground"} {
		t.Lines = append(t.Lines, LineTruth{
			Name: "middle of the " + frame, Frame: frame, Line: line, Crossings: []CrossingTruth{},
		})
		t.crossers = append(t.crossers, crosser{ground: ends, state: map[int]*aspect{}})
	}
}

// cross looks at the animals after a frame.
func (t *Truth) cross(now float64, cam *camera, herd []*animal, seen []Sighting) {
	if t.Lines == nil {
		t.startLines(cam)
	}
	visible := map[int]bool{}
	for _, s := range seen {
		visible[s.ID] = s.Visible >= inView
	}
	for i := range t.Lines {
		ends := t.crossers[i].ground
		if t.Lines[i].Frame == "picture" {
			mid := float64(cam.width) / 2
			ends = [2]point{cam.ground(mid, 0), cam.ground(mid, float64(cam.rows))}
		}
		for _, a := range herd {
			t.Lines[i].follow(&t.crossers[i], a, now, leftOf(ends, a.at), visible[a.id])
		}
	}
}

// leftOf is how far p is to the left of the line from its first to its second end, seen in the picture. +y is down.
func leftOf(ends [2]point, p point) float64 {
	dx, dy := ends[1].x-ends[0].x, ends[1].y-ends[0].y
	return ((p.x-ends[0].x)*dy - (p.y-ends[0].y)*dx) / ends[0].dist(ends[1])
}

// follow adds the crossing of an animal that is left metres to the left of the line now.
func (l *LineTruth) follow(c *crosser, a *animal, now, left float64, visible bool) {
	s := c.state[a.id]
	if s == nil {
		s = &aspect{}
		c.state[a.id] = s
	} else if (s.last < 0) != (left < 0) {
		s.when = s.lastNow + (now-s.lastNow)*s.last/(s.last-left)
		s.inView = visible
	}
	s.last, s.lastNow = left, now
	side := 0
	if left >= crossBand {
		side = 1
	} else if left <= -crossBand {
		side = -1
	}
	if side == 0 || side == s.side {
		return
	}
	if s.side != 0 && s.inView {
		direction := "in"
		if l.In++; side == 1 {
			direction = "out"
			l.In--
			l.Out++
		}
		l.Crossings = append(l.Crossings, CrossingTruth{ID: a.id, Seconds: round(s.when, 1000), Direction: direction})
	}
	s.side = side
}
