package flight

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
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

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Steps) UnmarshalJSON(text []byte) error {
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxStepBytes))
	if err != nil {
		return fmt.Errorf("steps: %w", err)
	}
	r := stepReader{b: b}
	if v := r.byte(); v != stepVersion {
		return fmt.Errorf("steps: version %d cannot be read", v)
	}
	n := r.uvarint(maxSteps)
	out := make(Steps, 0, min(n, len(b)))
	for range n {
		r.step()
		if r.bad {
			return fmt.Errorf("steps: step %d: %w", len(out), errStep)
		}
		out = append(out, r.last)
	}
	*s = out
	return nil
}

var errStep = errors.New("it is cut short, or a value is outside of its range")

// stepReader reads records. bad is set at the first fault, and from then on everything is 0.
type stepReader struct {
	b      []byte
	last   crossing.Step
	micros int64
	tiles  []motion.Rect
	bad    bool
}

func (r *stepReader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *stepReader) uvarint(most int) int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(most) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *stepReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || v > 1e15 || v < -1e15 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *stepReader) float() float64 {
	if len(r.b) < 4 {
		r.bad, r.b = true, nil
		return 0
	}
	v := float64(math.Float32frombits(binary.LittleEndian.Uint32(r.b)))
	r.b = r.b[4:]
	if !(math.Abs(v) <= farthest) {
		r.bad = true
	}
	return v
}

// step reads the next step into last.
func (r *stepReader) step() {
	flags := r.byte()
	s := &r.last
	before := s.Frame
	if s.Width == 0 {
		before = -1
	}
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
	back := t.Then(t.Inverse()).Apply(motion.Point{X: 1, Y: 1})
	if s.Frame <= before || s.Frame > 1<<31 || s.Width < 1 || s.Height < 1 || s.Pose.Segment < 0 ||
		s.Pose.Segment > 1<<31 || !(math.Abs(s.Seconds) <= farthest) || !(math.Hypot(back.X-1, back.Y-1) < 1) {
		r.bad = true
	}
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
