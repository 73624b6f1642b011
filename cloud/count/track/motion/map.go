package motion

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math"
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
	picture  *gray
}

// Empty reports whether the map has no keyframe.
func (m Map) Empty() bool { return len(m.keys) == 0 }

const (
	mapSide    = 480 // pixels of the longer side of a picture
	mapKeys    = 400 // keyframes in an encoded map; a longer clip keeps every second one, and so on
	mapVersion = 1
	mapQuality = 80      // of JPEG
	mapLargest = 1 << 26 // bytes of an encoded map
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
	Bytes    uint32
}

// MarshalBinary encodes the map: at most 400 pictures of at most 480 pixels as JPEG, a few megabytes for a flight of
// 20 minutes.
func (m Map) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	h := mapHeader{Magic: mapMagic, Version: mapVersion, Keys: uint16(len(m.keys)), Width: uint32(m.Width),
		Height: uint32(m.Height)}
	if err := binary.Write(&b, binary.LittleEndian, h); err != nil {
		return nil, err
	}
	for _, k := range m.keys {
		var pic bytes.Buffer
		img := &image.Gray{Pix: k.picture.pix, Stride: k.picture.w, Rect: image.Rect(0, 0, k.picture.w, k.picture.h)}
		if err := jpeg.Encode(&pic, img, &jpeg.Options{Quality: mapQuality}); err != nil {
			return nil, fmt.Errorf("map of the ground: picture of a keyframe: %w", err)
		}
		t := k.toGround
		r := mapRecord{Segment: uint32(k.segment), ToGround: [8]float64{t.A, t.B, t.TX, t.TY, t.C, t.D, t.PX, t.PY},
			Bytes: uint32(pic.Len())}
		if err := binary.Write(&b, binary.LittleEndian, r); err != nil {
			return nil, err
		}
		b.Write(pic.Bytes())
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
	if d := t.matrix().det(); !(math.Abs(d) > 1e-9 && math.Abs(d) < 1e9) || rec.Segment > math.MaxInt32 {
		return mapKey{}, errors.New("its place is not valid")
	}
	for _, x := range v {
		if math.IsNaN(x) || math.Abs(x) > 1e9 {
			return mapKey{}, errors.New("its place is not valid")
		}
	}
	if int64(rec.Bytes) > int64(r.Len()) {
		return mapKey{}, errors.New("its picture is cut short")
	}
	pic := make([]byte, rec.Bytes)
	if _, err := r.Read(pic); err != nil {
		return mapKey{}, err
	}
	g, err := readPicture(pic)
	if err != nil {
		return mapKey{}, err
	}
	return mapKey{segment: int(rec.Segment), toGround: t, picture: g}, nil
}

func readPicture(pic []byte) (*gray, error) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(pic))
	if err != nil {
		return nil, err
	}
	if c.Width < 1 || c.Height < 1 || c.Width > mapSide || c.Height > mapSide {
		return nil, fmt.Errorf("its picture has %dx%d pixels, at most %d are read", c.Width, c.Height, mapSide)
	}
	img, err := jpeg.Decode(bytes.NewReader(pic))
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

// Alignment is a join between two maps, with how sure it is.
type Alignment struct {
	Join
	// Confidence is 0..1: 0.5 for the weakest join that is reported, above 0.9 for one that pictures of several places
	// confirm.
	Confidence float64
}

// Align returns how the segments of b lie in the ground of a: at most one alignment for each segment of b, From is a
// segment of b and To a segment of a. A segment without a place in a is absent. The result is empty when nothing fits:
// a false alignment is worse than none. Pictures of both maps may have different sizes; the alignment is in the ground
// pixels of the two clips.
func Align(a, b Map) []Alignment { return nil }

// Map returns the known ground of the clip so far. It shares no memory with the Registrar.
func (r *Registrar) Map() Map { return Map{} }
