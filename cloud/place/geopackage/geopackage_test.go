package geopackage

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"go.uber.org/goleak"

	"cattlecounter/deploy/testkit/gdal"
	"cattlecounter/deploy/testkit/must"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var square = orb.MultiPolygon{{{{24, -31}, {24.1, -31}, {24.1, -30.9}, {24, -31}}}}

func sample(t *testing.T) []byte {
	t.Helper()
	var b, again bytes.Buffer
	for _, w := range []*bytes.Buffer{&b, &again} {
		must.Do(t, Write(t.Context(), w, time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC), []Layer{
			{Name: "animals", Type: "POINT", Columns: []Column{{"id", "INTEGER"}, {"paddock", "TEXT"}, {"radius_m", "REAL"}},
				Rows: []Row{{orb.Point{24.3, -31.7}, []any{7, `North "1"`, 2.5}}, {orb.Point{24.31, -31.71}, []any{8, nil, 3.5}}}},
			{Name: "borders", Type: "MULTIPOLYGON", Columns: []Column{{"name", "TEXT"}}, Rows: []Row{{square, []any{"Dam"}}}},
			{Name: "path", Type: "LINESTRING"}}))
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("the same layers make other bytes: an entity tag would change")
	}
	return b.Bytes()
}

func features(b []byte) (list []Feature, err error) {
	err = Read(context.Background(), b, func(f Feature) error { list = append(list, f); return nil })
	return list, err
}

func TestThereAndBack(t *testing.T) {
	list := must.Get(features(sample(t)))(t)
	want := []Feature{
		{Layer: "animals", ID: 1, Code: 4326, System: "WGS 84", Values: map[string]any{"id": int64(7), "paddock": `North "1"`, "radius_m": 2.5}},
		{Layer: "animals", ID: 2, Code: 4326, System: "WGS 84", Values: map[string]any{"id": int64(8), "paddock": nil, "radius_m": 3.5}},
		{Layer: "borders", ID: 1, Code: 4326, System: "WGS 84", Values: map[string]any{"name": "Dam"},
			Polygons: [][][][]float64{{{{24, -31}, {24.1, -31}, {24.1, -30.9}, {24, -31}}}}},
	}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("%+v", list)
	}
	stop := errors.New("stop")
	if err := Read(t.Context(), sample(t), func(Feature) error { return stop }); err != stop { //nolint:errorlint // as it is
		t.Errorf("the error of visit: %v", err)
	}
}

// TestIndependentReader has GDAL read and check the file.
func TestIndependentReader(t *testing.T) {
	gdal.Need(t, "ogrinfo")
	file := filepath.Join(t.TempDir(), "a.gpkg")
	must.Do(t, os.WriteFile(file, sample(t), 0o600))
	out, err := exec.CommandContext(t.Context(), "ogrinfo", "-al", "-ro", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "Warning") || strings.Contains(string(out), "ERROR") {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"Layer name: animals", "POINT (24.3 -31.7)", `paddock (String) = North "1"`, "radius_m (Real) = 2.5",
		"Layer name: borders", "MULTIPOLYGON (((24 -31,24.1 -31,24.1 -30.9,24 -31)))", "Layer name: path", `ID["EPSG",4326]`,
		"Extent: (24.300000, -31.710000) - (24.310000, -31.700000)"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}

// changed runs SQL on a sample.
func changed(t *testing.T, statements ...string) []byte {
	t.Helper()
	b := sample(t)
	must.Do(t, inMemory(t.Context(), func(c *sql.Conn) error {
		err := c.Raw(func(d any) error { return d.(interface{ Deserialize([]byte) error }).Deserialize(b) })
		for _, s := range statements {
			if err == nil {
				_, err = c.ExecContext(t.Context(), s)
			}
		}
		if err != nil {
			return err
		}
		return c.Raw(func(d any) (err error) { b, err = d.(interface{ Serialize() ([]byte, error) }).Serialize(); return err })
	}))
	return b
}

// TestHostile reads files that want to run code, to take memory or time, or that are damaged. None may do so.
func TestHostile(t *testing.T) {
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n)"
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"a view as layer": {changed(t, "DROP TABLE borders", "CREATE VIEW borders AS "+endless+" SELECT i AS fid, NULL AS geom FROM n"),
			`layer "borders": it has no table "borders"`},
		"a view as contents": {changed(t, "ALTER TABLE gpkg_contents RENAME TO old", "CREATE VIEW gpkg_contents AS "+endless+
			" SELECT i AS table_name FROM n"), `it has no table "gpkg_contents"`},
		"a virtual table": {changed(t, "DROP TABLE borders", "CREATE VIRTUAL TABLE borders USING fts5(geom)"), "is no ordinary table"},
		"a long value":    {changed(t, "UPDATE borders SET name = zeroblob(40000000)"), "too big"},
		"no column":       {changed(t, "UPDATE gpkg_geometry_columns SET column_name = 'shape'"), `no column "shape"`},
		"curves":          {changed(t, "UPDATE borders SET geom = x'47500001e6100000010a00000000000000'"), "has curves"},
		"cut geometry":    {changed(t, "UPDATE borders SET geom = x'47500001e61000000106000000ff000000'"), "cut off or damaged"},
		"text":            {[]byte("SQLite format 3\x00 and then nothing"), ""},
		"half a file":     {sample(t)[:6000], ""},
		"no database":     {[]byte("GeoPackage"), "does not begin as SQLite"},
		"empty":           {nil, "0 bytes"},
	} {
		list, err := features(c.b)
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %d features", name, err, len(list))
		}
	}
}

// TestExpressionsOfStrangers reads files with conditions and columns that take hours to compute, within one step of SQLite
// that no time limit ends. They are in tables that are no layers too, because all tables are checked for damage.
func TestExpressionsOfStrangers(t *testing.T) {
	const slow = "instr(zeroblob(8000000), zeroblob(4000000) || x'01') = length(a)"
	insert := "INSERT INTO notes(a) VALUES ('x')"
	for name, c := range map[string]struct {
		statements []string
		want       string // "" for a file that is read
	}{
		"a condition": {[]string{"PRAGMA ignore_check_constraints = ON", "CREATE TABLE notes (a TEXT CHECK (" + slow + "))", insert}, ""},
		"a column":    {[]string{"CREATE TABLE notes (a TEXT)", insert, "ALTER TABLE notes ADD COLUMN b TEXT AS (" + slow + ")"}, `table "notes" has a computed column`},
		"a large one": {[]string{"ALTER TABLE borders ADD COLUMN big AS (zeroblob(900000000))"}, `table "borders" has a computed column`},
		"a name of contents": {[]string{"ALTER TABLE gpkg_geometry_columns ADD COLUMN b INTEGER AS (length(table_name))"},
			`table "gpkg_geometry_columns" has a computed column`},
	} {
		b, done := changed(t, c.statements...), make(chan error, 1)
		go func() {
			_, err := features(b)
			done <- err
		}()
		select {
		case err := <-done:
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrFile) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(maxTime + time.Minute):
			t.Fatalf("%s: reading does not end", name)
		}
	}
}

// TestGeometries reads forms of WKB: heights and measures by ISO and EWKB, big endian, collections, and nothing.
func TestGeometries(t *testing.T) {
	// A ring of the points 0 0, 1 0, 1 1, 0 0, whose further numbers are 9.
	ring := func(numbers int) string {
		b := "04000000"
		for _, p := range [][2]string{{"0000000000000000", "0000000000000000"}, {"000000000000f03f", "0000000000000000"},
			{"000000000000f03f", "000000000000f03f"}, {"0000000000000000", "0000000000000000"}} {
			b += p[0] + p[1] + strings.Repeat("0000000000002240", numbers-2)
		}
		return b
	}
	const head = "47500001e6100000"
	triangle := [][][][]float64{{{{0, 0}, {1, 0}, {1, 1}, {0, 0}}}}
	for name, c := range map[string]struct {
		text  string
		want  [][][][]float64
		empty bool
	}{
		"flat":          {head + "0103000000" + "01000000" + ring(2), triangle, false},
		"height, ISO":   {head + "01eb030000" + "01000000" + ring(3), triangle, false},
		"measure, ISO":  {head + "01d3070000" + "01000000" + ring(3), triangle, false},
		"both, ISO":     {head + "01bb0b0000" + "01000000" + ring(4), triangle, false},
		"height, EWKB":  {head + "0103000080" + "01000000" + ring(3), triangle, false},
		"SRID, EWKB":    {head + "0103000020" + "e6100000" + "01000000" + ring(2), triangle, false},
		"collection":    {head + "0107000000" + "02000000" + "01010000000000000000000000000000000000f03f" + "0103000000" + "01000000" + ring(2), triangle, false},
		"envelope":      {"47500003e6100000" + strings.Repeat("0000000000000000", 4) + "0103000000" + "01000000" + ring(2), triangle, false},
		"point":         {head + "01010000000000000000000000000000000000f03f", nil, false},
		"empty flag":    {"47500011e6100000" + "010300000000000000", nil, true},
		"empty polygon": {head + "010300000000000000", nil, true},
		"nothing":       {"", nil, true},
	} {
		got, empty, err := polygons(must.Get(hex.DecodeString(c.text))(t))
		if err != nil || empty != c.empty || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v %v %v", name, got, empty, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := Write(f.Context(), &b, time.Time{}, []Layer{{Name: "a", Type: "MULTIPOLYGON", Columns: []Column{{"name", "TEXT"}},
		Rows: []Row{{square, []any{"Dam"}}}}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:4096])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		if _, err := features(b); err != nil && !errors.Is(err, ErrFile) {
			t.Error(err)
		}
	})
}

func FuzzGeometry(f *testing.F) {
	if b, err := blob(square); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _, _ := polygons(b)
		n := 0
		for _, rings := range list {
			for _, r := range rings {
				n += len(r)
			}
		}
		if n > len(b) {
			t.Errorf("%d points of %d bytes", n, len(b))
		}
	})
}
