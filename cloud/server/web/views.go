package web

import (
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// The JSON of the API. Fields are described in openapi.yaml, which tests hold
// against these types.

type footageView struct {
	ID          footage.ID     `json:"id"`
	Site        string         `json:"site"`
	Device      string         `json:"device"`
	Name        string         `json:"name"`
	Size        int64          `json:"size"`
	SHA256      footage.Digest `json:"sha256"`
	Captured    *time.Time     `json:"captured,omitempty"`
	Received    time.Time      `json:"received"`
	DuplicateOf footage.ID     `json:"duplicate_of,omitempty"`
	Telemetry   bool           `json:"telemetry"`
	Removed     bool           `json:"video_removed,omitempty"`
	Job         *jobView       `json:"job,omitempty"`
	Count       *countView     `json:"count,omitempty"`
	Seq         int64          `json:"seq"`
}

type jobView struct {
	ID      string     `json:"id"`
	Footage footage.ID `json:"footage"`
	State   job.State  `json:"state"`
	job.Progress
	Attempt int       `json:"attempt"`
	Reason  string    `json:"reason,omitempty"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Seq     int64     `json:"seq"`
}

type attemptView struct {
	N       int        `json:"n"`
	Worker  string     `json:"worker"`
	Began   time.Time  `json:"began"`
	Ended   *time.Time `json:"ended,omitempty"`
	Outcome string     `json:"outcome,omitempty"`
	Reason  string     `json:"reason,omitempty"`
}

func viewAttempt(a ledger.Attempt) attemptView {
	return attemptView{N: a.N, Worker: a.Worker, Began: a.Began, Ended: a.Ended, Outcome: a.Outcome, Reason: a.Reason}
}

type countView struct {
	Footage     footage.ID     `json:"footage"`
	Job         string         `json:"job"`
	Unique      int            `json:"unique"`
	Low         int            `json:"low"`
	High        int            `json:"high"`
	ByClass     map[string]int `json:"by_class"`
	Model       string         `json:"model"`
	ModelDigest footage.Digest `json:"model_digest"`
	At          time.Time      `json:"at"`
	Seq         int64          `json:"seq"`
}

type deviceView struct {
	Name     string      `json:"name"`
	Site     string      `json:"site"`
	Role     ledger.Role `json:"role"`
	Created  time.Time   `json:"created"`
	Revoked  *time.Time  `json:"revoked,omitempty"`
	LastSeen *time.Time  `json:"last_seen,omitempty"`
}

type uploadView struct {
	Footage footage.ID `json:"footage"`
	Site    string     `json:"site"`
	Device  string     `json:"device"`
	Kind    string     `json:"kind"`
	Name    string     `json:"name"`
	Size    int64      `json:"size"`
	Offset  int64      `json:"offset"`
	Created time.Time  `json:"created"`
	Updated time.Time  `json:"updated"`
}

// waitingView is footage of which only the thumbnail is here.
type waitingView struct {
	Footage  footage.ID `json:"footage"`
	Site     string     `json:"site"`
	Device   string     `json:"device"`
	Name     string     `json:"name"`
	Captured *time.Time `json:"captured,omitempty"`
	Received time.Time  `json:"received"`
}

type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

func viewFootage(f ledger.Footage) footageView {
	v := footageView{ID: f.ID, Site: f.Site, Device: f.Device, Name: f.Name, Size: f.Size, SHA256: f.SHA256,
		Received: f.Received, DuplicateOf: f.DuplicateOf, Telemetry: f.TelemetryKey != "", Removed: f.BlobKey == "" && f.DuplicateOf == "", Seq: f.Seq}
	if !f.Captured.IsZero() {
		v.Captured = &f.Captured
	}
	return v
}

func viewWhole(f ledger.FootageView) footageView {
	v := viewFootage(f.Footage)
	if f.Job != nil {
		j := viewJob(*f.Job)
		v.Job = &j
	}
	if f.Count != nil {
		c := viewCount(*f.Count)
		v.Count = &c
	}
	return v
}

func viewJob(j ledger.Job) jobView {
	return jobView{ID: j.ID, Footage: j.Footage, State: j.State, Progress: j.Progress, Attempt: j.Attempt, Reason: j.Reason,
		Created: j.Created, Updated: j.Updated, Seq: j.Seq}
}

func viewCount(c ledger.Count) countView {
	return countView{Footage: c.Footage, Job: c.Job, Unique: c.Unique, Low: c.Low, High: c.High, ByClass: c.ByClass,
		Model: c.Model, ModelDigest: c.ModelDigest, At: c.At, Seq: c.Seq}
}

func viewDevice(d ledger.Device) deviceView {
	return deviceView{Name: d.Name, Site: d.Site, Role: d.Role, Created: d.Created, Revoked: d.Revoked, LastSeen: d.LastSeen}
}

// viewUpload leaves the session's id out: whoever has it could go on with it.
func viewUpload(u ledger.Upload) uploadView {
	return uploadView{Footage: u.Footage, Site: u.Site, Device: u.Device, Kind: u.Kind, Name: u.Name, Size: u.Size,
		Offset: u.Offset, Created: u.Created, Updated: u.Updated}
}

func viewWaiting(t ledger.Thumbnail) waitingView {
	v := waitingView{Footage: t.Footage, Site: t.Site, Device: t.Device, Name: t.Name, Received: t.Received}
	if !t.Captured.IsZero() {
		v.Captured = &t.Captured
	}
	return v
}

func pageOf[In, Out any](items []In, next string, view func(In) Out) page[Out] {
	out := page[Out]{Items: make([]Out, 0, len(items)), Next: next}
	for _, i := range items {
		out.Items = append(out.Items, view(i))
	}
	return out
}
