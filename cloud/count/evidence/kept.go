package evidence

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math"

	"cattlecounter/cloud/count/track/motion"
)

// Limits of the pictures that a clip leaves for the count sheet of its flight.
const (
	keptSide      = 640 // pixels
	leastKeptSide = 160
	keptQuality   = 80
	keptBudget    = 4 << 20 // bytes of all pictures
	// MaxGround is the most bytes of Evidence.Ground.
	MaxGround = 8 << 20
)

var (
	groundMagic = [4]byte{'C', 'G', 'N', 'D'}
	// ErrGround marks bytes that are not the ground of a clip. Compare with errors.Is.
	ErrGround = errors.New("not the ground of a clip")
)

const groundVersion = 1

// groundHeader begins an encoded ground. The list of pictures follows as JSON, then the pictures as JPEG. All is little
// endian.
type groundHeader struct {
	Magic   [4]byte
	Version uint32
	List    uint64 // bytes of the list
}

// keptKey is a picture in the list of an encoded ground.
type keptKey struct {
	Segment  int              `json:"segment"`
	ToGround motion.Transform `json:"to_ground"`
	Frame    int              `json:"frame"`
	Seconds  float64          `json:"seconds"`
	Width    float64          `json:"width"` // of the frame
	Height   float64          `json:"height"`
	Bytes    int              `json:"bytes"` // of the picture
}

// encode returns the small pictures in the form of decodeGround, nil without any. The same pictures have the same bytes.
func (g *ground) encode() ([]byte, error) {
	var keys []*key
	for _, k := range g.keys {
		if k.small != nil {
			c := *k
			c.jpeg, c.size = k.small, k.smallSize
			keys = append(keys, &c)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	keys = fitKeys(keys, keptBudget)
	list := make([]keptKey, 0, len(keys))
	for _, k := range keys {
		list = append(list, keptKey{k.segment, k.toGround, k.frame, k.seconds, k.width, k.height, len(k.jpeg)})
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("write the ground of a clip: %w", err)
	}
	var out bytes.Buffer
	if err := binary.Write(&out, binary.LittleEndian, groundHeader{groundMagic, groundVersion, uint64(len(text))}); err != nil {
		return nil, err
	}
	out.Write(text)
	for _, k := range keys {
		out.Write(k.jpeg)
	}
	return out.Bytes(), nil
}

// fitKeys makes pictures smaller, and then fewer, until they have at most so many bytes. It changes the keys.
func fitKeys(keys []*key, budget int) []*key {
	total := func() (n int) {
		for _, k := range keys {
			n += len(k.jpeg)
		}
		return n
	}
	if n := total(); n > budget {
		side := max(leastKeptSide, int(keptSide*math.Sqrt(float64(budget)/float64(n))*0.95))
		for _, k := range keys {
			img, err := decode(k.jpeg)
			if err != nil {
				continue
			}
			img = resized(img, side)
			if b, err := encode(img, keptQuality); err == nil && len(b) < len(k.jpeg) {
				k.jpeg, k.size = b, img.Rect.Size()
			}
		}
	}
	for total() > budget && len(keys) > 1 {
		keys = everySecond(keys)
	}
	return keys
}

func everySecond(keys []*key) []*key {
	var half []*key
	for i := 0; i < len(keys); i += 2 {
		half = append(half, keys[i])
	}
	return half
}

// decodeGround reads what encode wrote. Its error wraps ErrGround.
func decodeGround(b []byte) ([]*key, error) {
	bad := func(format string, args ...any) ([]*key, error) {
		return nil, fmt.Errorf("%w: %w", ErrGround, fmt.Errorf(format, args...))
	}
	var h groundHeader
	r := bytes.NewReader(b)
	if len(b) > MaxGround {
		return bad("%d bytes, at most %d are read", len(b), MaxGround)
	}
	if err := binary.Read(r, binary.LittleEndian, &h); err != nil {
		return bad("header: %w", err)
	}
	if h.Magic != groundMagic || h.Version != groundVersion || h.List > uint64(r.Len()) {
		return bad("header %+v", h)
	}
	b = b[len(b)-r.Len():]
	var list []keptKey
	if err := json.Unmarshal(b[:h.List], &list); err != nil {
		return bad("list: %w", err)
	}
	b = b[h.List:]
	keys := make([]*key, 0, min(len(list), mostKeys))
	for i, l := range list {
		if i == mostKeys || l.Bytes < 1 || l.Bytes > len(b) {
			return bad("picture %d of %d bytes, %d are left", i, l.Bytes, len(b))
		}
		k := &key{jpeg: b[:l.Bytes:l.Bytes], width: l.Width, height: l.Height, segment: l.Segment, toGround: l.ToGround,
			toFrame: l.ToGround.Inverse(), frame: l.Frame, seconds: l.Seconds}
		b = b[l.Bytes:]
		c, err := jpeg.DecodeConfig(bytes.NewReader(k.jpeg))
		if err != nil || c.Width > keptSide || c.Height > keptSide || !k.sound() {
			return bad("picture %d of %dx%d pixels at %+v: %w", i, c.Width, c.Height, l, errors.Join(err))
		}
		k.size = image.Pt(c.Width, c.Height)
		keys = append(keys, k)
	}
	return keys, nil
}

// sound reports whether all values of a stored picture are in their range.
func (k *key) sound() bool {
	const far, most = 1e9, 1 << 16
	t := k.toGround
	for _, v := range [...]float64{t.A, t.B, t.TX, t.TY, t.C, t.D, t.PX, t.PY, k.seconds, float64(k.frame)} {
		if !(math.Abs(v) <= far) { // also not-a-number
			return false
		}
	}
	back := t.Then(k.toFrame).Apply(motion.Point{X: 1, Y: 1})
	return k.width >= 1 && k.width <= most && k.height >= 1 && k.height <= most && k.segment >= 0 && k.segment <= 1<<31 &&
		math.Hypot(back.X-1, back.Y-1) < 1
}
