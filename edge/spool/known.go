package spool

import "time"

var knownTimeKey = []byte("x/clock")

// KnownTime is what is remembered of the time for a start without a clock.
type KnownTime struct {
	// Synced is the time when the clock was last seen synced, zero before the first.
	Synced time.Time `json:"synced,omitzero"`
	// GNSS is the last time by GNSS while the clock was not synced since; it weighs
	// less, for nobody but the receiver vouches for it.
	GNSS time.Time `json:"gnss,omitzero"`
}

// KnownTime returns what was last kept, the zero value on a new spool.
func (s *Spool) KnownTime() (KnownTime, error) {
	var k KnownTime
	err := s.getSetting(knownTimeKey, "known time", &k)
	return k, err
}

// SetKnownTime keeps k durably.
func (s *Spool) SetKnownTime(k KnownTime) error { return s.putSetting(knownTimeKey, "known time", k) }
