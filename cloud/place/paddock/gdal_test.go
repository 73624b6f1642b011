package paddock

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/gdal"
	"cattlecounter/deploy/testkit/must"
)

// TestIndependentPrograms has GDAL write a shapefile and KML, which are read here, and read what is written here.
func TestIndependentPrograms(t *testing.T) {
	gdal.Need(t, "ogr2ogr", "ogrinfo")
	list := must.Get(ReadAny([]byte(kmlText)))(t)
	dir := t.TempDir()
	run := func(name string, args ...string) string { return gdal.Run(t, name, args...) }
	var geo, kml bytes.Buffer
	must.Do(t, WriteGeoJSON(&geo, list, nil))
	must.Do(t, WriteKML(&kml, "Farm", list))
	source := filepath.Join(dir, "in.geojson")
	must.Do(t, os.WriteFile(source, geo.Bytes(), 0o600))
	must.Do(t, os.WriteFile(filepath.Join(dir, "in.kml"), kml.Bytes(), 0o600))
	for _, file := range []string{source, filepath.Join(dir, "in.kml")} {
		if out := run("ogrinfo", "-al", file); !strings.Contains(out, "Hill & dam") || !strings.Contains(out, "24.02 -31.02") {
			t.Errorf("GDAL reads %s", out)
		}
	}
	run("ogr2ogr", "-f", "ESRI Shapefile", filepath.Join(dir, "out"), source, "-nln", "camps")
	files := map[string][]byte{}
	for _, ext := range []string{".shp", ".dbf", ".prj", ".shx"} {
		files["camps"+ext] = must.Get(os.ReadFile(filepath.Join(dir, "out", "camps"+ext)))(t)
	}
	run("ogr2ogr", "-f", "KML", filepath.Join(dir, "out.kml"), source)
	for form, b := range map[string][]byte{"shapefile": archive(t, files), "KML": must.Get(os.ReadFile(filepath.Join(dir, "out.kml")))(t)} {
		got := must.Get(ReadAny(b))(t)
		if len(got) != 1 || got[0].Name != "Hill & dam" || len(got[0].Polygons) != 2 ||
			math.Abs(newArea(got[0]).size()/newArea(list[0]).size()-1) > 0.01 {
			t.Errorf("%s of GDAL: %+v", form, got)
		}
	}
	for code, why := range map[string]string{"32734": "", "32633": "", "31983": "", "20934": "Arc", "2048": "projection", "2232": "projection"} {
		out := filepath.Join(dir, code)
		run("ogr2ogr", "-f", "ESRI Shapefile", out, source, "-nln", "camps", "-t_srs", "EPSG:"+code)
		for ext := range map[string]bool{".shp": true, ".dbf": true, ".prj": true} {
			files["camps"+ext] = must.Get(os.ReadFile(filepath.Join(out, "camps"+ext)))(t)
		}
		got, err := ReadAny(archive(t, files))
		if why != "" {
			if err == nil || !strings.Contains(strings.ToUpper(err.Error()), strings.ToUpper(why)) {
				t.Errorf("a shapefile of GDAL in EPSG:%s: %v", code, err)
			}
			continue
		}
		must.Do(t, err)
		if a, b := got[0].Polygons[0][0], list[0].Polygons[0][0]; !slices.ContainsFunc(a, func(p [2]float64) bool {
			return math.Hypot(p[0]-b[0][0], p[1]-b[0][1]) < 3e-5 // three metres
		}) {
			t.Errorf("EPSG:%s: no corner of %v at %v", code, a, b[0])
		}
	}
}

// TestCharacterSets reads KML whose declaration names its character set.
func TestCharacterSets(t *testing.T) {
	const text = `<?xml version="1.0" encoding="%s"?><kml><Placemark><name>%s</name><Polygon><outerBoundaryIs><LinearRing>
		<coordinates>24,-31 25,-31 25,-32</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></kml>`
	for _, c := range []struct{ set, name, want string }{{"ISO-8859-1", "Ca\xf1ada", "Cañada"}, {"windows-1251", "\xcb\xf3\xe3", "Луг"},
		{"UTF-8", "Cañada", "Cañada"}, {"ISO-8859-1", "Cañada", "Cañada"}} {
		if got, err := ReadAny(fmt.Appendf(nil, text, c.set, c.name)); err != nil || got[0].Name != c.want {
			t.Errorf("%s: %+v, want %s: %v", c.set, got, c.want, err)
		}
	}
	if _, err := ReadAny(fmt.Appendf(nil, text, "of-no-kind", "\xf1")); err == nil || !strings.Contains(err.Error(), "of-no-kind") {
		t.Errorf("an unknown character set: %v", err)
	}
}

// TestGeoPackageOfGDAL reads what GDAL writes: in degrees, UTM and the web's Mercator, with heights, beside other layers.
// GDAL reads what is written here.
func TestGeoPackageOfGDAL(t *testing.T) {
	gdal.Need(t, "ogr2ogr", "ogrinfo")
	list := must.Get(ReadAny([]byte(kmlText)))(t)
	dir := t.TempDir()
	run := func(name string, args ...string) string { return gdal.Run(t, name, args...) }
	source := filepath.Join(dir, "in.geojson")
	var geo, packed bytes.Buffer
	must.Do(t, WriteGeoJSON(&geo, list, nil))
	must.Do(t, os.WriteFile(source, geo.Bytes(), 0o600))
	n := 0
	made := func(args ...string) string {
		t.Helper()
		n++
		file := filepath.Join(dir, strings.Repeat("a", n)+".gpkg")
		run("ogr2ogr", append([]string{"-f", "GPKG", file, source}, args...)...)
		return file
	}
	for name, file := range map[string]string{
		"degrees": made(), "UTM": made("-t_srs", "EPSG:32734"), "Mercator": made("-t_srs", "EPSG:3857"),
		"heights": made("-dim", "XYZ"), "SIRGAS": made("-a_srs", "EPSG:4674"), "another datum": made("-a_srs", "EPSG:4222"),
		"national grid": made("-t_srs", "EPSG:2048"),
	} {
		got, err := ReadAny(must.Get(os.ReadFile(file))(t))
		if refused := name == "another datum" || name == "national grid"; refused {
			if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "export it in WGS 84") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || len(got) != 1 || got[0].Name != "Hill & dam" || len(got[0].Polygons) != 2 || len(got[0].Polygons[0]) != 2 {
			t.Errorf("%s: %+v %v", name, got, err)
			continue
		}
		p, q := got[0].Polygons[1][0], list[0].Polygons[1][0]
		for i := range p {
			nearest := math.Inf(1)
			for _, c := range q {
				nearest = min(nearest, math.Hypot(p[i][0]-c[0], p[i][1]-c[1]))
			}
			if nearest > 1e-7 {
				t.Errorf("%s: corner %v is %g degrees off", name, p[i], nearest)
			}
		}
	}

	several := made()
	run("ogr2ogr", "-f", "GPKG", "-update", several, source, "-nln", "buildings")
	if _, err := ReadAny(must.Get(os.ReadFile(several))(t)); err == nil || !strings.Contains(err.Error(), `2 layers with polygons ("in", "buildings")`) {
		t.Errorf("two layers: %v", err)
	}
	run("ogr2ogr", "-f", "GPKG", "-update", several, source, "-nln", "Paddocks")
	if got, err := ReadAny(must.Get(os.ReadFile(several))(t)); err != nil || len(got) != 1 {
		t.Errorf("a layer of paddocks among others: %+v %v", got, err)
	}
	empty := made()
	run("ogrinfo", empty, "-sql", "INSERT INTO \"in\" (name, geom) VALUES ('Far', NULL)")
	if _, err := ReadAny(must.Get(os.ReadFile(empty))(t)); err == nil || !strings.Contains(err.Error(), `feature 2 ("Far") of layer "in" has no geometry`) {
		t.Errorf("a paddock without a border: %v", err)
	}

	must.Do(t, WriteGeoPackage(t.Context(), &packed, time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC), list))
	file := filepath.Join(dir, "out.gpkg")
	must.Do(t, os.WriteFile(file, packed.Bytes(), 0o600))
	if out := run("ogrinfo", "-al", "-ro", file); !strings.Contains(out, "name (String) = Hill & dam") || !strings.Contains(out, "24.02 -31.02") {
		t.Errorf("GDAL reads %s", out)
	}
	back := must.Get(ReadAny(packed.Bytes()))(t)
	if len(back) != 1 || math.Abs(newArea(back[0]).size()/newArea(list[0]).size()-1) > 0.01 {
		t.Errorf("there and back: %+v", back)
	}
}
