// Package mapfile writes the positions of a result for maps and tables: GeoJSON (RFC 7946), KML 2.2 (OGC 07-147r2)
// and KMZ, CSV, GPX 1.1 of the camera's path, and GeoPackage 1.3. Animals have their track number, class, score and 95 % radius. It does no
// I/O besides the writer that it is given.
package mapfile

import (
	"archive/zip"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/place/geopackage"
	"cattlecounter/cloud/place/paddock"
	"cattlecounter/shared/cell"
)

// Format is a form of a file of positions.
type Format string

// The forms; each is the ending of its files.
const (
	GeoJSON Format = "geojson"
	KML     Format = "kml"
	KMZ     Format = "kmz" // KML in a ZIP archive
	CSV     Format = "csv"
	GPX     Format = "gpx"
	GPKG    Format = "gpkg" // GeoPackage
)

// Formats lists all forms.
func Formats() []Format { return []Format{GeoJSON, KML, KMZ, CSV, GPX, GPKG} }

// ErrFormat marks a form that does not exist. Compare with errors.Is.
var ErrFormat = errors.New("no form of positions")

// ParseFormat returns the form of a name such as kml. The name json stands for GeoJSON. Its error wraps ErrFormat.
func ParseFormat(name string) (Format, error) {
	f := Format(strings.ToLower(name))
	if f == "json" {
		f = GeoJSON
	}
	if !slices.Contains(Formats(), f) {
		return "", fmt.Errorf("%w: %.20q is none of %v", ErrFormat, name, Formats())
	}
	return f, nil
}

// ContentType is the media type of the form.
func (f Format) ContentType() string {
	switch f {
	case KML:
		return "application/vnd.google-earth.kml+xml"
	case KMZ:
		return "application/vnd.google-earth.kmz"
	case CSV:
		return "text/csv; charset=utf-8"
	case GPX:
		return "application/gpx+xml"
	case GPKG:
		return geopackage.ContentType
	}
	return "application/geo+json"
}

// Write writes the positions of a result in a form. started is the wall clock at the start of the clip, for the times
// of GPX; it may be zero. Animals without a position have a line in CSV only. borders are those of the paddocks of the
// result, in their order, which only GeoPackage has.
func Write(w io.Writer, f Format, res report.Result, started time.Time, borders ...paddock.Paddock) error {
	place := res.Place
	if place == nil {
		place = &report.Place{Way: "none"}
	}
	var err error
	switch f {
	case KML:
		err = writeXML(w, kmlOf(res, place))
	case KMZ:
		err = writeKMZ(w, kmlOf(res, place))
	case CSV:
		err = writeCSV(w, res)
	case GPKG:
		err = writeGeoPackage(w, res, place, started, borders)
	case GPX:
		err = writeXML(w, gpxOf(res, place, started))
	default:
		err = json.NewEncoder(w).Encode(geoJSONOf(res, place))
	}
	if err != nil {
		return fmt.Errorf("write positions as %s: %w", f, err)
	}
	return nil
}

func writeXML(w io.Writer, doc any) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", " ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// writeKMZ writes a ZIP archive with the document, as Google Earth wants it. The same document makes the same bytes.
func writeKMZ(w io.Writer, doc kml) error {
	z := zip.NewWriter(w)
	f, err := z.Create("doc.kml")
	if err == nil {
		err = writeXML(f, doc)
	}
	return errors.Join(err, z.Close())
}

// writeCSV writes a header line and one line per counted animal. New columns are added at the end.
func writeCSV(w io.Writer, res report.Result) error {
	rows := [][]string{{"id", "label", "confidence", "latitude", "longitude", "radius_m", "seconds", "right_m", "up_m",
		"paddock"}}
	for _, t := range res.Tracks {
		row := []string{strconv.Itoa(t.ID), cell.Text(t.Label), number(t.Confidence, 3), "", "", "", "", "", "", cell.Text(paddocksOf(res, t.ID))}
		if p := t.Position; p != nil {
			row[3], row[4] = number(p.Latitude, 7), number(p.Longitude, 7)
			row[5], row[6] = number(p.Radius, 1), number(p.Seconds, 2)
		}
		if o := t.Offset; o != nil {
			row[5], row[7], row[8] = number(o.Radius, 1), number(o.Right, 2), number(o.Up, 2)
		}
		rows = append(rows, row)
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// paddocksOf names the paddocks that an animal is in.
func paddocksOf(res report.Result, id int) string {
	if res.Place == nil {
		return ""
	}
	var names []string
	for _, p := range res.Place.Paddocks {
		if slices.Contains(p.Tracks, id) {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, "; ")
}

type (
	collection struct {
		Type     string    `json:"type"`
		Features []feature `json:"features"`
	}
	feature struct {
		Type       string         `json:"type"`
		Geometry   geometry       `json:"geometry"`
		Properties map[string]any `json:"properties"`
	}
	geometry struct {
		Type        string `json:"type"`
		Coordinates any    `json:"coordinates"`
	}
)

func geoJSONOf(res report.Result, place *report.Place) collection {
	c := collection{Type: "FeatureCollection", Features: []feature{}}
	add := func(kind, geometryType string, coordinates any, properties map[string]any) {
		properties["kind"], properties["source"] = kind, res.Source.Name
		c.Features = append(c.Features, feature{"Feature", geometry{geometryType, coordinates}, properties})
	}
	for _, t := range res.Tracks {
		p := t.Position
		if p == nil {
			continue
		}
		properties := map[string]any{"id": t.ID, "class": t.Label, "score": t.Confidence, "radius_m": p.Radius,
			"seconds": p.Seconds}
		if in := paddocksOf(res, t.ID); in != "" {
			properties["paddock"] = in
		}
		if t.Young != nil {
			properties["young_probability"] = *t.Young
		}
		add("animal", "Point", [2]float64{p.Longitude, p.Latitude}, properties)
	}
	if len(place.Path) > 1 {
		var line [][2]float64
		for _, m := range place.Path {
			line = append(line, [2]float64{m.Longitude, m.Latitude})
		}
		add("path", "LineString", line, map[string]any{"from_seconds": place.Path[0].Seconds,
			"to_seconds": place.Path[len(place.Path)-1].Seconds})
	}
	if len(place.Footprint) > 0 {
		add("footprint", "MultiPolygon", place.Footprint, map[string]any{"area_m2": place.Area, "way": place.Way})
	}
	return c
}
