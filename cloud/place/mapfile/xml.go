package mapfile

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cattlecounter/cloud/count/report"
)

type (
	kml struct {
		XMLName  xml.Name    `xml:"http://www.opengis.net/kml/2.2 kml"`
		Document kmlDocument `xml:"Document"`
	}
	kmlDocument struct {
		Name    string      `xml:"name"`
		Folders []kmlFolder `xml:"Folder"`
	}
	kmlFolder struct {
		Name  string         `xml:"name"`
		Marks []kmlPlacemark `xml:"Placemark"`
	}
	kmlPlacemark struct {
		Name  string       `xml:"name"`
		Data  *kmlExtended `xml:"ExtendedData"`
		Point *kmlPoints   `xml:"Point"`
		Line  *kmlPoints   `xml:"LineString"`
		Multi *kmlMulti    `xml:"MultiGeometry"`
	}
	kmlExtended struct {
		Data []kmlData `xml:"Data"`
	}
	kmlData struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value"`
	}
	kmlPoints struct {
		Coordinates string `xml:"coordinates"`
	}
	kmlMulti struct {
		Polygons []kmlPolygon `xml:"Polygon"`
	}
	kmlPolygon struct {
		Outer kmlRing   `xml:"outerBoundaryIs"`
		Inner []kmlRing `xml:"innerBoundaryIs"`
	}
	kmlRing struct {
		Ring kmlPoints `xml:"LinearRing"`
	}
)

func degrees(v float64) string { return strconv.FormatFloat(v, 'f', 7, 64) }

func coordinates(points [][2]float64) kmlPoints {
	var b strings.Builder
	for i, p := range points {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(degrees(p[0]) + "," + degrees(p[1]))
	}
	return kmlPoints{b.String()}
}

func kmlOf(res report.Result, place *report.Place) kml {
	d := kmlDocument{Name: res.Source.Name}
	animals := kmlFolder{Name: "Animals"}
	for _, t := range res.Tracks {
		if t.Position == nil {
			continue
		}
		at := coordinates([][2]float64{{t.Position.Longitude, t.Position.Latitude}})
		animals.Marks = append(animals.Marks, kmlPlacemark{Name: fmt.Sprintf("%s %d", t.Label, t.ID), Point: &at,
			Data: &kmlExtended{[]kmlData{{"class", t.Label}, {"score", fmt.Sprintf("%.3f", t.Confidence)},
				{"radius_m", fmt.Sprintf("%.1f", t.Position.Radius)}, {"seconds", fmt.Sprintf("%.2f", t.Position.Seconds)},
				{"paddock", paddocksOf(res, t.ID)}}}})
	}
	d.Folders = append(d.Folders, animals)
	if len(place.Path) > 1 {
		var line [][2]float64
		for _, m := range place.Path {
			line = append(line, [2]float64{m.Longitude, m.Latitude})
		}
		c := coordinates(line)
		d.Folders = append(d.Folders, kmlFolder{"Path of the camera", []kmlPlacemark{{Name: "path", Line: &c}}})
	}
	if len(place.Footprint) > 0 {
		var m kmlMulti
		for _, rings := range place.Footprint {
			p := kmlPolygon{Outer: kmlRing{coordinates(rings[0])}}
			for _, hole := range rings[1:] {
				p.Inner = append(p.Inner, kmlRing{coordinates(hole)})
			}
			m.Polygons = append(m.Polygons, p)
		}
		d.Folders = append(d.Folders, kmlFolder{"Footprint", []kmlPlacemark{{Name: "footprint", Multi: &m}}})
	}
	return kml{Document: d}
}

type (
	gpx struct {
		XMLName xml.Name `xml:"http://www.topografix.com/GPX/1/1 gpx"`
		Version string   `xml:"version,attr"`
		Creator string   `xml:"creator,attr"`
		Track   gpxTrack `xml:"trk"`
	}
	gpxTrack struct {
		Name   string     `xml:"name"`
		Points []gpxPoint `xml:"trkseg>trkpt"`
	}
	gpxPoint struct {
		Lat  string `xml:"lat,attr"`
		Lon  string `xml:"lon,attr"`
		Time string `xml:"time,omitempty"`
	}
)

// gpxOf has no elevations: those of GPX are above the sea, and the log has them above the take-off point.
func gpxOf(res report.Result, place *report.Place, started time.Time) gpx {
	g := gpx{Version: "1.1", Creator: "CattleCounter", Track: gpxTrack{Name: res.Source.Name}}
	for _, m := range place.Path {
		p := gpxPoint{Lat: degrees(m.Latitude), Lon: degrees(m.Longitude)}
		if !started.IsZero() {
			at := started.Add(time.Duration(m.Seconds * float64(time.Second)))
			p.Time = at.UTC().Format("2006-01-02T15:04:05.000Z")
		}
		g.Track.Points = append(g.Track.Points, p)
	}
	return g
}
