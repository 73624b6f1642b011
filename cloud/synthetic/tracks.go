package synthetic

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// Recordings are of 1920x1080 pixels and 60 frames per second, from a camera with the field of view of a small drone.
const (
	recordFPS    = 60
	recordWidth  = 1920
	recordHeight = 1080
	recordFocal  = 1470 // pixels
	recordStep   = 6    // frames between two looks at a recording
	bodyMean     = 1.5  // metres, the mean of the square roots of the areas of animals' boxes
)

// Bounds of a recording.
const (
	maxRecordRows  = 1 << 20
	maxRecordFrame = 1 << 20
)

// Tracks are the recorded ways of animals and of the drone over them, for the herd Replay and the camera Recorded. They
// are relative: the herd as a whole stands in them, and the drone aims at the middle of the animals that it saw.
// Tracks do not change.
type Tracks struct {
	animals []recorded
	turns   []float64 // of the drone at each look, radians from the first one
	aims    []point   // the middle of the animals in the picture at each look, in the frame of the first one
	axis    float64   // direction in which the herd is longest, radians
}

// recorded is the way of one animal: its place at each look from the first one on.
type recorded struct {
	first int
	at    []point
}

// ErrTracks marks a recording that cannot be used.
var ErrTracks = errors.New("recorded tracks are not usable")

// ReadTracks reads a recording in the form of MOT files: a header line, then frame, id, left, top, width and height of
// boxes in pixels; more columns are ignored. The errors wrap ErrTracks.
//
// The recordings are oblique and have no camera poses. So the tilt is fitted to the sizes of the boxes, which grow with
// the row in the picture. The places on the ground follow from it. What all animals do together from one look to the
// next, a turn and a shift, is taken as the drone's motion. The longest part of the recording with at least three
// animals in every two looks is used. An id that is away for a second is another animal.
func ReadTracks(r io.Reader) (*Tracks, error) {
	boxes, err := readBoxes(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrTracks)
	}
	view, err := fitView(boxes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrTracks)
	}
	looks := map[int]map[int]point{} // by look and id
	for _, b := range boxes {
		if at, ok := view.ground(b); ok && b.frame%recordStep == 0 {
			if looks[b.frame/recordStep] == nil {
				looks[b.frame/recordStep] = map[int]point{}
			}
			looks[b.frame/recordStep][b.id] = at
		}
	}
	from, to := longestPart(looks)
	if to-from < 10 {
		return nil, fmt.Errorf("no second has three animals throughout: %w", ErrTracks)
	}
	return newTracks(looks, from, to), nil
}

// recordBox is a row of a recording, in pixels.
type recordBox struct {
	frame, id  int
	x, y, w, h float64
}

func readBoxes(r io.Reader) ([]recordBox, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord, in.ReuseRecord = -1, true
	if _, err := in.Read(); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	var list []recordBox
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(0)
		if len(row) < 6 || len(list) >= maxRecordRows {
			return nil, fmt.Errorf("line %d: %d columns after %d rows, want at least 6 columns and at most %d rows",
				line, len(row), len(list), maxRecordRows)
		}
		var v [6]float64
		for i := range v {
			if v[i], err = strconv.ParseFloat(row[i], 64); err != nil || !(math.Abs(v[i]) <= maxRecordFrame) {
				return nil, fmt.Errorf("line %d, column %d: %q is not a number up to %d", line, i+1, row[i], maxRecordFrame)
			}
		}
		list = append(list, recordBox{int(v[0]), int(v[1]), v[2], v[3], v[4], v[5]})
	}
}

// whole reports whether a box is not cut at the edge of the picture.
func (b recordBox) whole() bool {
	return b.frame >= 0 && b.w > 0 && b.h > 0 && b.x > 2 && b.y > 2 && b.x+b.w < recordWidth-3 && b.y+b.h < recordHeight-3
}

// recordView is the camera of a recording: its angle below the horizon and its height.
type recordView struct{ pitch, height float64 }

// fitView fits the sizes of animals over the rows of the picture by a line. It is 0 at the horizon.
func fitView(boxes []recordBox) (recordView, error) {
	var n, sy, ss, syy, sys float64
	for _, b := range boxes {
		if b.whole() {
			y, s := b.y+b.h/2-recordHeight/2, math.Sqrt(b.w*b.h)
			n, sy, ss, syy, sys = n+1, sy+y, ss+s, syy+y*y, sys+y*s
		}
	}
	if n < 100 {
		return recordView{}, fmt.Errorf("%v boxes inside of the picture, want at least 100", n)
	}
	grow, size := 0.0, ss/n
	if d := n*syy - sy*sy; d > 0 {
		grow = (n*sys - sy*ss) / d
		size = (ss - grow*sy) / n
	}
	v := recordView{pitch: math.Pi / 2}
	if grow > 1e-3 && size > 0 {
		v.pitch = math.Atan(size / grow / recordFocal)
	}
	v.pitch = max(v.pitch, 0.3)
	v.height = recordFocal * math.Sin(v.pitch) * bodyMean / max(size, 1)
	return v, nil
}

// ground is the place of a box below the camera: x to the right, y towards the camera, in metres.
func (v recordView) ground(b recordBox) (point, bool) {
	down := v.pitch + math.Atan((b.y+b.h/2-recordHeight/2)/recordFocal)
	if !b.whole() || down < 0.1 || down > math.Pi-0.1 {
		return point{}, false
	}
	forward := v.height / math.Tan(down)
	depth := forward*math.Cos(v.pitch) + v.height*math.Sin(v.pitch)
	return point{(b.x + b.w/2 - recordWidth/2) * depth / recordFocal, -forward}, true
}

// longestPart is the longest range of looks of which every two neighbours share three animals; to is its last look.
func longestPart(looks map[int]map[int]point) (from, to int) {
	keys := make([]int, 0, len(looks))
	for k := range looks {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	start := 0 // of the part, in keys
	for i, k := range keys {
		if shared(looks[k], looks[k+1]) < 3 {
			if k-keys[start] > to-from {
				from, to = keys[start], k
			}
			start = i + 1
		}
	}
	return from, to
}

func shared(a, b map[int]point) (n int) {
	for id := range a {
		if _, ok := b[id]; ok {
			n++
		}
	}
	return n
}

// newTracks puts the places of a part of a recording together by what all animals do.
func newTracks(looks map[int]map[int]point, from, to int) *Tracks {
	t := &Tracks{}
	now := plan{}               // maps a look's places to those of the first look
	open := map[int]*recorded{} // by id
	var order []*recorded
	for k := from; k <= to; k++ {
		if k > from {
			turn, shift := commonMotion(looks[k-1], looks[k])
			now = plan{at: now.place(shift), heading: now.heading + turn}
		}
		t.turns = append(t.turns, now.heading)
		for _, id := range sortedKeys(looks[k]) {
			p, look := now.place(looks[k][id]), k-from
			a := open[id]
			if a == nil || look-a.first-len(a.at) > recordFPS/recordStep {
				a = &recorded{first: look}
				open[id] = a
				order = append(order, a)
			}
			for a.first+len(a.at) < look { // hidden for some looks
				prev := a.at[len(a.at)-1]
				left := float64(look - a.first - len(a.at) + 1)
				a.at = append(a.at, point{prev.x + (p.x-prev.x)/left, prev.y + (p.y-prev.y)/left})
			}
			a.at = append(a.at, p)
		}
	}
	for _, a := range order {
		if len(a.at) >= 10 {
			t.animals = append(t.animals, recorded{a.first, smooth(a.at, 7)})
		}
	}
	t.aim()
	t.axis = axis(t.animals)
	return t
}

// place maps a place of a look.
func (p plan) place(q point) point {
	s, c := math.Sincos(p.heading)
	return point{p.at.x + c*q.x - s*q.y, p.at.y + s*q.x + c*q.y}
}

// commonMotion is the turn and the shift that map places of the second look to the first one, by least squares over
// the animals of both that agree best.
func commonMotion(a, b map[int]point) (turn float64, shift point) {
	var pairs [][2]point
	for _, id := range sortedKeys(a) {
		if q, ok := b[id]; ok {
			pairs = append(pairs, [2]point{a[id], q})
		}
	}
	for range 2 {
		turn, shift = rigid(pairs)
		m := plan{at: shift, heading: turn}
		slices.SortStableFunc(pairs, func(p, q [2]point) int {
			if p[0].dist(m.place(p[1])) < q[0].dist(m.place(q[1])) {
				return -1
			}
			return 1
		})
		pairs = pairs[:max(3, len(pairs)*3/4)]
	}
	return turn, shift
}

// rigid fits a turn and a shift of the second places of pairs to the first ones.
func rigid(pairs [][2]point) (turn float64, shift point) {
	n := float64(len(pairs))
	var p, q point
	for _, k := range pairs {
		p, q = point{p.x + k[0].x/n, p.y + k[0].y/n}, point{q.x + k[1].x/n, q.y + k[1].y/n}
	}
	var dot, cross float64
	for _, k := range pairs {
		ax, ay, bx, by := k[0].x-p.x, k[0].y-p.y, k[1].x-q.x, k[1].y-q.y
		dot += ax*bx + ay*by
		cross += ay*bx - ax*by
	}
	turn = math.Atan2(cross, dot)
	m := plan{heading: turn}
	q = m.place(q)
	return turn, point{p.x - q.x, p.y - q.y}
}

func sortedKeys(m map[int]point) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// smooth is the mean over reach places to both sides.
func smooth(list []point, reach int) []point {
	out := make([]point, len(list))
	for i := range list {
		r := min(reach, i, len(list)-1-i)
		for _, p := range list[i-r : i+r+1] {
			out[i].x += p.x / float64(2*r+1)
			out[i].y += p.y / float64(2*r+1)
		}
	}
	return out
}

// axis is the direction in which the animals are spread most: that of the lane they walk in.
func axis(list []recorded) float64 {
	var n, x, y, xx, xy, yy float64
	for _, a := range list {
		p := a.at[len(a.at)/2]
		n, x, y, xx, xy, yy = n+1, x+p.x, y+p.y, xx+p.x*p.x, xy+p.x*p.y, yy+p.y*p.y
	}
	if n == 0 {
		return 0
	}
	return math.Atan2(2*(xy-x*y/n), (xx-x*x/n)-(yy-y*y/n)) / 2
}

// aim finds the middle of the animals at each look, and smooths it and the turns over about a second.
func (t *Tracks) aim() {
	sums, n := make([]point, len(t.turns)), make([]float64, len(t.turns))
	for _, a := range t.animals {
		for i, p := range a.at {
			k := a.first + i
			sums[k], n[k] = point{sums[k].x + p.x, sums[k].y + p.y}, n[k]+1
		}
	}
	turns := make([]point, len(t.turns))
	for k := range sums {
		if n[k] > 0 {
			sums[k] = point{sums[k].x / n[k], sums[k].y / n[k]}
		} else if k > 0 {
			sums[k] = sums[k-1]
		}
		turns[k].x = t.turns[k]
	}
	t.aims = smooth(sums, 8)
	for k, p := range smooth(turns, 5) {
		t.turns[k] = p.x
	}
}

// Animals is the number of animals of the recording, and Seconds its length.
func (t *Tracks) Animals() int { return len(t.animals) }

// Seconds is the length of the recording that can be replayed.
func (t *Tracks) Seconds() float64 { return float64(len(t.turns)-1) * recordStep / recordFPS }
