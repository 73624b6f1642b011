package notify

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/place/survey"
	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const (
	changesRead = 500
	// news is how old a count may be to be an event. It is less than the time for which events are kept, so that a count
	// which changes later is never reported twice.
	news = 7 * 24 * time.Hour
)

// event is something that happened or holds, in no language.
type event struct {
	Kind    wire.NotificationKind
	Cause   wire.AttentionKind `json:",omitempty"`
	Bad     bool               `json:",omitempty"`
	Site    string             `json:",omitempty"`
	Device  string             `json:",omitempty"`
	Footage footage.ID         `json:",omitempty"`
	Job     string             `json:",omitempty"`
	Flight  string             `json:",omitempty"`
	Name    string             `json:",omitempty"` // of the file
	Paddock string             `json:",omitempty"`
	Count   *wire.Interval     `json:",omitempty"`
	Whole   *wire.Interval     `json:",omitempty"` // of the flight that the count is a part of
	Book    *int               `json:",omitempty"`
	Detail  string             `json:",omitempty"` // in English
	Since   time.Time
	at      time.Time // when it happened; zero for a condition
}

// kinds are the kinds of what needs attention. What is not here is only on the page.
var kinds = map[wire.AttentionKind]wire.NotificationKind{
	wire.AttentionJobFailed:      wire.NotifyFootageFailed,
	wire.AttentionJobPoisoned:    wire.NotifyFootageFailed,
	wire.AttentionUploadStalled:  wire.NotifyUploadStuck,
	wire.AttentionNoWorker:       wire.NotifyCountingLate,
	wire.AttentionQueueOld:       wire.NotifyCountingLate,
	wire.AttentionModelMissing:   wire.NotifyCountingLate,
	wire.AttentionStationSilent:  wire.NotifyStationSilent,
	wire.AttentionStationGone:    wire.NotifyStationSilent,
	wire.AttentionTokenExpired:   wire.NotifyStationSilent,
	wire.AttentionStationFault:   wire.NotifyStationFault,
	wire.AttentionClockWrong:     wire.NotifyStationFault,
	wire.AttentionSpoolFilling:   wire.NotifyDiskFull,
	wire.AttentionServerDiskFull: wire.NotifyDiskFull,
	wire.AttentionCertificateEnd: wire.NotifyCertificateEnd,
}

// catchUp leaves out the changes before the first count that can be an event of a rule: a ledger may have years of them
// when its first rule is made.
func (n *Notifier) catchUp(ctx context.Context, rules []ledger.NotificationRule) error {
	if n.caught {
		return nil
	}
	from := n.o.Now()
	for _, r := range rules {
		if r.Created.Before(from) {
			from = r.Created
		}
	}
	if oldest := n.o.Now().Add(-news); from.Before(oldest) {
		from = oldest
	}
	seq, err := n.o.Feed.BeforeCounts(ctx, from)
	if err == nil {
		err = n.o.Feed.SetCursor(ctx, cursorName, seq)
	}
	n.caught = err == nil
	return err
}

// observe records what each rule sees now.
func (n *Notifier) observe(ctx context.Context, rules []ledger.NotificationRule) error {
	conditions := map[string][]event{}
	for _, r := range rules {
		if _, known := conditions[r.Site]; known {
			continue
		}
		found, err := n.conditions(ctx, r.Site)
		if err != nil {
			return err
		}
		conditions[r.Site] = found
	}
	for complete := false; !complete; {
		after, err := n.o.Feed.Cursor(ctx, cursorName)
		if err != nil {
			return err
		}
		var changes []progress.Change
		if changes, complete, err = progress.Changes(ctx, n.o.Feed, after, changesRead); err != nil {
			return err
		}
		happened, err := n.happened(ctx, changes)
		if err != nil {
			return err
		}
		for _, r := range rules {
			if err := n.record(ctx, r, conditions[r.Site], happened); err != nil {
				return err
			}
		}
		if len(changes) > 0 {
			if err := n.o.Feed.SetCursor(ctx, cursorName, changes[len(changes)-1].Seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// record records what one rule sees.
func (n *Notifier) record(ctx context.Context, r ledger.NotificationRule, conditions, happened []event) error {
	var seen []ledger.NotificationEvent
	add := func(e event, lasting bool) error {
		if !slices.Contains(r.Kinds, string(e.Kind)) {
			return nil
		}
		doc, err := encode(e)
		seen = append(seen, ledger.NotificationEvent{Key: e.key(), Document: doc, Lasting: lasting})
		return err
	}
	var faults []error
	for _, e := range conditions {
		faults = append(faults, add(e, true))
	}
	for _, e := range happened {
		if (r.Site == ledger.AllSites || r.Site == e.Site) && !e.at.Before(r.Created) {
			faults = append(faults, add(e, false))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	return n.o.Events.Observe(ctx, r.ID, seen)
}

// key is the same for the same event. What a station reports is one event, however its text changes.
func (e event) key() string {
	parts := []string{string(e.Kind), string(e.Cause), e.Site, e.Device, string(e.Footage), e.Job, e.Paddock}
	if e.Bad {
		parts = append(parts, "bad")
	}
	return strings.Join(parts, "|")
}

// conditions are what needs attention at a site, or everywhere.
func (n *Notifier) conditions(ctx context.Context, site string) ([]event, error) {
	var in ledger.Scope
	if site != ledger.AllSites {
		in.Sites = ledger.SiteSet{site}
	}
	all, err := n.o.Attention.Attention(ctx, in)
	if err != nil {
		return nil, err
	}
	var es []event
	for _, a := range all {
		kind, ok := kinds[a.Kind]
		if !ok {
			continue
		}
		es = append(es, event{Kind: kind, Cause: a.Kind, Bad: a.Severity == wire.Bad, Site: a.Site, Device: a.Device,
			Footage: a.Footage, Job: a.Job, Flight: a.Flight, Detail: a.Text, Since: a.Since})
	}
	return es, nil
}

// happened are the events among changes of the ledger: new counts, and those that differ from the book.
func (n *Notifier) happened(ctx context.Context, changes []progress.Change) ([]event, error) {
	var es []event
	for _, c := range changes {
		if c.Count == nil || n.o.Now().Sub(c.Count.At) > news {
			continue
		}
		v := c.Count
		e := event{Kind: wire.NotifyCountReady, Site: v.Footage.Site, Device: v.Footage.Device, Footage: v.Footage.ID,
			Flight: v.Footage.Flight, Name: v.Footage.Name, Since: v.Count.At, at: v.Count.At,
			Count: &wire.Interval{Unique: v.Unique, Low: v.Low, High: v.High}}
		if e.Flight != "" {
			f, err := n.o.Flights.Get(ctx, e.Flight)
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return nil, err
			}
			if err == nil && f.State == ledger.FlightJoined {
				e.Whole = &wire.Interval{Unique: f.Unique, Low: f.Low, High: f.High}
			}
		}
		es = append(es, e)
		off, err := n.offBook(ctx, e, v)
		if err != nil {
			return nil, err
		}
		es = append(es, off...)
	}
	return es, nil
}

// offBook are the paddocks of a count whose expected number is outside of the interval, as surveys judge it. Of the
// whole site one flight may have seen a part, so only a count above the expected number of the site is an event.
func (n *Notifier) offBook(ctx context.Context, count event, v *ledger.CountView) ([]event, error) {
	expected, err := n.o.Book.At(ctx, v.Footage.Site, v.Footage.Sighted())
	if err != nil || len(expected) == 0 {
		return nil, err
	}
	var es []event
	judge := func(paddock string, found wire.Interval, low, high *int, seen float64) {
		for _, x := range expected {
			if x.Paddock != paddock || x.Animals == nil {
				continue
			}
			if verdict := survey.Judge(*x.Animals, low, high, seen); verdict == survey.Fewer || verdict == survey.More {
				e := count
				e.Kind, e.Paddock, e.Count, e.Whole, e.Book = wire.NotifyCountOffBook, paddock, &found, nil, x.Animals
				es = append(es, e)
			}
		}
	}
	whole := *count.Count
	if count.Whole != nil {
		whole = *count.Whole
	}
	judge("", whole, &whole.Low, &whole.High, 0)
	for _, p := range v.Spread.Paddocks {
		if p.Animals != nil && p.Low != nil && p.High != nil {
			judge(p.Name, wire.Interval{Unique: *p.Animals, Low: *p.Low, High: *p.High}, p.Low, p.High, p.Seen)
		}
	}
	return es, nil
}
