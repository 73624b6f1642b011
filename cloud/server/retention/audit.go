package retention

import (
	"context"
	"log/slog"
	"time"
)

// AuditLog deletes old entries; *ledger.AuditLog implements it.
type AuditLog interface {
	Expire(ctx context.Context, before time.Time) (int64, error)
}

// Forgetter deletes entries of the audit log by age. All fields are required.
type Forgetter struct {
	Audit  AuditLog
	MaxAge time.Duration // above 0
	Now    func() time.Time
	Log    *slog.Logger
}

// Run deletes expired entries at once and then every hour, until ctx ends, and returns nil. It logs faults and retries
// in the next hour. Several processes may run it at once.
func (f *Forgetter) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n, err := f.Audit.Expire(ctx, f.Now().Add(-f.MaxAge))
		if n > 0 {
			f.Log.Info("expired entries of the audit log deleted", "entries", n, "older_than", f.MaxAge)
		}
		if err != nil && ctx.Err() == nil {
			f.Log.Error("cannot delete expired entries of the audit log; trying again", "err", err, "retry_in", every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
