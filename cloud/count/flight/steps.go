package flight

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track/motion"
)

// Steps are the steps of a recording in order of frame: the way of the camera, and where the detector looked. Lines and
// zones of the flight are judged on them. They need 10 to 25 bytes a step when encoded: below 200 kilobytes for 20 minutes.
type Steps []crossing.Step

const (
	maxSteps     = 1 << 17  // six hours; a longer recording leaves none
	maxLooked    = 1 << 12  // rectangles of one step
	maxStepBytes = 64 << 20 // before the compression
	stepVersion  = 1
	farthest     = 1e9 // of any number of a step
)

// Flags of an encoded step.
const (
	stepSize  = 1 << iota // the size of the frame follows
	stepWhole             // the detector looked at the whole frame
	stepTiles             // rectangles follow; without it and stepSame the detector looked at none
	stepSame              // the rectangles are the last ones that were encoded
	stepBent              // the pose is more than a similarity
)

// MarshalJSON writes the steps as one string: base64 of deflated records.
func (s Steps) MarshalJSON() ([]byte, error) {
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(s.records()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(packed.Bytes())
}

// records are the steps without compression. Whole numbers are differences to the step before as varints, in
// microseconds for the time. Poses are float32, which is exact to a hundredth of a pixel.
func (s Steps) records() []byte {
	b := binary.AppendUvarint([]byte{stepVersion}, uint64(len(s)))
	var last crossing.Step
	var micros int64
	var tiles []motion.Rect
	for _, c := range s {
		t := c.Pose.ToGround
		flags := byte(0)
		if c.Width != last.Width || c.Height != last.Height {
			flags |= stepSize
		}
		if !t.Similar() {
			flags |= stepBent
		}
		switch {
		case c.Looked == nil:
			flags |= stepWhole
		case len(c.Looked) > 0 && slices.Equal(c.Looked, tiles):
			flags |= stepSame
		case len(c.Looked) > 0:
			flags |= stepTiles
		}
		b = append(b, flags)
		at := int64(math.Round(c.Seconds * 1e6))
		b = binary.AppendVarint(b, int64(c.Frame-last.Frame))
		b = binary.AppendVarint(b, at-micros)
		b = binary.AppendVarint(b, int64(c.Pose.Segment-last.Pose.Segment))
		b = append(b, byte(math.Ceil(255*min(max(c.Pose.Inliers, 0), 1))))
		if flags&stepSize != 0 {
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.Width)), uint64(c.Height))
		}
		for _, v := range transformNumbers(t, flags) {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
		}
		if flags&stepTiles != 0 {
			tiles = c.Looked[:min(len(c.Looked), maxLooked)]
			b = binary.AppendUvarint(b, uint64(len(tiles)))
			for _, r := range tiles {
				for _, v := range []float64{r.X1, r.Y1, r.X2, r.Y2} {
					b = binary.AppendVarint(b, int64(math.Round(v)))
				}
			}
		}
		last, micros = c, at
	}
	return b
}

func transformNumbers(t motion.Transform, flags byte) []float64 {
	n := []float64{t.A, t.B, t.TX, t.TY, t.C, t.D, t.PX, t.PY}
	if flags&stepBent == 0 {
		return n[:4]
	}
	return n
}

// UnmarshalJSON reads what MarshalJSON wrote. It leaves out steps with a value outside of its range, and what follows a
// place where the steps are cut short.
func (s *Steps) UnmarshalJSON(text []byte) error {
	var p packedSteps
	if err := p.UnmarshalJSON(text); err != nil {
		return err
	}
	*s = p.steps
	return nil
}

// packedSteps are steps as they are stored, and how many of them cannot be used.
type packedSteps struct {
	steps Steps
	lost  int
}

// UnmarshalJSON is that of Steps.
func (p *packedSteps) UnmarshalJSON(text []byte) error {
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return err
	}
	if len(packed) == 0 {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxStepBytes))
	r := stepReader{b: b}
	v, n := r.byte(), 0
	switch {
	case len(b) == 0 && err != nil:
		return fmt.Errorf("steps: %w", err)
	case v != stepVersion:
		return fmt.Errorf("steps: version %d cannot be read", v)
	}
	if n = r.uvarint(maxSteps); r.cut {
		return fmt.Errorf("steps: their number is outside of 0 to %d", maxSteps)
	}
	p.steps = make(Steps, 0, min(n, len(b)))
	for range n {
		c, ok := r.step()
		if r.cut {
			break
		}
		if ok {
			p.steps = append(p.steps, c)
		}
	}
	p.lost = n - len(p.steps)
	return nil
}

// stepReader reads records. cut is set where they end too early, and from then on everything is 0.
type stepReader struct {
	b      []byte
	last   crossing.Step // as it was read, also when it is of no use: the next one is relative to it
	good   crossing.Step // the last one of use
	micros int64
	tiles  []motion.Rect
	cut    bool
}

func (r *stepReader) byte() byte {
	if len(r.b) == 0 {
		r.cut = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *stepReader) uvarint(most int) int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(most) {
		r.cut, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *stepReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || v > 1e15 || v < -1e15 {
		r.cut, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *stepReader) float() float64 {
	if len(r.b) < 4 {
		r.cut, r.b = true, nil
		return 0
	}
	v := float64(math.Float32frombits(binary.LittleEndian.Uint32(r.b)))
	r.b = r.b[4:]
	return v
}

// step reads the next step. ok is false for one with a value outside of its range.
func (r *stepReader) step() (next crossing.Step, ok bool) {
	flags := r.byte()
	s := &r.last
	s.Frame += int(r.varint())
	r.micros += r.varint()
	s.Seconds = float64(r.micros) / 1e6
	s.Pose = motion.Pose{Segment: s.Pose.Segment + int(r.varint()), Inliers: float64(r.byte()) / 255}
	if flags&stepSize != 0 {
		s.Width, s.Height = r.uvarint(1<<16), r.uvarint(1<<16)
	}
	t := &s.Pose.ToGround
	*t = motion.Transform{A: r.float(), B: r.float(), TX: r.float(), TY: r.float()}
	if flags&stepBent != 0 {
		t.C, t.D, t.PX, t.PY = r.float(), r.float(), r.float(), r.float()
	}
	switch {
	case flags&stepWhole != 0:
		s.Looked = nil
	case flags&stepSame != 0:
		s.Looked = r.tiles
	case flags&stepTiles != 0:
		r.tiles = make([]motion.Rect, 0, 8)
		for range r.uvarint(maxLooked) {
			r.tiles = append(r.tiles, motion.Rect{X1: float64(r.varint()), Y1: float64(r.varint()), X2: float64(r.varint()),
				Y2: float64(r.varint())})
		}
		s.Looked = r.tiles
	default:
		s.Looked = []motion.Rect{}
	}
	if ok = !r.cut && sound(*s, r.good); ok {
		r.good = *s
	}
	return *s, ok
}

// sound reports whether a step can be used after the one before, which has no width when it is the first one.
func sound(s, before crossing.Step) bool {
	t := s.Pose.ToGround
	for _, v := range [...]float64{t.A, t.B, t.TX, t.TY, t.C, t.D, t.PX, t.PY, s.Seconds} {
		if !(math.Abs(v) <= farthest) { // also not-a-number
			return false
		}
	}
	for _, r := range s.Looked {
		if !(max(math.Abs(r.X1), math.Abs(r.Y1), math.Abs(r.X2), math.Abs(r.Y2)) <= farthest) {
			return false
		}
	}
	back := t.Then(t.Inverse()).Apply(motion.Point{X: 1, Y: 1})
	return (s.Frame > before.Frame || before.Width == 0 && s.Frame >= 0) && s.Frame <= 1<<31 && s.Width >= 1 && s.Width <= 1<<16 &&
		s.Height >= 1 && s.Height <= 1<<16 && s.Pose.Segment >= 0 && s.Pose.Segment <= 1<<31 &&
		math.Hypot(back.X-1, back.Y-1) < 1
}

// sift returns the steps without those that cannot be used.
func (s Steps) sift() Steps {
	var before crossing.Step
	return keep(s, func(c crossing.Step) bool {
		ok := sound(c, before)
		if ok {
			before = c
		}
		return ok
	})
}

// keep returns the elements that are sound, and the list itself when all are.
func keep[E any](list []E, sound func(E) bool) []E {
	var out []E
	left := false
	for i, e := range list {
		ok := sound(e)
		if !ok && !left {
			left, out = true, append(out, list[:i]...)
		}
		if ok && left {
			out = append(out, e)
		}
	}
	if !left {
		return list
	}
	return out
}

// on returns the steps in the time and on the ground of a flight. place tells where a segment lies there.
func (s Steps) on(frames int, seconds float64, place func(segment int) place) []crossing.Step {
	out := slices.Clone(s)
	for i := range out {
		c := &out[i]
		at := place(c.Pose.Segment)
		c.Frame, c.Seconds = c.Frame+frames, c.Seconds+seconds
		c.Pose.Segment, c.Pose.ToGround = at.segment, c.Pose.ToGround.Then(at.to)
	}
	return out
}
