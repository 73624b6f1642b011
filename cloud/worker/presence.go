package worker

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

const (
	reportEvery = 15 * time.Second // at most so often, unless something has changed
	reportGrace = 30 * time.Second // by which a report may be late
	reportTime  = 5 * time.Second  // for one write
)

// roster is the part of the ledger that knows the living workers. ledger.Workers implements it.
type roster interface {
	Report(ctx context.Context, w ledger.Worker) error
	Remove(ctx context.Context, name string) error
}

// Presence writes into the ledger that a worker is alive, and which models it has. Its methods are for one goroutine at a
// time.
type Presence struct {
	name      string
	started   time.Time
	roster    roster
	installed func() []wire.InstalledModel
	log       *slog.Logger
	now       func() time.Time

	reported time.Time
	until    time.Time // as reported
	models   []wire.InstalledModel
	failed   bool // the last write, so that an outage is logged once
}

// NewPresence returns the presence of a worker. installed returns its models; nothing may change what it returned.
func NewPresence(name string, r roster, installed func() []wire.InstalledModel, log *slog.Logger) *Presence {
	return &Presence{name: name, started: time.Now().UTC(), roster: r, installed: installed, log: log, now: time.Now}
}

// Beat reports that the worker is alive, and will be until the next beat within next. A report that cannot be written is
// logged, and counting continues.
func (p *Presence) Beat(next time.Duration) {
	now, models := p.now(), p.installed()
	known := now.Add(next).Before(p.until) && reflect.DeepEqual(models, p.models)
	if now.Sub(p.reported) < reportEvery && (known || p.failed) {
		return
	}
	until := now.Add(next + reportGrace).UTC()
	ctx, cancel := context.WithTimeout(context.Background(), reportTime)
	defer cancel()
	err := p.roster.Report(ctx, ledger.Worker{Name: p.name, Started: p.started, Until: until, Models: models})
	if err != nil && !p.failed {
		p.log.Error("cannot report the models of this worker; the page may show it as missing", "err", err)
	}
	if p.failed = err != nil; err == nil {
		p.until, p.models = until, models
	}
	p.reported = now // after a fault too: the next try is not at once
}

// End removes the worker from the list of the living.
func (p *Presence) End() {
	ctx, cancel := context.WithTimeout(context.Background(), reportTime)
	defer cancel()
	if err := p.roster.Remove(ctx, p.name); err != nil {
		p.log.Warn("cannot remove this worker from the ledger; it is shown for some minutes more", "err", err)
	}
}
