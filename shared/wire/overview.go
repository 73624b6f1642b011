package wire

import (
	"time"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// Overview is what a person looks at first: the newest count of each site, and what needs attention.
type Overview struct {
	At        time.Time      `json:"at"`
	Sites     []SiteOverview `json:"sites"`     // with a count, in alphabetical order; never nil
	Attention []Attention    `json:"attention"` // what is bad first, then the newest first; never nil
}

// SiteOverview is the newest count of one site. It is no sum: each flight may show the same animals.
type SiteOverview struct {
	Site     string     `json:"site"`
	Latest   SiteCount  `json:"latest"`
	Previous *SiteCount `json:"previous,omitempty"`
	Change   *int       `json:"change,omitempty"` // of the count since the previous one
	Agrees   *bool      `json:"agrees,omitempty"` // the two intervals overlap
	Flights  int        `json:"flights"`          // counts of the last seven days; a flight of several parts is one
	// Paddocks are those that the site has now, in alphabetical order; never nil.
	Paddocks []PaddockOverview `json:"paddocks"`
}

// PaddockOverview is the newest count of one paddock.
type PaddockOverview struct {
	Paddock string `json:"paddock"`
	// Latest is of the footage that saw a part of the paddock last; nil when none of the newest counts of the site did.
	Latest   *SiteCount `json:"latest,omitempty"`
	Seen     float64    `json:"seen"`               // by that footage, share of the paddock, 0 to 1
	Previous *SiteCount `json:"previous,omitempty"` // of another flight
	Change   *int       `json:"change,omitempty"`   // since the previous one; nil unless both saw at least 95 % of the paddock
	Agrees   *bool      `json:"agrees,omitempty"`   // like Change: the two intervals overlap
	Expected *Expected  `json:"expected,omitempty"` // of the book, for the time of the latest count
}

// SiteCount is the count of one flight, or of footage that is in no flight.
type SiteCount struct {
	Footage  footage.ID `json:"footage,omitempty"`
	Flight   string     `json:"flight,omitempty"`
	Name     string     `json:"name"` // of the file; of a flight that of its first part
	Unique   int        `json:"unique"`
	Low      int        `json:"low"` // 95 % interval
	High     int        `json:"high"`
	Captured *time.Time `json:"captured,omitempty"` // nil when no plausible time is known
	Counted  time.Time  `json:"counted_at"`
}

// HistoryPoint is one count of a site over time.
type HistoryPoint struct {
	At      time.Time  `json:"at"` // of the recording, else of the arrival
	Site    string     `json:"site"`
	Unique  int        `json:"unique"`
	Low     int        `json:"low"` // 95 % interval
	High    int        `json:"high"`
	Footage footage.ID `json:"footage,omitempty"`
	Flight  string     `json:"flight,omitempty"`
}

// AttentionKind says what needs attention.
type AttentionKind string

// Kinds of what needs attention.
const (
	AttentionJobFailed      AttentionKind = "job_failed"      // footage cannot be counted
	AttentionJobPoisoned    AttentionKind = "job_poisoned"    // a job was given up after too many attempts
	AttentionUploadStalled  AttentionKind = "upload_stalled"  // no byte of an unfinished upload for an hour
	AttentionLogUnreadable  AttentionKind = "log_unreadable"  // a flight log gives no positions
	AttentionNoWorker       AttentionKind = "no_worker"       // jobs wait for five minutes while no worker has one
	AttentionQueueOld       AttentionKind = "queue_old"       // a job waits for an hour while workers work
	AttentionModelMissing   AttentionKind = "model_missing"   // jobs wait for five minutes for a model that no worker has
	AttentionStationSilent  AttentionKind = "station_silent"  // see StationState
	AttentionStationGone    AttentionKind = "station_offline" // for more than a day
	AttentionTokenExpired   AttentionKind = "token_expired"   // or was revoked: the cloud refuses the station
	AttentionStationFault   AttentionKind = "station_error"   // what else the station reports, such as quarantined footage
	AttentionClockWrong     AttentionKind = "clock_wrong"     // of a station
	AttentionSpoolFilling   AttentionKind = "spool_filling"   // of a station, or its disk
	AttentionServerDiskFull AttentionKind = "disk_low"        // of the server
	AttentionCertificateEnd AttentionKind = "certificate_ending"
)

// Severity says how urgent it is.
type Severity string

// Severities.
const (
	Bad  Severity = "bad"  // something does not work
	Warn Severity = "warn" // something will not work
)

// Action is the button that helps.
type Action string

// Actions.
const (
	ActRetry Action = "retry" // POST /api/v1/jobs/{job}/retry
	ActNone  Action = "none"  // the text says what a person does
)

// Attention is something that a person should look at.
type Attention struct {
	Kind     AttentionKind `json:"kind"`
	Severity Severity      `json:"severity"`
	Site     string        `json:"site,omitempty"`
	Device   string        `json:"device,omitempty"`
	Footage  footage.ID    `json:"footage,omitempty"`
	Job      string        `json:"job,omitempty"`
	Flight   string        `json:"flight,omitempty"`
	Text     string        `json:"text"`
	Since    time.Time     `json:"since"`
	Action   Action        `json:"action,omitempty"`
}

// Queue is the work of the workers: what waits, what they do, and what was given up.
type Queue struct {
	Waiting int           `json:"waiting"`
	Leased  int           `json:"leased"`                   // jobs that a worker has
	Oldest  *time.Time    `json:"oldest_waiting,omitempty"` // since when the oldest waiting job waits
	Jobs    []QueueJob    `json:"jobs"`                     // at most 100; never nil
	Workers []QueueWorker `json:"workers"`                  // never nil
}

// QueueJob is a job that has not ended, or was given up.
type QueueJob struct {
	Job     string     `json:"job"`
	Footage footage.ID `json:"footage"`
	Name    string     `json:"name"` // of the file
	State   job.State  `json:"state"`
	Worker  string     `json:"worker,omitempty"` // that has it
	Percent float64    `json:"percent"`
	FPS     float64    `json:"fps"`
	Attempt int        `json:"attempt"`
	Since   time.Time  `json:"since"` // of the attempt, or of the state
	Reason  string     `json:"reason,omitempty"`
	// Priority is from -9 to 9. Missing for 0.
	Priority int `json:"priority,omitempty"`
	// Model is what it is to be counted with; missing for the model of each worker, and for a job that was given up.
	Model *ModelRef `json:"model,omitempty"`
	// NoModel says that the job waits because no living worker has its model.
	NoModel bool `json:"no_model,omitempty"`
}

// QueueWorker is a worker that has a job, had one within the last hour, or reports that it is alive.
type QueueWorker struct {
	Worker string    `json:"worker"`
	Job    string    `json:"job,omitempty"`
	Since  time.Time `json:"since"`           // since when it has the job, or has none
	Model  *ModelRef `json:"model,omitempty"` // that it has loaded; missing when that is not known
}
