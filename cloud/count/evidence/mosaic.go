package evidence

import (
	"errors"
	"image"
	"math"

	"cattlecounter/cloud/count/track/motion"
)

// MosaicPart is the ground of one recording in a mosaic.
type MosaicPart struct {
	// Read returns Evidence.Ground of the part, nil when it left none.
	Read func() ([]byte, error)
	// Lay tells where a frame lies: its pixels -> the plane of the mosaic, and the first row of the frame that is used. false
	// leaves it out.
	Lay func(frame int, seconds float64) (toPlane motion.Transform, top float64, ok bool)
}

// MosaicMark is a counted animal at a place of the plane.
type MosaicMark struct {
	At   motion.Point
	Text string
}

// Mosaic is the ground of recordings in a plane that the caller chooses, without a title or a legend, for maps.
type Mosaic struct {
	Width, Height int          // pixels
	Corner        motion.Point // the upper left corner of the upper left pixel in the plane
	Step          float64      // units of the plane per pixel
	Pictures      int
	Without       int // parts that left no pictures, or none that has a place
	keys          []*key
	marks         []MosaicMark
}

// Limits of a mosaic.
const (
	mosaicPixels = 48 << 20
	mosaicSide   = 16_000 // stroke draws no farther
	markRadius   = 9      // pixels
	rowsMargin   = 2 * markRadius
)

// ErrNoPictures marks a mosaic without pictures. Compare with errors.Is.
var ErrNoPictures = errors.New("no picture of the ground")

// NewMosaic lays out the pictures of all parts, at the scale of the finest, with every mark. It has at most 50 million
// pixels and 16,000 a side. Errors of Read are returned; its own wrap ErrNoPictures.
func NewMosaic(parts []MosaicPart, marks []MosaicMark) (*Mosaic, error) {
	m := &Mosaic{marks: marks}
	low, high := motion.Point{X: math.Inf(1), Y: math.Inf(1)}, motion.Point{X: math.Inf(-1), Y: math.Inf(-1)}
	for _, p := range parts {
		keys, err := p.lay(min(keptBudget, flightBudget/max(1, len(parts))))
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 {
			m.Without++
		}
		m.keys = append(m.keys, keys...)
	}
	for len(m.keys) > mostKeys {
		m.keys = everySecond(m.keys)
	}
	m.Pictures = len(m.keys)
	if len(m.keys) == 0 {
		return nil, ErrNoPictures
	}
	m.Step = math.Inf(1)
	for _, k := range m.keys {
		for _, c := range k.used().corners() {
			q := k.toGround.Apply(c)
			low, high = motion.Point{X: min(low.X, q.X), Y: min(low.Y, q.Y)}, motion.Point{X: max(high.X, q.X), Y: max(high.Y, q.Y)}
		}
		middle := motion.Point{X: k.width / 2, Y: (k.top + k.height) / 2}
		m.Step = min(m.Step, k.toGround.ScaleAt(middle)*k.width/float64(k.size.X))
	}
	wide, tall := high.X-low.X, high.Y-low.Y
	m.Step = max(m.Step, math.Sqrt(wide*tall/mosaicPixels), wide/(mosaicSide-1), tall/(mosaicSide-1))
	m.Width, m.Height, m.Corner = int(math.Ceil(wide/m.Step)), int(math.Ceil(tall/m.Step)), low
	if !(m.Step > 0) || m.Width < 1 || m.Height < 1 || m.Width > mosaicSide || m.Height > mosaicSide {
		return nil, ErrNoPictures
	}
	return m, nil
}

// lay reads the pictures of a part and brings them onto the plane. A damaged ground is as one without pictures.
func (p MosaicPart) lay(budget int) ([]*key, error) {
	b, err := p.Read()
	if err != nil || b == nil {
		return nil, err
	}
	keys, err := decodeGround(b)
	if err != nil && !errors.Is(err, ErrGround) {
		return nil, err
	}
	var out []*key
	for _, k := range fitKeys(keys, budget) {
		to, top, ok := p.Lay(k.frame, k.seconds)
		if !ok {
			continue
		}
		k.toGround, k.toFrame, k.top = to, to.Inverse(), top
		if k.sound() && top >= 0 && top < k.height {
			out = append(out, k)
		}
	}
	return out, nil
}

// used is the part of the frame that is shown.
func (k *key) used() rect { return rect{0, k.top, k.width, k.height} }

// Rows draws some rows. Pixels of ground that no picture shows have no alpha.
func (m *Mosaic) Rows(top, bottom int) (*image.RGBA, error) {
	p := piece{at: image.Rect(0, top, m.Width, bottom),
		toSheet: motion.Transform{A: 1 / m.Step, TX: -m.Corner.X / m.Step, TY: -m.Corner.Y / m.Step}}
	s := &sheet{img: image.NewRGBA(p.at)}
	nearest := make([]uint8, p.at.Dx()*p.at.Dy())
	for i := range nearest {
		nearest[i] = math.MaxUint8
	}
	for _, k := range m.keys {
		if err := s.drawKey(&p, k, nearest); err != nil {
			return nil, err
		}
	}
	whole := image.Rect(0, 0, m.Width, m.Height)
	for _, mark := range m.marks {
		at := p.toSheet.Apply(mark.At)
		if !(at.X >= 0 && at.Y >= 0 && at.X < float64(m.Width) && at.Y < float64(m.Height)) ||
			at.Y < float64(top)-4*rowsMargin || at.Y > float64(bottom)+4*rowsMargin {
			continue
		}
		ring(s.img, at)
		l := lettering(textSize)
		name := plateFor(whole, l, int(at.X)+markRadius+2, int(at.Y)-markRadius, mark.Text)
		drawPlate(s.img, l, name, mark.Text, amber)
	}
	return s.img, nil
}

// ring draws a circle around a place, which leaves the animal visible.
func ring(img *image.RGBA, at motion.Point) {
	const corners = 24
	var list [corners]motion.Point
	for i := range list {
		s, c := math.Sincos(2 * math.Pi * float64(i) / corners)
		list[i] = motion.Point{X: at.X + markRadius*c, Y: at.Y + markRadius*s}
	}
	for i := range list {
		stroke(img, list[i], list[(i+1)%corners], 4, dark)
	}
	for i := range list {
		stroke(img, list[i], list[(i+1)%corners], 2, amber)
	}
}
