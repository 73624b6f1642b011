package boundary

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// MaxDocument is the largest JSON form of a Set in bytes.
const MaxDocument = 256 << 10

// Parse reads the JSON form of a Set, as a file and the REST API have it, and validates it. Unknown keys are refused,
// because a misspelled key would change what is counted. Every error wraps ErrInvalid.
func Parse(text []byte) (Set, error) {
	if len(text) > MaxDocument {
		return Set{}, fmt.Errorf("%w: the document has %d bytes, at most %d are read", ErrInvalid, len(text), MaxDocument)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var s Set
	if err := d.Decode(&s); err != nil {
		return Set{}, fmt.Errorf("%w: %w; see deploy/docs/lines.md for the form", ErrInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Set{}, fmt.Errorf("%w: there is text after the document; write one document", ErrInvalid)
	}
	if err := s.Validate(); err != nil {
		return Set{}, err
	}
	if len(s.Lines) == 0 {
		s.Lines = nil
	}
	if len(s.Zones) == 0 {
		s.Zones = nil
	}
	return s, nil
}

// Format is the JSON form of a Set, in one line. Parse reads it.
func (s Set) Format() []byte {
	if s.Lines == nil {
		s.Lines = []Line{}
	}
	if s.Zones == nil {
		s.Zones = []Zone{}
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers of a valid Set are finite, and nothing else can fail
	}
	return text
}

// Forms of the short texts, for messages.
const (
	lineForm = "NAME=X1,Y1,X2,Y2[px][@picture|@ground][@SECONDS]"
	zoneForm = "NAME=X1,Y1,X2,Y2,X3,Y3,...[px][@picture|@ground][@SECONDS][@stay=SECONDS]"
)

// ParseLine reads the short form of a line, as a flag has it: NAME=X1,Y1,X2,Y2[px][@picture|@ground][@SECONDS].
// Coordinates are shares of the picture, or pixels with px behind the last one. The error wraps ErrInvalid.
func ParseLine(text string) (Line, error) {
	name, points, place, stay, err := parseShort(text, lineForm)
	switch {
	case err != nil:
		return Line{}, err
	case stay != "":
		return Line{}, fmt.Errorf("%w: %q: a line has no stay; write %s", ErrInvalid, text, lineForm)
	case len(points) != 2:
		return Line{}, fmt.Errorf("%w: %q has %d points, a line has 2; write %s", ErrInvalid, text, len(points), lineForm)
	}
	l := Line{Name: name, From: points[0], To: points[1], Place: place}
	return l, Set{Lines: []Line{l}}.Validate()
}

// ParseZone reads the short form of a zone: NAME=X1,Y1,X2,Y2,X3,Y3,...[px][@picture|@ground][@SECONDS][@stay=SECONDS].
// The error wraps ErrInvalid.
func ParseZone(text string) (Zone, error) {
	name, points, place, stay, err := parseShort(text, zoneForm)
	if err != nil {
		return Zone{}, err
	}
	z := Zone{Name: name, Polygon: points, Place: place}
	if stay != "" {
		if z.Stay, err = strconv.ParseFloat(stay, 64); err != nil {
			return Zone{}, fmt.Errorf("%w: %q: stay %q is not a number of seconds", ErrInvalid, text, stay)
		}
	}
	return z, Set{Zones: []Zone{z}}.Validate()
}

func parseShort(text, form string) (name string, points []Point, place Place, stay string, err error) {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %.200q: %s; write %s", ErrInvalid, text, fmt.Sprintf(format, args...), form)
	}
	name, rest, ok := strings.Cut(text, "=")
	if !ok {
		return "", nil, place, "", wrong("there is no name before an equals sign")
	}
	parts := strings.Split(rest, "@")
	for _, p := range parts[1:] {
		if v, ok := strings.CutPrefix(p, "stay="); ok {
			stay = v
			continue
		}
		if seconds, err := strconv.ParseFloat(strings.TrimSuffix(p, "s"), 64); err == nil {
			place.Seconds = seconds
			if place.Frame == "" {
				place.Frame = Ground // a time has a meaning only there
			}
			continue
		}
		place.Frame = Frame(p) // Validate refuses what is unknown
	}
	numbers, pixels := strings.CutSuffix(parts[0], "px")
	if pixels {
		place.Unit = Pixels
	}
	var values []float64
	for _, n := range strings.Split(numbers, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
		if err != nil {
			return "", nil, place, "", wrong("%.40q is not a number", n)
		}
		if values = append(values, v); len(values) > 2*MaxCorners {
			return "", nil, place, "", wrong("more than %d corners", MaxCorners)
		}
	}
	if len(values)%2 != 0 {
		return "", nil, place, "", wrong("%d numbers are not pairs of x and y", len(values))
	}
	for i := 0; i < len(values); i += 2 {
		points = append(points, Point{values[i], values[i+1]})
	}
	return strings.TrimSpace(name), points, place, stay, nil
}
