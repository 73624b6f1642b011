package clock

import (
	"sync"
	"time"

	"cattlecounter/edge/spool"
)

// Reading is what time it is, as far as this device knows.
type Reading struct {
	Now    time.Time
	Synced bool // Now can be trusted
	// Floor is a time that is certainly over, whatever Now says, and Why says in
	// words for people who knows.
	Floor time.Time
	Why   string
}

// floor is what is known of the times that are over. The zero value is ready.
type floor struct {
	mu    sync.Mutex
	known spool.KnownTime
	// sure is a moment of this run at which the clock was synced: the time then, and
	// the moment by the monotonic clock.
	sure   time.Time
	sureAt time.Time
	keptAt time.Time // monotonic, zero before the first writing
}

// Read reads the clock. The floor is the latest of: the day this program was
// built, the last time at which the clock was synced, carried on by the monotonic
// clock within a run, the newest message of the cloud's, and what GNSS says. NTP
// and Date, which come over the network without a proof, do not raise it.
func (c *Clock) Read() Reading {
	// First whether, then what: a clock is set before it is called synced.
	synced := c.o.Synced()
	r := Reading{Now: c.o.Wall(), Synced: synced, Floor: Built(), Why: "the day this program was built"}
	later := func(t time.Time, why string) {
		if t.After(r.Floor) && plausible(t) {
			r.Floor, r.Why = t.UTC(), why
		}
	}
	c.floor.mu.Lock()
	known, sure, at := c.floor.known, c.floor.sure, c.floor.sureAt
	c.floor.mu.Unlock()
	later(known.Synced, "the last time at which this clock was synced")
	if !sure.IsZero() {
		ran := time.Since(at)
		later(sure.Add(ran-time.Duration(float64(ran)*drift)), "the time since this clock was synced")
	}
	later(c.o.Messages(), "the newest message of the cloud's")
	if e, ok := c.of(GNSS); ok {
		later(e.Now.Add(-e.Uncertainty), "the time by GNSS")
	} else {
		later(known.GNSS, "the last time that GNSS gave")
	}
	return r
}

// look takes in what the clock and GNSS say now, and keeps it when it is time to.
func (c *Clock) look() {
	synced := c.o.Synced()
	now := c.o.Wall()
	e, gnss := c.of(GNSS)
	f := &c.floor
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.known
	switch {
	case synced:
		// A synced clock is right also where it is behind what was kept: then that was
		// wrong, and GNSS with it.
		f.sure, f.sureAt = now.UTC().Round(0), time.Now()
		next = spool.KnownTime{Synced: f.sure}
	case gnss:
		next.GNSS = e.Now.Add(-e.Uncertainty)
	}
	if !f.due(next) {
		return
	}
	f.keptAt = time.Now()
	if err := c.o.Store.SetKnownTime(next); err != nil {
		c.o.Log.Warn("the time is not kept, after a power cut less is known of it", "err", err)
		return
	}
	f.known = next
}

// due reports whether next is worth writing: at most hourly, and only what is
// about an hour from what is kept.
func (f *floor) due(next spool.KnownTime) bool {
	const slack = time.Minute // looks are that far apart
	far := func(a, b time.Time) bool { return a.Sub(b).Abs() >= keepEvery-slack }
	if !far(next.Synced, f.known.Synced) && !far(next.GNSS, f.known.GNSS) {
		return false
	}
	return f.keptAt.IsZero() || time.Since(f.keptAt) >= keepEvery-slack
}
