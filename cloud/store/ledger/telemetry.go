package ledger

import (
	"context"
	"database/sql"

	"cattlecounter/shared/footage"
)

// SetTelemetry records that the footage has a flight log under a blob key. The content under the key may be another one
// than before, so the ground is due. It fails with ErrNotFound for footage that is not recorded: its video, when it
// arrives, finds the log by its key.
func (l *Catalog) SetTelemetry(ctx context.Context, id footage.ID, key string) error {
	return l.write(ctx, "record telemetry of "+string(id), func(ctx context.Context, tx *sql.Tx) error {
		f, err := getFootage(ctx, tx, `id = $1`, id)
		if err != nil {
			return err
		}
		if err := markDue(ctx, tx, f.Original()); err != nil || f.TelemetryKey == key {
			return err
		}
		seq, err := nextSeq(ctx, tx)
		if err != nil {
			return err
		}
		return execOne(tx.ExecContext(ctx, `UPDATE footage SET telemetry_key = $1, seq = $2 WHERE id = $3`, key, seq, id))
	})
}
