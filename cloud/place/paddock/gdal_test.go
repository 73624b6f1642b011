package paddock

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// TestIndependentPrograms has GDAL write a shapefile and KML, which are read here, and read what is written here.
func TestIndependentPrograms(t *testing.T) {
	for _, program := range []string{"ogr2ogr", "ogrinfo"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed; apt-get install gdal-bin")
		}
	}
	list := must.Get(ReadAny([]byte(kmlText)))(t)
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
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
	run("ogr2ogr", "-f", "ESRI Shapefile", filepath.Join(dir, "utm"), source, "-nln", "camps", "-t_srs", "EPSG:32734")
	for ext := range map[string]bool{".shp": true, ".dbf": true, ".prj": true} {
		files["camps"+ext] = must.Get(os.ReadFile(filepath.Join(dir, "utm", "camps"+ext)))(t)
	}
	if _, err := ReadAny(archive(t, files)); err == nil || !strings.Contains(err.Error(), "projection") {
		t.Errorf("a projected shapefile of GDAL: %v", err)
	}
}
