package overview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

const (
	mostAttention = 200
	mostFailed    = 50 // of each state
	mostUploads   = 200
	stalledAfter  = time.Hour
	noWorkerAfter = 5 * time.Minute
	oldAfter      = time.Hour
	offlineAfter  = 24 * time.Hour
	failedFor     = 30 * 24 * time.Hour // how long footage without a count needs attention
	spoolFull     = 100                 // percent
	// A certificate that renews itself is replaced 30 days before its end at the latest.
	certificateEnds = 21 * 24 * time.Hour
	certificateLast = 3 * 24 * time.Hour
)

// Attention returns what a person should look at: what is bad first, then the newest first. It is at most 200 entries.
func (o *Overview) Attention(ctx context.Context, in ledger.Scope) ([]wire.Attention, error) {
	all := []wire.Attention{}
	for _, find := range []func(context.Context, ledger.Scope) ([]wire.Attention, error){o.givenUp, o.stalled,
		o.faultyLogs, o.backlog, o.atStations, o.disk, o.certificates} {
		some, err := find(ctx, in)
		if err != nil {
			return all, err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b wire.Attention) int {
		return cmp.Or(strings.Compare(string(a.Severity), string(b.Severity)), b.Since.Compare(a.Since))
	})
	return all[:min(len(all), mostAttention)], nil
}

// givenUp is footage without a count: the failed and poisoned jobs of the last month, at most the newest 50 of each.
func (o *Overview) givenUp(ctx context.Context, in ledger.Scope) ([]wire.Attention, error) {
	var all []wire.Attention
	for state, kind := range map[job.State]wire.AttentionKind{job.Failed: wire.AttentionJobFailed,
		job.Poisoned: wire.AttentionJobPoisoned} {
		js, err := o.o.Work.Jobs(ctx, state, in, true, mostFailed)
		if err != nil {
			return nil, err
		}
		for _, j := range js {
			if o.o.Now().Sub(j.Updated) > failedFor {
				break // and all after it
			}
			a := wire.Attention{Kind: kind, Severity: wire.Bad, Site: j.Footage.Site, Device: j.Footage.Device,
				Footage: j.Footage.ID, Job: j.ID, Since: j.Updated, Action: wire.ActRetry}
			a.Text = fmt.Sprintf("%s is not counted: %s", j.Footage.Name, cmp.Or(j.Reason, "the worker gave no reason"))
			if state == job.Failed || j.Footage.BlobKey == "" { // a retry cannot repair the file, or there is none
				a.Action = wire.ActNone
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// stalled are uploads without a new byte for a while.
func (o *Overview) stalled(ctx context.Context, in ledger.Scope) ([]wire.Attention, error) {
	us, err := o.o.Uploads.ListUnfinishedAt(ctx, in.Sites, in.Device, mostUploads)
	var all []wire.Attention
	for _, u := range us {
		quiet := o.o.Now().Sub(u.Updated)
		if quiet < stalledAfter {
			continue
		}
		share := ""
		if u.Size > 0 {
			share = fmt.Sprintf(" at %.0f %%", 100*float64(u.Offset)/float64(u.Size))
		}
		all = append(all, wire.Attention{Kind: wire.AttentionUploadStalled, Severity: wire.Warn, Site: u.Site,
			Device: u.Device, Footage: u.Footage, Since: u.Updated, Action: wire.ActNone,
			Text: fmt.Sprintf("the upload of %s has stopped%s; check the link of %s", u.Name, share, u.Device)})
	}
	return all, err
}

// faultyLogs is footage of the last month without positions although a flight log came with it.
func (o *Overview) faultyLogs(ctx context.Context, in ledger.Scope) ([]wire.Attention, error) {
	faulty, err := o.o.Logs.ListFaulty(ctx, in, mostFailed)
	var all []wire.Attention
	for _, v := range faulty {
		if o.o.Now().Sub(v.Footage.Received) > failedFor {
			continue
		}
		why := cmp.Or(v.Log.Why, string(v.Log.State))
		all = append(all, wire.Attention{Kind: wire.AttentionLogUnreadable, Severity: wire.Warn, Site: v.Footage.Site,
			Device: v.Footage.Device, Footage: v.Footage.ID, Since: v.Footage.Received, Action: wire.ActNone,
			Text: fmt.Sprintf("the flight log of %s gives no positions: %s", v.Footage.Name, why)})
	}
	return all, err
}

// backlog is about the workers. A device cannot help there, so it sees nothing of it. Readers of some sites see what
// waits at theirs; whether there is a worker follows from all jobs.
func (o *Overview) backlog(ctx context.Context, in ledger.Scope) ([]wire.Attention, error) {
	if in.Device != "" {
		return nil, nil
	}
	b, err := o.o.Work.Backlog(ctx, in)
	if err != nil || b.Waiting+b.Held == 0 {
		return nil, err
	}
	all := b
	if !in.All() {
		if all, err = o.o.Work.Backlog(ctx, ledger.Scope{}); err != nil {
			return nil, err
		}
	}
	alive, err := o.o.Workers.Alive(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := o.lost(ctx, alive)
	if err != nil {
		return nil, err
	}
	all.Held -= len(lost)
	lost = slices.DeleteFunc(lost, func(j ledger.HeldJob) bool { return !in.Has(j.Footage.Site, j.Footage.Device) })
	for _, j := range lost {
		if b.Waiting++; b.Oldest.IsZero() || j.Updated.Before(b.Oldest) {
			b.Oldest = j.Updated
		}
	}
	if b.Waiting == 0 {
		return nil, nil
	}
	if missing, err := o.missingModels(ctx, in, lost, alive); err != nil || len(missing) > 0 {
		return missing, err
	}
	waits := o.o.Now().Sub(b.Oldest)
	switch {
	case all.Held == 0 && waits > noWorkerAfter:
		return []wire.Attention{{Kind: wire.AttentionNoWorker, Severity: wire.Bad, Since: b.Oldest, Action: wire.ActNone,
			Text: fmt.Sprintf("no worker counts, but jobs wait (%d); start a worker or look at its log", b.Waiting)}}, nil
	case waits > oldAfter:
		return []wire.Attention{{Kind: wire.AttentionQueueOld, Severity: wire.Warn, Since: b.Oldest, Action: wire.ActNone,
			Text: fmt.Sprintf("the workers do not keep up: jobs wait (%d); add a worker", b.Waiting)}}, nil
	}
	return nil, nil
}

// missingModels are models that jobs wait for and no living worker has. Without a living worker there are none: then the
// worker is what is missing. Lost jobs wait, too.
func (o *Overview) missingModels(ctx context.Context, in ledger.Scope, lost []ledger.HeldJob, alive []ledger.Worker) ([]wire.Attention,
	error) {
	if len(alive) == 0 {
		return nil, nil
	}
	chosen, err := o.o.Models.Chosen(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := o.jobs(ctx, in, false, job.Queued, job.Uploaded)
	if err != nil {
		return nil, err
	}
	var all []wire.Attention
	counts := map[wire.ModelRef]int{}
	since := map[wire.ModelRef]time.Time{}
	var order []wire.ModelRef
	for _, j := range append(waiting, lost...) {
		v := o.withModel(j, chosen, alive)
		if !v.NoModel || o.o.Now().Sub(v.Since) <= noWorkerAfter {
			continue
		}
		m := *v.Model
		if counts[m]++; counts[m] == 1 {
			order = append(order, m)
		}
		if first, ok := since[m]; !ok || v.Since.Before(first) {
			since[m] = v.Since
		}
	}
	for _, m := range order {
		all = append(all, wire.Attention{Kind: wire.AttentionModelMissing, Severity: wire.Bad, Since: since[m], Action: wire.ActNone,
			Text: fmt.Sprintf("no worker has the model %s, but jobs wait for it (%d); install it, or choose another", m, counts[m])})
	}
	return all, nil
}

// atStations is what the stations report, and which of them report nothing.
func (o *Overview) atStations(ctx context.Context, in ledger.Scope) ([]wire.Attention, error) {
	list, err := o.o.Stations.List(ctx)
	if err != nil {
		return nil, err
	}
	var all []wire.Attention
	for _, s := range list {
		if in.Has(s.Site, s.Device) {
			all = append(all, o.atStation(s)...)
		}
	}
	return all, nil
}

func (o *Overview) atStation(s wire.Station) []wire.Attention {
	now := o.o.Now()
	since := now
	switch {
	case s.Since != nil:
		since = *s.Since
	case s.Seen != nil:
		since = *s.Seen
	}
	about := wire.Attention{Severity: wire.Warn, Site: s.Site, Device: s.Device, Since: since, Action: wire.ActNone}
	if s.Refused != nil {
		about.Kind, about.Severity, about.Since = wire.AttentionTokenExpired, wire.Bad, s.Refused.Since
		about.Text = fmt.Sprintf("station %s: %s", s.Device, s.Warnings[0].Text)
		return []wire.Attention{about}
	}
	switch {
	case s.State == wire.StationSilent:
		about.Kind = wire.AttentionStationSilent
		about.Text = fmt.Sprintf("station %s sends no messages; check its power and its link", s.Device)
		return []wire.Attention{about}
	case s.State == wire.StationOffline && now.Sub(since) > offlineAfter:
		about.Kind, about.Severity = wire.AttentionStationGone, wire.Bad
		about.Text = fmt.Sprintf("station %s is offline for more than a day; check its power and its link", s.Device)
		return []wire.Attention{about}
	case s.State != wire.StationOnline:
		return nil // what it reported before may be over
	}
	var all []wire.Attention
	for _, w := range s.Warnings {
		a := about
		a.Since, a.Text = now, fmt.Sprintf("station %s: %s", s.Device, w.Text)
		if s.At != nil {
			a.Since = *s.At
		}
		switch w.Kind {
		case wire.WarnClock:
			a.Kind = wire.AttentionClockWrong
		case wire.WarnSpool, wire.WarnDisk:
			a.Kind = wire.AttentionSpoolFilling
			if s.Vitals != nil && s.Vitals.SpoolPercent >= spoolFull {
				a.Severity = wire.Bad
			}
		default:
			a.Kind = wire.AttentionStationFault
		}
		all = append(all, a)
	}
	return all
}

// disk is about the disk of the server.
func (o *Overview) disk(ctx context.Context, in ledger.Scope) ([]wire.Attention, error) {
	if !in.All() || o.o.Disk == nil {
		return nil, nil
	}
	err := o.o.Disk(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !errors.Is(err, store.ErrLowDisk) {
		o.lowDisk = time.Time{}
		return nil, nil // readyz reports every other fault
	}
	if o.lowDisk.IsZero() {
		o.lowDisk = o.o.Now().UTC()
	}
	return []wire.Attention{{Kind: wire.AttentionServerDiskFull, Severity: wire.Bad, Since: o.lowDisk,
		Action: wire.ActNone, Text: "the disk of the server is nearly full: " + faulttext.Of(err)}}, nil
}
