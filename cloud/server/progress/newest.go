package progress

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

// station is a device at a site.
type station struct{ site, device string }

// Sites finds the newest counts; *ledger.Sites implements it.
type Sites interface {
	Newest(ctx context.Context, site string, in ledger.Scope, from time.Time, limit int) ([]ledger.Sighting, error)
	NewestPaddocks(ctx context.Context, site string, most int) ([]ledger.PaddockSighting, error)
}

// Borders returns the names of the paddocks that a site has, and of those that earlier versions had. Both are empty for a
// site without paddocks.
type Borders func(ctx context.Context, site string) (now, before []string, err error)

// mostSpreads are the newest counts of a site in which a paddock is looked for.
const mostSpreads = 500

// publishNewest publishes the newest counts of the stations that were touched, and of the paddocks of their sites.
func (p *Publisher) publishNewest(ctx context.Context) error {
	sites := map[string]bool{}
	for at := range p.touched {
		newest, err := p.src.Sites.Newest(ctx, at.site, ledger.Scope{Device: at.device}, time.Time{}, 1)
		if err != nil {
			return err
		}
		for _, s := range newest {
			if err := p.deliverNew(ctx, topic.NewestOf(at.site, at.device), newestPayload(s)); err != nil {
				return err
			}
		}
		sites[at.site] = true
	}
	for site := range sites {
		if err := p.publishPaddocks(ctx, site); err != nil {
			return err
		}
	}
	clear(p.touched)
	return nil
}

// publishPaddocks publishes the newest count of each paddock of a site, and ends those that the site has no more.
func (p *Publisher) publishPaddocks(ctx context.Context, site string) error {
	now, before, err := p.src.Borders(ctx, site)
	if err != nil || len(now)+len(before) == 0 {
		return err
	}
	list, err := p.src.Sites.NewestPaddocks(ctx, site, mostSpreads)
	if err != nil {
		return err
	}
	current := map[string]bool{}
	for _, name := range now {
		current[topic.PaddockOf(site, name)] = true
	}
	for _, s := range list {
		if name := topic.PaddockOf(site, s.Name); current[name] {
			if err := p.deliverNew(ctx, name, paddockPayload(s)); err != nil {
				return err
			}
		}
	}
	for _, name := range before {
		if name = topic.PaddockOf(site, name); !current[name] && p.sent[name] != gone {
			if err := p.end(ctx, name); err != nil {
				return err
			}
			p.sent[name] = gone
		}
	}
	return nil
}

// gone stands in Publisher.sent for a topic that was ended.
const gone = "gone"

// deliverNew delivers the newest count of a topic, unless it is the message that the topic has.
func (p *Publisher) deliverNew(ctx context.Context, name string, payload any) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("message for %s: %w", name, err)
	}
	if p.sent[name] == string(text) {
		return nil
	}
	seq := p.position.Load()
	switch m := payload.(type) {
	case topic.Newest:
		m.Seq = seq
		payload = m
	case topic.PaddockCount:
		m.Seq = seq
		payload = m
	}
	if err := p.deliver(ctx, "", name, payload, true); err != nil {
		return err
	}
	p.sent[name] = string(text)
	return nil
}

// end ends the retained message of a topic: brokers forget it, and subscribers get an empty message.
func (p *Publisher) end(ctx context.Context, name string) error {
	if _, err := topic.Parse(name); err != nil {
		return nil // it was never published
	}
	return p.send(ctx, "", mqttlink.Message{Topic: name, Retain: true})
}

// newestPayload has no Seq: the newest recording of a station may be an older row of the ledger than the one before, so
// the messages are numbered by the position of the publisher.
func newestPayload(s ledger.Sighting) topic.Newest {
	return topic.Newest{Header: header(0, s.Counted), Device: s.Device, Footage: s.Footage, Flight: s.Flight, Name: s.Name,
		Unique: s.Unique, Low: s.Low, High: s.High, Captured: timeOf(s.Captured), CountedAt: s.Counted}
}

func paddockPayload(s ledger.PaddockSighting) topic.PaddockCount {
	return topic.PaddockCount{Header: header(0, s.Counted), Paddock: s.Name, Footage: s.Footage.ID,
		Device: s.Footage.Device, Animals: *s.Animals, Low: *s.Low, High: *s.High, Seen: s.Seen,
		Captured: timeOf(s.Footage.Taken), CountedAt: s.Counted}
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Aged lists what is not among the newest; *ledger.Aged implements it.
type Aged interface {
	Below(ctx context.Context, newest int) (int64, error)
	Footage(ctx context.Context, after, upTo int64, limit int) ([]ledger.FootageView, error)
	Flights(ctx context.Context, after, upTo int64, limit int) ([]ledger.Flight, error)
}

const (
	// endedName is the cursor of Footage.Born up to which no message is retained.
	endedName = "mqtt-ended"
	endPage   = 100
	endEvery  = 10 * time.Second // between two looks for what has aged
)

// endAged ends the messages of a page of footage and flights that are not among the newest any more. Without it, a broker
// would keep the count and the job of everything that was ever counted.
func (p *Publisher) endAged(ctx context.Context) error {
	if time.Since(p.endedAt) < endEvery {
		return nil
	}
	upTo, err := p.src.Aged.Below(ctx, p.keep)
	if err != nil || upTo <= p.ended {
		p.endedAt = time.Now()
		return err
	}
	films, err := p.src.Aged.Footage(ctx, p.ended, upTo, endPage)
	if err != nil {
		return err
	}
	if len(films) == endPage {
		upTo = films[endPage-1].Born
	}
	var topics []string
	for _, v := range films {
		topics = append(topics, topic.Counts(v.Site, v.ID))
		if v.Job != nil {
			topics = append(topics, topic.Device{Site: v.Site, Name: v.Device}.Job(v.Job.ID))
		}
	}
	for after := p.ended; ; {
		flights, err := p.src.Aged.Flights(ctx, after, upTo, endPage)
		if err != nil {
			return err
		}
		for _, f := range flights {
			topics, after = append(topics, topic.FlightCount(f.Site, f.ID)), f.Born
		}
		if len(flights) < endPage {
			break
		}
	}
	// First the mark: what changes meanwhile is not retained again.
	from := p.ended
	p.ended = upTo
	for _, name := range topics {
		if err := p.end(ctx, name); err != nil {
			p.ended = from
			return fmt.Errorf("end the message of %s: %w", name, err)
		}
	}
	return p.src.Feed.SetCursor(ctx, endedName, upTo)
}
