package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
)

func (l *tables) putCount(ctx context.Context, tx *sql.Tx, c Count) error {
	if c.Unique < 0 || c.Low > c.Unique || c.High < c.Unique {
		return fmt.Errorf("count %d outside its interval %d..%d: %w", c.Unique, c.Low, c.High, ErrInvalid)
	}
	if c.ByClass == nil {
		c.ByClass = map[string]int{}
	}
	byClass, err := json.Marshal(c.ByClass)
	if err != nil {
		return err
	}
	boundaries, err := formatTotals(c.Boundaries)
	if err != nil {
		return err
	}
	if c.At.IsZero() {
		c.At = l.now()
	}
	if err := errors.Join(countTotals(ctx, tx, c), markDue(ctx, tx, c.Footage)); err != nil {
		return err
	}
	seq, err := nextSeq(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO animal_count (`+countColumns+
		`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (footage) DO UPDATE SET job = excluded.job, animals = excluded.animals, low = excluded.low,
			high = excluded.high, by_class = excluded.by_class, model = excluded.model,
			model_digest = excluded.model_digest, at = excluded.at, seq = excluded.seq,
			boundaries = excluded.boundaries`,
		c.Footage, c.Job, c.Unique, c.Low, c.High, string(byClass), c.Model, c.ModelDigest.String(), micros(c.At), seq,
		boundaries)
	if err != nil {
		return err
	}
	return putCountOfModel(ctx, tx, c)
}

// formatTotals returns the stored form of what was found at lines and zones.
func formatTotals(t boundary.Totals) (string, error) {
	if len(t.Lines)+len(t.Zones) == 0 {
		return "", nil
	}
	text, err := json.Marshal(t)
	return string(text), err
}

// countTotals updates the totals for a count that is new or replaces another.
func countTotals(ctx context.Context, tx *sql.Tx, c Count) error {
	var before int64
	f, err := getFootage(ctx, tx, `id = $1`, c.Footage)
	if err != nil || f.SiblingOf != "" {
		return err // the totals count a flight once
	}
	err = tx.QueryRowContext(ctx, `SELECT animals FROM animal_count WHERE footage = $1`, c.Footage).Scan(&before)
	if errors.Is(err, sql.ErrNoRows) {
		err = addTotal(ctx, tx, totalCounts, 1)
	}
	if err != nil {
		return err
	}
	if f.Flight != "" {
		return nil // its flight is in the totals
	}
	return addTotal(ctx, tx, totalAnimals, int64(c.Unique)-before)
}

var countViewQuery = `SELECT ` + prefixed("c", countColumns) + `, ` + prefixed("q", spreadColumns) + `, ` +
	prefixed("f", footageColumns) + ` FROM animal_count c JOIN footage f ON f.id = c.footage
	LEFT JOIN ground q ON q.footage = c.footage `

func scanCountView(rows *sql.Rows) (CountView, error) {
	var c countRow
	var f footageRow
	var v CountView
	if err := rows.Scan(append(c.dest(), f.dest()...)...); err != nil {
		return v, err
	}
	var err error
	if v.Count, err = c.value(); err != nil {
		return v, err
	}
	v.Footage, err = f.value()
	return v, err
}

// Counts are the results of the jobs that are done.
type Counts struct{ *tables }

// Get returns the count that stands for a footage: for a duplicate that of the original, for
// a sibling that of the footage that is counted for it.
func (l *Counts) Get(ctx context.Context, id footage.ID) (Count, error) {
	vs, err := list(ctx, l.db.Read(), scanCountView,
		countViewQuery+`WHERE c.footage = (SELECT `+countedFootage+` FROM footage f
			LEFT JOIN footage o ON o.id = f.duplicate_of WHERE f.id = $1)`, id)
	if err == nil && len(vs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Count{}, fmt.Errorf("count of footage %s: %w", id, err)
	}
	return vs[0].Count, nil
}

// List returns a page of counts, that of the newest footage first, and the start of the next page. A count that is repeated
// or divided among paddocks while pages are read stays where it is.
func (l *Counts) List(ctx context.Context, p Page) ([]CountView, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	f := p.filter("f.born", after, limit+1)
	f.taken(p)
	where := f.String()
	if p.Paddock != "" {
		// The index of the paddock has its counts in the order of the page. CROSS JOIN keeps SQLite from reading all footage
		// of a site instead.
		f.where[0] = `s.born < $1`
		f.add(`s.paddock = ? AND f.id = s.footage`, p.Paddock)
		where = `WHERE f.born IN (SELECT s.born FROM spread s CROSS JOIN footage f ` + f.String() +
			` ORDER BY s.born DESC LIMIT $2)`
	}
	vs, err := list(ctx, l.db.Read(), scanCountView, countViewQuery+where+` ORDER BY f.born DESC LIMIT $2`, f.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list counts: %w", err)
	}
	vs, next := cutPage(vs, limit, func(v CountView) int64 { return v.Footage.Born })
	return vs, next, nil
}
