package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
)

// Changes is the change feed: the rows by their Seq, and the positions of its readers.
type Changes struct{ *tables }

// Jobs returns the jobs whose Seq is above afterSeq, in the order of
// their Seq, at most limit. A job that changed twice shows once, as it is now.
func (l *Changes) Jobs(ctx context.Context, afterSeq int64, limit int) ([]JobView, error) {
	vs, err := list(ctx, l.db.Read(), scanJobView,
		jobViewQuery+`WHERE j.seq > $1 ORDER BY j.seq LIMIT $2`, afterSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("changed jobs: %w", err)
	}
	return jobViews(vs), nil
}

// Counts is Jobs for counts.
func (l *Changes) Counts(ctx context.Context, afterSeq int64, limit int) ([]CountView, error) {
	vs, err := list(ctx, l.db.Read(), scanCountView,
		countViewQuery+`WHERE c.seq > $1 ORDER BY c.seq LIMIT $2`, afterSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("changed counts: %w", err)
	}
	return vs, nil
}

// Footage is Jobs for footage.
func (l *Changes) Footage(ctx context.Context, afterSeq int64, limit int) ([]Footage, error) {
	fs, err := list(ctx, l.db.Read(), scanFootage,
		`SELECT `+footageColumns+` FROM footage WHERE seq > $1 ORDER BY seq LIMIT $2`, afterSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("changed footage: %w", err)
	}
	return fs, nil
}

// Flights is Jobs for flights, including those that have ended.
func (l *Changes) Flights(ctx context.Context, afterSeq int64, limit int) ([]FlightView, error) {
	vs, err := l.flightViews(ctx, `SELECT `+flightColumns+` FROM flight WHERE seq > $1 ORDER BY seq LIMIT $2`,
		afterSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("changed flights: %w", err)
	}
	return flightsOf(vs), nil
}

// Cursor returns the position of a named reader of changes: the last Seq that it has
// processed, 0 for a new reader.
func (l *Changes) Cursor(ctx context.Context, name string) (int64, error) {
	var seq int64
	err := l.db.Read().QueryRowContext(ctx, `SELECT seq FROM change_cursor WHERE name = $1`, name).Scan(&seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("cursor %s: %w", name, database.Classify(err))
	}
	return seq, nil
}

// BeforeCounts returns a Seq below that of every count that was recorded at a time or later, and below that of every
// change that comes after the call. It is the highest such Seq where there are counts of that time.
func (l *Changes) BeforeCounts(ctx context.Context, from time.Time) (int64, error) {
	var now int64
	var first sql.NullInt64
	err := l.db.Read().QueryRowContext(ctx, `SELECT seq FROM change_counter WHERE id = 1`).Scan(&now)
	if err == nil { // read second: a count that is recorded meanwhile has a higher Seq
		err = l.db.Read().QueryRowContext(ctx, `SELECT MIN(seq) FROM animal_count WHERE at >= $1`, from.UnixMicro()).Scan(&first)
	}
	if err != nil {
		return 0, fmt.Errorf("changes from %s on: %w", from.UTC().Format(time.RFC3339), database.Classify(err))
	}
	if first.Valid && first.Int64 <= now {
		return first.Int64 - 1, nil
	}
	return now, nil
}

// SetCursor stores the position of a named reader of changes. It never decreases.
func (l *Changes) SetCursor(ctx context.Context, name string, seq int64) error {
	return l.write(ctx, "set cursor "+name, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO change_cursor (name, seq) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > change_cursor.seq`, name, seq)
		return err
	})
}
