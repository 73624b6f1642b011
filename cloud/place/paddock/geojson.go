package paddock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// object is any object of GeoJSON.
type object struct {
	Type        string            `json:"type"`
	Features    []json.RawMessage `json:"features"`
	Geometry    json.RawMessage   `json:"geometry"`
	Geometries  []json.RawMessage `json:"geometries"`
	Properties  map[string]any    `json:"properties"`
	Coordinates json.RawMessage   `json:"coordinates"`
	CRS         json.RawMessage   `json:"crs"`
}

// Read reads GeoJSON (RFC 7946): a FeatureCollection, a Feature or a geometry. Each feature with polygons is a paddock,
// also when its geometry is a collection of several; its name is the property name, paddock, label, title or id, whatever
// the case of its letters, and otherwise its number. Lines and points are left out. Its error wraps ErrFile and names the
// feature.
func Read(b []byte) ([]Paddock, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrFile, len(b), MaxFile)
	}
	r := reader{}
	if err := r.read(b, 0); err != nil {
		return nil, err
	}
	return r.done("GeoJSON")
}

// reader collects paddocks.
type reader struct{ list []Paddock }

// done returns the paddocks of a file of a form.
func (r *reader) done(form string) ([]Paddock, error) {
	if len(r.list) == 0 {
		return nil, fmt.Errorf("%w: the %s has no polygon; export the borders of the paddocks as polygons", ErrFile, form)
	}
	return r.list, nil
}

// add adds a paddock. One without polygons is left out.
func (r *reader) add(name string, polygons [][][][2]float64) error {
	if len(polygons) == 0 {
		return nil
	}
	if len(r.list) >= maxPaddocks {
		return fmt.Errorf("%w: it has more than %d paddocks", ErrFile, maxPaddocks)
	}
	n := 0
	for _, rings := range polygons {
		for _, r := range rings {
			n += len(r)
		}
	}
	if n > maxPoints {
		return r.fault(fmt.Errorf("its border has %d points, at most %d; simplify it", n, maxPoints))
	}
	if name == "" {
		name = fmt.Sprintf("paddock %d", len(r.list)+1)
	}
	r.list = append(r.list, Paddock{Name: name, Polygons: polygons})
	return nil
}

// fault names the paddock that is read.
func (r *reader) fault(err error) error {
	return fmt.Errorf("%w: paddock %d: %w", ErrFile, len(r.list)+1, err)
}

func (r *reader) read(b []byte, depth int) error {
	var o object
	if err := json.Unmarshal(b, &o); err != nil {
		return r.fault(err)
	}
	if depth > maxDepth {
		return fmt.Errorf("%w: more than %d levels of collections", ErrFile, maxDepth)
	}
	if err := checkCRS(o.CRS); err != nil {
		return err
	}
	switch o.Type {
	case "FeatureCollection":
		for _, f := range o.Features {
			if err := r.read(f, depth+1); err != nil {
				return err
			}
		}
		return nil
	case "Feature":
		if len(o.Geometry) == 0 || string(o.Geometry) == "null" {
			return nil
		}
		polygons, err := geometry(o.Geometry, depth)
		if err != nil {
			return r.fault(err)
		}
		return r.add(nameOf(o.Properties), polygons)
	}
	polygons, err := geometry(b, depth)
	if err != nil {
		return r.fault(err)
	}
	return r.add("", polygons)
}

// geometry returns the polygons of a geometry, also of all members of a collection.
func geometry(b []byte, depth int) (polygons [][][][2]float64, err error) {
	var o object
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d levels of collections", maxDepth)
	}
	parts := []json.RawMessage{o.Coordinates}
	switch o.Type {
	case "GeometryCollection":
		for _, g := range o.Geometries {
			p, err := geometry(g, depth+1)
			if err != nil {
				return nil, err
			}
			polygons = append(polygons, p...)
		}
		return polygons, nil
	case "Polygon":
	case "MultiPolygon":
		if err := json.Unmarshal(o.Coordinates, &parts); err != nil {
			return nil, err
		}
		if len(parts) == 0 {
			return nil, errors.New("a MultiPolygon has no polygon")
		}
	case "Point", "MultiPoint", "LineString", "MultiLineString":
		return nil, nil
	default:
		return nil, fmt.Errorf("%.40q is no type of GeoJSON", o.Type)
	}
	for _, part := range parts {
		var rings [][][]float64
		if err := json.Unmarshal(part, &rings); err != nil {
			return nil, err
		}
		p, err := polygon(rings)
		if err != nil {
			return nil, err
		}
		polygons = append(polygons, p)
	}
	return polygons, nil
}

// polygon checks rings of points of longitude, latitude and more, which is left out.
func polygon(rings [][][]float64) ([][][2]float64, error) {
	var out [][][2]float64
	for _, ring := range rings {
		var r [][2]float64
		for _, p := range ring {
			if err := checkPoint(p); err != nil {
				return nil, err
			}
			r = append(r, [2]float64{p[0], p[1]})
		}
		if n := len(r); n > 1 && r[0] == r[n-1] {
			r = r[:n-1]
		}
		if len(r) < 3 {
			return nil, errors.New("a ring has fewer than three points")
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil, errors.New("a polygon has no ring")
	}
	return out, nil
}

func checkPoint(p []float64) error {
	switch {
	case len(p) < 2:
		return fmt.Errorf("the point %.6g has fewer than two numbers", p)
	case math.Abs(p[0]) <= 180 && math.Abs(p[1]) <= 90:
		return nil
	case math.Abs(p[1]) <= 180 && math.Abs(p[0]) <= 90:
		return fmt.Errorf("the point %.6g has latitude and longitude swapped: the longitude comes first", p[:2])
	}
	return fmt.Errorf("the point %.6g is no longitude and latitude in degrees; export the file in WGS 84 (EPSG:4326)", p[:2])
}

// WriteGeoJSON writes paddocks as a FeatureCollection. extra are further members of it, such as a version.
func WriteGeoJSON(w io.Writer, list []Paddock, extra map[string]any) error {
	features := make([]any, 0, len(list))
	for _, p := range list {
		features = append(features, map[string]any{"type": "Feature", "properties": map[string]any{"name": p.Name},
			"geometry": map[string]any{"type": "MultiPolygon", "coordinates": closed(p.Polygons)}})
	}
	doc := map[string]any{"type": "FeatureCollection", "features": features}
	for k, v := range extra {
		doc[k] = v
	}
	return json.NewEncoder(w).Encode(doc)
}

// closed repeats the first point of every ring at its end, and turns outer rings counterclockwise and holes clockwise, as
// RFC 7946 wants it.
func closed(polygons [][][][2]float64) [][][][2]float64 {
	out := make([][][][2]float64, len(polygons))
	for i, rings := range polygons {
		for k, r := range rings {
			turned := make([][2]float64, 0, len(r)+1)
			turned = append(turned, r...)
			if (signedArea(r) > 0) != (k == 0) {
				for a, b := 0, len(turned)-1; a < b; a, b = a+1, b-1 {
					turned[a], turned[b] = turned[b], turned[a]
				}
			}
			out[i] = append(out[i], append(turned, turned[0]))
		}
	}
	return out
}

// signedArea is above 0 for a ring that goes counterclockwise.
func signedArea(r [][2]float64) float64 {
	sum := 0.0
	for i := range r {
		s, t := r[i], r[(i+1)%len(r)]
		sum += (s[0]-r[0][0])*(t[1]-r[0][1]) - (t[0]-r[0][0])*(s[1]-r[0][1])
	}
	return sum / 2
}
