// Package boundary has the definitions of lines and zones in footage, and the totals that a count finds for them. A
// line counts the animals that cross it, a zone those that are in it. Flags, files, the REST API, the ledger and the
// worker use the same definitions. cloud/count/crossing judges them.
//
// # Directions
//
// A line leads from one end to the other, and both ends are points of the picture: x grows to the right, y grows
// downwards. A person who stands at "from" and looks towards "to" sees an animal cross from the left to the right: that
// is "in". From the right to the left is "out". A line from the left edge of the picture to its right edge therefore
// counts animals that move down in the picture as in, and animals that move up as out. A line from the top to the
// bottom counts animals that move left as in. To swap in and out, swap the ends.
//
// The package is pure Go and does no I/O. Its functions are safe for concurrent use.
package boundary

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// ErrInvalid marks definitions that cannot be used. The text names every fault.
var ErrInvalid = errors.New("lines and zones are not valid")

// Unit is what coordinates are measured in.
type Unit string

// Units. The empty unit is Share.
const (
	Share  Unit = "share" // of the width and the height of the picture: 0,0 is the left top, 1,1 the right bottom
	Pixels Unit = "pixel" // of the picture as decoded
)

// Frame is what a line or a zone is fixed to.
type Frame string

// Frames. The empty frame is Picture.
const (
	// Picture fixes it in the picture: it moves over the ground with the camera. It also counts animals that stand still
	// while the camera passes over them.
	Picture Frame = "picture"
	// Ground fixes it on the ground: it is drawn in the picture at one time of the clip, and moves in the picture when the
	// camera moves. It counts only animals that walk.
	Ground Frame = "ground"
	// geo is reserved for coordinates on the earth.
	geo Frame = "geo"
)

// Point is x and y.
type Point [2]float64

// UnmarshalJSON implements json.Unmarshaler. It takes exactly two numbers: encoding/json would ignore a third one and
// invent a second one.
func (p *Point) UnmarshalJSON(text []byte) error {
	var numbers []float64
	if err := json.Unmarshal(text, &numbers); err != nil {
		return err
	}
	if len(numbers) != len(p) {
		return fmt.Errorf("a point has %d numbers, want x and y", len(numbers))
	}
	*p = Point(numbers)
	return nil
}

// Place says how the coordinates of a line or a zone are meant. The zero value is shares of the picture, in the picture.
type Place struct {
	Unit  Unit  `json:"unit,omitempty"`
	Frame Frame `json:"frame,omitempty"`
	// Seconds is the time of the clip at which something on the ground is drawn into the picture; 0 is the first frame.
	Seconds float64 `json:"seconds,omitempty"`
}

// OnGround reports whether the frame is Ground.
func (p Place) OnGround() bool { return p.Frame == Ground }

// Share turns a point into shares of a picture of the given size in pixels.
func (p Place) Share(at Point, width, height float64) Point {
	if p.Unit == Pixels {
		return Point{at[0] / width, at[1] / height}
	}
	return at
}

// Line is a line that animals cross. See the package for the directions.
type Line struct {
	Name string `json:"name"`
	From Point  `json:"from"`
	To   Point  `json:"to"`
	Place
}

// Zone is a polygon that animals are in.
type Zone struct {
	Name    string  `json:"name"`
	Polygon []Point `json:"polygon"` // the corners in order, 3 or more; the last one is joined to the first
	// Stay is how many seconds an animal must be inside to count as passed. With 0 it must only be inside clearly.
	Stay float64 `json:"stay_seconds,omitempty"`
	Place
}

// Set is all that one clip is judged by. The zero value has no line and no zone.
type Set struct {
	Lines []Line `json:"lines"`
	Zones []Zone `json:"zones"`
}

// Empty reports whether there is nothing to judge.
func (s Set) Empty() bool { return len(s.Lines) == 0 && len(s.Zones) == 0 }

// Limits of a Set.
const (
	MaxNumber  = 32 // lines and zones of a Set, together
	MaxCorners = 64 // corners of a zone
	MaxName    = 64 // bytes of a name
	// MaxShare is how far outside of the picture a point may lie, in widths and heights of the picture.
	MaxShare = 2
	maxPixel = 1 << 16
	maxTime  = 7 * 24 * 3600 // seconds
)

// Validate returns nil, or an error that wraps ErrInvalid and names every fault with its place, such as lines[0].from.
func (s Set) Validate() error {
	var f faults
	names := map[string]bool{}
	if n := len(s.Lines) + len(s.Zones); n > MaxNumber {
		return fmt.Errorf("%w: %d lines and zones, at most %d are judged", ErrInvalid, n, MaxNumber)
	}
	for i, l := range s.Lines {
		at := fmt.Sprintf("lines[%d]", i)
		f.checkName(at, l.Name, names)
		f.checkPlace(at, l.Place)
		ok := f.checkPoint(at+".from", l.From, l.Unit)
		ok = f.checkPoint(at+".to", l.To, l.Unit) && ok
		if ok && distance(l.From, l.To) < shortest(l.Unit) {
			f.add("%s: from and to are one point; draw the line from one place to another", at)
		}
	}
	for i, z := range s.Zones {
		at := fmt.Sprintf("zones[%d]", i)
		f.checkName(at, z.Name, names)
		f.checkPlace(at, z.Place)
		f.checkPolygon(at, z)
		if !(z.Stay >= 0 && z.Stay <= maxTime) {
			f.add("%s.stay_seconds: %g is not a time from 0 to %d", at, z.Stay, maxTime)
		}
	}
	if len(f) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInvalid, strings.Join(f, "; "))
}

// faults are texts for people.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f *faults) checkName(at, name string, names map[string]bool) {
	switch {
	case name == "":
		f.add("%s.name: is empty; give it a name", at)
	case len(name) > MaxName:
		f.add("%s.name: %d bytes are too long, use at most %d", at, len(name), MaxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '=' }):
		f.add("%s.name: %q has a control character, an equals sign or invalid UTF-8", at, name)
	case names[name]:
		f.add("%s.name: %q is taken; every line and zone needs a name of its own", at, name)
	}
	names[name] = true
}

func (f *faults) checkPlace(at string, p Place) {
	switch p.Unit {
	case "", Share, Pixels:
	default:
		f.add("%s.unit: %.40q is not %s or %s", at, string(p.Unit), Share, Pixels)
	}
	switch p.Frame {
	case "", Picture, Ground:
	case geo:
		f.add("%s.frame: geographic coordinates are not supported yet; use %s or %s", at, Picture, Ground)
	default:
		f.add("%s.frame: %.40q is not %s or %s", at, string(p.Frame), Picture, Ground)
	}
	switch {
	case !(p.Seconds >= 0 && p.Seconds <= maxTime):
		f.add("%s.seconds: %g is not a time of the clip from 0 to %d", at, p.Seconds, maxTime)
	case p.Seconds > 0 && p.Frame != Ground:
		f.add("%s.seconds: works only with the frame %s; in the picture it is the same at every time", at, Ground)
	}
}

// checkPoint refuses what cannot be meant, such as pixels in the place of shares.
func (f *faults) checkPoint(at string, p Point, u Unit) bool {
	low, high := -float64(MaxShare), 1+float64(MaxShare)
	if u == Pixels {
		low, high = -maxPixel, maxPixel
	}
	for _, v := range p {
		switch {
		case v >= low && v <= high:
		case u == Pixels:
			f.add("%s: %g is not a number of pixels from %g to %g", at, v, low, high)
			return false
		default:
			f.add("%s: %g is far outside of the picture, whose shares go from 0 to 1; for pixels set the unit %s", at, v, Pixels)
			return false
		}
	}
	return true
}

func (f *faults) checkPolygon(at string, z Zone) {
	if n := len(z.Polygon); n < 3 || n > MaxCorners {
		f.add("%s.polygon: %d corners, a zone has 3 to %d", at, n, MaxCorners)
		return
	}
	for i, p := range z.Polygon {
		if !f.checkPoint(fmt.Sprintf("%s.polygon[%d]", at, i), p, z.Unit) {
			return
		}
	}
	if area(z.Polygon) < shortest(z.Unit)*shortest(z.Unit) {
		f.add("%s.polygon: has no area; put the corners in order around the zone", at)
	}
}

// shortest is the least length of a line in a unit.
func shortest(u Unit) float64 {
	if u == Pixels {
		return 1
	}
	return 1e-3
}

func distance(a, b Point) float64 { return math.Hypot(a[0]-b[0], a[1]-b[1]) }

// area of a polygon, at least 0. A polygon that crosses itself may have none.
func area(ps []Point) float64 {
	sum := 0.0
	for i, p := range ps {
		q := ps[(i+1)%len(ps)]
		sum += p[0]*q[1] - q[0]*p[1]
	}
	return math.Abs(sum) / 2
}
