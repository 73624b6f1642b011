package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"cattlecounter/cloud/store/database"
)

// Aged are the footage and the flights that are not among the newest. Both are numbered by one sequence, see Footage.Born.
type Aged struct{ *tables }

// Below returns the Born of the first piece of footage that is not among the newest ones, 0 when all are.
func (l *Aged) Below(ctx context.Context, newest int) (int64, error) {
	var born int64
	err := l.db.Read().QueryRowContext(ctx, `SELECT born FROM footage ORDER BY born DESC LIMIT 1 OFFSET $1`,
		newest).Scan(&born)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("the newest %d pieces of footage: %w", newest, database.Classify(err))
	}
	return born, nil
}

// Footage returns footage with Born above after and up to a number, in that order, at most limit.
func (l *Aged) Footage(ctx context.Context, after, upTo int64, limit int) ([]FootageView, error) {
	vs, err := list(ctx, l.db.Read(), scanView, viewQuery+`WHERE f.born > $1 AND f.born <= $2 ORDER BY f.born LIMIT $3`,
		after, upTo, limit)
	if err != nil {
		return nil, fmt.Errorf("footage that is not among the newest: %w", err)
	}
	out := make([]FootageView, len(vs))
	for i := range vs {
		out[i] = vs[i].FootageView
	}
	return out, nil
}

// Flights is Footage for flights, also for those that have ended. They come without their parts.
func (l *Aged) Flights(ctx context.Context, after, upTo int64, limit int) ([]Flight, error) {
	fs, err := list(ctx, l.db.Read(), scanFlight, `SELECT `+flightColumns+` FROM flight
		WHERE born > $1 AND born <= $2 ORDER BY born LIMIT $3`, after, upTo, limit)
	if err != nil {
		return nil, fmt.Errorf("flights that are not among the newest: %w", err)
	}
	out := make([]Flight, len(fs))
	for i := range fs {
		out[i] = fs[i].Flight
	}
	return out, nil
}
