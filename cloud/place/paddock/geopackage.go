package paddock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/paulmach/orb"

	"cattlecounter/cloud/place/geopackage"
	"cattlecounter/cloud/place/projection"
)

// LayerName is the layer of a GeoPackage that has paddocks, where there are several with polygons.
const LayerName = "paddocks"

// gpkgLayer are the paddocks of a layer, and its first fault.
type gpkgLayer struct {
	name  string
	read  reader
	empty string // the first feature without a geometry
}

// readGeoPackage reads the polygons of a GeoPackage: those of its only layer with polygons, else of the one named paddocks.
func readGeoPackage(b []byte) ([]Paddock, error) {
	var layers []*gpkgLayer
	err := geopackage.Read(context.Background(), b, func(f geopackage.Feature) error {
		if len(layers) == 0 || layers[len(layers)-1].name != f.Layer {
			layers = append(layers, &gpkgLayer{name: f.Layer})
		}
		return layers[len(layers)-1].add(f)
	})
	if err != nil {
		if errors.Is(err, ErrFile) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	var found []*gpkgLayer
	var names []string
	for _, l := range layers {
		if len(l.read.list) == 0 {
			continue
		}
		if strings.EqualFold(l.name, LayerName) {
			found, names = []*gpkgLayer{l}, nil
			break
		}
		found, names = append(found, l), append(names, fmt.Sprintf("%.40q", l.name))
	}
	switch {
	case len(found) == 0:
		return (&reader{}).done("GeoPackage")
	case len(found) > 1:
		return nil, fmt.Errorf("%w: the GeoPackage has %d layers with polygons (%s); send a file with one of them, or name it %q",
			ErrFile, len(found), strings.Join(names, ", "), LayerName)
	case found[0].empty != "":
		return nil, fmt.Errorf("%w: %s of layer %.40q has no geometry; draw its border or delete it", ErrFile, found[0].empty, found[0].name)
	}
	return found[0].read.done("GeoPackage")
}

// add adds a feature. Points and lines are left out.
func (l *gpkgLayer) add(f geopackage.Feature) error {
	name := nameOf(f.Values)
	if f.Empty && l.empty == "" {
		if l.empty = fmt.Sprintf("feature %d", f.ID); name != "" {
			l.empty += fmt.Sprintf(" (%.40q)", name)
		}
	}
	if len(f.Polygons) == 0 {
		return nil
	}
	to, ok := projection.ByCode(f.Code)
	if !ok && (f.Code != 0 || !sameDatum(f.System)) {
		system := f.System
		if f.Code != 0 {
			system = fmt.Sprintf("%s (EPSG:%d)", f.System, f.Code)
		}
		return foreign(system)
	}
	var polygons [][][][2]float64
	for _, rings := range f.Polygons {
		for _, ring := range rings {
			for _, p := range ring {
				if ok {
					p[0], p[1] = to.Degrees(p[0], p[1])
				}
			}
		}
		one, err := polygon(rings)
		if err != nil {
			return l.read.fault(fmt.Errorf("feature %d of layer %.40q: %w", f.ID, f.Layer, err))
		}
		polygons = append(polygons, one)
	}
	return l.read.add(name, polygons)
}

// Geometry is a paddock as a geometry whose outer rings go counterclockwise.
func (p Paddock) Geometry() orb.MultiPolygon { return MultiPolygon(closed(p.Polygons)) }

// MultiPolygon is the geometry of rings of longitude and latitude.
func MultiPolygon(polygons [][][][2]float64) orb.MultiPolygon {
	var out orb.MultiPolygon
	for _, rings := range polygons {
		var one orb.Polygon
		for _, r := range rings {
			ring := make(orb.Ring, 0, len(r))
			for _, at := range r {
				ring = append(ring, orb.Point(at))
			}
			one = append(one, ring)
		}
		out = append(out, one)
	}
	return out
}

// WriteGeoPackage writes paddocks as the layer LayerName of a GeoPackage. changed is when they were changed last.
func WriteGeoPackage(ctx context.Context, w io.Writer, changed time.Time, list []Paddock) error {
	l := geopackage.Layer{Name: LayerName, Type: "MULTIPOLYGON", Columns: []geopackage.Column{{Name: "name", Kind: "TEXT"}}}
	for _, p := range list {
		l.Rows = append(l.Rows, geopackage.Row{Geometry: p.Geometry(), Values: []any{p.Name}})
	}
	return geopackage.Write(ctx, w, changed, []geopackage.Layer{l})
}
