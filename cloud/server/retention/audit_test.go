package retention

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// expiries is an audit log that fails at first.
type expiries struct{ at []time.Time }

func (e *expiries) Expire(_ context.Context, before time.Time) (int64, error) {
	e.at = append(e.at, before)
	if len(e.at) == 1 {
		return 0, errors.New("busy")
	}
	return 3, nil
}

func TestAuditExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &expiries{}
		f := &Forgetter{Audit: log, MaxAge: 24 * time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
		start := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), every+time.Minute)
		defer stop()
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
		if len(log.at) != 2 || !log.at[0].Equal(start.Add(-24*time.Hour)) || !log.at[1].Equal(start.Add(every-24*time.Hour)) {
			t.Errorf("expired before %v", log.at)
		}
	})
}
