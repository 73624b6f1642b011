// Package overview answers what a person asks first: the newest count of each site, what needs attention, and what the
// workers do. It reads the ledger and the table of stations, and stores nothing.
package overview

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"cattlecounter/cloud/place/survey"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

const (
	week      = 7 * 24 * time.Hour
	mostSites = 1000
	// mostSightings are the newest counts of a site in which a paddock is looked for.
	mostSightings = 200
)

type (
	sites interface {
		Names(ctx context.Context, limit int) ([]string, error)
		Newest(ctx context.Context, site string, in ledger.Scope, from time.Time, limit int) ([]ledger.Sighting, error)
		Count(ctx context.Context, site string, in ledger.Scope, from time.Time) (int, error)
		History(ctx context.Context, site string, in ledger.Scope, from time.Time, limit int) ([]ledger.Sighting, error)
		PaddockSightings(ctx context.Context, site string, in ledger.Scope, most, each int) ([]ledger.PaddockSighting, error)
	}
	borders interface {
		At(ctx context.Context, site string, at time.Time) (now, before []string, err error)
	}
	book interface {
		At(ctx context.Context, site string, at time.Time) ([]ledger.Expected, error)
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
	Borders  borders // the names of the paddocks
	Book     book
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
	if o.Sites == nil || o.Borders == nil || o.Book == nil || o.Work == nil || o.Workers == nil || o.Models == nil || o.Logs == nil ||
		o.Uploads == nil || o.Stations == nil {
		return nil, errors.New("overview: sites, borders, book, work, workers, models, logs, uploads and stations are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Overview{o: o}, nil
}

// Read returns the newest count of each site and its paddocks, and what needs attention.
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
		v.Previous = &before
		v.Change, v.Agrees = since(before, v.Latest)
	}
	if v.Flights, err = o.o.Sites.Count(ctx, name, in, o.o.Now().Add(-week)); err != nil {
		return v, false, err
	}
	v.Paddocks, err = o.paddocks(ctx, name, in)
	return v, true, err
}

// since compares two counts: the change from one to the other, and whether their intervals overlap.
func since(before, now wire.SiteCount) (change *int, agrees *bool) {
	d, a := now.Unique-before.Unique, now.Low <= before.High && before.Low <= now.High
	return &d, &a
}

// paddocks returns the newest count of each paddock that the site has now.
func (o *Overview) paddocks(ctx context.Context, site string, in ledger.Scope) ([]wire.PaddockOverview, error) {
	out := []wire.PaddockOverview{}
	names, _, err := o.o.Borders.At(ctx, site, o.o.Now())
	if err != nil || len(names) == 0 {
		return out, err
	}
	all, err := o.o.Sites.PaddockSightings(ctx, site, in, mostSightings, 2)
	if err != nil {
		return out, err
	}
	sightings := map[string][]ledger.PaddockSighting{}
	for _, s := range all {
		sightings[s.Name] = append(sightings[s.Name], s)
	}
	books := map[time.Time][]ledger.Expected{} // a flight counts many paddocks at one time
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		p := wire.PaddockOverview{Paddock: name}
		if found := sightings[name]; len(found) > 0 {
			at := found[0].Footage.Sighted()
			if _, ok := books[at]; !ok {
				if books[at], err = o.o.Book.At(ctx, site, at); err != nil {
					return out, err
				}
			}
			p.Latest, p.Seen, p.Expected = paddockCount(found[0]), found[0].Seen, expected(books[at], found[0])
			if len(found) > 1 {
				p.Previous = paddockCount(found[1])
			}
			// Counts of different shares of a paddock are not compared.
			if len(found) > 1 && found[0].Seen >= survey.Wholly && found[1].Seen >= survey.Wholly {
				p.Change, p.Agrees = since(*p.Previous, *p.Latest)
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// expected is what a book says about the count of a paddock, nil when it has no number.
func expected(book []ledger.Expected, s ledger.PaddockSighting) *wire.Expected {
	for _, e := range book {
		if e.Paddock == s.Name {
			difference, verdict := survey.Against(*e.Animals, s.Animals, s.Low, s.High, s.Seen)
			return &wire.Expected{Animals: *e.Animals, Difference: difference, Verdict: string(verdict)}
		}
	}
	return nil
}

func paddockCount(s ledger.PaddockSighting) *wire.SiteCount {
	return &wire.SiteCount{Footage: s.Footage.ID, Name: s.Footage.Name, Unique: *s.Animals, Low: *s.Low, High: *s.High,
		Captured: timeOrNil(s.Footage.Taken), Counted: s.Counted}
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
