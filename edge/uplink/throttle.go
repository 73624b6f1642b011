package uplink

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// piece bounds one Read: it is small enough that the idle time-out sees all progress.
const (
	piece      = 64 << 10
	leastPiece = 512
	// burst is the share of a second's bytes that may be sent at once. The average over any
	// time exceeds the limit by no more.
	burst = 0.1
)

// throttle is a token bucket whose rate may change at any time, even during a wait. It
// starts empty, so that the limit holds in the first second too.
type throttle struct {
	mu      sync.Mutex
	limit   int64         // bytes per second, 0 for none
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

// wait returns when n bytes may be sent. A change of the limit restarts the wait.
func (t *throttle) wait(ctx context.Context, n int) error {
	for {
		t.mu.Lock()
		bucket, changed := t.bucket, t.changed
		t.mu.Unlock()
		if bucket == nil {
			return nil
		}
		// A lower limit may allow fewer bytes at once.
		part := min(n, bucket.Burst())
		now := time.Now()
		turn := bucket.ReserveN(now, part)
		restart, err := t.sleep(ctx, turn.DelayFrom(now), changed)
		if err != nil {
			turn.Cancel()
			return err
		}
		if restart {
			continue
		}
		if n -= part; n == 0 {
			return nil
		}
	}
}

// sleep waits for d or a change of the limit.
func (t *throttle) sleep(ctx context.Context, d time.Duration, changed <-chan struct{}) (restart bool, err error) {
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
