package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"
)

// Deeds that the audit knows.
const (
	DeedAddDevice    = "add device"
	DeedRenewDevice  = "renew device"
	DeedRevokeDevice = "revoke device"
	DeedRetry        = "retry job"
	DeedCancel       = "cancel job"
	DeedCountOn      = "count on"
	DeedRemoveVideo  = "remove video"
	DeedRestoreVideo = "restore video"
)

// Deed is an entry of the audit.
type Deed struct {
	N       int64 // grows by one
	At      time.Time
	Who     string // who a token belongs to, or which program; "" when not said
	Deed    string
	Subject string // name of the device, identifier of job or footage
}

type actorKey struct{}

// By says on whose behalf the ledger is written to.
func By(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// audit notes a deed in the transaction that does it.
func (l *tables) audit(ctx context.Context, tx *sql.Tx, deed, subject string) error {
	who, _ := ctx.Value(actorKey{}).(string)
	_, err := tx.ExecContext(ctx, `INSERT INTO audit (n, at, who, deed, subject) VALUES ((SELECT COALESCE(MAX(n), 0) + 1 FROM audit), $1, $2, $3, $4)`,
		micros(l.now()), clean(who), deed, subject)
	return err
}

// AuditLog is the list of what operators and programs changed. The changes write it
// in their own transactions.
type AuditLog struct{ *tables }

// List returns deeds, newest first, below a number, 0 for the newest, at most limit.
func (l *AuditLog) List(ctx context.Context, below int64, limit int) ([]Deed, error) {
	if below == 0 {
		below = math.MaxInt64
	}
	ds, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (d Deed, err error) {
		var at sql.NullInt64
		err = rows.Scan(&d.N, &at, &d.Who, &d.Deed, &d.Subject)
		d.At = fromMicros(at)
		return d, err
	}, `SELECT n, at, who, deed, subject FROM audit WHERE n < $1 ORDER BY n DESC LIMIT $2`, below, limit)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return ds, nil
}
