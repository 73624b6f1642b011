package paddock

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/place"
)

var frame = place.NewFrame(-31.7, 24.3)

// at is a point in degrees, some metres east and north of the test's origin.
func at(e, n float64) [2]float64 {
	lat, lon := frame.Degrees(e, n)
	return [2]float64{lon, lat}
}

func square(e, n, side float64) [][2]float64 {
	return [][2]float64{at(e, n), at(e+side, n), at(e+side, n+side), at(e, n+side)}
}

func animal(id int, e, n, radius float64) report.Track {
	p := at(e, n)
	return report.Track{ID: id, Position: &report.Position{Longitude: p[0], Latitude: p[1], Radius: radius}}
}

func TestCount(t *testing.T) {
	res := report.Result{Count: report.Count{Unique: 6, Low: 5, High: 8}, Place: &report.Place{Placed: 5, Footprint: [][][][2]float64{{square(0, 0, 100)}}}, Tracks: []report.Track{
		animal(1, 30, 30, 5), animal(2, 98, 50, 5), animal(3, 103, 50, 5), animal(4, 60, 60, 5),
		animal(5, 300, 300, 5), {ID: 6},
	}}
	paddocks := []Paddock{
		{Name: "north", Polygons: [][][][2]float64{{square(0, 0, 100), square(50, 50, 20)}}}, // with a hole around animal 4
		{Name: "twice as wide", Polygons: [][][][2]float64{{{at(0, 0), at(200, 0), at(200, 100), at(0, 100)}}}},
	}
	Count(&res, paddocks)
	north, wide := res.Place.Paddocks[0], res.Place.Paddocks[1]
	if *north.Animals != 2 || north.Border != 1 || north.Near != 1 || math.Abs(north.Area-9600) > 20 || north.Seen < 0.98 {
		t.Errorf("north: %+v", north)
	}
	if *wide.Animals != 4 || wide.Border != 0 || wide.Near != 0 || math.Abs(wide.Seen-0.5) > 0.02 {
		t.Errorf("wide: %+v", wide)
	}
	if res.Place.Outside != 1 {
		t.Errorf("%d animals outside, want 1", res.Place.Outside)
	}
}

// A paddock in which the camera saw no animal has none. Where animals were seen and their places are not known, it has no number.
func TestEmptyPaddock(t *testing.T) {
	list := []Paddock{{Name: "seen", Polygons: [][][][2]float64{{square(0, 0, 100)}}}, {Name: "far", Polygons: [][][][2]float64{{square(900, 0, 100)}}}}
	for unique := range 2 {
		res := report.Result{Count: report.Count{Unique: unique, High: unique + 2}, Place: &report.Place{Way: "camera",
			Footprint: [][][][2]float64{{square(0, 0, 100)}}}}
		Count(&res, list)
		seen, far := res.Place.Paddocks[0], res.Place.Paddocks[1]
		if unique == 0 && (seen.Animals == nil || *seen.Animals != 0 || *seen.Low != 0 || *seen.High != 2) || far.Animals != nil ||
			unique > 0 && seen.Animals != nil {
			t.Errorf("%d animals: %+v, %+v", unique, seen, far)
		}
	}
}

// twoCircles is a paddock of two circles of 500 m that overlap.
func twoCircles(points int) Paddock {
	var p Paddock
	for _, east := range []float64{0, 600} {
		var r [][2]float64
		for i := range points / 2 {
			a := 4 * math.Pi * float64(i) / float64(points)
			r = append(r, at(east+500*math.Cos(a), 500*math.Sin(a)))
		}
		p.Polygons = append(p.Polygons, [][][2]float64{r})
	}
	return p
}

// The index of the edges says the same as all edges, and what lies within the other polygon is no border.
func TestManyPoints(t *testing.T) {
	a := newArea(twoCircles(1000))
	for _, c := range []struct{ e, n, want float64 }{{300, 0, 400}, {-490, 0, 10}, {600, 480, 20}, {0, 0, 500}} {
		to := a.toBorder(a.metres(at(c.e, c.n)))
		if got := math.Hypot(to[0], to[1]); math.Abs(got-c.want) > 1 {
			t.Errorf("%g metres from the border at %g, %g; want %g", got, c.e, c.n, c.want)
		}
	}
	all, r := edgesOf(a.polygons), rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		p := [2]float64{2400*r.Float64() - 1200, 1200*r.Float64() - 600}
		if all.contains(p) != contains(a.polygons, p) {
			t.Errorf("%v: %t", p, all.contains(p))
		}
	}
	var text strings.Builder
	text.WriteString(`{"type":"Polygon","coordinates":[[`)
	for i := range maxPoints + 1 {
		fmt.Fprintf(&text, "[%g,-31],", 24+float64(i)/1e6)
	}
	text.WriteString(`[24,-32]]]}`)
	if _, err := Read([]byte(text.String())); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "paddock 1: its border has 50002 points") {
		t.Error(err)
	}
}

const collection = `{"type":"FeatureCollection","features":[
 {"type":"Feature","properties":{"id":7,"NAME":"Hill"},"geometry":{"type":"Polygon",
  "coordinates":[[[24,-31,1200],[24.1,-31],[24.1,-31.1],[24,-31]]]}},
 {"type":"Feature","properties":null,"geometry":{"type":"MultiPolygon",
  "coordinates":[[[[24,-31],[24.1,-31],[24.1,-31.1]]]]}},
 {"type":"Feature","properties":{"id":9},"geometry":{"type":"GeometryCollection","geometries":[
  {"type":"Point","coordinates":[24,-31]},{"type":"Polygon","coordinates":[[[24,-31],[24.1,-31],[24.1,-31.1]]]}]}},
 {"type":"Feature","properties":{"name":"gate"},"geometry":{"type":"Point","coordinates":[24,-31]}},
 {"type":"Feature","properties":{"name":"lost"},"geometry":null}]}`

func TestRead(t *testing.T) {
	list, err := Read([]byte(collection))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	if len(list) != 3 || names[0] != "Hill" || names[1] != "paddock 2" || names[2] != "9" ||
		len(list[0].Polygons[0][0]) != 3 {
		t.Errorf("paddocks %q %v", names, list)
	}
	for name, text := range map[string]string{
		"no polygon": `{"type":"Point","coordinates":[1,2]}`, "not JSON": `<kml/>`,
		"metres":  `{"type":"Polygon","coordinates":[[[500000,6500000],[500100,6500000],[500100,6500100]]]}`,
		"no ring": `{"type":"Polygon","coordinates":[]}`, "another type": `{"type":"Circle"}`,
		"two points": `{"type":"Polygon","coordinates":[[[1,2],[3,4],[1,2]]]}`,
	} {
		if _, err := Read([]byte(text)); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(collection))
	f.Add([]byte(`{"type":"Polygon","coordinates":[[[0,0],[0,0],[0,0]]]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := Read(b)
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%d paddocks, %v", len(list), err)
		}
		res := report.Result{Place: &report.Place{}, Tracks: []report.Track{animal(1, 0, 0, 5)}}
		Count(&res, list[:min(len(list), 5)])
		for _, p := range res.Place.Paddocks {
			if math.IsNaN(p.Seen) || p.Seen < 0 || p.Seen > 1 {
				t.Errorf("seen %g", p.Seen)
			}
		}
	})
}

// BenchmarkArea is a paddock of the most points that are read.
func BenchmarkArea(b *testing.B) {
	p := twoCircles(maxPoints)
	for b.Loop() {
		newArea(p)
	}
}
