// Package geopackage reads and writes the features of GeoPackage files (OGC 12-128r17, version 1.3), which are databases of
// SQLite. Files are in memory; nothing is read from or written to the disk. It knows no paddocks and no animals: layers have
// columns and rows.
package geopackage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/wkb"
	_ "modernc.org/sqlite" // the driver
)

// ErrFile marks bytes that are no GeoPackage, or one that cannot be read. Compare with errors.Is.
var ErrFile = errors.New("not a GeoPackage")

// ContentType is the media type (OGC 12-128r17, requirement 3 and annex).
const ContentType = "application/geopackage+sqlite3"

// Layer is a table of features in WGS 84.
type Layer struct {
	Name    string // of the table: letters, digits and _
	Type    string // of the geometries: POINT, LINESTRING, MULTIPOLYGON
	Columns []Column
	Rows    []Row
}

// Column is a column of a layer. Kind is TEXT, INTEGER or REAL.
type Column struct{ Name, Kind string }

// Row is a feature. Values are those of the columns: string, int, float64 or nil.
type Row struct {
	Geometry orb.Geometry // longitude and latitude
	Values   []any
}

const (
	applicationID = 0x47504B47 // "GPKG"
	version       = 10300
	wgs84         = 4326
	// definition is that of WGS 84 in WKT 1 (OGC 01-009).
	definition = `GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],` +
		`AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,` +
		`AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]`
)

// schema has the tables that every file needs.
const schema = `
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
	organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
	description TEXT DEFAULT '', last_change DATETIME NOT NULL, min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
	srs_id INTEGER, CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
	srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
	CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name), CONSTRAINT uk_gc_table_name UNIQUE (table_name),
	CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
	CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
INSERT INTO gpkg_spatial_ref_sys VALUES ('Undefined cartesian SRS', -1, 'NONE', -1, 'undefined', NULL),
	('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', NULL);`

// Write writes a file with layers. changed is the time of the last change that the file says; the same layers and time have
// the same bytes.
func Write(ctx context.Context, w io.Writer, changed time.Time, layers []Layer) error {
	var b []byte
	err := inMemory(ctx, func(c *sql.Conn) error {
		for _, s := range []string{fmt.Sprintf("PRAGMA application_id = %d", applicationID),
			fmt.Sprintf("PRAGMA user_version = %d", version), "BEGIN", schema} {
			if _, err := c.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		if _, err := c.ExecContext(ctx, "INSERT INTO gpkg_spatial_ref_sys VALUES ('WGS 84', ?, 'EPSG', ?, ?, NULL)", wgs84, wgs84,
			definition); err != nil {
			return err
		}
		for _, l := range layers {
			if err := l.write(ctx, c, changed); err != nil {
				return fmt.Errorf("layer %s: %w", l.Name, err)
			}
		}
		if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
			return err
		}
		return c.Raw(func(driver any) (err error) {
			b, err = driver.(interface{ Serialize() ([]byte, error) }).Serialize()
			return err
		})
	})
	if err == nil {
		_, err = w.Write(b)
	}
	if err != nil {
		return fmt.Errorf("write GeoPackage: %w", err)
	}
	return nil
}

// inMemory runs a function with a database that has no file.
func inMemory(ctx context.Context, run func(*sql.Conn) error) error {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	err = run(c)
	return errors.Join(err, c.Close(), db.Close())
}

// quoted is a name in SQL.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (l Layer) write(ctx context.Context, c *sql.Conn, changed time.Time) error {
	columns, marks := "fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom "+l.Type, "?"
	names := "geom"
	for _, col := range l.Columns {
		columns += ", " + quoted(col.Name) + " " + col.Kind
		names += ", " + quoted(col.Name)
		marks += ", ?"
	}
	if _, err := c.ExecContext(ctx, fmt.Sprintf("CREATE TABLE %s (%s)", quoted(l.Name), columns)); err != nil {
		return err
	}
	all, err := l.insert(ctx, c, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", quoted(l.Name), names, marks))
	if err != nil {
		return err
	}
	var low, high [2]any
	if len(l.Rows) > 0 {
		low, high = [2]any{all.Min[0], all.Min[1]}, [2]any{all.Max[0], all.Max[1]}
	}
	if _, err := c.ExecContext(ctx, "INSERT INTO gpkg_contents VALUES (?, 'features', ?, '', ?, ?, ?, ?, ?, ?)", l.Name, l.Name,
		changed.UTC().Format("2006-01-02T15:04:05.000Z"), low[0], low[1], high[0], high[1], wgs84); err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, "INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?, ?, 0, 0)", l.Name, l.Type, wgs84)
	return err
}

// insert inserts the rows, and returns their bounds.
func (l Layer) insert(ctx context.Context, c *sql.Conn, statement string) (all orb.Bound, err error) {
	insert, err := c.PrepareContext(ctx, statement)
	if err != nil {
		return all, err
	}
	defer insert.Close()
	for i, r := range l.Rows {
		b, err := blob(r.Geometry)
		if err == nil {
			_, err = insert.ExecContext(ctx, append([]any{b}, r.Values...)...)
		}
		if err != nil {
			return all, fmt.Errorf("row %d: %w", i+1, err)
		}
		if i == 0 {
			all = r.Geometry.Bound()
		}
		all = all.Union(r.Geometry.Bound())
	}
	return all, nil
}

// blob is a geometry in the form of GeoPackage (section 2.1.3): a header with the bounds, and then WKB.
func blob(g orb.Geometry) ([]byte, error) {
	body, err := wkb.Marshal(g)
	if err != nil {
		return nil, err
	}
	b := g.Bound()
	head := []byte{'G', 'P', 0, 1 | 1<<1} // version 1; little endian, an envelope of x and y
	head = appendInt(head, wgs84)
	for _, v := range [...]float64{b.Min[0], b.Max[0], b.Min[1], b.Max[1]} {
		head = appendFloat(head, v)
	}
	return append(head, body...), nil
}
