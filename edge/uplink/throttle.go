package uplink

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// piece is how much one Read gives at most: small enough for an idle time-out
// that sees every sign of life.
const (
	piece      = 64 << 10
	leastPiece = 512
	// burst is the part of a second's bytes that may go at once. It is what the
	// average over any time can be above the limit.
	burst = 0.1
)

// throttle is a token bucket whose rate may change at any time, also for those
// who wait for it. It begins empty, so that the first second keeps the limit.
type throttle struct {
	mu      sync.Mutex
	limit   int64         // bytes per second, 0: none
	bucket  *rate.Limiter // nil without a limit
	changed chan struct{} // closed when the limit changes
}

func newThrottle(limit int64) *throttle {
	t := &throttle{changed: make(chan struct{})}
	t.set(limit)
	return t
}

// set changes the limit; 0 means none.
func (t *throttle) set(limit int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit, t.bucket = limit, nil
	if limit > 0 {
		n := max(leastPiece, int(float64(limit)*burst))
		t.bucket = rate.NewLimiter(rate.Limit(limit), n)
		t.bucket.ReserveN(time.Now(), n)
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// most is how many bytes to ask for at once.
func (t *throttle) most() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bucket == nil {
		return piece
	}
	return min(piece, t.bucket.Burst())
}

// wait returns when n bytes may go. After a change the waiting begins anew.
func (t *throttle) wait(ctx context.Context, n int) error {
	for {
		t.mu.Lock()
		bucket, changed := t.bucket, t.changed
		t.mu.Unlock()
		if bucket == nil {
			return nil
		}
		// A limit that sank meanwhile may hold fewer bytes than were asked for.
		part := min(n, bucket.Burst())
		now := time.Now()
		turn := bucket.ReserveN(now, part)
		again, err := t.turn(ctx, turn.DelayFrom(now), changed)
		if err != nil {
			turn.Cancel()
			return err
		}
		if again {
			continue
		}
		if n -= part; n == 0 {
			return nil
		}
	}
}

func (t *throttle) turn(ctx context.Context, d time.Duration, changed <-chan struct{}) (again bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-changed:
		return true, nil
	case <-timer.C:
		return false, nil
	}
}
