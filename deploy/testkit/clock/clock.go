// Package clock has a clock for tests, which stands still until the test advances it.
package clock

import (
	"sync"
	"time"
)

// Clock is a time that only the test changes. New creates it. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// New returns a clock at a fixed time in UTC, with a fraction of whole microseconds, because the ledger stores no finer
// time.
func New() *Clock { return &Clock{now: time.Date(2026, 7, 1, 6, 0, 0, 123456000, time.UTC)} }

// Now returns the time of the clock. It replaces time.Now.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock; a negative duration moves it back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
