package agent

import (
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/shared/topic"
)

// newClock connects the sources of the time. They are asked only while it runs.
func (a *Agent) newClock() (err error) {
	c := a.cfg.Clock
	a.clock, err = clock.New(clock.Options{Store: a.spool.Clock, Synced: synced, NTP: c.NTP, NTPEvery: c.NTPEvery,
		NTPMetered: c.NTPMetered,
		Metered:    func() bool { return a.budget.Metered() }, GPSD: c.GPSD, Messages: a.newestMessage, Log: a.log})
	return err
}

// newestMessage is the newest time in the cloud's messages about jobs, zero without one.
// Messages count only if the cloud's clock was synced.
func (a *Agent) newestMessage() time.Time {
	var newest time.Time
	for _, r := range a.spool.Records.All() {
		if j := r.Job; j != nil && j.Clock == topic.ClockSynced && j.At.After(newest) {
			newest = j.At
		}
	}
	return newest
}
