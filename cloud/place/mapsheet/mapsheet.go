// Package mapsheet draws the count sheet of a recording or a flight as a picture with its place on the earth, for QGIS and
// other programs with maps. The pictures of the ground lie where positions are computed from, so every animal in them is at
// its own position. North is up, the coordinates are WGS 84, and ground that was not seen is transparent.
package mapsheet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/place"
	"cattlecounter/cloud/place/geotiff"
)

// ContentType is the media type of a sheet (RFC 3302), and Ending that of its files.
const (
	ContentType = "image/tiff"
	Ending      = ".sheet.tif"
)

// ErrNone marks a sheet that cannot be made: no log places the pictures, or there are none. Compare with errors.Is.
var ErrNone = errors.New("there is no count sheet for maps")

// Part is one recording.
type Part struct {
	// Pictures returns evidence.Evidence.Ground of the recording, nil when it left none.
	Pictures func() ([]byte, error)
	Ground   *place.Ground
}

// Animal is marked with its name at its position, in degrees.
type Animal struct {
	Name     string
	Lat, Lon float64
}

// AnimalsOf are the counted animals of a result that have a position, named by the ids of their tracks.
func AnimalsOf(res report.Result) (list []Animal) {
	for _, t := range res.Tracks {
		if p := t.Position; p != nil {
			list = append(list, Animal{strconv.Itoa(t.ID), p.Latitude, p.Longitude})
		}
	}
	return list
}

// AnimalsOfFlight are the animals of a flight that have a position in one of its parts, by the first of them, named by their
// ids. parts are in the order of the flight.
func AnimalsOfFlight(doc flight.Document, parts []place.Counted) (list []Animal) {
	for _, a := range doc.Animals {
		for _, s := range a.Tracks {
			if s.Part < 1 || s.Part > len(parts) {
				continue
			}
			tracks := parts[s.Part-1].Result.Tracks
			i := slices.IndexFunc(tracks, func(t report.Track) bool { return t.ID == s.Track && t.Position != nil })
			if i >= 0 {
				p := tracks[i].Position
				list = append(list, Animal{strconv.Itoa(a.ID), p.Latitude, p.Longitude})
				break
			}
		}
	}
	return list
}

// StoredFlight is AnimalsOfFlight for the stored document of a flight, and returns the name of its first part. Its error
// wraps place.ErrStored.
func StoredFlight(document []byte, parts []place.Counted) (name string, list []Animal, err error) {
	var doc flight.Document
	if err := json.Unmarshal(document, &doc); err != nil {
		return "", nil, fmt.Errorf("%w: document of the flight: %w", place.ErrStored, err)
	}
	return doc.Source.Name, AnimalsOfFlight(doc, parts), nil
}

// Write writes the sheet of one recording, or of the parts of a flight, as GeoTIFF. name is that of the footage, for
// people. Parts without pictures, or without a place, are left out; the error wraps ErrNone when all are. The facts in the
// file say within how many metres 95 % of the ground that is shown lies from where it is. Errors of Part.Pictures are
// returned.
func Write(w io.Writer, name string, parts []Part, animals []Animal) error {
	var origin place.Frame
	var radii []float64
	var list []evidence.MosaicPart
	var faults []error
	for _, p := range parts {
		if err := p.Ground.Check(); err != nil {
			faults = append(faults, err)
			continue
		}
		frame := p.Ground.Frame()
		if len(list) == 0 {
			origin = frame
		}
		shift := between(frame, origin)
		list = append(list, evidence.MosaicPart{Read: p.Pictures,
			Lay: func(frame int, seconds float64) (motion.Transform, float64, bool) {
				at, ok := p.Ground.Lay(frame, seconds)
				radii = append(radii, at.Radii...)
				return at.ToMetres.Then(shift), at.Top, ok
			}})
	}
	if len(list) == 0 {
		return fmt.Errorf("%w: %w", ErrNone, errors.Join(faults...))
	}
	var marks []evidence.MosaicMark
	for _, a := range animals {
		e, n := origin.Metres(a.Lat, a.Lon)
		marks = append(marks, evidence.MosaicMark{At: motion.Point{X: e, Y: -n}, Text: a.Name})
	}
	m, err := evidence.NewMosaic(list, marks)
	if errors.Is(err, evidence.ErrNoPictures) {
		return fmt.Errorf("%w: %w", ErrNone, err)
	} else if err != nil {
		return err
	}
	lat, lon := origin.Degrees(0, 0)
	north, east := origin.Degrees(1, 1)
	perN, perE := north-lat, math.Remainder(east-lon, 360)
	return geotiff.Write(w, geotiff.Picture{Width: m.Width, Height: m.Height, Rows: m.Rows,
		West: lon + m.Corner.X*perE, North: lat - m.Corner.Y*perN, StepLon: m.Step * perE, StepLat: m.Step * perN,
		About: [][2]string{
			{"TITLE", name}, {"ANIMALS", strconv.Itoa(len(animals))},
			{"RADIUS_95_M", strconv.FormatFloat(place.Quantile(radii, 0.95), 'f', 1, 64)},
			{"METRES_PER_PIXEL", strconv.FormatFloat(m.Step, 'f', 3, 64)}, {"PICTURES", strconv.Itoa(m.Pictures)},
			{"PARTS_WITHOUT_PICTURES", strconv.Itoa(len(parts) - len(list) + m.Without)}, {"SOFTWARE", "CattleCounter"}}})
}

// between maps metres east and south of one frame to those of another. It is a shift, but for what degrees of longitude
// become shorter.
func between(from, to place.Frame) motion.Transform {
	at := func(x, y float64) motion.Point {
		e, n := to.Metres(from.Degrees(x, -y))
		return motion.Point{X: e, Y: -n}
	}
	const far = 100
	o, x, y := at(0, 0), at(far, 0), at(0, far)
	a, b, c, d := (x.X-o.X)/far, (y.X-o.X)/far, (x.Y-o.Y)/far, (y.Y-o.Y)/far
	return motion.Transform{A: (a + d) / 2, C: (a - d) / 2, B: (c - b) / 2, D: (c + b) / 2, TX: o.X, TY: o.Y}
}
