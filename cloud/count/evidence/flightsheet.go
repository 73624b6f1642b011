package evidence

import (
	"errors"
	"strconv"

	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// PartGround is the ground of one part of a flight.
type PartGround struct {
	// Read returns Evidence.Ground of the part, nil when it left none.
	Read func() ([]byte, error)
	// Frames and Seconds are where the part begins in the flight.
	Frames  int
	Seconds float64
	// Place tells where a segment of the part lies: the segment of the flight, and ground of the part -> ground of the
	// flight.
	Place func(segment int) (int, motion.Transform)
}

// flightBudget bounds the pictures of all parts of a flight in bytes.
const flightBudget = 64 << 20

// FlightSheet draws the count sheet of a flight as JPEG: the ground of all parts in one picture, with every counted animal
// marked once. t has the tracks of the flight, in its frames, seconds and ground; the animals are numbered from 1 in the
// order of t.Counted. It is nil when no part left pictures. A part whose pictures are not the ground of a clip is left out,
// as one without any; the sheet says how many there are. Errors of Read are returned.
//
// The size is that of a sheet of one clip: at most 6000 pixels a side. At most 64 MB of pictures are held at a time.
func FlightSheet(name string, t tally.Result, parts []PartGround) ([]byte, error) {
	g := newGround()
	without := 0
	for _, p := range parts {
		b, err := p.Read()
		if err != nil {
			return nil, err
		}
		var keys []*key
		if b != nil {
			if keys, err = decodeGround(b); err != nil && !errors.Is(err, ErrGround) {
				return nil, err
			}
		}
		if len(keys) == 0 {
			without++
			continue
		}
		g.keys = append(g.keys, p.lay(fitKeys(keys, min(keptBudget, flightBudget/len(parts))))...)
	}
	for len(g.keys) > mostKeys {
		g.keys = everySecond(g.keys)
	}
	c := newCrops()
	return g.draw(name, t, &sheet{crops: &c, without: without,
		number: func(i int, _ *track.Track) string { return strconv.Itoa(i + 1) }})
}

// lay brings the pictures of a part onto the ground of the flight. Those that have no place there are left out.
func (p PartGround) lay(keys []*key) []*key {
	var out []*key
	for _, k := range keys {
		segment, to := p.Place(k.segment)
		k.segment, k.toGround = segment, k.toGround.Then(to)
		k.toFrame = k.toGround.Inverse()
		k.frame, k.seconds = k.frame+p.Frames, k.seconds+p.Seconds
		if k.sound() {
			out = append(out, k)
		}
	}
	return out
}
