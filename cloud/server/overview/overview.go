// Package overview answers what a person asks first: the newest count of each site, what needs attention, and what the
// workers do. It reads the ledger and the table of stations, and stores nothing.
package overview

import (
	"context"
	"errors"
	"sync"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

const (
	week      = 7 * 24 * time.Hour
	mostSites = 1000
)

type (
	sites interface {
		Names(ctx context.Context, limit int) ([]string, error)
		Newest(ctx context.Context, site string, in ledger.Scope, from time.Time, limit int) ([]ledger.Sighting, error)
		Count(ctx context.Context, site string, in ledger.Scope, from time.Time) (int, error)
		History(ctx context.Context, site string, in ledger.Scope, from time.Time, limit int) ([]ledger.Sighting, error)
	}
	work interface {
		Backlog(ctx context.Context, in ledger.Scope) (ledger.Backlog, error)
		Jobs(ctx context.Context, s job.State, in ledger.Scope, newest bool, limit int) ([]ledger.HeldJob, error)
		Idle(ctx context.Context, after time.Time, limit int) ([]ledger.Idle, error)
	}
	workers interface {
		Alive(ctx context.Context) ([]ledger.Worker, error)
	}
	models interface {
		Chosen(ctx context.Context) ([]ledger.ModelChoice, error)
	}
	logs interface {
		ListFaulty(ctx context.Context, in ledger.Scope, limit int) ([]ledger.FaultyLog, error)
	}
	uploads interface {
		ListUnfinishedAt(ctx context.Context, sites ledger.SiteSet, device string, limit int) ([]ledger.Upload, error)
	}
	stations interface {
		List(ctx context.Context) ([]wire.Station, error)
	}
)

// Options of New. All but Disk, Certificates and Now are required.
type Options struct {
	Sites    sites
	Work     work
	Workers  workers
	Models   models
	Logs     logs
	Uploads  uploads
	Stations stations
	// Disk, when set, returns an error that wraps store.ErrLowDisk while the disk of the server is nearly full.
	Disk func(context.Context) error
	// Certificates are those of the server, by the listeners that have one.
	Certificates map[string]func() Certificate
	Now          func() time.Time
}

// Certificate is the state of a certificate of the server.
type Certificate struct {
	Ends    time.Time // zero while there is none
	Managed bool      // the server gets and renews it by itself
	// Fault is why that failed, FaultSince since when; nil and zero while nothing is wrong.
	Fault      error
	FaultSince time.Time
}

// Overview reads what a person asks first. Its methods are safe for concurrent use. A scope restricts an answer to
// what a reader may see.
type Overview struct {
	o Options

	mu      sync.Mutex
	lowDisk time.Time // since when the disk is known to be nearly full; zero while it is not
}

// New returns an Overview.
func New(o Options) (*Overview, error) {
	if o.Sites == nil || o.Work == nil || o.Workers == nil || o.Models == nil || o.Logs == nil || o.Uploads == nil || o.Stations == nil {
		return nil, errors.New("overview: sites, work, workers, models, logs, uploads and stations are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Overview{o: o}, nil
}

// Read returns the newest count of each site, and what needs attention.
func (o *Overview) Read(ctx context.Context, in ledger.Scope) (wire.Overview, error) {
	v := wire.Overview{At: o.o.Now().UTC(), Sites: []wire.SiteOverview{}}
	names, err := o.o.Sites.Names(ctx, mostSites)
	if err != nil {
		return v, err
	}
	for _, name := range names {
		s, found, err := o.site(ctx, name, in)
		if err != nil {
			return v, err
		}
		if found {
			v.Sites = append(v.Sites, s)
		}
	}
	v.Attention, err = o.Attention(ctx, in)
	return v, err
}

// site returns the newest counts of one site. found is false for a site without a count.
func (o *Overview) site(ctx context.Context, name string, in ledger.Scope) (v wire.SiteOverview, found bool,
	err error) {
	v.Site = name
	newest, err := o.o.Sites.Newest(ctx, name, in, time.Time{}, 2)
	if err != nil || len(newest) == 0 {
		return v, false, err
	}
	v.Latest = countOf(newest[0])
	if len(newest) > 1 {
		before := countOf(newest[1])
		change := v.Latest.Unique - before.Unique
		agrees := v.Latest.Low <= before.High && before.Low <= v.Latest.High
		v.Previous, v.Change, v.Agrees = &before, &change, &agrees
	}
	v.Flights, err = o.o.Sites.Count(ctx, name, in, o.o.Now().Add(-week))
	return v, true, err
}

func countOf(s ledger.Sighting) wire.SiteCount {
	return wire.SiteCount{Footage: s.Footage, Flight: s.Flight, Name: s.Name, Unique: s.Unique, Low: s.Low, High: s.High,
		Captured: timeOrNil(s.Captured), Counted: s.Counted}
}

// MostHistory is how many points History returns at most.
const MostHistory = 2000

// History returns the counts of one site, or of all with the site "", from a time on, the newest first.
func (o *Overview) History(ctx context.Context, site string, in ledger.Scope, from time.Time) ([]wire.HistoryPoint,
	error) {
	all, err := o.o.Sites.History(ctx, site, in, from, MostHistory)
	points := make([]wire.HistoryPoint, 0, len(all))
	for _, s := range all {
		points = append(points, wire.HistoryPoint{At: s.At, Site: s.Site, Unique: s.Unique, Low: s.Low, High: s.High,
			Footage: s.Footage, Flight: s.Flight})
	}
	return points, err
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
