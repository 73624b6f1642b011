package wire

import (
	"time"

	"cattlecounter/shared/topic"
)

// StationState is what the cloud knows of a station's connection.
type StationState string

// States of a station.
const (
	StationOnline  StationState = "online"  // it announced itself and sends messages
	StationOffline StationState = "offline" // it stopped, or the broker published its last will
	StationSilent  StationState = "silent"  // it is not offline, but no message came for three intervals of its vitals
	StationNever   StationState = "never"   // no message and no request ever
)

// WarningKind says what a warning of a station is about.
type WarningKind string

// Kinds of warnings.
const (
	WarnClock       WarningKind = "clock"
	WarnDisk        WarningKind = "disk"
	WarnSpool       WarningKind = "spool"
	WarnTemperature WarningKind = "temperature"
	WarnErrors      WarningKind = "errors"
)

// StationWarning is what a person should check at a station.
type StationWarning struct {
	Kind WarningKind `json:"kind"`
	Text string      `json:"text"`
}

// Station is one station as the cloud knows it: from the ledger, from the station's requests and from its messages.
type Station struct {
	Device  string        `json:"device"`
	Site    string        `json:"site"`
	State   StationState  `json:"state"`
	Since   *time.Time    `json:"since,omitempty"`     // of the state; nil for never, and when the cloud does not know it
	Seen    *time.Time    `json:"last_seen,omitempty"` // newest request or message; nil for never
	Version string        `json:"version,omitempty"`   // of the agent
	Vitals  *topic.Vitals `json:"vitals,omitempty"`    // newest ones
	At      *time.Time    `json:"vitals_at,omitempty"` // when the cloud received them, by its own clock
	// Waiting is how many pieces of footage the station has that the cloud does not; WaitingBytes is what is missing of
	// them. Quarantined ones and duplicates are left out.
	Waiting      int   `json:"waiting"`
	WaitingBytes int64 `json:"waiting_bytes"`
	// Footage is newest first, at most StationFootage in lists and events; never nil.
	Footage  []topic.Footage  `json:"footage"`
	Warnings []StationWarning `json:"warnings"` // never nil
	// Refused is set while the station's token may not be used.
	Refused *StationRefused `json:"refused,omitempty"`
}

// StationRefused says that the cloud refuses the token of a station.
type StationRefused struct {
	Why   TokenEnd  `json:"why"`
	Since time.Time `json:"since"`
	// Tried is when the station last used the token after that, to the minute; nil when it did not.
	Tried *time.Time `json:"tried,omitempty"`
}

// TokenEnd is why a token may not be used.
type TokenEnd string

// Ends of a token.
const (
	TokenExpired TokenEnd = "expired"
	TokenRevoked TokenEnd = "revoked"
)

// StationFootage is how many pieces of footage a station has in lists and events.
const StationFootage = 50

// StationDetail is one station with everything that the cloud remembers of it.
type StationDetail struct {
	Station
	History []VitalsPoint  `json:"history"` // of the last 24 hours, oldest first; never nil
	Replies []StationReply `json:"replies"` // answers to commands, newest first, at most 20; never nil
}

// VitalsPoint is the vitals of a station at one time.
type VitalsPoint struct {
	At           time.Time `json:"at"`
	DiskFree     int64     `json:"disk_free"` // bytes
	DiskTotal    int64     `json:"disk_total"`
	SpoolBytes   int64     `json:"spool_bytes"`
	SpoolFootage int       `json:"spool_footage"`
	SpoolPercent float64   `json:"spool_percent"`
	TemperatureC *float64  `json:"temperature_c,omitempty"`
	ClockOffset  *float64  `json:"clock_offset_seconds,omitempty"`
	LinkUp       bool      `json:"link_up"`
}

// StationReply is the answer of a station to a command.
type StationReply struct {
	ID    string           `json:"id"`
	Name  string           `json:"name"` // of the command
	State topic.ReplyState `json:"state"`
	Text  string           `json:"text"`
	At    *time.Time       `json:"at,omitempty"` // nil when neither clock is known to be right
}

// StationCommand is the body of a request that sends a command to a station.
type StationCommand struct {
	Command string         `json:"command"`
	Args    map[string]any `json:"args,omitempty"` // texts, numbers, true and false
}
