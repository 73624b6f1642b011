package geopackage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// Limits of a file that is read. A hostile file must not cost more than its reader expects.
const (
	// MaxFile is the most bytes of a file.
	MaxFile   = 64 << 20
	maxLayers = 100
	maxFields = 200
	maxValue  = 16 << 20 // bytes of a geometry or a text
	maxTime   = 20 * time.Second
)

// Feature is one row of a layer with polygons.
type Feature struct {
	Layer string
	ID    int64
	// Code is the EPSG code of the layer's coordinate system, 0 for one without a code, whose name is System.
	Code   int
	System string
	// Polygons are rings of x and y, the outer ring first. Heights and measures are left out. It is nil for other geometries,
	// for an empty one and for none; Empty says that it is one of the latter two.
	Polygons [][][][]float64
	Empty    bool
	Values   map[string]any // string, int64, float64 or nil by the name of the column
}

// Known reports whether a file begins as a database of SQLite, which a GeoPackage is.
func Known(b []byte) bool {
	return strings.HasPrefix(string(b[:min(len(b), 16)]), "SQLite format 3\x00")
}

// Read calls visit for every feature of every layer, in order. visit's error ends it and is returned as it is. Other errors
// wrap ErrFile. Only tables are read, never views. A file with a computed column is refused, and Read ends after 20 seconds.
func Read(ctx context.Context, b []byte, visit func(Feature) error) error {
	if !Known(b) || len(b) > MaxFile {
		return fmt.Errorf("%w: it has %d bytes and does not begin as SQLite, or has more than %d", ErrFile, len(b), MaxFile)
	}
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	var visited error
	err := inMemory(ctx, func(c *sql.Conn) error {
		r := reader{c}
		if err := r.open(ctx, b); err != nil {
			return err
		}
		layers, err := r.layers(ctx)
		if err != nil {
			return err
		}
		for _, l := range layers {
			if err := r.features(ctx, l, func(f Feature) error { visited = visit(f); return visited }); err != nil {
				return fmt.Errorf("layer %.60q: %w", l.table, err)
			}
		}
		return nil
	})
	switch {
	case visited != nil:
		return visited
	case err != nil:
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return nil
}

type reader struct{ c *sql.Conn }

// open makes the bytes the database, by the rules of SQLite for files of strangers (sqlite.org/security.html).
func (r reader) open(ctx context.Context, b []byte) error {
	const limitLength, limitExpression, limitAttached = 0, 3, 7 // SQLITE_LIMIT_…
	for id, most := range map[int]int{limitLength: maxValue, limitExpression: 100, limitAttached: 0} {
		if _, err := sqlite.Limit(r.c, id, most); err != nil {
			return err
		}
	}
	// A journal of the writer's own is not there: the database is opened as one that needs none.
	b = append([]byte(nil), b...)
	const writeVersion, readVersion, rollback = 18, 19, 1
	if len(b) > readVersion {
		b[writeVersion], b[readVersion] = rollback, rollback
	}
	err := r.c.Raw(func(driver any) error { return driver.(interface{ Deserialize([]byte) error }).Deserialize(b) })
	if err != nil {
		return err
	}
	for _, s := range []string{"PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON", "PRAGMA query_only = ON",
		"PRAGMA ignore_check_constraints = ON"} {
		if _, err := r.c.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if err := r.computesNothing(ctx); err != nil { // before quick_check, which computes columns and conditions
		return err
	}
	var fault string
	if err := r.c.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&fault); err != nil {
		return err
	}
	if fault != "ok" {
		return fmt.Errorf("the database is damaged: %.100s", fault)
	}
	for _, name := range []string{"gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys"} {
		if err := r.isTable(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// computesNothing fails for a file with computed columns in any table. An expression of the file's author can take hours
// within one function of SQLite, where no time limit ends it.
func (r reader) computesNothing(ctx context.Context) error {
	const virtual, stored = 2, 3 // values of hidden
	var table string
	err := r.c.QueryRowContext(ctx, `SELECT s.name FROM sqlite_schema s JOIN pragma_table_xinfo(s.name) x
		WHERE s.type = 'table' AND s.sql NOT LIKE 'CREATE VIRTUAL%' AND x.hidden IN (?, ?) LIMIT 1`, virtual, stored).Scan(&table)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("table %.60q has a computed column, which is not read; export the layer without it", table)
}

// isTable fails for a view, a virtual table or nothing: those may run code of the file's author.
func (r reader) isTable(ctx context.Context, name string) error {
	var text string
	err := r.c.QueryRowContext(ctx, "SELECT sql FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)", name).Scan(&text)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("it has no table %.60q", name)
	case err != nil:
		return err
	case !strings.HasPrefix(strings.ToUpper(strings.Join(strings.Fields(text), " ")), "CREATE TABLE"):
		return fmt.Errorf("%.60q is no ordinary table", name)
	}
	return nil
}

// layer is a table of features.
type layer struct {
	table, geometry string
	code            int
	system          string
}

func (r reader) layers(ctx context.Context) ([]layer, error) {
	rows, err := r.c.QueryContext(ctx, `SELECT g.table_name, g.column_name, coalesce(s.organization, ''),
		coalesce(s.organization_coordsys_id, 0), coalesce(s.srs_name, 'srs_id ' || g.srs_id)
		FROM gpkg_geometry_columns g JOIN gpkg_contents c ON lower(c.table_name) = lower(g.table_name)
		LEFT JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id WHERE c.data_type = 'features' ORDER BY c.rowid LIMIT ?`, maxLayers+1)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []layer
	for rows.Next() {
		var l layer
		var organization string
		if err := rows.Scan(&l.table, &l.geometry, &organization, &l.code, &l.system); err != nil {
			return nil, err
		}
		if !strings.EqualFold(organization, "EPSG") {
			l.code = 0
		}
		list = append(list, l)
	}
	if len(list) > maxLayers {
		return nil, fmt.Errorf("it has more than %d layers", maxLayers)
	}
	return list, rows.Err()
}

// columns are the stored columns of a layer without its geometry, and the key.
func (r reader) columns(ctx context.Context, l layer) (names []string, key string, err error) {
	rows, err := r.c.QueryContext(ctx, "SELECT name, pk FROM pragma_table_info(?)", l.table)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	found := false
	for rows.Next() {
		var name string
		var pk int
		if err := rows.Scan(&name, &pk); err != nil {
			return nil, "", err
		}
		switch {
		case strings.EqualFold(name, l.geometry):
			found = true
		case pk == 1 && key == "":
			key = name
		default:
			names = append(names, name)
		}
	}
	if !found {
		return nil, "", fmt.Errorf("it has no column %.60q with geometries", l.geometry)
	}
	if len(names) > maxFields {
		return nil, "", fmt.Errorf("it has %d columns, at most %d are read", len(names), maxFields)
	}
	return names, key, rows.Err()
}

func (r reader) features(ctx context.Context, l layer, visit func(Feature) error) error {
	if err := r.isTable(ctx, l.table); err != nil {
		return err
	}
	names, key, err := r.columns(ctx, l)
	if err != nil {
		return err
	}
	list := "rowid"
	if key != "" {
		list = quoted(key)
	}
	list += ", " + quoted(l.geometry)
	for _, n := range names {
		list += ", " + quoted(n)
	}
	rows, err := r.c.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s", list, quoted(l.table)))
	if err != nil {
		return err
	}
	defer rows.Close()
	values := make([]any, 2+len(names))
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		f := Feature{Layer: l.table, Code: l.code, System: l.system, Values: map[string]any{}}
		f.ID, _ = values[0].(int64)
		geometry, _ := values[1].([]byte)
		if f.Polygons, f.Empty, err = polygons(geometry); err != nil {
			return fmt.Errorf("feature %d: %w", f.ID, err)
		}
		for i, n := range names {
			switch v := values[2+i].(type) {
			case string, int64, float64, nil:
				f.Values[n] = v
			}
		}
		if err := visit(f); err != nil {
			return err
		}
	}
	return rows.Err()
}
