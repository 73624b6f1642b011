package web

import (
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// footageView shows footage without its job and count.
func footageView(f ledger.Footage) wire.Footage {
	return wire.Footage{ID: f.ID, Site: f.Site, Device: f.Device, Name: f.Name, Size: f.Size, SHA256: f.SHA256,
		Captured: timeOrNil(f.Taken), Received: f.Received, DuplicateOf: f.DuplicateOf, SiblingOf: f.SiblingOf,
		Telemetry: f.TelemetryKey != "", Removed: f.BlobKey == "" && f.DuplicateOf == "", Flight: f.Flight, Seq: f.Seq}
}

// wholeView shows footage with its job and count, where it has them.
func wholeView(f ledger.FootageView) wire.Footage {
	v := footageView(f.Footage)
	v.CapturedFrom, v.Zone = f.Ground.CapturedFrom, f.Ground.Zone
	if log := f.Ground.Log; log.State != "" {
		v.FlightLog = &wire.FlightLog{State: string(log.State), Dialect: log.Dialect, Fixes: log.Fixes, Why: log.Why}
	}
	if f.Job != nil {
		j := jobView(*f.Job)
		v.Job = &j
	}
	if f.Count != nil {
		c := countView(*f.Count, f.Footage)
		v.Count = &c
	}
	return v
}

func jobView(j ledger.Job) wire.Job {
	v := wire.Job{ID: j.ID, Footage: j.Footage, State: j.State, Progress: j.Progress, Attempt: j.Attempt,
		Reason:   j.Reason,
		Priority: j.Priority, Created: j.Created, Updated: j.Updated, Seq: j.Seq}
	if !j.Model.IsZero() && !j.State.Ended() { // a worker of before leaves it in the ledger
		v.Model = &j.Model
	}
	return v
}

func attemptView(a ledger.Attempt) wire.Attempt {
	return wire.Attempt{N: a.N, Worker: a.Worker, Began: a.Began, Ended: a.Ended, Outcome: a.Outcome, Reason: a.Reason}
}

// countView shows the count that stands for footage.
func countView(c ledger.Count, f ledger.Footage) wire.Count {
	return wire.Count{Footage: c.Footage, Job: c.Job, Unique: c.Unique, Low: c.Low, High: c.High, ByClass: c.ByClass,
		Model: c.Model, ModelDigest: c.ModelDigest, At: c.At, DuplicateOf: f.DuplicateOf, SiblingOf: f.SiblingOf,
		Flight: f.Flight, Seq: c.Seq, Spread: spreadView(c.Spread), Totals: c.Boundaries}
}

func flightView(f ledger.FlightView) wire.Flight {
	v := wire.Flight{ID: f.ID, Site: f.Site, Device: f.Device, State: string(f.State), Next: f.Next, Unique: f.Unique,
		Low: f.Low, High: f.High, ByClass: f.ByClass, Parts: []wire.FlightPart{}, Warnings: f.Warnings, Created: f.Created,
		Updated: f.Updated, Seq: f.Seq, Totals: f.Boundaries}
	for _, p := range f.Parts {
		v.Parts = append(v.Parts, wire.FlightPart{Footage: p.Footage, Name: p.Name, Started: timeOrNil(p.Started),
			Duration: p.Duration.Seconds(), Unique: p.Unique, Low: p.Low, High: p.High})
	}
	return v
}

func deviceView(d ledger.Device) wire.Device {
	return wire.Device{Name: d.Name, Site: d.Site, Role: string(d.Role), Created: d.Created, Revoked: d.Revoked,
		LastSeen: d.LastSeen, Expires: d.Expires}
}

func uploadView(u ledger.Upload) wire.Upload {
	return wire.Upload{Footage: u.Footage, Site: u.Site, Device: u.Device, Kind: u.Kind, Name: u.Name, Size: u.Size,
		Offset: u.Offset, Created: u.Created, Updated: u.Updated}
}

func waitingView(t ledger.Thumbnail) wire.Waiting {
	return wire.Waiting{Footage: t.Footage, Site: t.Site, Device: t.Device, Name: t.Name, Captured: timeOrNil(t.Captured),
		Received: t.Received}
}

// timeOrNil is nil for the time that stands for "not known".
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func pageOf[In, Out any](items []In, next string, view func(In) Out) wire.Page[Out] {
	out := wire.Page[Out]{Items: make([]Out, 0, len(items)), Next: next}
	for _, i := range items {
		out.Items = append(out.Items, view(i))
	}
	return out
}
