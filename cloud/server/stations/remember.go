package stations

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// Memory keeps what is known of each station over a restart; *ledger.Stations implements it.
type Memory interface {
	Put(ctx context.Context, device, document string) error
	All(ctx context.Context) (map[string]string, error)
}

const (
	// rememberEvery is how old a stored document of a station that sends messages may be.
	rememberEvery = 5 * time.Minute
	// rememberFootage is how many pieces of footage a document has, those that the cloud does not have first.
	rememberFootage = 200
	// stopTime is for the documents that are written at a stop.
	stopTime = 3 * time.Second
)

// document is a station as it is stored.
type document struct {
	Site     string          `json:"site"`
	Known    bool            `json:"known"`
	Online   bool            `json:"online"`
	Session  int64           `json:"session"`
	Seq      int64           `json:"seq"`
	Since    time.Time       `json:"since"`
	Heard    time.Time       `json:"heard"`
	Version  string          `json:"version"`
	Vitals   *topic.Vitals   `json:"vitals,omitempty"`
	VitalsAt time.Time       `json:"vitals_at"`
	Footage  []topic.Footage `json:"footage"`
}

// readDocument reads a stored document. The error wraps errPayload.
func readDocument(text string) (document, error) {
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, fmt.Errorf("%w: %w", err, errPayload)
	}
	if len(d.Footage) > rememberFootage {
		return d, fmt.Errorf("%d pieces of footage, at most %d: %w", len(d.Footage), rememberFootage, errPayload)
	}
	if d.Vitals != nil {
		if err := checkVitals(d.Vitals); err != nil {
			return d, fmt.Errorf("vitals: %w: %w", err, errPayload)
		}
	}
	for i := range d.Footage {
		if err := checkFootage(string(d.Footage[i].Footage), &d.Footage[i]); err != nil {
			return d, fmt.Errorf("footage: %w: %w", err, errPayload)
		}
	}
	return d, nil
}

// recall enters what was stored at the last stop. What the stations sent since is newer.
func (t *Table) recall(ctx context.Context, known []ledger.Device) error {
	if t.o.Memory == nil {
		return nil
	}
	documents, err := t.o.Memory.All(ctx)
	if err != nil {
		return err
	}
	for _, d := range known {
		text, ok := documents[d.Name]
		if !ok || !isStation(d) {
			continue
		}
		doc, err := readDocument(text)
		if err != nil {
			t.o.Log.Warn("cannot read what was remembered of a station; it begins again", "device", d.Name, "err", err)
			continue
		}
		if doc.Site == d.Site { // otherwise another station had the name
			t.enterDocument(address(d), doc)
		}
	}
	return nil
}

func (t *Table) enterDocument(d topic.Device, doc document) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.at(d)
	if s == nil || s.known || s.vitals != nil {
		return
	}
	s.known, s.online, s.session, s.seq, s.since = doc.Known, doc.Online, doc.Session, doc.Seq, doc.Since
	s.heard, s.version, s.vitals, s.vitalsAt = doc.Heard, doc.Version, doc.Vitals, doc.VitalsAt
	s.remembered, s.touched, s.changed = doc.Heard, doc.Heard, true
	for i := range doc.Footage {
		t.enterFootage(s, &doc.Footage[i])
	}
}

// remember stores the stations whose connection has changed, and those that were heard since their document was stored
// a while ago. With all it stores every one that was heard since.
func (t *Table) remember(ctx context.Context, known []ledger.Device, all bool) {
	if t.o.Memory == nil {
		return
	}
	for name, doc := range t.documents(known, all) {
		text, err := json.Marshal(doc)
		if err == nil {
			err = t.o.Memory.Put(ctx, name, string(text))
		}
		if err != nil && ctx.Err() == nil {
			t.o.Log.Warn("cannot remember the state of a station", "device", name, "err", err)
		}
	}
}

func (t *Table) documents(known []ledger.Device, all bool) map[string]document {
	t.mu.Lock()
	defer t.mu.Unlock()
	due := map[string]document{}
	for _, d := range known {
		s, ok := t.stations[address(d)]
		if !ok || !isStation(d) {
			continue
		}
		late := s.heard.Sub(s.remembered)
		if !s.turned && late < rememberEvery && (!all || late <= 0) {
			continue
		}
		s.turned, s.remembered = false, s.heard
		due[d.Name] = s.document(d.Site)
	}
	return due
}

func (s *station) document(site string) document {
	doc := document{Site: site, Known: s.known, Online: s.online, Session: s.session, Seq: s.seq, Since: s.since,
		Heard: s.heard, Version: s.version, Vitals: s.vitals, VitalsAt: s.vitalsAt}
	waits := func(id footage.ID) int { return boolRank(s.footage[id].State == topic.Uploaded) }
	ids := slices.SortedFunc(maps.Keys(s.footage), func(a, b footage.ID) int {
		return cmp.Or(cmp.Compare(waits(a), waits(b)), cmp.Compare(b, a))
	})
	for _, id := range ids[:min(len(ids), rememberFootage)] {
		doc.Footage = append(doc.Footage, s.footage[id])
	}
	return doc
}

// ReportedKeys returns the short name of the key of orders that each station reported last, by its name, of what Memory has.
// Stations that reported none are left out.
func ReportedKeys(documents map[string]string) map[string]string {
	keys := map[string]string{}
	for device, text := range documents {
		if doc, err := readDocument(text); err == nil && doc.Vitals != nil && doc.Vitals.OrderKey != "" {
			keys[device] = doc.Vitals.OrderKey
		}
	}
	return keys
}
