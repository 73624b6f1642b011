package evidence

import (
	"image"
	"image/color"
	"math"
	"slices"

	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// owner is the picture that the sheet shows at a place of the ground, nil for none.
func owner(keys []*key, g motion.Point) *key {
	var best *key
	nearest := uint8(math.MaxUint8)
	for _, k := range keys {
		if d := k.offCentre(g); d < 1 && uint8(d*254) < nearest {
			nearest, best = uint8(d*254), k
		}
	}
	return best
}

// shows reports whether the sheet shows most of a box of the frame k by the picture of that frame: its centre, and at
// least three of the points between the centre and the corners.
func shows(keys []*key, k *key, box rect) bool {
	if owner(keys, k.toGround.Apply(box.centre())) != k {
		return false
	}
	n := 0
	for _, c := range box.corners() {
		m := box.centre()
		if owner(keys, k.toGround.Apply(motion.Point{X: (m.X + c.X) / 2, Y: (m.Y + c.Y) / 2})) == k {
			n++
		}
	}
	return n >= 3
}

// markAll marks every counted animal once, and the tracks that were not counted below them.
func (s *sheet) markAll(t tally.Result) {
	var marks []*mark
	for _, u := range t.Uncounted {
		if m := s.locate(u.Track, false); m != nil {
			m.text, m.colour = letterOf[u.Reason], rejected
			marks = append(marks, m)
			m.outline(s.img, 1)
		}
	}
	for i, a := range t.Counted {
		m := s.locate(a, true)
		if m == nil {
			s.absent++
			continue
		}
		m.text, m.colour = s.number(i, a), amber
		marks = append(marks, m)
		m.outline(s.img, 2)
	}
	for _, m := range slices.Backward(marks) { // the places for the numbers of counted animals come first
		s.label(m)
	}
}

// mark is the place of a track on the sheet.
type mark struct {
	piece  *piece
	quad   [4]motion.Point
	inset  bool // the animal is shown by a picture of another moment
	text   string
	colour color.RGBA
}

func (m *mark) outline(img *image.RGBA, width int) {
	outline(img, m.quad, width, m.colour)
	if m.inset {
		outline(img, m.quad, 1, white)
	}
}

func quad(t motion.Transform, r rect) [4]motion.Point {
	q := r.corners()
	for i := range q {
		q[i] = t.Apply(q[i])
	}
	return q
}

// locate is where a track is marked: on the animal where the sheet shows it, else at the place of its best picture, with
// that picture when inset is set. It is nil for ground that is not on the sheet.
func (s *sheet) locate(t *track.Track, inset bool) *mark {
	var best *mark
	nearest := math.Inf(1)
	for i := range s.layout.pieces {
		p := &s.layout.pieces[i]
		if p.keys[0].segment != t.Segment {
			continue
		}
		for _, k := range p.keys {
			at, box, worse, ok := placeIn(t, k)
			off := k.offCentre(at)
			if !ok || off >= 1 || off+worse >= nearest || !p.owns(at) || !shows(p.keys, k, box) {
				continue
			}
			best, nearest = &mark{piece: p, quad: quad(k.toGround.Then(p.toSheet), box)}, off+worse
		}
	}
	if best != nil {
		return best
	}
	at := motion.Point{X: t.X, Y: t.Y}
	c := s.crops.of(t)
	if c != nil {
		if i := slices.IndexFunc(t.Way, func(f track.Fix) bool { return f.Frame == c.frame }); i >= 0 {
			at = motion.Point{X: t.Way[i].X, Y: t.Way[i].Y}
		}
	}
	p := s.pieceAt(t.Segment, at)
	if p == nil {
		return nil
	}
	m := &mark{piece: p, quad: quad(p.toSheet, rect{at.X - t.W/2, at.Y - t.H/2, at.X + t.W/2, at.Y + t.H/2})}
	if inset && c != nil {
		s.drawInset(m, t, c)
	}
	return m
}

// placeIn is the place of an animal on the ground when a picture was taken, and its box in the frame: a detection in that
// frame, or between its detections when it is sure where the animal was. worse is 0 for a detection, else above 0.
func placeIn(t *track.Track, k *key) (at motion.Point, box rect, worse float64, ok bool) {
	i, exact := slices.BinarySearchFunc(t.Way, k.frame, func(f track.Fix, frame int) int { return f.Frame - frame })
	if exact {
		box = rectOf(t.Way[i].Box)
		return k.toGround.Apply(box.centre()), box, 0, true
	}
	const (
		held = 1.5 // seconds that an animal is taken to stay where it was seen first or last
		sure = 1.0 // seconds between two detections
		near = 0.5 // sizes of the animal between two detections
	)
	if len(t.Way) == 0 {
		return at, box, 0, false
	}
	before, after := t.Way[max(i-1, 0)], t.Way[min(i, len(t.Way)-1)]
	share := 0.0
	if i == 0 || i == len(t.Way) {
		wait := math.Abs(k.seconds - before.Seconds)
		if wait > held || speedNear(t, i)*wait > near*t.Size() {
			return at, box, 0, false
		}
	} else {
		took := after.Seconds - before.Seconds
		if took > sure && math.Hypot(after.X-before.X, after.Y-before.Y) > near*t.Size() {
			return at, box, 0, false
		}
		share = min(max(0, (k.seconds-before.Seconds)/max(took, 1e-3)), 1)
	}
	at = motion.Point{X: before.X + share*(after.X-before.X), Y: before.Y + share*(after.Y-before.Y)}
	c := k.toFrame.Apply(at)
	scale := k.toGround.ScaleAt(c)
	w, h := t.W/scale/2, t.H/scale/2
	return at, rect{c.X - w, c.Y - h, c.X + w, c.Y + h}, 0.5, scale > 0
}

// speedNear is the speed of an animal at its first or last detections, in ground pixels a second.
func speedNear(t *track.Track, i int) float64 {
	if len(t.Way) < 2 {
		return 0
	}
	a, b := t.Way[0], t.Way[1]
	if i > 0 {
		a, b = t.Way[len(t.Way)-2], t.Way[len(t.Way)-1]
	}
	return math.Hypot(b.X-a.X, b.Y-a.Y) / max(b.Seconds-a.Seconds, 1e-3)
}

// pieceAt is the piece that a place on the ground belongs to, nil for ground that is not on the sheet.
func (s *sheet) pieceAt(segment int, at motion.Point) *piece {
	for i := range s.layout.pieces {
		if p := &s.layout.pieces[i]; p.keys[0].segment == segment && p.owns(at) {
			return p
		}
	}
	return nil
}

// drawInset shows the best picture of an animal at a place where the stitched pictures do not show it.
func (s *sheet) drawInset(m *mark, t *track.Track, c *crop) {
	pic, err := decode(c.jpeg)
	if err != nil {
		return // the mark alone is still true
	}
	scale := m.piece.toSheet.Scale() * math.Sqrt(t.W*t.H/max(1, c.box.width()*c.box.height()))
	centre := motion.Point{X: (m.quad[0].X + m.quad[2].X) / 2, Y: (m.quad[0].Y + m.quad[2].Y) / 2}
	w, h := c.box.width()*scale/2, c.box.height()*scale/2
	r := rect{centre.X - w, centre.Y - h, centre.X + w, centre.Y + h}
	to := image.Rect(int(r.x1), int(r.y1), int(math.Ceil(r.x2)), int(math.Ceil(r.y2)))
	if to.Dx() > m.piece.at.Dx() || to.Dy() > m.piece.at.Dy() {
		return
	}
	zoom := float64(c.size.X) / c.area.width() / scale
	for y := max(to.Min.Y, m.piece.at.Min.Y); y < min(to.Max.Y, m.piece.at.Max.Y); y++ {
		for x := max(to.Min.X, m.piece.at.Min.X); x < min(to.Max.X, m.piece.at.Max.X); x++ {
			sample(s.img.Pix[s.img.PixOffset(x, y):], pic,
				((float64(x)+0.5-r.x1)+(c.box.x1-c.area.x1)*scale)*zoom, ((float64(y)+0.5-r.y1)+(c.box.y1-c.area.y1)*scale)*zoom)
		}
	}
	m.quad, m.inset = r.corners(), true
	s.insets++
}

// label writes the text of a mark at the first free place around it.
func (s *sheet) label(m *mark) {
	x1, y1, x2, y2 := m.quad[0].X, m.quad[0].Y, m.quad[0].X, m.quad[0].Y
	for _, q := range m.quad {
		x1, x2, y1, y2 = min(x1, q.X), max(x2, q.X), min(y1, q.Y), max(y2, q.Y)
	}
	size := smallSize
	if x2-x1 > 40 {
		size = textSize
	}
	l := lettering(size)
	w, h := float64(l.width(m.text)+2*platePad), float64(l.height)
	var r image.Rectangle
	places := [...]motion.Point{
		{X: x1, Y: y1 - 1}, {X: x2 - w, Y: y1 - 1}, {X: x1, Y: y2 + h + 1}, {X: x2 + 1, Y: y1 + h},
		{X: x1 - w - 1, Y: y1 + h}, {X: (x1+x2)/2 - w/2, Y: (y1+y2)/2 + h/2},
	}
	for i, at := range places {
		p := plateFor(m.piece.at, l, int(at.X), int(at.Y), m.text)
		if i == 0 {
			r = p
		}
		if !slices.ContainsFunc(s.labels, p.Overlaps) {
			r = p
			break
		}
	}
	s.labels = append(s.labels, r)
	writePlate(s.img, l, r.Min.X, r.Max.Y, m.text, m.colour)
}
