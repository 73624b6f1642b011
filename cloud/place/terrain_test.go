package place

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/place/geotiff"
	"cattlecounter/deploy/testkit/gdal"
	"cattlecounter/deploy/testkit/must"
)

// TestRasters reads heights in degrees, and as GDAL has warped them to UTM.
func TestRasters(t *testing.T) {
	gdal.Need(t, "gdal_translate", "gdalwarp")
	dir := t.TempDir()
	run := func(name string, args ...string) string { return strings.TrimSpace(gdal.Run(t, name, args...)) }
	text := "ncols 40\nnrows 40\nxllcorner 24.2\nyllcorner -31.8\ncellsize 0.005\nNODATA_value -9999\n"
	for y := range 40 {
		for x := range 40 {
			text += fmt.Sprintf("%g ", 900+5*float64(x)+0.5*float64(y*y))
		}
		text += "\n"
	}
	source := filepath.Join(dir, "in.asc")
	must.Do(t, os.WriteFile(source, []byte(text), 0o600))
	degrees, metres, grid := filepath.Join(dir, "a.tif"), filepath.Join(dir, "b.tif"), filepath.Join(dir, "c.tif")
	run("gdal_translate", "-q", "-a_srs", "EPSG:4326", "-ot", "Float32", "-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=3", source, degrees)
	run("gdalwarp", "-q", "-t_srs", "EPSG:32734", "-r", "bilinear", "-dstnodata", "-9999", degrees, metres)
	run("gdalwarp", "-q", "-t_srs", "EPSG:2048", degrees, grid)
	for _, file := range []string{degrees, metres} {
		r, err := ReadTerrain(filepath.Base(file), must.Get(os.ReadFile(file))(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range [][2]float64{{-31.7, 24.3}, {-31.6523, 24.2871}, {-31.7777, 24.3333}} {
			h, ok := r.Height(p[0], p[1])
			column, row := (p[1]-24.2)/0.005-0.5, (-31.6-p[0])/0.005-0.5
			top := math.Floor(row)
			want := 900 + 5*column + 0.5*(top*top+(row-top)*(2*top+1))
			most := 0.01
			if file == metres {
				most = 1 // it was interpolated by GDAL before
			}
			if !ok || math.Abs(h-want) > most {
				t.Errorf("%s at %v: %g %v, want %g", filepath.Base(file), p, h, ok, want)
			}
		}
		for _, p := range [][2]float64{{-31.7, 24.19}, {-31.81, 24.3}, {31.7, 24.3}, {-31.7, -155.7}} {
			if h, ok := r.Height(p[0], p[1]); ok {
				t.Errorf("%s at %v: %g outside of it", filepath.Base(file), p, h)
			}
		}
	}
	if _, err := ReadTerrain("c.tif", must.Get(os.ReadFile(grid))(t)); !errors.Is(err, geotiff.ErrFile) ||
		!strings.Contains(err.Error(), "EPSG:2048 is not read; convert it") {
		t.Errorf("a national grid: %v", err)
	}
	if _, err := ReadTerrain("page.html", []byte("<html>")); !errors.Is(err, ErrHGT) {
		t.Errorf("a page: %v", err)
	}
}
