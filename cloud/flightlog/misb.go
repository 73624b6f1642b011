package flightlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"
)

// MISB ST 0601 is the metadata of military and public-safety drones: packets of a key, a length and items, each of
// a tag, a length and a number that is mapped to a range.

// misbKey starts a packet (ST 0601, section 6.2).
var misbKey = []byte{0x06, 0x0e, 0x2b, 0x34, 0x02, 0x0b, 0x01, 0x01, 0x0e, 0x01, 0x03, 0x01, 0x01, 0, 0, 0}

// misbTag is one item of the standard: a number of size bytes, mapped to a range.
type misbTag struct {
	size     int
	signed   bool
	from, to float64
}

// The tags that are read.
const (
	misbChecksum = 1
	misbTime     = 2
	misbTail     = 4
	misbHeading  = 5
	misbPitch    = 6
	misbRoll     = 7
	misbPlatform = 10
	misbLat      = 13
	misbLon      = 14
	misbAlt      = 15
	misbHFOV     = 16
	misbVFOV     = 17
	misbAzimuth  = 18
	misbElev     = 19
	misbRelRoll  = 20
	misbHeight   = 75 // above the ellipsoid
	misbPitch90  = 90 // of the full range
	misbRoll90   = 91
)

var misbTags = map[int]misbTag{
	misbHeading: {2, false, 0, 360}, misbPitch: {2, true, -20, 20}, misbRoll: {2, true, -50, 50},
	misbLat: {4, true, -90, 90}, misbLon: {4, true, -180, 180}, misbAlt: {2, false, -900, 19000},
	misbHFOV: {2, false, 0, 180}, misbVFOV: {2, false, 0, 180}, misbAzimuth: {4, false, 0, 360}, misbElev: {4, true,
		-180, 180},
	misbRelRoll: {4, false, 0, 360}, misbHeight: {2, false, -900, 19000}, misbPitch90: {4, true, -90, 90},
	misbRoll90: {4, true, -90, 90},
}

// number maps the bytes of an item; NaN for the value that means "out of range" and for a wrong length.
func (t misbTag) number(b []byte) float64 {
	if len(b) != t.size {
		return math.NaN()
	}
	bits := uint(8 * t.size)
	var raw uint64
	for _, c := range b {
		raw = raw<<8 | uint64(c)
	}
	if !t.signed {
		return t.from + (t.to-t.from)*float64(raw)/float64(uint64(1)<<bits-1)
	}
	if raw == 1<<(bits-1) {
		return math.NaN()
	}
	v := float64(int64(raw<<(64-bits)) >> (64 - bits))
	return v * (t.to - t.from) / float64(uint64(1)<<bits-2)
}

// berLength reads a length (ISO/IEC 8825-1). n is 0 where it is broken.
func berLength(b []byte) (length, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	if b[0] < 0x80 {
		return int(b[0]), 1
	}
	size := int(b[0] & 0x7f)
	if size == 0 || size > 4 || len(b) <= size {
		return 0, 0
	}
	for _, c := range b[1 : 1+size] {
		length = length<<8 | int(c)
	}
	return length, 1 + size
}

// misbPackets calls do for the items of every packet in b, and fault for what is broken.
func misbPackets(b []byte, do func(map[int][]byte), fault func(string)) {
	for {
		at := bytes.Index(b, misbKey)
		if at < 0 {
			return
		}
		b = b[at:]
		length, n := berLength(b[len(misbKey):])
		start := len(misbKey) + n
		if n == 0 || length > len(b)-start {
			fault("a packet is cut")
			return
		}
		packet := b[:start+length]
		items, err := misbItems(packet, start)
		if err != nil {
			fault(err.Error())
		} else {
			do(items)
		}
		b = b[start+length:]
	}
}

// misbItems reads the items of a packet, whose first item is at start, and checks the sum.
func misbItems(packet []byte, start int) (map[int][]byte, error) {
	items := map[int][]byte{}
	for at := start; at < len(packet); {
		tag := 0
		for at < len(packet) && packet[at]&0x80 != 0 && tag < 1<<16 {
			tag = (tag | int(packet[at]&0x7f)) << 7
			at++
		}
		if at == len(packet) {
			return nil, fmt.Errorf("an item is cut")
		}
		tag |= int(packet[at] & 0x7f)
		length, n := berLength(packet[at+1:])
		value := at + 1 + n
		if n == 0 || length > len(packet)-value {
			return nil, fmt.Errorf("item %d is cut", tag)
		}
		items[tag] = packet[value : value+length]
		if tag == misbChecksum && length == 2 {
			var sum uint16
			for i, c := range packet[:value] {
				sum += uint16(c) << (8 * uint((i+1)%2))
			}
			if sum != binary.BigEndian.Uint16(packet[value:]) {
				return nil, fmt.Errorf("the checksum of a packet is wrong")
			}
		}
		at = value + length
	}
	return items, nil
}

// misbSample reads a packet.
func misbSample(items map[int][]byte, l *Log) Sample {
	s := NewSample(0)
	number := func(tags ...int) float64 {
		for _, tag := range tags {
			if b, ok := items[tag]; ok {
				if v := misbTags[tag].number(b); !math.IsNaN(v) {
					return v
				}
			}
		}
		return math.NaN()
	}
	text := func(tag int) string {
		return strings.TrimSpace(strings.ToValidUTF8(string(items[tag][:min(len(items[tag]), 64)]), ""))
	}
	if b := items[misbTime]; len(b) == 8 {
		if us := binary.BigEndian.Uint64(b); us < math.MaxInt64/2 {
			if at := time.UnixMicro(int64(us)).UTC(); at.Year() >= oldest && at.Year() < 2200 {
				s.Time, l.Zone = at, UTC
			}
		}
	}
	if name := text(misbPlatform); name != "" {
		l.Model = name
	}
	if name := text(misbTail); name != "" {
		l.Serial = name
	}
	s.Lat, s.Lon, s.AbsAlt = number(misbLat), number(misbLon), number(misbAlt, misbHeight)
	s.HFOV, s.VFOV = number(misbHFOV), number(misbVFOV)
	s.Body = Attitude{Yaw: turn(number(misbHeading)), Pitch: number(misbPitch90, misbPitch), Roll: number(misbRoll90,
		misbRoll)}
	s.Camera = mounted(s.Body, Attitude{Yaw: number(misbAzimuth), Pitch: number(misbElev), Roll: number(misbRelRoll)})
	return s
}

// mounted is how a camera is turned that is turned by on within an aircraft that is turned by body: rotations by yaw,
// pitch and roll in this order. Rolls and pitches that are not known are 0; without both yaws nothing is known.
func mounted(body, on Attitude) Attitude {
	if math.IsNaN(body.Yaw) || math.IsNaN(on.Yaw) || math.IsNaN(on.Pitch) {
		return Unknown()
	}
	m := product(rotation(body), rotation(on))
	const degrees = 180 / math.Pi
	a := Attitude{Pitch: -degrees * math.Asin(min(max(m[2][0], -1), 1))}
	if math.Abs(m[2][0]) > 0.99999 { // straight down or up: the upper edge of the picture has the direction
		a.Yaw = degrees * math.Atan2(m[2][0]*-m[1][2], m[2][0]*-m[0][2])
		return a
	}
	a.Yaw = degrees * math.Atan2(m[1][0], m[0][0])
	a.Roll = degrees * math.Atan2(m[2][1], m[2][2])
	return a
}

type matrix [3][3]float64

// rotation is by yaw about down, pitch about right and roll about forward.
func rotation(a Attitude) matrix {
	sin := func(v float64) (float64, float64) {
		if math.IsNaN(v) {
			v = 0
		}
		return math.Sincos(v * math.Pi / 180)
	}
	sy, cy := sin(a.Yaw)
	sp, cp := sin(a.Pitch)
	sr, cr := sin(a.Roll)
	return matrix{
		{cy * cp, cy*sp*sr - sy*cr, cy*sp*cr + sy*sr},
		{sy * cp, sy*sp*sr + cy*cr, sy*sp*cr - cy*sr},
		{-sp, cp * sr, cp * cr},
	}
}

func product(a, b matrix) (m matrix) {
	for i := range 3 {
		for j := range 3 {
			for k := range 3 {
				m[i][j] += a[i][k] * b[k][j]
			}
		}
	}
	return m
}
