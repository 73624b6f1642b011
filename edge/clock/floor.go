package clock

import (
	"sync"
	"time"

	"cattlecounter/edge/spool"
)

// Reading is the time as far as this device knows it.
type Reading struct {
	Now    time.Time
	Synced bool // Now can be trusted
	// Floor is a time that is certainly in the past, whatever Now is. Why names its
	// source for people.
	Floor time.Time
	Why   string
}

// floor holds the known past times. The zero value is ready.
type floor struct {
	mu    sync.Mutex
	known spool.KnownTime
	// synced is the last time in this run at which the clock was synced, syncedAt the
	// same moment by the monotonic clock.
	synced   time.Time
	syncedAt time.Time
	savedAt  time.Time // monotonic, zero before the first write
}

// Read reads the clock. The floor is the latest of the day this program was built,
// the last synced time, the cloud's newest message and the time from GNSS. Within a
// run the monotonic clock carries the synced time forward. NTP and Date do not raise
// the floor: they come over the network without proof.
func (c *Clock) Read() Reading {
	// Read the state before the time: a time service sets the clock before it marks it
	// as synced.
	synced := c.o.Synced()
	r := Reading{Now: c.o.Wall(), Synced: synced, Floor: Built(), Why: "the day this program was built"}
	later := func(t time.Time, why string) {
		if t.After(r.Floor) && plausible(t) {
			r.Floor, r.Why = t.UTC(), why
		}
	}
	c.floor.mu.Lock()
	known, last, at := c.floor.known, c.floor.synced, c.floor.syncedAt
	c.floor.mu.Unlock()
	later(known.Synced, "the last time this clock was synced")
	if !last.IsZero() {
		ran := time.Since(at)
		later(last.Add(ran-time.Duration(float64(ran)*drift)), "the time that has passed since this clock was synced")
	}
	later(c.o.Messages(), "the newest message from the cloud")
	if e, ok := c.of(GNSS); ok {
		later(e.Now.Add(-e.Uncertainty), "the time from GNSS")
	} else {
		later(known.GNSS, "the last time from GNSS")
	}
	return r
}

// observe records the time of a synced clock or of GNSS, and saves it when due.
func (c *Clock) observe() {
	synced := c.o.Synced()
	now := c.o.Wall()
	e, gnss := c.of(GNSS)
	f := &c.floor
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.known
	switch {
	case synced:
		// A synced clock is right. When it is behind the saved times, those were wrong,
		// and so was GNSS.
		f.synced, f.syncedAt = now.UTC().Round(0), time.Now()
		next = spool.KnownTime{Synced: f.synced}
	case gnss:
		next.GNSS = e.Now.Add(-e.Uncertainty)
	}
	if !f.due(next) {
		return
	}
	f.savedAt = time.Now()
	if err := c.o.Store.SetKnownTime(next); err != nil {
		c.o.Log.Warn("cannot save the known time; after a power cut an older one counts", "err", err)
		return
	}
	f.known = next
}

// due reports whether next must be saved: at most hourly, and only when it differs
// from the saved time by about an hour.
func (f *floor) due(next spool.KnownTime) bool {
	const slack = time.Minute // the interval of observe
	far := func(a, b time.Time) bool { return a.Sub(b).Abs() >= saveEvery-slack }
	if !far(next.Synced, f.known.Synced) && !far(next.GNSS, f.known.GNSS) {
		return false
	}
	return f.savedAt.IsZero() || time.Since(f.savedAt) >= saveEvery-slack
}
