package paddock

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/count/report"
	"cattlecounter/deploy/testkit/must"
)

func archive(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w := must.Get(z.Create(name))(t)
		must.Get(w.Write(text))(t)
	}
	must.Do(t, z.Close())
	return b.Bytes()
}

const kmlText = `<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>Farm</name>
<Folder><name>Camps</name><Placemark><name> Hill &amp; dam </name><MultiGeometry><Polygon><innerBoundaryIs><LinearRing>
<coordinates>24.02,-31.02 24.04,-31.02 24.03,-31.04</coordinates></LinearRing></innerBoundaryIs><outerBoundaryIs><LinearRing>
<coordinates>24,-31,1200 24.1,-31,1200 24.1,-31.1,1200 24,-31.1,1200 24,-31,1200</coordinates></LinearRing></outerBoundaryIs></Polygon>
<Polygon><outerBoundaryIs><LinearRing><coordinates>24.2,-31 24.3,-31 24.3,-31.1</coordinates></LinearRing></outerBoundaryIs></Polygon>
</MultiGeometry></Placemark><Placemark><name>Gate</name><Point><coordinates>24,-31</coordinates></Point></Placemark></Folder></Document></kml>`

// shapefile is a .shp of polygons, each a list of rings, and a .dbf with names.
func shapefile(t testing.TB, names []string, shapes [][][][2]float64) map[string][]byte {
	t.Helper()
	shp := make([]byte, 100)
	binary.BigEndian.PutUint32(shp, 9994)
	dbf := make([]byte, 65)
	binary.LittleEndian.PutUint32(dbf[4:], uint32(len(shapes)))
	binary.LittleEndian.PutUint16(dbf[8:], 65)
	binary.LittleEndian.PutUint16(dbf[10:], 21)
	copy(dbf[32:], "NAME\x00")
	dbf[43], dbf[48], dbf[64] = 'C', 20, 0x0d
	for i, rings := range shapes {
		var parts, points []byte
		n := 0
		for _, r := range rings {
			parts = binary.LittleEndian.AppendUint32(parts, uint32(n))
			for _, p := range append(slices.Clone(r), r[0]) {
				points = binary.LittleEndian.AppendUint64(points, math.Float64bits(p[0]))
				points = binary.LittleEndian.AppendUint64(points, math.Float64bits(p[1]))
				n++
			}
		}
		rec := binary.LittleEndian.AppendUint32(nil, 5)
		rec = append(rec, make([]byte, 32)...)
		rec = binary.LittleEndian.AppendUint32(rec, uint32(len(rings)))
		rec = binary.LittleEndian.AppendUint32(rec, uint32(n))
		rec = slices.Concat(rec, parts, points)
		shp = binary.BigEndian.AppendUint32(shp, uint32(i+1))
		shp = binary.BigEndian.AppendUint32(shp, uint32(len(rec)/2))
		shp = append(shp, rec...)
		dbf = append(dbf, fmt.Sprintf(" %-20s", names[i])...)
	}
	return map[string][]byte{"farm/Camps.shp": shp, "farm/Camps.dbf": dbf, "farm/Camps.prj": []byte(`GEOGCS["WGS 84"]`)}
}

func shapes(t testing.TB) map[string][]byte {
	return shapefile(t, []string{"Dam", "Veld\xe9"}, [][][][2]float64{
		{{{24, -31.1}, {24, -31}, {24.1, -31}, {24.1, -31.1}}, {{24.02, -31.05}, {24.05, -31.05}, {24.05, -31.02}, {24.02, -31.02}}},
		{{{24.2, -31.1}, {24.2, -31}, {24.3, -31}}}})
}

func TestReadAny(t *testing.T) {
	list := must.Get(ReadAny([]byte(kmlText)))(t)
	if len(list) != 1 || list[0].Name != "Hill & dam" || len(list[0].Polygons) != 2 || len(list[0].Polygons[0]) != 2 ||
		len(list[0].Polygons[0][0]) != 4 {
		t.Errorf("KML: %+v", list)
	}
	if got := must.Get(ReadAny(archive(t, map[string][]byte{"doc.kml": []byte(kmlText)})))(t); len(got) != 1 {
		t.Errorf("KMZ: %+v", got)
	}
	if got := must.Get(ReadAny([]byte("\xef\xbb\xbf\n" + collection)))(t); len(got) != 3 {
		t.Errorf("GeoJSON with a mark: %+v", got)
	}
	list = must.Get(ReadAny(archive(t, shapes(t))))(t)
	if len(list) != 2 || list[0].Name != "Dam" || list[1].Name != "Veldé" || len(list[0].Polygons) != 1 || len(list[0].Polygons[0]) != 2 {
		t.Errorf("shapefile: %+v", list)
	}
	projected, damaged, two := shapes(t), shapes(t), shapes(t)
	projected["farm/Camps.prj"] = []byte(`PROJCS["WGS 84 / UTM zone 34S",GEOGCS[]]`)
	damaged["farm/Camps.shp"] = damaged["farm/Camps.shp"][:180]
	two["other.shp"] = two["farm/Camps.shp"]
	for why, b := range map[string][]byte{
		"has a projection": archive(t, projected), "cut off": archive(t, damaged), "2 shapefiles": archive(t, two),
		"no .kml and no .shp": archive(t, map[string][]byte{"x.txt": nil}), "no GeoJSON": []byte("name;x;y"),
		"no KML": []byte("<html></html>"), "longitude,latitude": []byte(strings.Replace(kmlText, "24,-31,1200", "24;-31", 1)),
		"swapped: the longitude comes first": []byte(`{"type":"Polygon","coordinates":[[[-31,144],[-31,145],[-32,145]]]}`),
		"ZIP archive":                        []byte("PK\x03\x04broken"),
	} {
		if _, err := ReadAny(b); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), why) {
			t.Errorf("want %q: %v", why, err)
		}
	}
}

// A file in an older coordinate system is refused: its fences would stand some hundred metres beside the true ones.
func TestCoordinateSystems(t *testing.T) {
	const polygon = `{"crs":{"type":"name","properties":{"name":%q}},"type":"Polygon","coordinates":[[[24,-31],[25,-31],[25,-32]]]}`
	for name, ok := range map[string]bool{"urn:ogc:def:crs:OGC:1.3:CRS84": true, "EPSG:4326": true, "urn:ogc:def:crs:EPSG::4674": true,
		"": true, "urn:ogc:def:crs:EPSG::4618": false, "EPSG:4222": false, "urn:ogc:def:crs:EPSG::32734": false} {
		_, err := ReadAny(fmt.Appendf(nil, polygon, name))
		if (err == nil) != ok || !ok && (!errors.Is(err, ErrFile) || !strings.Contains(err.Error(), name)) {
			t.Errorf("GeoJSON %s: %v", name, err)
		}
	}
	for wkt, ok := range map[string]bool{`GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137,298.257223563]]]`: true,
		`GEOGCRS["Hartebeesthoek94",DATUM["Hartebeesthoek94",ELLIPSOID["WGS 84",6378137,298.257223563]]]`: true,
		`GEOGCS["unknown",DATUM["WGS_1984",SPHEROID["WGS_1984",6378137,298.257223563]]]`:                  true, "": true,
		`GEOGCS["Cape",DATUM["Cape",SPHEROID["Clarke 1880 (Arc)",6378249.145],TOWGS84[-136,-108,-292]]]`: false,
		`GEOGCS["GCS_South_American_1969",DATUM["D_South_American_1969",SPHEROID["GRS_1967",6378160]]]`:  false,
		`GEOGCS["Australian`: false} {
		files := shapes(t)
		files["farm/Camps.prj"] = []byte(wkt)
		if _, err := ReadAny(archive(t, files)); (err == nil) != ok || !ok && !errors.Is(err, ErrFile) {
			t.Errorf("shapefile %s: %v", wkt, err)
		}
	}
}

// What is written is read again as the same paddocks.
func TestWrite(t *testing.T) {
	list := must.Get(ReadAny(archive(t, shapes(t))))(t)
	var g, k bytes.Buffer
	must.Do(t, WriteGeoJSON(&g, list, map[string]any{"version": 3}))
	must.Do(t, WriteKML(&k, "Farm <1>", list))
	var doc struct{ Version int }
	if err := json.Unmarshal(g.Bytes(), &doc); err != nil || doc.Version != 3 {
		t.Errorf("GeoJSON: %v %s", err, g.String())
	}
	for form, b := range map[string][]byte{"GeoJSON": g.Bytes(), "KML": k.Bytes()} {
		again := must.Get(ReadAny(b))(t)
		if len(again) != 2 || again[1].Name != "Veldé" || len(again[0].Polygons[0]) != 2 ||
			math.Abs(newArea(again[0]).size()-newArea(list[0]).size()) > 1 {
			t.Errorf("%s: %+v", form, again)
		}
	}
}

// The seam between two polygons of a paddock is no border, and its outer edges are.
func TestSeam(t *testing.T) {
	whole := Paddock{Name: "both", Polygons: [][][][2]float64{{square(0, 0, 100)},
		{{at(100.1, 0), at(200, 0), at(200, 50), at(100.1, 50)}}}}
	res := report.Result{Count: report.Count{Unique: 2, Low: 2, High: 2},
		Place:  &report.Place{Placed: 2, Footprint: [][][][2]float64{{square(-50, -50, 400)}}},
		Tracks: []report.Track{animal(1, 98, 25, 5), animal(2, 98, 75, 5)}}
	Count(&res, []Paddock{whole})
	p := res.Place.Paddocks[0]
	if *p.Animals != 2 || p.Border != 1 || p.Near != 0 || p.Seen < 0.999 || *p.Low != 1 || *p.High != 2 {
		t.Errorf("%+v low %d high %d", p, *p.Low, *p.High)
	}
}

// A paddock of which nothing was seen has no number, and neither has any without positions.
func TestNotSeen(t *testing.T) {
	paddocks := []Paddock{{Name: "here", Polygons: [][][][2]float64{{square(0, 0, 100)}}},
		{Name: "far", Polygons: [][][][2]float64{{square(5000, 0, 100)}}}}
	res := report.Result{Place: &report.Place{Placed: 1, Footprint: [][][][2]float64{{square(0, 0, 50)}}},
		Tracks: []report.Track{animal(1, 30, 30, 5)}}
	Count(&res, paddocks)
	if here, far := res.Place.Paddocks[0], res.Place.Paddocks[1]; *here.Animals != 1 || far.Animals != nil || far.Seen != 0 {
		t.Errorf("here %+v, far %+v", here, far)
	}
	res.Count.Unique = 1
	res.Place.Placed, res.Place.Footprint, res.Tracks = 0, [][][][2]float64{{square(0, 0, 50)}}, []report.Track{{ID: 1}}
	Count(&res, paddocks)
	if here := res.Place.Paddocks[0]; here.Animals != nil || here.Seen == 0 {
		t.Errorf("without positions: %+v", here)
	}
}

// The interval of the counted animals, those at the border and those without a place all widen the interval.
func TestInterval(t *testing.T) {
	for _, c := range []struct {
		name      string
		b         border
		n         int
		w         Whole
		low, high int
	}{
		{"certain", border{}, 10, Whole{100, 100, 100, 100}, 10, 10},
		{"the whole herd", border{}, 100, Whole{100, 90, 120, 100}, 90, 120},
		{"a quarter", border{}, 25, Whole{100, 90, 120, 100}, 20, 35},
		{"four at the border", fence(true, 1), 10, Whole{10, 10, 10, 10}, 6, 10},
		{"four behind the border", fence(false, 1), 10, Whole{10, 10, 10, 10}, 10, 14},
		{"four of each of two flights", fence(true, 2), 10, Whole{10, 10, 10, 10}, 2, 10},
		{"some without a place", border{}, 8, Whole{10, 10, 10, 8}, 8, 10},
		{"none", border{}, 0, Whole{100, 90, 110, 100}, 0, 1},
		{"an empty count", border{}, 0, Whole{0, 0, 0, 0}, 0, 0},
	} {
		if low, high := c.b.interval(c.n, c.w); low != c.low || high != c.high {
			t.Errorf("%s: %d to %d, want %d to %d", c.name, low, high, c.low, c.high)
		}
	}
}

// fence has four animals of each flight half a metre from a border in the east, known to 5 m.
func fence(inside bool, flights int) border {
	b := border{}
	for f := range flights {
		for range 4 {
			b.add(f, inside, [2]float64{0.5, 0}, 5)
		}
	}
	return b
}

// grid is many paddocks of 100 m, side by side.
func grid(n int) []Paddock {
	var list []Paddock
	for i := range n {
		list = append(list, Paddock{Name: fmt.Sprint(i), Polygons: [][][][2]float64{{square(100*float64(i%100), 100*float64(i/100), 100)}}})
	}
	return list
}

func BenchmarkTenThousandPaddocks(b *testing.B) {
	s := NewSet(grid(maxPaddocks))
	var tracks []report.Track
	for i := range 300 {
		tracks = append(tracks, animal(i, 5000+float64(i), 5000+float64(i%50), 5))
	}
	for b.Loop() {
		if got := s.Animals(tracks, [][][][2]float64{{square(4900, 4900, 500)}}, Whole{300, 290, 310, 300}); len(got) == 0 {
			b.Fatal("no paddock")
		}
	}
}

func TestManyPaddocks(t *testing.T) {
	s := NewSet(grid(maxPaddocks))
	got := s.Animals([]report.Track{animal(1, 5050, 5050, 5)}, [][][][2]float64{{square(4960, 4960, 180)}}, Whole{1, 1, 1, 1})
	n := 0
	for i, p := range got {
		if *p.Animals == 1 && s.list[i].Name == "5050" && p.Seen == 1 {
			n++
		}
	}
	if n != 1 || len(got) > 9 {
		t.Errorf("%d paddocks near: %+v", len(got), got)
	}
	if _, err := ReadAny(must.Get(json.Marshal(map[string]any{"type": "FeatureCollection", "features": slices.Repeat(
		[]json.RawMessage{[]byte(`{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[1,2],[1,3],[2,3]]]}}`)}, maxPaddocks+1)}))(t)); !errors.Is(err, ErrFile) {
		t.Errorf("too many: %v", err)
	}
}

func FuzzReadAny(f *testing.F) {
	f.Add([]byte(collection))
	f.Add([]byte(kmlText))
	f.Add(archive(f, map[string][]byte{"doc.kml": []byte(kmlText)}))
	f.Add(archive(f, shapes(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ReadAny(b)
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%d paddocks, %v", len(list), err)
		}
		var out bytes.Buffer
		if err := WriteGeoJSON(&out, list, nil); err != nil {
			t.Fatal(err)
		}
		if again, err := ReadAny(out.Bytes()); len(list) > 0 && (err != nil || len(again) != len(list)) {
			t.Errorf("written and read again: %d of %d paddocks, %v", len(again), len(list), err)
		}
	})
}

func FuzzShape(f *testing.F) {
	parts := shapes(f)
	f.Add(parts["farm/Camps.shp"][108:], parts["farm/Camps.dbf"])
	f.Fuzz(func(t *testing.T, record, table []byte) {
		if p, err := shape(record, func(x, y float64) (float64, float64) { return x, y }); err != nil && p != nil {
			t.Error("polygons with an error")
		}
		if names, err := readNames(table); err != nil && names != nil {
			t.Error("names with an error")
		}
	})
}
