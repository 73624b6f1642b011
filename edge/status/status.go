// Package status is the status document of a running agent, and its forms for people.
package status

import (
	"encoding/json"
	"fmt"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

// Version is the version of the Status document.
const Version = 1

// Status is what `edge-agent status --json` prints. New fields may be added; a change of
// meaning requires a new version. Times are UTC, sizes are bytes.
type Status struct {
	V     int         `json:"v"`
	At    time.Time   `json:"at"`
	Clock topic.Clock `json:"clock"`
	// ClockHint is nil without a hint of the time.
	ClockHint *ClockHint     `json:"clock_hint,omitempty"`
	Agent     Agent          `json:"agent"`
	Link      uplink.Link    `json:"link"`
	Uplink    uplink.Report  `json:"uplink"`
	Broker    Broker         `json:"broker"`
	Disk      Disk           `json:"disk"`
	Folders   []watch.Folder `json:"folders"`
	// Alarms are the texts of the current alarms by name.
	Alarms map[string]string `json:"alarms,omitempty"`
	// Totals counts footage by phase. It has every phase.
	Totals  map[Phase]int `json:"totals"`
	Footage []Footage     `json:"footage"` // in the order of capture
	// FlightLogs are the logs that arrived after their video and are not yet in the cloud.
	FlightLogs []FlightLog `json:"flight_logs,omitempty"`
}

// Agent describes the running agent.
type Agent struct {
	Site    string    `json:"site"`
	Device  string    `json:"device"`
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Session int64     `json:"session"` // starts of this device so far
	Started time.Time `json:"started"`
	Uptime  float64   `json:"uptime_seconds"`
	Paused  bool      `json:"paused"`
	// OrderKey is the short name of the key that orders over MQTT must be signed with; "" when they need no signature.
	OrderKey string `json:"order_key,omitempty"`
}

// Broker describes the MQTT connection.
type Broker struct {
	Enabled bool   `json:"enabled"`
	Up      bool   `json:"up"`
	Waiting int    `json:"waiting"` // messages without acknowledgement
	Dropped int64  `json:"dropped"` // messages dropped since the start, because the outbox was full
	Detail  string `json:"detail,omitempty"`
}

// Disk describes the disk of the spool.
type Disk struct {
	Total   int64 `json:"total"`
	Free    int64 `json:"free"`
	Spool   int64 `json:"spool"` // used by the spool
	Quota   int64 `json:"quota"` // 0 without a quota
	MinFree int64 `json:"min_free"`
	// Percent is the used share of the space that the spool may use.
	Percent float64 `json:"percent"`
	Alarm   string  `json:"alarm,omitempty"`
}

// Phase is how far a piece of footage is on its way from the card to the count.
type Phase string

// Phases.
const (
	PhaseCaptured    Phase = "captured"  // on the card, waits to be read
	PhaseSpooling    Phase = "spooling"  // being read
	PhaseSpooled     Phase = "spooled"   // waits for the link
	PhaseUploading   Phase = "uploading" // being sent
	PhaseWaiting     Phase = "waiting"   // in the cloud, waits for its job
	PhaseCounting    Phase = "counting"
	PhaseDone        Phase = "done"   // counted
	PhaseFailed      Phase = "failed" // the cloud cannot count it; see Reason
	PhaseDuplicate   Phase = "duplicate"
	PhaseQuarantined Phase = "quarantined"
)

// Phases lists every phase in its order.
func Phases() []Phase {
	return []Phase{PhaseCaptured, PhaseSpooling, PhaseSpooled, PhaseUploading, PhaseWaiting, PhaseCounting, PhaseDone,
		PhaseFailed,
		PhaseDuplicate, PhaseQuarantined}
}

// Footage is one piece of footage.
type Footage struct {
	ID      footage.ID     `json:"id"`
	Name    string         `json:"name"`
	Path    string         `json:"path"` // as footage.SafePath shows it
	Size    int64          `json:"size"`
	SHA256  footage.Digest `json:"sha256"` // empty until the whole file is read
	Phase   Phase          `json:"phase"`
	State   spool.State    `json:"state"`   // of the spool
	Percent float64        `json:"percent"` // of the phase: read, uploaded or counted
	Offset  int64          `json:"offset"`  // bytes that the cloud has
	Rate    float64        `json:"rate"`    // bytes per second
	// Waiting is why nothing moves now, Reason why nothing will without a person.
	Waiting     string     `json:"waiting,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	DuplicateOf footage.ID `json:"duplicate_of,omitempty"`
	// UploadedAs is the id under which the cloud knows the footage; "" means ID.
	UploadedAs footage.ID `json:"uploaded_as,omitempty"`
	Priority   int        `json:"priority"` // the highest is sent first
	Telemetry  bool       `json:"telemetry"`
	// Captured is when it was recorded, nil when that is not known, and CapturedFrom where that time is from.
	// CapturedFrom is "" until the file is read, and for footage of an earlier release.
	Captured     *time.Time         `json:"captured,omitempty"`
	CapturedFrom footage.TimeSource `json:"captured_from,omitempty"`
	FileTime     time.Time          `json:"file_time"` // the date that the card has, right or wrong
	Thumbnail    bool               `json:"thumbnail"` // the camera stored a picture
	Job          *Job               `json:"job,omitempty"`
	Count        *spool.Count       `json:"count,omitempty"`
	Updated      time.Time          `json:"updated"`
}

// FlightLog is a flight log that arrived after its video.
type FlightLog struct {
	ID      footage.ID  `json:"id"` // names it in commands
	Footage footage.ID  `json:"footage"`
	Path    string      `json:"path"` // as footage.SafePath shows it
	Size    int64       `json:"size"`
	State   spool.State `json:"state"`
	Waiting string      `json:"waiting,omitempty"`
	Reason  string      `json:"reason,omitempty"`
}

// LogOfRecord returns the status of a flight log's record.
func LogOfRecord(r spool.Record) FlightLog {
	return FlightLog{ID: r.ID, Footage: r.LogOf, Path: footage.SafePath(r.Source.Path), Size: r.Source.Size,
		State: r.State, Waiting: r.Waiting, Reason: r.Reason}
}

// Job is the progress of counting in the cloud.
type Job struct {
	ID    string    `json:"id"`
	State job.State `json:"state"`
	job.Progress
	Attempt int    `json:"attempt"`
	Reason  string `json:"reason,omitempty"`
}

// OfRecord returns the status of one record. lookup finds the record that a duplicate
// stands for.
func OfRecord(r spool.Record, lookup func(footage.ID) (spool.Record, bool)) Footage {
	f := Footage{ID: r.ID, Name: r.Name, Path: footage.SafePath(r.Source.Path), Size: r.Source.Size,
		SHA256: r.SHA256, State: r.State,
		Offset: r.Video.Offset, Rate: r.Rate, Waiting: r.Waiting, Reason: r.Reason, DuplicateOf: r.DuplicateOf,
		UploadedAs: r.UploadedAs, Priority: r.Priority,
		Telemetry: r.Telemetry != nil, Thumbnail: r.HasThumbnail, Count: r.Count, Updated: r.Updated,
		CapturedFrom: r.CapturedFrom, FileTime: r.Source.ModTime.UTC()}
	if !r.Captured.IsZero() {
		f.Captured = &r.Captured
	}
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
		f.Job = &Job{ID: j.Job, State: j.State, Progress: j.Progress, Attempt: j.Attempt, Reason: j.Reason}
	}
	f.Phase, f.Percent = phase(r, f.Job)
	if f.Phase == PhaseFailed && f.Reason == "" {
		f.Reason = j.Reason
	}
	return f
}

// phase returns the phase of a record and its progress in percent.
func phase(r spool.Record, j *Job) (Phase, float64) {
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

// ClockHint is the best source's hint of the time.
type ClockHint struct {
	Source topic.ClockSource `json:"source"`
	From   string            `json:"from"`
	Time   time.Time         `json:"time"` // by the source, now
	// Offset is Time minus the clock. It is right within Uncertainty, if the source is.
	// Age is the age of the hint.
	Offset      float64 `json:"offset_seconds"`
	Uncertainty float64 `json:"uncertainty_seconds"`
	Age         float64 `json:"age_seconds"`
	Text        string  `json:"text"` // the same for people
}

// Parse reads a status document.
func Parse(b []byte) (Status, error) {
	var s Status
	if err := json.Unmarshal(b, &s); err != nil {
		return Status{}, fmt.Errorf("status document: %w", err)
	}
	if s.V != Version {
		return Status{}, fmt.Errorf("status document has version %d, want %d: "+
			"the agent is of another release than this program", s.V, Version)
	}
	return s, nil
}
