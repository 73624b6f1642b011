package mapfile

import (
	"context"
	"io"
	"time"

	"github.com/paulmach/orb"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/place/geopackage"
	"cattlecounter/cloud/place/paddock"
)

// writeGeoPackage writes the layers animals, path, footprint and, where the result has them, paddocks.
func writeGeoPackage(w io.Writer, res report.Result, place *report.Place, started time.Time, borders []paddock.Paddock) error {
	layers := []geopackage.Layer{animalLayer(res), pathLayer(res, place), footprintLayer(res, place)}
	if len(place.Paddocks) > 0 {
		layers = append(layers, paddockLayer(place, borders))
	}
	return geopackage.Write(context.Background(), w, started, layers)
}

func columns(pairs ...string) (list []geopackage.Column) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, geopackage.Column{Name: pairs[i], Kind: pairs[i+1]})
	}
	return list
}

func animalLayer(res report.Result) geopackage.Layer {
	l := geopackage.Layer{Name: "animals", Type: "POINT", Columns: columns("id", "INTEGER", "class", "TEXT", "score", "REAL",
		"radius_m", "REAL", "seconds", "REAL", "paddock", "TEXT", "young_probability", "REAL", "source", "TEXT")}
	for _, t := range res.Tracks {
		p := t.Position
		if p == nil {
			continue
		}
		var young, in any
		if t.Young != nil {
			young = *t.Young
		}
		if names := paddocksOf(res, t.ID); names != "" {
			in = names
		}
		l.Rows = append(l.Rows, geopackage.Row{Geometry: orb.Point{p.Longitude, p.Latitude}, Values: []any{t.ID, t.Label,
			t.Confidence, p.Radius, p.Seconds, in, young, res.Source.Name}})
	}
	return l
}

func pathLayer(res report.Result, place *report.Place) geopackage.Layer {
	l := geopackage.Layer{Name: "path", Type: "LINESTRING", Columns: columns("from_seconds", "REAL", "to_seconds", "REAL",
		"source", "TEXT")}
	if n := len(place.Path); n > 1 {
		var line orb.LineString
		for _, m := range place.Path {
			line = append(line, orb.Point{m.Longitude, m.Latitude})
		}
		l.Rows = []geopackage.Row{{Geometry: line, Values: []any{place.Path[0].Seconds, place.Path[n-1].Seconds, res.Source.Name}}}
	}
	return l
}

func footprintLayer(res report.Result, place *report.Place) geopackage.Layer {
	l := geopackage.Layer{Name: "footprint", Type: "MULTIPOLYGON", Columns: columns("area_m2", "REAL", "way", "TEXT",
		"source", "TEXT")}
	if len(place.Footprint) > 0 {
		l.Rows = []geopackage.Row{{Geometry: paddock.MultiPolygon(place.Footprint),
			Values: []any{place.Area, place.Way, res.Source.Name}}}
	}
	return l
}

// paddockLayer has no number of animals (NULL) for a paddock that was not seen.
func paddockLayer(place *report.Place, borders []paddock.Paddock) geopackage.Layer {
	l := geopackage.Layer{Name: paddock.LayerName, Type: "MULTIPOLYGON", Columns: columns("name", "TEXT", "animals", "INTEGER",
		"low", "INTEGER", "high", "INTEGER", "seen", "REAL", "near_border_inside", "INTEGER", "near_border_outside", "INTEGER",
		"area_m2", "REAL")}
	for i, p := range place.Paddocks {
		if i >= len(borders) {
			break
		}
		number := func(n *int) any {
			if n == nil {
				return nil
			}
			return *n
		}
		l.Rows = append(l.Rows, geopackage.Row{Geometry: borders[i].Geometry(), Values: []any{p.Name, number(p.Animals),
			number(p.Low), number(p.High), p.Seen, p.Border, p.Near, p.Area}})
	}
	return l
}
