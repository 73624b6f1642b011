// Package young tells adults and young animals apart by their length on the ground relative to the herd. It is pure Go
// and does no I/O.
//
// The length of an animal follows from the sides of its box: seen from above, an animal has a known slenderness, and the
// ratio of the sides gives its direction. The lengths of a herd are a mixture of two normal distributions of their
// logarithms, fitted by expectation and maximization within bounds that cattle keep to. One distribution is enough
// unless two are clearly better (Schwarz, "Estimating the Dimension of a Model", 1978). From the side, and of few
// animals, there is no answer.
package young

import (
	"maps"
	"math"
	"slices"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// Reasons why there is no answer.
const (
	TooFew  = "too-few" // animals that were seen whole
	Oblique = "oblique" // the camera looks from the side: far animals are small
)

// Herd is the result for the counted animals of one clip.
type Herd struct {
	// Unknown is why there is no answer, "" otherwise.
	Unknown string
	// Young and Adults are the animals by the more probable class. Unmeasured were never seen whole.
	Young, Adults, Unmeasured int
	// Low and High bound the young among the measured animals, a 95 % interval.
	Low, High int
	// Probability is that of being young by ID of the track; it lacks the unmeasured ones.
	Probability map[int]float64
}

// Measurer notes the scale of the frames of one clip. The zero value is ready to use. It is not safe for concurrent
// use.
type Measurer struct {
	frames map[int]frame
	width  float64
	height float64
}

// frame is what a detection needs to be measured.
type frame struct {
	segment int
	scale   float64 // ground pixels per frame pixel, at the centre
}

// Add notes the place of a frame in which animals were looked for.
func (m *Measurer) Add(index, width, height int, p motion.Pose) {
	if m.frames == nil {
		m.frames = map[int]frame{}
	}
	m.Join(p)
	m.width, m.height = float64(width), float64(height)
	if p.Inliers > 0 {
		m.frames[index] = frame{p.Segment, p.ToGround.ScaleAt(motion.Point{X: m.width / 2, Y: m.height / 2})}
	}
}

// Join notes that a segment was recognised as a part of another one. Call it for poses that Add does not get.
func (m *Measurer) Join(p motion.Pose) {
	if p.Joined == nil {
		return
	}
	for i, f := range m.frames {
		if f.segment == p.Joined.From {
			m.frames[i] = frame{p.Joined.To, f.scale * p.Joined.Map.Scale()}
		}
	}
}

// sighting is one measured detection.
type sighting struct {
	length float64 // in ground pixels
	pixels float64 // in pixels of the frame
	y      float64 // share of the height of the frame
}

const (
	leastAnimals = 12   // measured ones
	leastSeen    = 2    // whole detections of a measured animal
	slender      = 0.36 // breadth of an animal as a share of its length, both by the box of an animal that stands straight
	edge         = 4    // pixels from the edge of the frame within which a box may be cut
	mostOblique  = 1.3  // ratio of the lengths at the bottom and at the top of the picture
)

// Judge tells adults and young among the counted animals apart.
func (m *Measurer) Judge(counted []*track.Track) Herd {
	type animal struct {
		id, segment int
		log         float64
	}
	var animals []animal
	var all []sighting
	for _, t := range counted {
		seen := m.sightings(t)
		if len(seen) < leastSeen {
			continue
		}
		lengths := make([]float64, len(seen))
		for i, s := range seen {
			lengths[i] = s.length
		}
		all = append(all, middle(seen))
		animals = append(animals, animal{t.ID, t.Segment, math.Log(median(lengths))})
	}
	h := Herd{Unmeasured: len(counted) - len(animals), Probability: map[int]float64{}}
	if slope := steepness(all); slope > math.Log(mostOblique) {
		return Herd{Unknown: Oblique, Unmeasured: len(counted)}
	}
	bySegment := map[int][]float64{} // the scales of segments are unrelated
	for _, a := range animals {
		bySegment[a.segment] = append(bySegment[a.segment], a.log)
	}
	measured := 0
	mean, variance := 0.0, 0.0
	for _, segment := range slices.Sorted(maps.Keys(bySegment)) { // in order: sums of floats depend on it
		logs := bySegment[segment]
		if len(logs) < leastAnimals {
			continue
		}
		x := fit(logs)
		for _, a := range animals {
			if a.segment == segment {
				p := x.young(a.log)
				h.Probability[a.id] = p
				mean, variance = mean+p, variance+p*(1-p)
				measured++
				if p > 0.5 {
					h.Young++
				} else {
					h.Adults++
				}
			}
		}
	}
	if measured == 0 {
		return Herd{Unknown: TooFew, Unmeasured: len(counted)}
	}
	h.Unmeasured = len(counted) - measured
	// Young animals of the length of adults are not recognized. In simulated herds with young animals of all ages the
	// number is wrong by about a fifth.
	const doubt, least = 0.2, 0.7
	half := 1.96 * math.Sqrt(variance+doubt*mean*doubt*mean+least*least)
	h.Low = max(0, min(h.Young, int(math.Floor(mean-half))))
	h.High = min(measured, max(h.Young, int(math.Ceil(mean+half))))
	return h
}

// sightings measures the whole detections of a track.
func (m *Measurer) sightings(t *track.Track) []sighting {
	var list []sighting
	for _, f := range t.Way {
		b := f.Box
		at, ok := m.frames[f.Frame]
		if !ok || at.segment != t.Segment || b.X1 < edge || b.Y1 < edge || float64(b.X2) > m.width-edge ||
			float64(b.Y2) > m.height-edge {
			continue
		}
		l := length(b)
		list = append(list, sighting{l * at.scale, l, float64(b.Y1+b.Y2) / 2 / m.height})
	}
	return list
}

// middle is the mean of the detections of an animal.
func middle(seen []sighting) sighting {
	var m sighting
	for _, s := range seen {
		m.pixels, m.y = m.pixels+s.pixels/float64(len(seen)), m.y+s.y/float64(len(seen))
	}
	return m
}

// length is the length of an animal in a box in pixels. With the direction a, a box has the sides
// L*(|cos a| + s*|sin a|) and L*(|sin a| + s*|cos a|) for the slenderness s.
func length(b detect.Box) float64 {
	w, h := float64(b.Width()), float64(b.Height())
	c, s := max(0, w-slender*h), max(0, h-slender*w)
	return math.Hypot(c, s) / (1 - slender*slender)
}

// steepness is by how much the logarithm of the length in pixels changes from the top of the picture to its bottom, by
// the regression line through the animals; 0 where it may be chance.
func steepness(animals []sighting) float64 {
	n, my, ml := float64(len(animals)), 0.0, 0.0
	for _, a := range animals {
		my, ml = my+a.y/n, ml+math.Log(a.pixels)/n
	}
	var yy, yl, ll float64
	for _, a := range animals {
		dy, dl := a.y-my, math.Log(a.pixels)-ml
		yy, yl, ll = yy+dy*dy, yl+dy*dl, ll+dl*dl
	}
	if n < leastAnimals || yy < 1e-3*n {
		return 0
	}
	slope := yl / yy
	doubt := math.Sqrt(max(0, ll-slope*yl) / (n - 2) / yy)
	const sure = 3
	if math.Abs(slope) < sure*doubt {
		return 0
	}
	return math.Abs(slope)
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}
