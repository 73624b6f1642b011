package track

import (
	"math"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track/motion"
)

// edgePixels is the distance to the frame's edge within which a box counts as cut by it.
const edgePixels = 4

// view relates one frame to the ground.
type view struct {
	width, height float64
	toGround      motion.Transform
	toFrame       motion.Transform
	scale         float64 // ground pixels per frame pixel, in the middle of the frame
	guessed       bool    // the place is a guess; that an animal is not there says nothing
}

func newView(o Observation) view {
	w, h := float64(o.Width), float64(o.Height)
	return view{
		width: w, height: h, toGround: o.Pose.ToGround, toFrame: o.Pose.ToGround.Inverse(),
		scale: o.Pose.ToGround.ScaleAt(motion.Point{X: w / 2, Y: h / 2}), guessed: o.Pose.Inliers == 0,
	}
}

// sighting is a detection with its place on the ground.
type sighting struct {
	box     detect.Box
	x, y    float64    // ground
	w, h    float64    // ground
	cut     bool       // cut by the frame's edge; its centre is not that of the animal
	across  bool       // cut by the left or the right edge
	down    bool       // cut by the upper or the lower edge
	end     cutEnd     // where one edge cuts the animal
	turn    [2]float64 // cosine and sine of the angle from the frame to the ground
	strong  bool
	outside bool // the middle of the animal is probably outside of the frame
	color   color
	matched bool // joined to a track
}

// sightings places detections on the ground.
func (v view) sightings(o Observation, threshold float64) []sighting {
	s := make([]sighting, 0, len(o.Boxes))
	for _, b := range o.Boxes {
		at := motion.Point{X: float64(b.X1+b.X2) / 2, Y: float64(b.Y1+b.Y2) / 2}
		c := v.toGround.Apply(at)
		right := v.toGround.Apply(motion.Point{X: at.X + 1, Y: at.Y})
		x := sideOf(float64(b.X1), float64(b.X2), v.width)
		y := sideOf(float64(b.Y1), float64(b.Y2), v.height)
		across, down := x != 0, y != 0
		k := max(math.Hypot(right.X-c.X, right.Y-c.Y), 1e-9)
		one := sighting{
			box: b, x: c.X, y: c.Y, w: float64(b.Width()) * v.scale, h: float64(b.Height()) * v.scale,
			cut: across || down, across: across, down: down,
			turn:   [2]float64{(right.X - c.X) / k, (right.Y - c.Y) / k},
			strong: float64(b.Score) >= threshold,
			color:  colorOf(o.Frame, b),
		}
		one.end = one.endAt(x, y)
		s = append(s, one)
	}
	return s
}

// sideOf is -1 for a box that reaches the lower edge of the frame on one axis, 1 for the upper one, 2 for both, 0 for none.
func sideOf(low, high, frame float64) int {
	first, last := low < edgePixels, high > frame-edgePixels
	switch {
	case first && last:
		return 2
	case first:
		return -1
	case last:
		return 1
	}
	return 0
}

// cutEnd is the end in view of an animal that one edge of the frame cuts. The zero value is none.
type cutEnd struct {
	x, y       float64 // ground
	rimX, rimY float64 // where the edge cuts it, on the ground
	nx, ny     float64 // direction on the ground that leads out of the frame; its length is 1
}

func (e cutEnd) known() bool { return e.nx != 0 || e.ny != 0 }

// hasRim reports whether the edge of the frame that cut an animal lies on the ground where it lay then.
func (v view) hasRim(e cutEnd, size float64) bool {
	p := v.toFrame.Apply(motion.Point{X: e.rimX, Y: e.rimY})
	q := v.toFrame.Apply(motion.Point{X: e.rimX + e.nx, Y: e.rimY + e.ny})
	dx, dy := (q.X-p.X)*v.scale, (q.Y-p.Y)*v.scale
	off := math.Inf(1) // pixels of the frame
	switch {
	case dx > rimTurn:
		off = v.width - p.X
	case dx < -rimTurn:
		off = p.X
	case dy > rimTurn:
		off = v.height - p.Y
	case dy < -rimTurn:
		off = p.Y
	}
	return math.Abs(off)*v.scale < rimMoves*size
}

// endAt is the end in view of a sighting at sides of the frame.
func (s *sighting) endAt(x, y int) cutEnd {
	if x != 0 && y != 0 || x == 2 || y == 2 {
		return cutEnd{}
	}
	cos, sin := s.turn[0], s.turn[1]
	e := cutEnd{nx: cos*float64(x) - sin*float64(y), ny: sin*float64(x) + cos*float64(y)}
	half := s.w / 2
	if y != 0 {
		half = s.h / 2
	}
	e.x, e.y = s.x-e.nx*half, s.y-e.ny*half
	e.rimX, e.rimY = s.x+e.nx*half, s.y+e.ny*half
	return e
}

// noise is the standard deviation of the place on each axis of the ground, in sizes of the animal. across is that across
// an edge that cuts the box.
func (s *sighting) noise(across float64) (x, y float64) {
	if !s.cut {
		return boxNoise, boxNoise
	}
	nx, ny := alongNoise, alongNoise // on the axes of the frame
	if s.across {
		nx = across
	}
	if s.down {
		ny = across
	}
	cos, sin := s.turn[0], s.turn[1]
	return math.Hypot(cos*nx, sin*ny), math.Hypot(sin*nx, cos*ny)
}

// middle is the place of the middle of a track's animal on the ground by a sighting of it, with the standard deviation
// across an edge that cuts the box, in sizes. Where an edge cuts an animal that was seen whole before, its inner end tells
// where its middle is.
func (v view) middle(t *Track, s *sighting) (x, y, across float64) {
	if !s.cut || !t.bestWhole {
		return s.x, s.y, cutNoise
	}
	b := s.box
	g := v.toGround.Apply(motion.Point{
		X: middleOf(float64(b.X1), float64(b.X2), t.W/v.scale, v.width),
		Y: middleOf(float64(b.Y1), float64(b.Y2), t.H/v.scale, v.height),
	})
	return g.X, g.Y, insideNoise
}

// middleOf is the middle of one side of a box, for the side of the whole animal and that of the frame.
func middleOf(low, high, whole, frame float64) float64 {
	side := sideOf(low, high, frame)
	switch {
	case side == 0 || side == 2 || high-low >= whole:
		return (low + high) / 2
	case side < 0:
		return high - whole/2
	}
	return low + whole/2
}

// expectation is the predicted place of a track in the current frame: the part of its box inside the frame, in frame
// pixels.
type expectation struct {
	inView bool // a part of the animal should be visible
	whole  bool // the whole animal, with a margin, should be visible
	x, y   float64
	box    motion.Rect // the whole box, also outside of the frame
	size   float64     // geometric mean of the whole box's sides
	doubt  float64     // standard deviation of the place
}

// project is where a track is expected in the frame when its filters are in the states kx and ky.
func (v view) project(t *Track, kx, ky kalman) expectation {
	c := v.toFrame.Apply(motion.Point{X: kx.pos, Y: ky.pos})
	hw, hh := t.W/2/v.scale, t.H/2/v.scale
	size := t.Size() / v.scale
	e := expectation{size: size, doubt: math.Hypot(kx.doubt(), ky.doubt()) / v.scale,
		box: motion.Rect{X1: c.X - hw, Y1: c.Y - hh, X2: c.X + hw, Y2: c.Y + hh}}
	x1, x2 := max(c.X-hw, 0), min(c.X+hw, v.width)
	y1, y2 := max(c.Y-hh, 0), min(c.Y+hh, v.height)
	if x2 <= x1 || y2 <= y1 {
		// Just outside of the frame. Given the doubt the animal may be inside.
		e.x, e.y = c.X, c.Y
		e.inView = c.X > -size && c.Y > -size && c.X < v.width+size && c.Y < v.height+size
		return e
	}
	e.inView = true
	e.x, e.y = (x1+x2)/2, (y1+y2)/2
	margin := size / 4
	e.whole = c.X-hw > margin && c.Y-hh > margin && c.X+hw < v.width-margin && c.Y+hh < v.height-margin
	return e
}
