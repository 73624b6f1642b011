package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// refusedStep is how late the newest use of a refused token may be known.
const refusedStep = time.Minute

// refuse is the error of a token that may not be used. When the token was valid once, it says what happened to it: only
// who has the token reads that. The use is recorded, so that a station that goes on asking is not taken for a silent one.
func (l *Devices) refuse(ctx context.Context, hash string) error {
	ds, err := list(ctx, l.db.Read(), scanDevice, `SELECT `+deviceColumns+` FROM device WHERE token_hash = $1 OR next_hash = $1`,
		hash)
	if err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	if len(ds) == 0 {
		return fmt.Errorf("authenticate: %w", ErrUnauthorised)
	}
	d, now := ds[0], l.now()
	if d.Refused == nil || now.Sub(*d.Refused) >= refusedStep {
		err = l.write(ctx, "refused token", func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE device SET refused = $1 WHERE name = $2`, micros(now), d.Name)
			return err
		})
	}
	what := "was revoked"
	at := d.Revoked
	if at == nil {
		what, at = "expired", d.Expires
	}
	return errors.Join(fmt.Errorf("the token of %s %s on %s: %w", d.Name, what, at.UTC().Format(time.DateTime+" UTC"),
		ErrUnauthorised), err)
}
