// Package paddock counts the animals of a result within borders that the user gives: paddocks, as polygons with holes
// in GeoJSON (RFC 7946). It is pure Go and does no I/O.
package paddock

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/place"
)

// Paddock is a named piece of land.
type Paddock struct {
	Name string
	// Polygons are rings of longitude and latitude in degrees, the outer ring first; the others are holes.
	Polygons [][][][2]float64
}

// Limits of a file of paddocks.
const (
	MaxFile  = 16 << 20 // bytes
	maxNames = 10_000
	maxDepth = 8 // collections within collections
)

// ErrFile marks bytes that hold no paddocks. Compare with errors.Is.
var ErrFile = errors.New("not a file of paddocks")

// object is any object of GeoJSON.
type object struct {
	Type        string            `json:"type"`
	Features    []json.RawMessage `json:"features"`
	Geometry    json.RawMessage   `json:"geometry"`
	Geometries  []json.RawMessage `json:"geometries"`
	Properties  map[string]any    `json:"properties"`
	Coordinates json.RawMessage   `json:"coordinates"`
}

// Read reads GeoJSON: a FeatureCollection, a Feature or a geometry. Each feature with polygons is a paddock; its name
// is the property name, paddock, label, title or id, whatever the case of its letters, and otherwise its number.
// Lines and points are left out. Its error wraps ErrFile and names the feature.
func Read(b []byte) ([]Paddock, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrFile, len(b), MaxFile)
	}
	var list []Paddock
	if err := read(b, "", &list, 0); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: it has no polygon; export the borders of the paddocks as GeoJSON polygons", ErrFile)
	}
	return list, nil
}

func read(b []byte, name string, list *[]Paddock, depth int) error {
	var o object
	if err := json.Unmarshal(b, &o); err != nil {
		return fmt.Errorf("%w: paddock %d: %w", ErrFile, len(*list)+1, err)
	}
	if depth > maxDepth || len(*list) >= maxNames {
		return fmt.Errorf("%w: more than %d paddocks or %d levels", ErrFile, maxNames, maxDepth)
	}
	var polygons [][][][2]float64
	switch o.Type {
	case "FeatureCollection", "GeometryCollection":
		for _, f := range append(o.Features, o.Geometries...) {
			if err := read(f, name, list, depth+1); err != nil {
				return err
			}
		}
		return nil
	case "Feature":
		if len(o.Geometry) == 0 || string(o.Geometry) == "null" {
			return nil
		}
		return read(o.Geometry, nameOf(o.Properties), list, depth+1)
	case "Polygon":
		p, err := polygon(o.Coordinates)
		if err != nil {
			return fmt.Errorf("%w: paddock %d: %w", ErrFile, len(*list)+1, err)
		}
		polygons = append(polygons, p)
	case "MultiPolygon":
		var parts []json.RawMessage
		if err := json.Unmarshal(o.Coordinates, &parts); err != nil {
			return fmt.Errorf("%w: paddock %d: %w", ErrFile, len(*list)+1, err)
		}
		for _, part := range parts {
			p, err := polygon(part)
			if err != nil {
				return fmt.Errorf("%w: paddock %d: %w", ErrFile, len(*list)+1, err)
			}
			polygons = append(polygons, p)
		}
	case "Point", "MultiPoint", "LineString", "MultiLineString":
		return nil
	default:
		return fmt.Errorf("%w: %.40q is no type of GeoJSON", ErrFile, o.Type)
	}
	if len(polygons) == 0 {
		return fmt.Errorf("%w: paddock %d: a MultiPolygon has no polygon", ErrFile, len(*list)+1)
	}
	if name == "" {
		name = fmt.Sprintf("paddock %d", len(*list)+1)
	}
	*list = append(*list, Paddock{Name: name, Polygons: polygons})
	return nil
}

// polygon reads rings. A third coordinate is left out.
func polygon(b []byte) ([][][2]float64, error) {
	var rings [][][]float64
	if err := json.Unmarshal(b, &rings); err != nil {
		return nil, err
	}
	var out [][][2]float64
	for _, ring := range rings {
		var r [][2]float64
		for _, p := range ring {
			if len(p) < 2 || math.Abs(p[0]) > 180 || math.Abs(p[1]) > 90 {
				return nil, fmt.Errorf("the point %.6g is no longitude and latitude in degrees; export the file in WGS 84", p)
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

// Count counts the animals of a result in each paddock and sets the paddocks of its Place, which must be set. An
// animal in two paddocks that overlap counts in both.
func Count(res *report.Result, paddocks []Paddock) {
	res.Place.Paddocks, res.Place.Outside = []report.Paddock{}, 0
	in := map[int]bool{}
	for _, p := range paddocks {
		a := newArea(p)
		o := report.Paddock{Name: p.Name, Tracks: []int{}, Area: math.Round(a.size())}
		for _, t := range res.Tracks {
			if t.Position == nil {
				continue
			}
			at := a.metres([2]float64{t.Position.Longitude, t.Position.Latitude})
			inside, near := a.contains(at), a.toBorder(at) <= t.Position.Radius
			switch {
			case inside:
				o.Animals++
				o.Tracks = append(o.Tracks, t.ID)
				in[t.ID] = true
				if near {
					o.Border++
				}
			case near:
				o.Near++
			}
		}
		o.Seen = math.Round(1000*a.seen(res.Place.Footprint)) / 1000
		res.Place.Paddocks = append(res.Place.Paddocks, o)
	}
	for _, t := range res.Tracks {
		if t.Position != nil && !in[t.ID] {
			res.Place.Outside++
		}
	}
}

// area is a paddock in metres.
type area struct {
	frame    place.Frame
	polygons [][][][2]float64
}

func newArea(p Paddock) area {
	first := p.Polygons[0][0][0]
	a := area{frame: place.NewFrame(first[1], first[0])}
	a.polygons = a.flat(p.Polygons)
	return a
}

func (a area) metres(p [2]float64) [2]float64 {
	e, n := a.frame.Metres(p[1], p[0])
	return [2]float64{e, n}
}

func (a area) flat(polygons [][][][2]float64) [][][][2]float64 {
	var out [][][][2]float64
	for _, polygon := range polygons {
		var rings [][][2]float64
		for _, ring := range polygon {
			var r [][2]float64
			for _, p := range ring {
				r = append(r, a.metres(p))
			}
			rings = append(rings, r)
		}
		out = append(out, rings)
	}
	return out
}

func (a area) contains(p [2]float64) bool { return contains(a.polygons, p) }

// contains reports whether a point lies in an odd number of the rings of one of the polygons.
func contains(polygons [][][][2]float64, p [2]float64) bool {
	for _, rings := range polygons {
		in := false
		for _, r := range rings {
			for i := range r {
				s, t := r[i], r[(i+1)%len(r)]
				if (s[1] <= p[1]) != (t[1] <= p[1]) && p[0] < s[0]+(p[1]-s[1])/(t[1]-s[1])*(t[0]-s[0]) {
					in = !in
				}
			}
		}
		if in {
			return true
		}
	}
	return false
}

// toBorder is the distance to the nearest border in metres.
func (a area) toBorder(p [2]float64) float64 {
	best := math.Inf(1)
	for _, rings := range a.polygons {
		for _, r := range rings {
			for i := range r {
				s, t := r[i], r[(i+1)%len(r)]
				dx, dy := t[0]-s[0], t[1]-s[1]
				part := 0.0
				if l := dx*dx + dy*dy; l > 0 {
					part = min(1, max(0, ((p[0]-s[0])*dx+(p[1]-s[1])*dy)/l))
				}
				best = min(best, math.Hypot(p[0]-s[0]-part*dx, p[1]-s[1]-part*dy))
			}
		}
	}
	return best
}

// size is that of the outer rings without the holes, in square metres.
func (a area) size() float64 {
	sum := 0.0
	for _, rings := range a.polygons {
		for k, r := range rings {
			one := 0.0
			for i := range r {
				s, t := r[i], r[(i+1)%len(r)]
				one += s[0]*t[1] - t[0]*s[1]
			}
			if one = math.Abs(one) / 2; k > 0 {
				one = -one
			}
			sum += one
		}
	}
	return sum
}

// seen is the share of the paddock within a footprint, by a raster of about 10,000 points.
func (a area) seen(footprint [][][][2]float64) float64 {
	ground := a.flat(footprint)
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for _, rings := range a.polygons {
		for _, p := range rings[0] {
			for k := range low {
				low[k], high[k] = min(low[k], p[k]), max(high[k], p[k])
			}
		}
	}
	const side = 100
	all, seen := 0, 0
	for x := range side {
		for y := range side {
			p := [2]float64{low[0] + (float64(x)+0.5)/side*(high[0]-low[0]), low[1] + (float64(y)+0.5)/side*(high[1]-low[1])}
			if !a.contains(p) {
				continue
			}
			all++
			if contains(ground, p) {
				seen++
			}
		}
	}
	return float64(seen) / float64(max(all, 1))
}
