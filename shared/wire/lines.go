package wire

import (
	"time"

	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
)

// LineSource is where lines and zones come from.
type LineSource string

// Sources.
const (
	LinesNone    LineSource = "none"    // no owner has any; the worker's configuration applies
	LinesDevice  LineSource = "device"  // those of the device
	LinesFlight  LineSource = "flight"  // those of the flight
	LinesFootage LineSource = "footage" // those of the footage itself
)

// Lines are the lines and zones of a device, or those that a flight or a piece of footage is judged by. The body of a PUT
// has only lines and zones.
type Lines struct {
	Lines   []boundary.Line `json:"lines"` // never nil
	Zones   []boundary.Zone `json:"zones"` // never nil
	Source  LineSource      `json:"source"`
	Updated *time.Time      `json:"updated,omitempty"`
	// Anchor is, for lines of a flight, the footage from whose start the seconds of what is on the ground are measured.
	Anchor footage.ID `json:"anchor,omitempty"`
	// Recount says that the footage has a count that is older than its lines and zones. The count stays as it is until the
	// footage is counted again.
	Recount bool `json:"recount,omitempty"`
}
