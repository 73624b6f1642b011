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
	"cattlecounter/shared/tracing"
)

const (
	// cursorName is the place of the publisher in the ledger's change feed.
	cursorName = "mqtt"
	// republishNewest is how many of the newest pieces of footage are published again
	// after a start and on every new connection: a broker without a disk has lost them.
	republishNewest = 1000
	// republishPage is how many of them are published between two reads of the changes,
	// so that a slow broker does not delay live progress.
	republishPage = 20
	maxDuplicates = 100
	maxParts      = 100 // of a flight in one message
	maxPaddocks   = 100 // of a count in one message
	saveEvery     = time.Second
)

// Link delivers messages; *mqttlink.Link is one.
type Link interface {
	Deliver(ctx context.Context, m mqttlink.Message) error
}

// Publisher publishes the changes of the ledger over MQTT. The cursor in the ledger
// moves only after the broker has acknowledged. One goroutine publishes, so that no topic
// goes back to an older state.
type Publisher struct {
	src Sources
	log *slog.Logger

	link     Link
	leads    func(context.Context) (bool, error)
	leading  bool
	askedAt  time.Time     // when leads was called last
	askEvery time.Duration // leadEvery
	late     footage.ID    // published after the lead was lost, to be published again; "" for none
	stale    atomic.Bool   // the broker may have lost the retained messages
	position atomic.Int64
	saved    int64
	savedAt  time.Time
	next     ledger.Page // of the footage that is being published again
	left     int         // pages of it

	keep    int               // pieces of footage whose messages are retained: republishNewest
	ended   int64             // Footage.Born up to which messages are not retained
	endedAt time.Time         // when endAged looked last
	touched map[station]bool  // whose newest counts may have changed
	sent    map[string]string // last message by topic of a newest count, without its Seq

	discovery *discovery // nil for none
}

// NewPublisher returns a Publisher. All fields of s are required. Call Use before Run.
func NewPublisher(s Sources, log *slog.Logger) *Publisher {
	p := &Publisher{src: s, log: log, leading: true, askEvery: leadEvery, keep: republishNewest,
		touched: map[station]bool{}, sent: map[string]string{},
		leads: func(context.Context) (bool, error) { return true, nil }}
	p.stale.Store(true)
	return p
}

// Use sets the link. Call it once, before Run.
func (p *Publisher) Use(l Link) { p.link = l }

// OnlyWhen makes it publish only while leads is true: of several processes on one ledger
// one publishes. Call it once, before Run.
func (p *Publisher) OnlyWhen(leads func(context.Context) (bool, error)) { p.leads = leads }

// Connected reports a new connection of the link. It never blocks, so it may be the OnUp
// of a link.
func (p *Publisher) Connected() { p.stale.Store(true) }

// Position is the Seq up to which everything was acknowledged.
func (p *Publisher) Position() int64 { return p.position.Load() }

// Run publishes until ctx ends. It retries after faults of the ledger.
func (p *Publisher) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	started, failing := false, false
	for {
		err := p.round(ctx, &started)
		if ctx.Err() != nil {
			p.saveCursor(context.WithoutCancel(ctx), true)
			return nil
		}
		if err != nil && !failing {
			p.log.Warn("cannot publish progress; trying again", "err", err)
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
		if err := p.prepare(ctx, started); err != nil || !*started {
			return err
		}
		if err := p.republish(ctx); err != nil {
			return p.stepDown(ctx, started, fmt.Errorf("publish the newest footage again: %w", err))
		}
		changes, complete, err := Changes(ctx, p.src.Feed, p.position.Load(), batch)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if ok, err := p.stillLeads(ctx); !ok || err != nil {
				*started = false
				return err
			}
			if err := p.publishChange(ctx, c); err != nil {
				return p.stepDown(ctx, started, err)
			}
			p.position.Store(c.Seq)
			p.saveCursor(ctx, false)
		}
		if err := p.publishNewest(ctx); err != nil {
			return p.stepDown(ctx, started, fmt.Errorf("publish the newest counts: %w", err))
		}
		if complete && p.left == 0 {
			p.saveCursor(ctx, false)
			return p.stepDown(ctx, started, errors.Join(p.endAged(ctx), p.discover(ctx)))
		}
	}
}

// prepare finds out whether this process publishes, and from which change. A process that
// begins to lead continues from the cursor of the one before.
func (p *Publisher) prepare(ctx context.Context, started *bool) error {
	if err := p.republishLate(ctx); err != nil {
		return err
	}
	leads, err := p.askLead(ctx)
	if err != nil || !leads {
		*started = false
		return err
	}
	if !*started {
		seq, err := p.src.Feed.Cursor(ctx, cursorName)
		if err != nil {
			return err
		}
		if p.ended, err = p.src.Feed.Cursor(ctx, endedName); err != nil {
			return err
		}
		p.saved = seq
		p.position.Store(seq)
		p.discovery.forget()
		*started = true
	}
	if p.stale.Swap(false) {
		clear(p.sent)
		p.discovery.forget()
		p.next, p.left = ledger.Page{Limit: republishPage}, republishNewest/republishPage
	}
	return nil
}

// leadEvery is how often the lead is checked: well below the time after which it is lost.
const leadEvery = 3 * time.Second

func (p *Publisher) askLead(ctx context.Context) (bool, error) {
	leads, err := p.leads(ctx)
	p.askedAt = time.Now()
	if leads != p.leading && err == nil {
		p.log.Info("MQTT publisher changed", "this_process_publishes", leads)
		p.leading = leads
	}
	return leads, err
}

// stillLeads checks the lead again when the last check is older than askEvery.
func (p *Publisher) stillLeads(ctx context.Context) (bool, error) {
	if time.Since(p.askedAt) < p.askEvery {
		return true, nil
	}
	return p.askLead(ctx)
}

// errNotLeading says that a message waited so long for the broker that another process
// leads now, and may have published a newer message before it.
var errNotLeading = errors.New("another process publishes now")

// stepDown stops to publish after errNotLeading, and publishes the late footage again.
func (p *Publisher) stepDown(ctx context.Context, started *bool, err error) error {
	if !errors.Is(err, errNotLeading) {
		return err
	}
	*started = false
	return p.republishLate(ctx)
}

// republishLate publishes the present state of footage whose last message was late. The
// state may then be published twice.
func (p *Publisher) republishLate(ctx context.Context) error {
	if p.late == "" {
		return nil
	}
	id := p.late
	v, err := p.src.Footage.Get(ctx, id)
	if err == nil {
		err = p.publishFootage(ctx, v)
	}
	if err != nil && !errors.Is(err, errNotLeading) && !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("publish footage %s again: %w", id, err)
	}
	if !errors.Is(err, errNotLeading) {
		p.late = ""
	}
	return nil
}

// saveCursor saves the position, at most once a second. After a crash the messages of the
// last second are published again; readers recognise them by their seq.
func (p *Publisher) saveCursor(ctx context.Context, now bool) {
	at := p.position.Load()
	if at == p.saved || !now && time.Since(p.savedAt) < saveEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	p.savedAt = time.Now()
	if err := p.src.Feed.SetCursor(ctx, cursorName, at); err != nil {
		p.log.Warn("cannot save the published offset", "err", err)
		return
	}
	p.saved = at
}

// republish publishes the state of one page of the newest footage.
func (p *Publisher) republish(ctx context.Context) error {
	if p.left == 0 {
		return nil
	}
	views, next, err := p.src.Footage.List(ctx, p.next)
	if err != nil {
		return err
	}
	for _, v := range views {
		if err := p.publishFootage(ctx, v); err != nil {
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

// publishChange publishes one changed row.
func (p *Publisher) publishChange(ctx context.Context, c Change) error {
	switch {
	case c.Job != nil:
		return p.withDuplicates(ctx, c.Job.Footage, func(f ledger.Footage) error {
			return p.publishJob(ctx, f, c.Job.Job)
		})
	case c.Count != nil:
		return p.withDuplicates(ctx, c.Count.Footage, func(f ledger.Footage) error {
			return p.publishCount(ctx, f, c.Count.Count)
		})
	case c.Flight != nil:
		return p.publishFlight(ctx, *c.Flight)
	case c.Footage != nil && c.Footage.DuplicateOf != "":
		v, err := p.src.Footage.Get(ctx, c.Footage.ID)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return p.publishFootage(ctx, v)
	}
	return nil
}

// withDuplicates calls publish for the footage f and for each of its duplicates.
func (p *Publisher) withDuplicates(ctx context.Context, f ledger.Footage, publish func(ledger.Footage) error) error {
	if err := publish(f); err != nil {
		return err
	}
	copies, err := p.src.Footage.ListDuplicates(ctx, f.ID, maxDuplicates)
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

func (p *Publisher) publishFootage(ctx context.Context, v ledger.FootageView) error {
	if v.Job != nil {
		if err := p.publishJob(ctx, v.Footage, *v.Job); err != nil {
			return err
		}
	}
	if v.Count != nil {
		if err := p.publishCount(ctx, v.Footage, *v.Count); err != nil {
			return err
		}
	}
	if v.Flight == "" {
		return nil
	}
	f, err := p.src.Flights.Get(ctx, v.Flight)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.publishFlight(ctx, f)
}

// publishJob publishes the progress of a job below the device of f. A duplicate from the
// same device is left out: its message would replace that of the original.
func (p *Publisher) publishJob(ctx context.Context, f ledger.Footage, j ledger.Job) error {
	if f.ID != j.Footage {
		original, err := p.src.Footage.Get(ctx, j.Footage)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if original.Device == f.Device {
			return nil
		}
	}
	d := topic.Device{Site: f.Site, Name: f.Device}
	return p.deliver(ctx, f.ID, d.Job(j.ID), JobPayload(j, f.ID), f.Born > p.ended)
}

func (p *Publisher) publishCount(ctx context.Context, f ledger.Footage, c ledger.Count) error {
	var captured *time.Time
	if !f.Taken.IsZero() {
		captured = &f.Taken
	}
	p.touched[station{f.Site, f.Device}] = true
	ctx, span := tracing.Begin(ctx, "publish", f.ID)
	span.Number("count", int64(c.Unique))
	err := p.deliver(ctx, f.ID, topic.Counts(f.Site, f.ID), topic.Count{
		Header:   header(c.Seq, c.At),
		Captured: captured, CountedAt: c.At, Paddocks: paddocksOf(c.Spread),
		Footage: f.ID, Job: c.Job, Device: f.Device, Name: f.Name,
		Unique: c.Unique, Low: c.Low, High: c.High, ByClass: c.ByClass, Model: c.Model, ModelDigest: c.ModelDigest,
		DuplicateOf: f.DuplicateOf, SiblingOf: f.SiblingOf, Flight: f.Flight,
		Totals: c.Boundaries,
	}, f.Born > p.ended)
	span.End(err)
	return err
}

// publishFlight publishes the count of a flight. An ended flight replaces its last message.
func (p *Publisher) publishFlight(ctx context.Context, f ledger.FlightView) error {
	p.touched[station{f.Site, f.Device}] = true
	m := topic.Flight{
		Header: header(f.Seq, f.Updated),
		Flight: f.ID, Device: f.Device, State: topic.FlightState(f.State), Next: f.Next,
		Unique: f.Unique, Low: f.Low, High: f.High, ByClass: f.ByClass, Parts: []topic.FlightPart{}, Warnings: f.Warnings,
		Totals: f.Boundaries,
	}
	var first footage.ID
	for i, part := range f.Parts[:min(len(f.Parts), maxParts)] {
		if i == 0 {
			first = part.Footage
		}
		m.Parts = append(m.Parts, topic.FlightPart{Footage: part.Footage, Name: part.Name, Unique: part.Unique})
	}
	return p.deliver(ctx, first, topic.FlightCount(f.Site, f.ID), m, f.Born > p.ended)
}

// deliver waits until the broker has a message. id is the footage that it is about, "" for none.
func (p *Publisher) deliver(ctx context.Context, id footage.ID, name string, payload any, retain bool) error {
	if _, err := topic.Parse(name); err != nil {
		// No reader can subscribe to it, and the other messages must not wait for it.
		p.log.Error("message not published: its topic is outside the contract", "err", err)
		return nil
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("message for %s: %w", name, err)
	}
	return p.send(ctx, id, mqttlink.Message{Topic: name, Payload: text, Retain: retain})
}

// send delivers, and finds out whether this process still leads when that took long.
func (p *Publisher) send(ctx context.Context, id footage.ID, m mqttlink.Message) error {
	began := time.Now()
	err := p.link.Deliver(ctx, m)
	if err != nil || time.Since(began) < p.askEvery {
		return err
	}
	if leads, err := p.askLead(ctx); err != nil || !leads {
		p.late = id
		return errors.Join(errNotLeading, err)
	}
	return nil
}
