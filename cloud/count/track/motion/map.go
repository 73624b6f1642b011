package motion

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math"
	"slices"
)

// Map is the known ground of a clip: small pictures of its keyframes with their places, by segment. The zero value is
// an empty map. It is safe for concurrent reading.
type Map struct {
	// Width and Height are the size of the clip's frames in pixels. Ground coordinates are in these pixels.
	Width, Height int
	keys          []mapKey // in order of time
}

// mapKey is one keyframe of a map.
type mapKey struct {
	segment  int
	toGround Transform // pixels of the frame -> ground
	picture  []byte    // JPEG of level 1
	hidden   []byte    // the squares of the mask, a bit each
}

// Empty reports whether the map has no keyframe.
func (m Map) Empty() bool { return len(m.keys) == 0 }

const (
	mapSide    = workSide / 2 // pixels of the longer side of a picture, at most
	mapLeast   = 32           // pixels of the shorter side
	mapKeys    = 400          // keyframes; a longer clip keeps every second one of the middle, and so on
	mapEnds    = 16           // keyframes at both ends that are always kept
	mapVersion = 1
	mapQuality = 70      // of JPEG
	mapLargest = 1 << 25 // bytes of an encoded map
	frameSide  = 1 << 15 // pixels, the largest frame
)

var mapMagic = [4]byte{'C', 'M', 'A', 'P'}

// mapHeader begins an encoded map; mapRecord and a JPEG picture follow for each keyframe. All is little endian.
type mapHeader struct {
	Magic         [4]byte
	Version       uint16
	Keys          uint16
	Width, Height uint32
}

type mapRecord struct {
	Segment  uint32
	ToGround [8]float64
	Picture  uint32 // bytes
	Hidden   uint32 // bytes
}

// MarshalBinary encodes the map: at most 400 pictures of at most 320 pixels as JPEG, about 5 megabytes for a flight of
// 20 minutes.
func (m Map) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	h := mapHeader{Magic: mapMagic, Version: mapVersion, Keys: uint16(len(m.keys)), Width: uint32(m.Width),
		Height: uint32(m.Height)}
	if err := binary.Write(&b, binary.LittleEndian, h); err != nil {
		return nil, err
	}
	for _, k := range m.keys {
		t := k.toGround
		r := mapRecord{Segment: uint32(k.segment), ToGround: [8]float64{t.A, t.B, t.TX, t.TY, t.C, t.D, t.PX, t.PY},
			Picture: uint32(len(k.picture)), Hidden: uint32(len(k.hidden))}
		if err := binary.Write(&b, binary.LittleEndian, r); err != nil {
			return nil, err
		}
		b.Write(k.picture)
		b.Write(k.hidden)
	}
	return b.Bytes(), nil
}

// ErrMap marks bytes that are not an encoded map. Compare with errors.Is.
var ErrMap = errors.New("not a map of the ground")

// UnmarshalBinary decodes what MarshalBinary returned. Its error wraps ErrMap. The map is unchanged after an error.
func (m *Map) UnmarshalBinary(data []byte) error {
	if len(data) > mapLargest {
		return fmt.Errorf("%w: %d bytes, at most %d are read", ErrMap, len(data), mapLargest)
	}
	r := bytes.NewReader(data)
	var h mapHeader
	if err := binary.Read(r, binary.LittleEndian, &h); err != nil {
		return fmt.Errorf("%w: header: %w", ErrMap, err)
	}
	if h.Magic != mapMagic || h.Version != mapVersion || h.Keys > mapKeys || h.Width > frameSide || h.Height > frameSide {
		return fmt.Errorf("%w: header %+v", ErrMap, h)
	}
	out := Map{Width: int(h.Width), Height: int(h.Height)}
	for i := range int(h.Keys) {
		k, err := readMapKey(r)
		if err != nil {
			return fmt.Errorf("%w: keyframe %d: %w", ErrMap, i, err)
		}
		out.keys = append(out.keys, k)
	}
	if r.Len() > 0 {
		return fmt.Errorf("%w: %d bytes after the last keyframe", ErrMap, r.Len())
	}
	*m = out
	return nil
}

func readMapKey(r *bytes.Reader) (mapKey, error) {
	var rec mapRecord
	if err := binary.Read(r, binary.LittleEndian, &rec); err != nil {
		return mapKey{}, err
	}
	v := rec.ToGround
	t := Transform{A: v[0], B: v[1], TX: v[2], TY: v[3], C: v[4], D: v[5], PX: v[6], PY: v[7]}
	if !t.valid() || rec.Segment > math.MaxInt32 {
		return mapKey{}, errors.New("its place is not valid")
	}
	if int64(rec.Picture)+int64(rec.Hidden) > int64(r.Len()) {
		return mapKey{}, errors.New("its picture is cut short")
	}
	k := mapKey{segment: int(rec.Segment), toGround: t, picture: make([]byte, rec.Picture),
		hidden: make([]byte, rec.Hidden)}
	for _, b := range [][]byte{k.picture, k.hidden} {
		if _, err := io.ReadFull(r, b); err != nil {
			return mapKey{}, err
		}
	}
	g, err := k.gray()
	if err != nil {
		return mapKey{}, err
	}
	if m := newMask(2*g.w, 2*g.h); len(k.hidden) != (len(m.hidden)+7)/8 {
		return mapKey{}, errors.New("its mask does not fit its picture")
	}
	return k, nil
}

// valid reports whether t can be inverted without an overflow.
func (t Transform) valid() bool {
	const largest = 1e9
	for _, x := range t.matrix() {
		if math.IsNaN(x) || math.Abs(x) > largest {
			return false
		}
	}
	d := math.Abs(t.matrix().det())
	return d > 1/largest && d < largest
}

// gray decodes the picture.
func (k mapKey) gray() (*gray, error) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(k.picture))
	if err != nil {
		return nil, err
	}
	if min(c.Width, c.Height) < mapLeast || max(c.Width, c.Height) > mapSide {
		return nil, fmt.Errorf("its picture has %dx%d pixels, at most %d are read", c.Width, c.Height, mapSide)
	}
	img, err := jpeg.Decode(bytes.NewReader(k.picture))
	if err != nil {
		return nil, err
	}
	y, ok := img.(*image.Gray)
	if !ok {
		return nil, errors.New("its picture is not gray")
	}
	g := &gray{w: c.Width, h: c.Height, pix: make([]byte, c.Width*c.Height)}
	for row := range g.h {
		copy(g.pix[row*g.w:(row+1)*g.w], y.Pix[row*y.Stride:])
	}
	return g, nil
}

// Map returns the known ground of the clip so far. It shares no memory with the Registrar.
func (r *Registrar) Map() Map {
	m := Map{Width: r.width, Height: r.height}
	keys := r.ground.keys
	if r.last != nil && (len(keys) == 0 || keys[len(keys)-1] != r.last) {
		keys = append(slices.Clip(keys), r.last)
	}
	work := Transform{A: 1 / r.factor}
	for _, k := range thinned(keys, mapKeys, mapEnds) {
		if len(k.pyr) < 2 || min(k.pyr[1].w, k.pyr[1].h) < mapLeast {
			continue
		}
		m.keys = append(m.keys, mapKey{segment: k.segment, toGround: work.Then(k.pose).Then(work.Inverse()),
			picture: k.pyr[1].jpeg(), hidden: k.hidden.bits()})
	}
	return m
}

// thinned keeps every second element between the ends until at most n are left.
func thinned[T any](list []T, n, ends int) []T {
	for len(list) > n {
		var o []T
		for i, k := range list {
			if i < ends || i >= len(list)-ends || i%2 == 0 {
				o = append(o, k)
			}
		}
		list = o
	}
	return list
}

func (g *gray) jpeg() []byte {
	var b bytes.Buffer
	img := &image.Gray{Pix: g.pix, Stride: g.w, Rect: image.Rect(0, 0, g.w, g.h)}
	_ = jpeg.Encode(&b, img, &jpeg.Options{Quality: mapQuality}) // fails only when the writer fails or for huge pictures
	return b.Bytes()
}

// bits packs the squares, eight in a byte.
func (m *mask) bits() []byte {
	b := make([]byte, (len(m.hidden)+7)/8)
	for i, h := range m.hidden {
		if h {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

func (m *mask) setBits(b []byte) {
	for i := range m.hidden {
		m.hidden[i] = b[i/8]>>(i%8)&1 == 1
	}
}
