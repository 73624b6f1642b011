package topic

import (
	"time"

	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// Clock tells whether the publisher trusts its own clock.
type Clock string

// Clock states.
const (
	ClockSynced   Clock = "synced"
	ClockUnsynced Clock = "unsynced"
)

// ClockSource is the source of the hint of the time in Vitals.
type ClockSource string

// Sources of hints, in order of preference.
const (
	ClockGNSS ClockSource = "gnss"
	ClockNTP  ClockSource = "ntp"
	ClockDate ClockSource = "date" // the Date header of the cloud's answers
)

// Header begins every payload.
type Header struct {
	V int `json:"v"`
	// Seq orders the messages of one topic: it grows with every message, also across
	// restarts of the publisher, and a reader may drop a message whose Seq is not above
	// the last one of the same topic. In messages of the cloud it is the number of the
	// change in the ledger, the same as in the REST views and the status sidecar. A
	// device counts from Session<<32.
	Seq   int64     `json:"seq"`
	At    time.Time `json:"at"` // UTC; of what the cloud reports, when it happened
	Clock Clock     `json:"clock"`
}

// SessionSeq is the first Seq of a device session.
func SessionSeq(session int64) int64 { return session << 32 }

// Status is the birth message and the last will of a device.
type Status struct {
	Header
	Session int64     `json:"session"` // one more at every start; the last will of an older session does not count
	Online  bool      `json:"online"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

// Vitals is the health of a device. A nil pointer means that the device cannot read it.
type Vitals struct {
	Header
	Session       int64    `json:"session"`
	UptimeSeconds float64  `json:"uptime_seconds"`
	DiskTotal     int64    `json:"disk_total"` // bytes of the spool's file system
	DiskFree      int64    `json:"disk_free"`
	SpoolBytes    int64    `json:"spool_bytes"`   // bytes of the spool on disk
	SpoolFootage  int      `json:"spool_footage"` // pieces not yet confirmed
	TemperatureC  *float64 `json:"temperature_c,omitempty"`
	LinkUp        bool     `json:"link_up"` // the cloud answered the last request
	// SpoolPercent is the used part of the room that the spool may use. At 100 the
	// station reads no more footage.
	SpoolPercent float64 `json:"spool_percent"`
	// Alarm is what a person should check, in one line. Alarms has the same by name:
	// space, spool, quarantine, cloud, clock, token.
	Alarm  string            `json:"alarm,omitempty"`
	Alarms map[string]string `json:"alarms,omitempty"`
	// ClockOffset is the time by ClockSource minus At, in seconds; nil without a hint.
	ClockOffset *float64    `json:"clock_offset_seconds,omitempty"`
	ClockSource ClockSource `json:"clock_source,omitempty"`
	// EverySeconds is the time between two messages; a reader takes the device for silent after three. 0 when unknown.
	EverySeconds float64 `json:"every_seconds,omitempty"`
	// OrderKey is the ID of the key that orders must be signed with (shared/orderkey). It is absent for a device that
	// executes unsigned orders, or of a version that does not follow rotations.
	OrderKey string `json:"order_key,omitempty"`
}

// FootageState is the state of one piece of footage on the edge.
type FootageState string

// Footage states.
const (
	Captured    FootageState = "captured"
	Spooled     FootageState = "spooled"
	Uploading   FootageState = "uploading"
	Uploaded    FootageState = "uploaded" // the cloud has confirmed the digest
	Quarantined FootageState = "quarantined"
)

// Footage is the state of one piece of footage on the edge.
type Footage struct {
	Header
	Footage     footage.ID     `json:"footage"`
	State       FootageState   `json:"state"`
	Name        string         `json:"name"`
	Size        int64          `json:"size"`             // bytes
	Offset      int64          `json:"offset"`           // bytes the cloud has
	Rate        float64        `json:"rate"`             // bytes per second, 0 when not uploading
	SHA256      footage.Digest `json:"sha256,omitempty"` // empty until the whole file was read
	DuplicateOf footage.ID     `json:"duplicate_of,omitempty"`
	// UploadedAs is the id under which the cloud knows the footage, when Footage is in use
	// there for other footage; "" means Footage.
	UploadedAs footage.ID `json:"uploaded_as,omitempty"`
	Reason     string     `json:"reason,omitempty"` // why quarantined, or why waiting
	// Attempt counts how often reading or uploading started over: after damage, a retry,
	// or an upload that the cloud lost. Within an attempt State and Offset never go back.
	Attempt int `json:"attempt"`
}

// Job is the progress of one job; the status sidecar has the same form.
type Job struct {
	Header
	Job     string     `json:"job"`
	Footage footage.ID `json:"footage"`
	State   job.State  `json:"state"`
	job.Progress
	Attempt int       `json:"attempt"`
	Fence   int64     `json:"fence"`
	Updated time.Time `json:"updated"`
	Reason  string    `json:"reason,omitempty"`
}

// Count is the final count of one piece of footage.
type Count struct {
	Header
	Footage     footage.ID     `json:"footage"`
	Job         string         `json:"job"`
	Device      string         `json:"device"`
	Name        string         `json:"name"`
	Unique      int            `json:"unique"`
	Low         int            `json:"low"` // 95 % interval
	High        int            `json:"high"`
	ByClass     map[string]int `json:"by_class"`
	Model       string         `json:"model"`
	ModelDigest footage.Digest `json:"model_digest"`
	// DuplicateOf is the first footage with the same content. A sum over counts leaves out counts with DuplicateOf,
	// SiblingOf or Flight: the animals are in the count of the original, of the sibling or of the flight.
	DuplicateOf footage.ID `json:"duplicate_of,omitempty"`
	SiblingOf   footage.ID `json:"sibling_of,omitempty"`
	Flight      string     `json:"flight,omitempty"`
	// Captured is when the footage was recorded, nil when that is not known. CountedAt is when it was counted, which is also
	// At: a message that is published again has the original times.
	Captured  *time.Time `json:"captured,omitempty"`
	CountedAt time.Time  `json:"counted_at"`
	// Paddocks are the animals of each paddock of which the camera saw something, at most 100. They come with a later
	// message: positions are found after the count.
	Paddocks []Paddock `json:"paddocks,omitempty"`
	boundary.Totals
}

// Paddock is the animals of a count in one paddock.
type Paddock struct {
	Name    string  `json:"name"`
	Animals *int    `json:"animals"` // null when nothing was placed there: it is not 0
	Low     *int    `json:"low"`     // 95 % interval
	High    *int    `json:"high"`
	Seen    float64 `json:"seen"` // share of the paddock, 0 to 1
}

// Newest is the count of the newest recording of a station: that of its flight when the recording has several parts.
type Newest struct {
	Header
	Device    string     `json:"device"`
	Footage   footage.ID `json:"footage,omitempty"` // absent for a flight
	Flight    string     `json:"flight,omitempty"`
	Name      string     `json:"name"` // of the file, of a flight that of its first part
	Unique    int        `json:"unique"`
	Low       int        `json:"low"` // 95 % interval
	High      int        `json:"high"`
	Captured  *time.Time `json:"captured,omitempty"`
	CountedAt time.Time  `json:"counted_at"`
}

// PaddockCount is the animals of the newest recording that saw a part of a paddock.
type PaddockCount struct {
	Header
	Paddock   string     `json:"paddock"`
	Footage   footage.ID `json:"footage"`
	Device    string     `json:"device"`
	Animals   int        `json:"animals"`
	Low       int        `json:"low"` // 95 % interval
	High      int        `json:"high"`
	Seen      float64    `json:"seen"` // share of the paddock, 0 to 1
	Captured  *time.Time `json:"captured,omitempty"`
	CountedAt time.Time  `json:"counted_at"`
}

// FlightState is the state of a flight.
type FlightState string

// Flight states.
const (
	FlightJoined FlightState = "joined"
	FlightStale  FlightState = "stale" // its parts have changed, and its count will be renewed
	FlightEnded  FlightState = "ended" // it has no parts any more
)

// Flight is the count of one flight whose recording consists of several pieces of footage. No animal is counted twice.
type Flight struct {
	Header
	Flight          string         `json:"flight"`
	Device          string         `json:"device"`
	State           FlightState    `json:"state"`
	Next            string         `json:"next,omitempty"` // the flight that has the parts of an ended one
	Unique          int            `json:"unique"`
	Low             int            `json:"low"` // 95 % interval
	High            int            `json:"high"`
	ByClass         map[string]int `json:"by_class"`
	Parts           []FlightPart   `json:"parts"`    // in the order of their recording, at most 100; never nil
	Warnings        []string       `json:"warnings"` // for a person; never nil
	boundary.Totals                // of the whole flight; not the sums of its parts
}

// FlightPart is one piece of footage of a flight.
type FlightPart struct {
	Footage footage.ID `json:"footage"`
	Name    string     `json:"name"`
	Unique  int        `json:"unique"` // of this part alone
}

// Command is a command to a device, QoS 1. The ID makes it idempotent: a device answers a
// repeated ID with its first answer.
type Command struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Args    map[string]string `json:"args,omitempty"`
	Expires time.Time         `json:"expires"`
	// Station is Device.Path of the station, Issued when the cloud gave the command, By the person or token that gave it.
	// They are part of what is signed.
	Station string    `json:"station,omitempty"`
	Issued  time.Time `json:"issued,omitzero"`
	By      string    `json:"by,omitempty"`
	// Signed is the same command as a JSON Web Signature of the cloud; see shared/orderkey. A device with a pinned key
	// reads nothing else of the message.
	Signed string `json:"signed,omitempty"`
	// Next is the same as Signed by the newest key of the cloud, while Signed is still by the key before: stations of an
	// earlier version read only Signed. Keys are the rotations of the key, oldest first, each signed by the key that it
	// replaces.
	Next string   `json:"next,omitempty"`
	Keys []string `json:"keys,omitempty"`
}

// ReplyState is the state of a command.
type ReplyState string

// Reply states.
const (
	Accepted ReplyState = "accepted"
	Refused  ReplyState = "refused"
	Finished ReplyState = "done"
)

// Reply is the answer to a Command.
type Reply struct {
	Header
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	State ReplyState `json:"state"`
	Why   string     `json:"why,omitempty"`
}
