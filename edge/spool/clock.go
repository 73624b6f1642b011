package spool

import "time"

var knownTimeKey = []byte("x/clock")

// Clock is what the clock must remember across a power cut.
type Clock struct{ store *store }

// KnownTime is the last known time, for a start without a clock.
type KnownTime struct {
	// Synced is the time when the clock was last seen synced, zero before the first.
	Synced time.Time `json:"synced,omitzero"`
	// GNSS is the last time from GNSS since the clock was last synced. It counts less,
	// because only the receiver vouches for it.
	GNSS time.Time `json:"gnss,omitzero"`
}

// KnownTime returns the last saved time, the zero value on a new spool.
func (c *Clock) KnownTime() (KnownTime, error) {
	var k KnownTime
	err := c.store.readSetting(knownTimeKey, "known time", &k)
	return k, err
}

// SetKnownTime saves k durably.
func (c *Clock) SetKnownTime(k KnownTime) error {
	return c.store.saveSetting(knownTimeKey, "known time", k)
}
