package progress

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

const (
	discoverEvery = 10 * time.Second // between two looks for new and removed stations and paddocks
	// mostEntities bounds the configurations that are retained. The further ones are left out, with a line in the log.
	mostEntities = 2000
	// mostSites are the sites whose paddocks are published.
	mostSites = 500
)

// Devices lists the stations; *ledger.Devices implements it.
type Devices interface {
	List(ctx context.Context) ([]ledger.Device, error)
}

// SiteNames lists the sites with footage; *ledger.Sites implements it.
type SiteNames interface {
	Names(ctx context.Context, limit int) ([]string, error)
}

// Discovery says how stations and paddocks are described to Home Assistant. All fields are required.
type Discovery struct {
	Prefix  string // first level of the topics; see topic.ParseDiscoveryPrefix
	Version string // of this program
	Devices Devices
	Sites   SiteNames
}

// discovery is the state of the configurations. It is for one goroutine.
type discovery struct {
	Discovery
	// sent is the last message by topic: "" when the broker may have lost it, gone when it was ended.
	sent   map[string]string
	most   int
	cut    bool // the log has the line about mostEntities
	lookAt time.Time
	every  time.Duration
}

// Discover makes the publisher describe stations and paddocks to Home Assistant. Call it once, before Run.
func (p *Publisher) Discover(d Discovery) {
	p.discovery = &discovery{Discovery: d, sent: map[string]string{}, most: mostEntities, every: discoverEvery}
}

// forget makes the next look publish everything again. The topics stay known, so that what was removed meanwhile is
// ended.
func (d *discovery) forget() {
	if d == nil {
		return
	}
	for name := range d.sent {
		d.sent[name] = ""
	}
	d.lookAt = time.Time{}
}

// discover publishes what is new or has changed, and ends what was removed.
func (p *Publisher) discover(ctx context.Context) error {
	d := p.discovery
	if d == nil || time.Since(d.lookAt) < d.every {
		return nil
	}
	d.lookAt = time.Now()
	list, ended, err := d.entities(ctx, p.src.Borders)
	if err != nil {
		return fmt.Errorf("describe stations and paddocks to Home Assistant: %w", err)
	}
	if len(list) > d.most != d.cut {
		if d.cut = !d.cut; d.cut {
			p.log.Warn("too many entities for Home Assistant; the last ones are left out", "entities", len(list),
				"limit", d.most)
		}
	}
	list = list[:min(len(list), d.most)]
	now := map[string]bool{}
	for _, e := range list {
		now[e.Topic] = true
		if err := p.deliverEntity(ctx, e); err != nil {
			return err
		}
	}
	removed := map[string]bool{}
	for _, name := range ended {
		removed[name] = true
		if _, known := d.sent[name]; !known && len(d.sent) < 2*d.most {
			d.sent[name] = ""
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.sent)) {
		if now[name] {
			continue
		}
		if d.sent[name] != gone {
			if err := p.sendEntity(ctx, mqttlink.Message{Topic: name, Retain: true}, gone); err != nil {
				return err
			}
		}
		if !removed[name] { // it does not come back in ended
			delete(d.sent, name)
		}
	}
	return nil
}

// entities lists what there is, in a steady order, and the topics of what was removed.
func (d *discovery) entities(ctx context.Context, borders Borders) (list []topic.Entity, ended []string, err error) {
	devices, err := d.Devices.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	names, err := d.Sites.Names(ctx, mostSites)
	if err != nil {
		return nil, nil, err
	}
	sites := map[string]bool{}
	for _, name := range names {
		sites[name] = true
	}
	for _, s := range devices {
		if len(sites) < mostSites { // the paddocks stay when the last station of the site was revoked
			sites[s.Site] = true
		}
		if s.Role != ledger.RoleDevice {
			continue
		}
		entities := topic.StationEntities(d.Prefix, d.Version, topic.Device{Site: s.Site, Name: s.Name})
		if s.Revoked != nil {
			ended = append(ended, topicsOf(entities)...)
			continue
		}
		list = append(list, entities...)
	}
	for _, site := range slices.Sorted(maps.Keys(sites)) {
		now, before, err := borders(ctx, site)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range now {
			list = append(list, topic.PaddockEntity(d.Prefix, d.Version, site, name))
		}
		for _, name := range before {
			ended = append(ended, topic.PaddockEntity(d.Prefix, d.Version, site, name).Topic)
		}
	}
	return list, ended, nil
}

func topicsOf(entities []topic.Entity) (names []string) {
	for _, e := range entities {
		names = append(names, e.Topic)
	}
	return names
}

// deliverEntity publishes a configuration, unless it is the message that the topic has.
func (p *Publisher) deliverEntity(ctx context.Context, e topic.Entity) error {
	text, err := json.Marshal(e.Discovery)
	if err != nil {
		return fmt.Errorf("message for %s: %w", e.Topic, err)
	}
	if p.discovery.sent[e.Topic] == string(text) {
		return nil
	}
	return p.sendEntity(ctx, mqttlink.Message{Topic: e.Topic, Payload: text, Retain: true}, string(text))
}

// sendEntity sends a message and records what the topic has then.
func (p *Publisher) sendEntity(ctx context.Context, m mqttlink.Message, has string) error {
	p.discovery.sent[m.Topic] = "" // until the broker has acknowledged
	if err := p.send(ctx, "", m); err != nil {
		p.discovery.lookAt = time.Time{}
		return err
	}
	p.discovery.sent[m.Topic] = has
	return nil
}
