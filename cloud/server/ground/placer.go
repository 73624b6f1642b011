// Package ground works out where and when stored footage was recorded: it reads flight logs and the ledger keeps what it
// finds. It follows the ledger: footage is due when its log arrives, when it is counted and when the borders of its site
// change, so nothing needs another count, and what a crash interrupts is done later.
package ground

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
)

// Grounds is the part of the ledger that a Placer works for; *ledger.Grounds implements it.
type Grounds interface {
	ListDue(ctx context.Context, after footage.ID, limit int) ([]ledger.DueGround, error)
	Get(ctx context.Context, id footage.ID) (ledger.Ground, error)
	Put(ctx context.Context, d ledger.DueGround, g ledger.Ground) error
	NumberSpread(ctx context.Context) (int64, error)
}

// Borders has the paddocks of sites; *ledger.BorderBook implements it.
type Borders interface {
	At(ctx context.Context, site string, at time.Time) (ledger.Borders, error)
}

const (
	pollEvery  = time.Second
	retryAfter = time.Minute
	batch      = 100
	mostFailed = 1000
	// mostInARow is how many pieces of footage fail one after the other before all wait for outageWait: the storage is away,
	// and thousands may be due.
	mostInARow = 10
	outageWait = 10 * time.Second
	// numberEvery is how often what older programs placed gets its number: some may run for a while beside this one.
	numberEvery = time.Hour
)

// Placer works out the ground of due footage. All fields but the unexported ones are required. It is not safe for
// concurrent use; several processes may have one each.
type Placer struct {
	Grounds Grounds
	Logs    Logs
	Borders Borders
	Now     func() time.Time
	Log     *slog.Logger

	failed map[footage.ID]time.Time // when it is tried again
	sets   map[setKey]*paddock.Set  // the paddocks that were used last
	inARow int                      // how many failed since one was placed
	resume time.Time                // no round before it
	number time.Time                // when what older programs placed gets its number
}

// Run works until ctx ends, and returns nil. It logs faults and tries again after a minute.
func (p *Placer) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	failing := false
	for {
		_, err := p.Round(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			p.Log.Warn("cannot read which footage has to be placed; trying again", "err", err)
		}
		failing = err != nil
		p.numberSpread(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// numberSpread gives what older programs placed its number, at once and then every hour.
func (p *Placer) numberSpread(ctx context.Context) {
	if p.Now().Before(p.number) {
		return
	}
	p.number = p.Now().Add(numberEvery)
	n, err := p.Grounds.NumberSpread(ctx)
	if n > 0 {
		p.Log.Info("counts that an older cloud-api placed are in the history of their paddocks", "counts", n)
	}
	if err != nil && ctx.Err() == nil {
		p.number = p.Now().Add(retryAfter)
		p.Log.Warn("cannot number the counts that an older cloud-api placed; trying again", "err", err, "retry_in", retryAfter)
	}
}

// Round works out all ground that is due, and returns how much of it. It ends early while the storage does not answer. The
// error is one of the ledger.
func (p *Placer) Round(ctx context.Context) (n int, err error) {
	if p.Now().Before(p.resume) {
		return 0, nil
	}
	var after footage.ID
	for {
		due, err := p.Grounds.ListDue(ctx, after, batch)
		if err != nil {
			return n, err
		}
		for _, d := range due {
			after = d.Footage
			if ctx.Err() != nil {
				return n, context.Cause(ctx)
			}
			if until, ok := p.failed[d.Footage]; ok && p.Now().Before(until) {
				continue
			}
			delete(p.failed, d.Footage)
			if err := p.place(ctx, d); err != nil {
				if p.fail(ctx, d, err); p.inARow >= mostInARow {
					p.inARow, p.resume = 0, p.Now().Add(outageWait)
					return n, nil
				}
				continue
			}
			n, p.inARow = n+1, 0
		}
		if len(due) < batch {
			return n, nil
		}
	}
}

func (p *Placer) fail(ctx context.Context, d ledger.DueGround, err error) {
	if ctx.Err() != nil || errors.Is(err, ledger.ErrNotFound) {
		return
	}
	if p.failed == nil || len(p.failed) >= mostFailed {
		p.failed = map[footage.ID]time.Time{}
	}
	p.inARow++
	p.failed[d.Footage] = p.Now().Add(retryAfter)
	p.Log.Warn("footage cannot be placed; trying again", "footage", d.Footage, "err", err, "retry_in", retryAfter)
}

// place works out the ground of one piece of footage.
func (p *Placer) place(ctx context.Context, d ledger.DueGround) error {
	v, err := p.Logs.Footage.Get(ctx, d.Footage)
	if err != nil {
		return err
	}
	doc, err := p.Logs.result(ctx, v)
	if err != nil {
		return err
	}
	log, found, err := p.Logs.Find(ctx, v.Footage, lengthOf(doc))
	if err != nil {
		return err
	}
	g := ledger.Ground{Log: found}
	g.Taken, g.CapturedFrom, g.Zone = taken(log, v.Footage, p.Now())
	if found != v.Ground.Log && found.State != ledger.LogOK && found.State != ledger.LogMissing {
		p.Log.Warn("flight log cannot be used; the count has no positions", "footage", d.Footage, "state", found.State,
			"why", found.Why)
	}
	gone := false
	if found.State == ledger.LogMissing && v.Ground.Log.State == ledger.LogOK {
		if gone, err = p.Logs.videoGone(ctx, v.Footage); err != nil {
			return err
		}
	}
	if gone {
		if err := p.kept(ctx, v, &g); err != nil {
			return err
		}
	} else if len(doc) > 0 {
		if err := p.spread(ctx, v, doc, log, &g); err != nil {
			return err
		}
	}
	return p.Grounds.Put(ctx, d, g)
}
