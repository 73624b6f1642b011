package wire

import (
	"time"

	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/secret"
)

// Footage is one piece of footage. A duplicate shows the job and the count of the
// footage with the same content that came first. A sibling shows those of the footage that
// is counted for it, unless it was counted itself. Events carry it without both.
type Footage struct {
	ID          footage.ID     `json:"id"`
	Site        string         `json:"site"`
	Device      string         `json:"device"` // who uploaded it
	Name        string         `json:"name"`   // file name on the card or in the browser
	Size        int64          `json:"size"`   // bytes
	SHA256      footage.Digest `json:"sha256"`
	Captured    *time.Time     `json:"captured,omitempty"` // nil when no plausible time is known
	Received    time.Time      `json:"received"`
	DuplicateOf footage.ID     `json:"duplicate_of,omitempty"`
	SiblingOf   footage.ID     `json:"sibling_of,omitempty"` // the file of the same flight that is counted for this one
	// CapturedFrom says where Captured comes from: log (a clock with a zone in the flight log), log_zone (the local clock of
	// the log, in the zone of its position), log_solar (as log_zone, by the longitude alone) or station. Zone is the zone of
	// log_zone and log_solar. Both are empty before the log was looked for, and in events.
	CapturedFrom string `json:"captured_from,omitempty"`
	Zone         string `json:"captured_zone,omitempty"`
	Telemetry    bool   `json:"telemetry"` // a flight log came with it; FlightLog says whether it is one
	// FlightLog is nil before the log was looked for, and in events.
	FlightLog *FlightLog `json:"flight_log,omitempty"`
	Removed   bool       `json:"video_removed,omitempty"` // retention removed the video; the result stays
	Job       *Job       `json:"job,omitempty"`
	Count     *Count     `json:"count,omitempty"`
	// Flight is the flight that the footage is a part of; its count is that of the whole flight.
	Flight string `json:"flight,omitempty"`
	Seq    int64  `json:"seq"`
}

// FlightLog is what was found in the flight log of footage.
type FlightLog struct {
	State   string `json:"state"` // ok, no_fix, unreadable, does_not_fit or missing
	Dialect string `json:"dialect,omitempty"`
	Fixes   int    `json:"fixes"`         // records with a position
	Why     string `json:"why,omitempty"` // for a person, with the line where there is one; for ok the first doubtful one
}

// Job is the counting of one piece of footage. Seq is the number of the job's last
// change in the ledger, the same as in the job's MQTT message and status sidecar:
// of two documents about one job the one with the higher Seq is newer.
type Job struct {
	ID      string     `json:"id"`
	Footage footage.ID `json:"footage"`
	State   job.State  `json:"state"`
	job.Progress
	Attempt int    `json:"attempt"`
	Reason  string `json:"reason,omitempty"` // why it failed, was given up or was released
	// Priority is from -9 to 9; of the jobs that wait, those of the highest are counted first.
	Priority int `json:"priority,omitempty"`
	// Model is what a person wants for this recount; missing for the chosen one.
	Model   *ModelRef `json:"model,omitempty"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Seq     int64     `json:"seq"`
}

// JobPriority is the body of a request that sets the priority of a job.
type JobPriority struct {
	Priority *int `json:"priority"`
}

// Attempt is one try of a worker at a job.
type Attempt struct {
	N       int        `json:"n"` // from 1
	Worker  string     `json:"worker"`
	Began   time.Time  `json:"began"`
	Ended   *time.Time `json:"ended,omitempty"` // nil while it runs
	Outcome string     `json:"outcome,omitempty"`
	Reason  string     `json:"reason,omitempty"`
}

// Count is the final count of one piece of footage.
type Count struct {
	Footage     footage.ID     `json:"footage"`
	Job         string         `json:"job"`
	Unique      int            `json:"unique"` // animals, each counted once
	Low         int            `json:"low"`    // 95 % interval
	High        int            `json:"high"`
	ByClass     map[string]int `json:"by_class"`
	Model       string         `json:"model"`
	ModelDigest footage.Digest `json:"model_digest"`
	At          time.Time      `json:"at"`
	// A sum over counts leaves out those with DuplicateOf, SiblingOf or Flight, and adds the counts of the flights.
	DuplicateOf footage.ID `json:"duplicate_of,omitempty"` // the first footage with the same content
	SiblingOf   footage.ID `json:"sibling_of,omitempty"`   // the file of the flight that is counted for this one
	Flight      string     `json:"flight,omitempty"`       // the flight that the footage is a part of
	Seq         int64      `json:"seq"`
	Spread
	boundary.Totals
}

// Flight is a flight that was recorded in several pieces of footage, and its count.
type Flight struct {
	ID              string         `json:"id"`
	Site            string         `json:"site"`
	Device          string         `json:"device"`
	State           string         `json:"state"`          // joined, stale or ended
	Next            string         `json:"next,omitempty"` // the flight that has the parts of an ended one
	Unique          int            `json:"unique"`         // animals of the whole flight, each counted once
	Low             int            `json:"low"`            // 95 % interval
	High            int            `json:"high"`
	ByClass         map[string]int `json:"by_class"`
	Parts           []FlightPart   `json:"parts"`    // in the order of their recording; never nil
	Warnings        []string       `json:"warnings"` // for a person; never nil
	Created         time.Time      `json:"created"`
	Updated         time.Time      `json:"updated"`
	Seq             int64          `json:"seq"`
	boundary.Totals                // of the whole flight; not the sums of its parts
}

// FlightPart is one piece of footage of a flight. Its count is that of the part alone.
type FlightPart struct {
	Footage  footage.ID `json:"footage"`
	Name     string     `json:"name"`
	Started  *time.Time `json:"started,omitempty"` // nil when unknown
	Duration float64    `json:"duration_seconds"`
	Unique   int        `json:"unique"`
	Low      int        `json:"low"`
	High     int        `json:"high"`
}

// JoinFlight is the body of a request that makes one flight of footage.
type JoinFlight struct {
	Parts []footage.ID `json:"parts"` // in the order of their recording, 2 to 200
}

// SplitFlight is the body of a request that divides a flight.
type SplitFlight struct {
	Before footage.ID `json:"before"` // the part that begins the second flight
}

// Device is the holder of a token: a station or a person.
type Device struct {
	Name     string     `json:"name"`
	Site     string     `json:"site"`
	Role     string     `json:"role"` // device, reader, viewer, reviewer, operator or admin
	Created  time.Time  `json:"created"`
	Revoked  *time.Time `json:"revoked,omitempty"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"` // of the token
}

// Upload is an unfinished upload. It does not show the session's address: who has
// that could continue the upload.
type Upload struct {
	Footage footage.ID `json:"footage"`
	Site    string     `json:"site"`
	Device  string     `json:"device"`
	Kind    Kind       `json:"kind"`
	Name    string     `json:"name"`
	Size    int64      `json:"size"`
	Offset  int64      `json:"offset"` // bytes received
	Created time.Time  `json:"created"`
	Updated time.Time  `json:"updated"`
}

// UploadEvent is a change of an upload in the event stream.
type UploadEvent struct {
	Upload
	Gone bool `json:"gone"` // it is finished, expired or deleted
}

// Waiting is footage of which the cloud has only the thumbnail.
type Waiting struct {
	Footage  footage.ID `json:"footage"`
	Site     string     `json:"site"`
	Device   string     `json:"device"`
	Name     string     `json:"name"`               // of the video
	Captured *time.Time `json:"captured,omitempty"` // nil when no plausible time is known
	Received time.Time  `json:"received"`
}

// Stats is the sum over the whole ledger.
type Stats struct {
	Footage    int               `json:"footage"`    // originals and duplicates
	Duplicates int               `json:"duplicates"` // of those
	Bytes      int64             `json:"bytes"`      // of the originals
	Animals    int64             `json:"animals"`    // sum of the counts; duplicates, siblings and flights count once
	Counts     int               `json:"counts"`
	Uploads    int               `json:"uploads"` // not finished
	Jobs       map[job.State]int `json:"jobs"`
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T    `json:"items"`          // never nil
	Next  string `json:"next,omitempty"` // "after" of the next page, empty on the last
}

// Statuses of Health.
const (
	HealthOK      = "ok"
	HealthFailing = "failing"
)

// Health is the answer of /healthz and /readyz.
type Health struct {
	Status string           `json:"status"` // HealthOK or HealthFailing
	Checks map[string]Check `json:"checks,omitempty"`
}

// Check is one condition of readiness.
type Check struct {
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Session says who a client is and what it may do.
type Session struct {
	Name  string   `json:"name,omitempty"` // "" without a login
	Role  string   `json:"role,omitempty"`
	Sites []string `json:"sites,omitempty"`
	May   []string `json:"may,omitempty"`   // actions
	Reads bool     `json:"reads"`           // whether the client may read now
	CSRF  string   `json:"csrf,omitempty"`  // the value of the header X-CSRF-Token
	Setup bool     `json:"setup,omitempty"` // no user was added yet

	Passwords bool   `json:"passwords"`        // people may log in with a password
	OpenID    string `json:"openid,omitempty"` // name of the provider for log-ins, "" for none

	SecondFactor bool     `json:"second_factor,omitempty"` // a log-in of the person needs a code of an authenticator app
	BackupCodes  []string `json:"backup_codes,omitempty"`  // new ones, in the answer that puts a second factor into use
}

// LogIn is the body of a log-in, and of changes of the second factor.
type LogIn struct {
	Name     string        `json:"name"`
	Password secret.String `json:"password"`
	Factor   secret.String `json:"factor"` // a code of the authenticator app, or a backup code; optional
}

// FactorKey is the key of a second factor for an authenticator app.
type FactorKey struct {
	Key     string `json:"key"`     // in base32, to type
	Address string `json:"address"` // otpauth://totp/…
	QR      string `json:"qr"`      // a picture of Address as a data: URL
}

// Code is the body of a log-in with a one-time code.
type Code struct {
	Code   secret.String `json:"code"`
	Factor secret.String `json:"factor"` // like that of LogIn
}

// Setup is the body that adds the first admin.
type Setup struct {
	Code     secret.String `json:"code"`
	Name     string        `json:"name"`
	Password secret.String `json:"password"`
}

// EnrolmentRequest asks for a code with which a station gets its token.
type EnrolmentRequest struct {
	Device string `json:"device"`
	Site   string `json:"site"`
	// Hours is how long the code lives, up to 24; 0 means one.
	Hours int `json:"hours,omitempty"`
}

// EnrolmentCode is a code with which a station gets its token, once.
type EnrolmentCode struct {
	Device  string    `json:"device"`
	Site    string    `json:"site"`
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// EnrolPath is where a station sends Enrol.
const EnrolPath = APIPath + "/enrol"

// Enrol is what a station sends with its code: the token that it made, of 32 random bytes.
type Enrol struct {
	Code  secret.String `json:"code"`
	Token secret.String `json:"token"`
}

// Enrolment is the answer to Enrol.
type Enrolment struct {
	Device   string `json:"device"`
	Site     string `json:"site"`
	OrderKey string `json:"order_key"`      // of the cloud; see shared/orderkey
	MQTT     string `json:"mqtt,omitempty"` // address of the broker; "" when the cloud does not know it
}

// AuditEntry is something that somebody did.
type AuditEntry struct {
	N       int64     `json:"n"`
	At      time.Time `json:"at"`
	Who     string    `json:"who"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
}
