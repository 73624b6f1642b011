package agent

import (
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

// StatusVersion is the version of the Status document.
const StatusVersion = 1

// Status is what `edge-agent status --json` prints. Fields are only ever added;
// a change of meaning takes a new version. Times are UTC, sizes bytes.
type Status struct {
	V     int         `json:"v"`
	At    time.Time   `json:"at"`
	Clock topic.Clock `json:"clock"`
	// ClockHint is nil when nobody said what time it is.
	ClockHint *ClockHint     `json:"clock_hint,omitempty"`
	Agent     AgentStatus    `json:"agent"`
	Link      uplink.Link    `json:"link"`
	Uplink    uplink.Report  `json:"uplink"`
	Broker    BrokerStatus   `json:"broker"`
	Disk      DiskStatus     `json:"disk"`
	Folders   []watch.Folder `json:"folders"`
	// Alarms is what a person should look at, by name.
	Alarms map[string]string `json:"alarms,omitempty"`
	// Totals counts footage by phase; every phase is there.
	Totals  map[Phase]int   `json:"totals"`
	Footage []FootageStatus `json:"footage"` // in the order of capture
}

// AgentStatus describes the running agent.
type AgentStatus struct {
	Site    string    `json:"site"`
	Device  string    `json:"device"`
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Session int64     `json:"session"` // starts of this device so far
	Started time.Time `json:"started"`
	Uptime  float64   `json:"uptime_seconds"`
	Paused  bool      `json:"paused"`
}

// BrokerStatus describes the MQTT connection.
type BrokerStatus struct {
	Enabled bool   `json:"enabled"`
	Up      bool   `json:"up"`
	Waiting int    `json:"waiting"` // messages not acknowledged yet
	Dropped int64  `json:"dropped"` // messages lost since the start, for want of room
	Detail  string `json:"detail,omitempty"`
}

// DiskStatus describes the disk of the spool.
type DiskStatus struct {
	Total   int64 `json:"total"`
	Free    int64 `json:"free"`
	Spool   int64 `json:"spool"` // what the spool takes
	Quota   int64 `json:"quota"` // 0: none
	MinFree int64 `json:"min_free"`
	// Percent is how much of the room that it may take the spool takes.
	Percent float64 `json:"percent"`
	Alarm   string  `json:"alarm,omitempty"`
}

// Phase is where a piece of footage is on its whole way, in one word.
type Phase string

// Phases.
const (
	PhaseCaptured    Phase = "captured"  // on the card, waits to be read
	PhaseSpooling    Phase = "spooling"  // being read
	PhaseSpooled     Phase = "spooled"   // waits for the link
	PhaseUploading   Phase = "uploading" // on its way
	PhaseWaiting     Phase = "waiting"   // in the cloud, waits to be counted
	PhaseCounting    Phase = "counting"
	PhaseDone        Phase = "done"   // counted
	PhaseFailed      Phase = "failed" // the cloud cannot count it; Reason says why
	PhaseDuplicate   Phase = "duplicate"
	PhaseQuarantined Phase = "quarantined"
)

// Phases lists every phase in the order of the way.
func Phases() []Phase {
	return []Phase{PhaseCaptured, PhaseSpooling, PhaseSpooled, PhaseUploading, PhaseWaiting, PhaseCounting, PhaseDone, PhaseFailed,
		PhaseDuplicate, PhaseQuarantined}
}

// FootageStatus is one piece of footage.
type FootageStatus struct {
	ID      footage.ID     `json:"id"`
	Name    string         `json:"name"`
	Path    string         `json:"path"`
	Size    int64          `json:"size"`
	SHA256  footage.Digest `json:"sha256"` // empty until it was read whole
	Phase   Phase          `json:"phase"`
	State   spool.State    `json:"state"`   // of the spool
	Percent float64        `json:"percent"` // of the phase: read, uploaded or counted
	Offset  int64          `json:"offset"`  // bytes the cloud has
	Rate    float64        `json:"rate"`    // bytes per second
	// Waiting says why nothing moves, Reason why it never will by itself.
	Waiting     string       `json:"waiting,omitempty"`
	Reason      string       `json:"reason,omitempty"`
	DuplicateOf footage.ID   `json:"duplicate_of,omitempty"`
	Priority    int          `json:"priority"` // higher goes first over the link
	Telemetry   bool         `json:"telemetry"`
	Thumbnail   bool         `json:"thumbnail"` // the camera left a picture
	Job         *JobStatus   `json:"job,omitempty"`
	Count       *spool.Count `json:"count,omitempty"`
	Updated     time.Time    `json:"updated"`
}

// JobStatus is how far the cloud is with counting.
type JobStatus struct {
	ID    string    `json:"id"`
	State job.State `json:"state"`
	job.Progress
	Attempt int    `json:"attempt"`
	Reason  string `json:"reason,omitempty"`
}

// view makes the status of one record. lookup finds the record that a
// duplicate stands for.
func view(r spool.Record, lookup func(footage.ID) (spool.Record, bool)) FootageStatus {
	f := FootageStatus{ID: r.ID, Name: r.Name, Path: r.Source.Path, Size: r.Source.Size, SHA256: r.SHA256, State: r.State,
		Offset: r.Video.Offset, Rate: r.Rate, Waiting: r.Waiting, Reason: r.Reason, DuplicateOf: r.DuplicateOf, Priority: r.Priority,
		Telemetry: r.Telemetry != nil, Thumbnail: r.HasThumbnail, Count: r.Count, Updated: r.Updated}
	j, count := r.Job, r.Count
	if r.DuplicateOf != "" {
		if first, ok := lookup(r.DuplicateOf); ok {
			if j == nil {
				j = first.Job
			}
			if count == nil {
				count = first.Count
			}
		}
	}
	f.Count = count
	if j != nil {
		f.Job = &JobStatus{ID: j.Job, State: j.State, Progress: j.Progress, Attempt: j.Attempt, Reason: j.Reason}
	}
	f.Phase, f.Percent = phase(r, f.Job)
	if f.Phase == PhaseFailed && f.Reason == "" {
		f.Reason = j.Reason
	}
	return f
}

func phase(r spool.Record, j *JobStatus) (Phase, float64) {
	switch r.State {
	case spool.Captured:
		return PhaseCaptured, 0
	case spool.Spooling:
		return PhaseSpooling, percent(r.Read, r.Source.Size)
	case spool.Spooled:
		return PhaseSpooled, 0
	case spool.Uploading, spool.Uploaded:
		return PhaseUploading, percent(r.Video.Offset, r.Source.Size)
	case spool.Duplicate:
		return PhaseDuplicate, 0
	case spool.Quarantined:
		return PhaseQuarantined, 0
	}
	switch {
	case j == nil || j.State == job.Uploaded || j.State == job.Queued:
		return PhaseWaiting, 0
	case j.State == job.Done:
		return PhaseDone, 100
	case j.State.Ended():
		return PhaseFailed, j.Percent
	}
	return PhaseCounting, j.Percent
}

func percent(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}
