package mapfile

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/place/paddock"
	"cattlecounter/deploy/testkit/gdal"
)

func sample() report.Result {
	h := 30.0
	return report.Result{
		Source: report.Source{Name: `DJI <0001> & "so".MP4`},
		Tracks: []report.Track{
			{ID: 3, Label: "cow", Confidence: 0.91,
				Position: &report.Position{Latitude: -31.7, Longitude: 24.3, Radius: 4.2, Seconds: 2}},
			{ID: 4, Label: "cow", Confidence: 0.5},
			{ID: 5, Label: "cow", Confidence: 0.5, Offset: &report.Offset{Right: 1, Up: -2, Radius: 1.5}},
		},
		Place: &report.Place{Way: "camera", Path: []report.Moment{{Latitude: -31.7, Longitude: 24.3, Height: &h},
			{Seconds: 1, Latitude: -31.7001, Longitude: 24.3}},
			Footprint: [][][][2]float64{{{{24.3, -31.7}, {24.301, -31.7}, {24.301, -31.699}, {24.3, -31.7}}}},
			Paddocks:  []report.Paddock{{Name: "north", Tracks: []int{3}}, {Name: "all", Tracks: []int{3}}}},
	}
}

func written(t *testing.T, f Format, r report.Result) []byte {
	t.Helper()
	var b bytes.Buffer
	one := 1
	if r.Place != nil {
		r.Place.Paddocks[0].Animals, r.Place.Paddocks[0].Low, r.Place.Paddocks[0].High = &one, &one, &one
	}
	corners := [][][][2]float64{{{{24, -32}, {25, -32}, {25, -31}}}}
	if err := Write(&b, f, r, time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC), paddock.Paddock{Name: "north", Polygons: corners},
		paddock.Paddock{Name: "all", Polygons: corners}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestForms(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(written(t, CSV, sample()))).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%v %v", rows, err)
	}
	if got := strings.Join(rows[1], ","); got != "3,cow,0.910,-31.7000000,24.3000000,4.2,2.00,,,north; all" {
		t.Errorf("row %s", got)
	}
	if got := strings.Join(rows[3], ","); got != "5,cow,0.500,,,1.5,,1.00,-2.00," {
		t.Errorf("row %s", got)
	}
	var g collection
	if err := json.Unmarshal(written(t, GeoJSON, sample()), &g); err != nil || len(g.Features) != 3 {
		t.Errorf("%+v %v", g, err)
	}
	if p := g.Features[0]; p.Properties["radius_m"] != 4.2 || p.Geometry.Coordinates.([]any)[0] != 24.3 {
		t.Errorf("animal %+v", p)
	}
	for _, f := range []Format{KML, GPX} {
		for _, r := range []report.Result{sample(), {}} {
			d := xml.NewDecoder(bytes.NewReader(written(t, f, r)))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", f, err)
				}
			}
		}
	}
	if text := string(written(t, GPX, sample())); !strings.Contains(text, "<time>2026-05-01T06:00:01.000Z</time>") {
		t.Errorf("GPX has no time: %s", text)
	}
}

func TestKMZ(t *testing.T) {
	b := written(t, KMZ, sample())
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil || len(z.File) != 1 || z.File[0].Name != "doc.kml" {
		t.Fatalf("archive %+v: %v", z, err)
	}
	f, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(text, written(t, KML, sample())) || f.Close() != nil {
		t.Errorf("its document is not the KML: %v", err)
	}
	if !bytes.Equal(b, written(t, KMZ, sample())) {
		t.Error("the same positions make other bytes: an entity tag would change")
	}
}

func TestParseFormat(t *testing.T) {
	for name, want := range map[string]Format{"KML": KML, "kmz": KMZ, "json": GeoJSON, "geojson": GeoJSON, "csv": CSV, "gpx": GPX,
		"gpkg": GPKG} {
		if f, err := ParseFormat(name); err != nil || f != want || f.ContentType() == "" {
			t.Errorf("%s: %s %v", name, f, err)
		}
	}
	if _, err := ParseFormat("shp"); !errors.Is(err, ErrFormat) {
		t.Errorf("shp: %v", err)
	}
}

// TestIndependentReader has GDAL read the files.
func TestIndependentReader(t *testing.T) {
	gdal.Need(t, "ogrinfo")
	for f, want := range map[Format][]string{
		GeoJSON: {"POINT (24.3 -31.7)", "LINESTRING (24.3 -31.7,24.3 -31.7001)", "MULTIPOLYGON (((24.3 -31.7",
			"radius_m (Real) = 4.2"},
		KML: {"POINT (24.3 -31.7)", "LINESTRING (24.3 -31.7,24.3 -31.7001)", "MULTIPOLYGON (((24.3 -31.7"},
		GPX: {"MULTILINESTRING ((24.3 -31.7,24.3 -31.7001))"},
		CSV: {"latitude (String) = -31.7000000"},
		GPKG: {"POINT (24.3 -31.7)", "LINESTRING (24.3 -31.7,24.3 -31.7001)", "MULTIPOLYGON (((24.3 -31.7", "radius_m (Real) = 4.2",
			"paddock (String) = north; all", "Layer name: paddocks", "animals (Integer64) = 1", "animals (Integer64) = (null)"},
	} {
		file := filepath.Join(t.TempDir(), "positions."+string(f))
		if err := os.WriteFile(file, written(t, f, sample()), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "ogrinfo", "-al", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", f, err, out)
		}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%s: ogrinfo does not show %q:\n%s", f, w, out)
			}
		}
	}
}
