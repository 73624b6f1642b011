package progress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

const (
	// cursorName is the place of the publisher in the ledger's change feed.
	cursorName = "mqtt"
	// refreshed is how many of the newest pieces of footage are published again
	// after a start and on every new connection: a broker without a disk has
	// forgotten them.
	refreshed = 1000
	// refreshPage is how many of them go out between two looks at the changes,
	// so that a slow broker does not hold up live progress.
	refreshPage   = 20
	maxDuplicates = 100
	saveEvery     = time.Second
)

// Link delivers messages; *mqttlink.Link is one.
type Link interface {
	Deliver(ctx context.Context, m mqttlink.Message) error
}

// Publisher tells the ledger's changes to the broker. The cursor in the ledger
// moves on only after the broker acknowledged, and one goroutine publishes, so
// that no topic goes back to an older state.
type Publisher struct {
	feed    Feed
	footage Footage
	log     *slog.Logger
	now     func() time.Time

	link     Link
	leads    func(context.Context) (bool, error)
	leading  bool
	asked    time.Time     // when leads was asked last
	patience time.Duration // leadEvery
	stray    footage.ID    // said after the lead was lost, to be said as it is now; "" for none
	stale    atomic.Bool   // the broker may have forgotten what is retained
	position atomic.Int64
	saved    int64
	savedAt  time.Time
	next     ledger.Page // of the refresh under way
	left     int         // pages of it
}

// NewPublisher returns a Publisher; give it its link with Use before Run.
func NewPublisher(feed Feed, f Footage, log *slog.Logger) *Publisher {
	p := &Publisher{feed: feed, footage: f, log: log, now: time.Now, leading: true, patience: leadEvery,
		leads: func(context.Context) (bool, error) { return true, nil }}
	p.stale.Store(true)
	return p
}

// Use sets the link. Call it once, before Run.
func (p *Publisher) Use(l Link) { p.link = l }

// OnlyWhen makes it publish only while leads says so: of several processes on one
// ledger one does. Call it once, before Run.
func (p *Publisher) OnlyWhen(leads func(context.Context) (bool, error)) { p.leads = leads }

// Connected notes that the link has a new connection. It never blocks, so it
// may be a link's OnUp.
func (p *Publisher) Connected() { p.stale.Store(true) }

// Position is the Seq up to which everything was acknowledged.
func (p *Publisher) Position() int64 { return p.position.Load() }

// Run publishes until ctx ends. A ledger that cannot be read is tried again.
func (p *Publisher) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	started, failing := false, false
	for {
		err := p.round(ctx, &started)
		if ctx.Err() != nil {
			p.save(context.WithoutCancel(ctx), true)
			return nil
		}
		if err != nil && !failing {
			p.log.Warn("cannot publish progress, trying again", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (p *Publisher) round(ctx context.Context, started *bool) error {
	for {
		if err := p.begin(ctx, started); err != nil || !*started {
			return err
		}
		if err := p.refresh(ctx); err != nil {
			return p.overtaken(ctx, started, fmt.Errorf("publish the newest footage again: %w", err))
		}
		changes, complete, err := Changes(ctx, p.feed, p.position.Load(), batch)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if ok, err := p.still(ctx); !ok || err != nil {
				*started = false
				return err
			}
			if err := p.change(ctx, c); err != nil {
				return p.overtaken(ctx, started, err)
			}
			p.position.Store(c.Seq)
			p.save(ctx, false)
		}
		if complete && p.left == 0 {
			p.save(ctx, false)
			return nil
		}
	}
}

// begin finds out whether and from where to publish. Who has not led before asks
// where the other has come.
func (p *Publisher) begin(ctx context.Context, started *bool) error {
	if err := p.mend(ctx); err != nil {
		return err
	}
	leads, err := p.ask(ctx)
	if err != nil || !leads {
		*started = false
		return err
	}
	if !*started {
		seq, err := p.feed.Cursor(ctx, cursorName)
		if err != nil {
			return err
		}
		p.saved = seq
		p.position.Store(seq)
		*started = true
	}
	if p.stale.Swap(false) {
		p.next, p.left = ledger.Page{Limit: refreshPage}, refreshed/refreshPage
	}
	return nil
}

// leadEvery is how often the lead is asked for: well below what loses it.
const leadEvery = 3 * time.Second

func (p *Publisher) ask(ctx context.Context) (bool, error) {
	leads, err := p.leads(ctx)
	p.asked = time.Now()
	if leads != p.leading && err == nil {
		p.log.Info("who publishes has changed", "this_one", leads)
		p.leading = leads
	}
	return leads, err
}

// still asks again when the last time is a while ago.
func (p *Publisher) still(ctx context.Context) (bool, error) {
	if time.Since(p.asked) < p.patience {
		return true, nil
	}
	return p.ask(ctx)
}

// errOvertaken: a message waited so long for the broker that another process leads and
// may have said something newer before it.
var errOvertaken = errors.New("another process publishes now")

// overtaken sees to it that what was said late is said once more, as it is now.
func (p *Publisher) overtaken(ctx context.Context, started *bool, err error) error {
	if !errors.Is(err, errOvertaken) {
		return err
	}
	*started = false
	return p.mend(ctx)
}

// mend says how the footage is now that was spoken of late. It may be said twice then.
func (p *Publisher) mend(ctx context.Context) error {
	if p.stray == "" {
		return nil
	}
	id := p.stray
	v, err := p.footage.Get(ctx, id)
	if err == nil {
		err = p.whole(ctx, v)
	}
	if err != nil && !errors.Is(err, errOvertaken) && !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("say footage %s again: %w", id, err)
	}
	if !errors.Is(err, errOvertaken) {
		p.stray = ""
	}
	return nil
}

// save keeps the position, at most once a second: a crash then repeats a
// second's messages, which readers know by their seq.
func (p *Publisher) save(ctx context.Context, now bool) {
	at := p.position.Load()
	if at == p.saved || !now && time.Since(p.savedAt) < saveEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	p.savedAt = time.Now()
	if err := p.feed.SetCursor(ctx, cursorName, at); err != nil {
		p.log.Warn("cannot keep the place in the change feed", "err", err)
		return
	}
	p.saved = at
}

// refresh publishes the state of one page of the newest footage.
func (p *Publisher) refresh(ctx context.Context) error {
	if p.left == 0 {
		return nil
	}
	views, next, err := p.footage.List(ctx, p.next)
	if err != nil {
		return err
	}
	for _, v := range views {
		if err := p.whole(ctx, v); err != nil {
			return err
		}
	}
	p.left--
	p.next.After = next
	if next == "" {
		p.left = 0
	}
	return nil
}

// change publishes one row.
func (p *Publisher) change(ctx context.Context, c Change) error {
	switch {
	case c.Job != nil:
		return p.spread(ctx, c.Job.Footage, func(f ledger.Footage) error { return p.job(ctx, f, c.Job.Job) })
	case c.Count != nil:
		return p.spread(ctx, c.Count.Footage, func(f ledger.Footage) error { return p.count(ctx, f, c.Count.Count) })
	case c.Footage != nil && c.Footage.DuplicateOf != "":
		v, err := p.footage.Get(ctx, c.Footage.ID)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return p.whole(ctx, v)
	}
	return nil
}

// spread gives a row of an original to it and to its duplicates.
func (p *Publisher) spread(ctx context.Context, f ledger.Footage, publish func(ledger.Footage) error) error {
	if err := publish(f); err != nil {
		return err
	}
	copies, err := p.footage.ListDuplicates(ctx, f.ID, maxDuplicates)
	if err != nil {
		return err
	}
	for _, d := range copies {
		if err := publish(d); err != nil {
			return err
		}
	}
	return nil
}

func (p *Publisher) whole(ctx context.Context, v ledger.FootageView) error {
	if v.Job != nil {
		if err := p.job(ctx, v.Footage, *v.Job); err != nil {
			return err
		}
	}
	if v.Count != nil {
		return p.count(ctx, v.Footage, *v.Count)
	}
	return nil
}

// job publishes the progress of a job below the device of f. A duplicate from
// the same device would take the place of its original: it gets none.
func (p *Publisher) job(ctx context.Context, f ledger.Footage, j ledger.Job) error {
	if f.ID != j.Footage {
		original, err := p.footage.Get(ctx, j.Footage)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if original.Device == f.Device {
			return nil
		}
	}
	d := topic.Device{Site: f.Site, Name: f.Device}
	return p.deliver(ctx, f.ID, d.Job(j.ID), JobPayload(j, f.ID, p.now()))
}

func (p *Publisher) count(ctx context.Context, f ledger.Footage, c ledger.Count) error {
	return p.deliver(ctx, f.ID, topic.Counts(f.Site, f.ID), topic.Count{
		Header:  header(c.Seq, p.now()),
		Footage: f.ID, Job: c.Job, Device: f.Device, Name: f.Name,
		Unique: c.Unique, Low: c.Low, High: c.High, ByClass: c.ByClass, Model: c.Model, ModelDigest: c.ModelDigest,
	})
}

func (p *Publisher) deliver(ctx context.Context, id footage.ID, name string, payload any) error {
	if _, err := topic.Parse(name); err != nil {
		// Nobody can subscribe to it, and holding up all others helps no one.
		p.log.Error("not published: a name outside the contract", "err", err)
		return nil
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("message for %s: %w", name, err)
	}
	began := time.Now()
	if err := p.link.Deliver(ctx, mqttlink.Message{Topic: name, Payload: text, Retain: true}); err != nil || time.Since(began) < p.patience {
		return err
	}
	if leads, err := p.ask(ctx); err != nil || !leads {
		p.stray = id
		return errors.Join(errOvertaken, err)
	}
	return nil
}

func header(seq int64, now time.Time) topic.Header {
	return topic.Header{V: topic.Version, Seq: seq, At: now.UTC(), Clock: topic.ClockSynced}
}

// JobPayload is the message of a job. id is the footage it is said about: the
// job's own, or a duplicate of it.
func JobPayload(j ledger.Job, id footage.ID, now time.Time) topic.Job {
	return topic.Job{
		Header: header(j.Seq, now),
		Job:    j.ID, Footage: id, State: j.State, Progress: j.Progress, Attempt: j.Attempt, Fence: j.Fence, Updated: j.Updated, Reason: j.Reason,
	}
}
