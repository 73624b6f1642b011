package ledger

import (
	"context"
	"database/sql"
	"fmt"
)

// FaultyLog is footage whose flight log gives no positions.
type FaultyLog struct {
	Footage Footage
	Log     FlightLog
}

// ListFaulty returns footage within a scope whose flight log is unreadable, of another recording or without a position,
// at most limit, by descending id: ids begin with the time.
func (l *Grounds) ListFaulty(ctx context.Context, in Scope, limit int) ([]FaultyLog, error) {
	at, args := in.Sites.where("f.site", []any{in.Device, limit})
	all, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (v FaultyLog, err error) {
		var f footageRow
		var g logRow
		if err = rows.Scan(append(f.dest(), g.dest()...)...); err != nil {
			return v, err
		}
		v.Log = g.value().Log
		v.Footage, err = f.value()
		return v, err
	}, `SELECT `+prefixed("f", footageColumns)+`, `+prefixed("g", logColumns)+`
		FROM ground g JOIN footage f ON f.id = g.footage
		WHERE g.log_state IN ('unreadable', 'does_not_fit', 'no_fix') AND ($1 = '' OR f.device = $1)`+at+`
		ORDER BY g.footage DESC LIMIT $2`, args...)
	if err != nil {
		return nil, fmt.Errorf("faulty flight logs: %w", err)
	}
	return all, nil
}
