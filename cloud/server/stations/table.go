// Package stations knows every station by its own messages: birth and last will, vitals, the state of its footage and
// its answers to commands. The cloud reads them over a connection of its own, from the built-in broker or another one.
//
// The table is in memory, and its last state is stored for the next start. It has at most 1,000 stations with 1,000
// pieces of footage each, 100,000 in all, 24 hours of vitals in steps of five minutes, and the newest 20 answers of
// each. After a start it has what was stored, and is filled by the messages that the broker retained and by the
// stations as they connect.
package stations

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// Limits of the table.
const (
	maxStations   = 5000
	maxFootage    = 1000    // of one station
	maxAllFootage = 100_000 // of all stations
	maxReplies    = 20      // of one station
	historyStep   = 5 * time.Minute
	historyLife   = 24 * time.Hour
)

// Devices are the stations that may connect; *ledger.Devices implements it.
type Devices interface {
	List(ctx context.Context) ([]ledger.Device, error)
	Touch(ctx context.Context, name string, at time.Time) error
}

// Options of New. Devices is required.
type Options struct {
	Devices Devices
	// Memory, when set, keeps what is known of the stations over a restart.
	Memory Memory
	// Changed, when set, is called for every station that has changed, at most once a second each. It must not block.
	Changed func(wire.Station)
	// Sign, when set, signs each order. Stations that are enrolled refuse other ones. pinned is when the station got its
	// key of orders.
	Sign func(ctx context.Context, c topic.Command, pinned time.Time) (topic.Command, error)
	// Key, when set, returns the short name of the key with which Sign signs. Stations that report another one get an order
	// that leads them to it.
	Key func(context.Context) (string, error)
	Now func() time.Time
	Log *slog.Logger
}

// Table is what the cloud knows of the stations. Make it with New. Its methods are safe for concurrent use, but Connect
// must be called before Run.
type Table struct {
	o    Options
	link *mqttlink.Link // nil without MQTT
	// sending has a place for the one order that is being delivered.
	sending chan struct{}

	mu       sync.Mutex
	stations map[topic.Device]*station
	pieces   int // of footage in all stations
	full     bool
	waiting  map[replyTo]chan topic.Reply
	up       bool      // the link is connected
	turned   time.Time // when up changed
}

// replyTo is an answer that a request waits for.
type replyTo struct {
	device topic.Device
	id     string
}

// station is one station as its messages describe it.
type station struct {
	known   bool // a birth, a will or a goodbye came
	online  bool // the newest of them
	session int64
	seq     int64     // of the newest of them
	since   time.Time // zero when the cloud does not know it
	heard   time.Time // newest message, by the clock of the cloud
	touched time.Time // when the ledger was last told
	version string

	vitals   *topic.Vitals
	vitalsAt time.Time
	gap      time.Duration // between the last two vitals, for agents that do not state it

	footage map[footage.ID]topic.Footage
	history []wire.VitalsPoint
	replies []wire.StationReply // newest first

	turned     bool      // the connection or the key of orders has changed since the station was remembered
	remembered time.Time // heard when it was

	announced  time.Time // when the newest key of orders was last announced to it
	refusesKey bool      // it answered that it does not follow to that key

	changed bool              // since it was sent
	sent    time.Time         // to Changed
	state   wire.StationState // that was sent
}

// New returns an empty table.
func New(o Options) *Table {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func(wire.Station) {}
	}
	return &Table{o: o, sending: make(chan struct{}, 1), stations: map[topic.Device]*station{},
		waiting: map[replyTo]chan topic.Reply{}}
}

// filters are the topics of the stations.
var filters = []string{"cattle/v1/+/+/status", "cattle/v1/+/+/vitals", "cattle/v1/+/+/footage/+",
	"cattle/v1/+/+/command/+"}

// Connect gives the table a link to the broker. Run connects it.
func (t *Table) Connect(o mqttlink.Options) error {
	o.Fresh = true // what the broker retained is the state; what it queued for an absent cloud would be old
	o.OnUp = func() { t.turn(true) }
	o.OnDown = func(error) { t.turn(false) }
	link, err := mqttlink.New(o)
	if err != nil {
		return err
	}
	for _, f := range filters {
		link.Subscribe(f, t.receive)
	}
	t.link = link
	return nil
}

func (t *Table) turn(up bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.up != up {
		t.up, t.turned = up, t.o.Now()
	}
}

// Up reports whether the table hears the stations now.
func (t *Table) Up() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.up
}

// receive enters one message into the table.
func (t *Table) receive(m mqttlink.Message) {
	parsed, err := parse(m.Topic, m.Payload)
	switch {
	case errors.Is(err, topic.ErrTopic):
		return // a count whose footage has the name of a level
	case err != nil:
		t.o.Log.Warn("message of a station ignored", "topic", m.Topic, "err", err)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.at(parsed.at.Device)
	if s == nil {
		return
	}
	t.enter(s, parsed, m.Retain)
}

// at returns the entry of a station, nil when the table is full. The caller holds the lock.
func (t *Table) at(d topic.Device) *station {
	s, ok := t.stations[d]
	if ok {
		return s
	}
	if len(t.stations) >= maxStations {
		if !t.full {
			t.full = true
			t.o.Log.Warn("the table of stations is full; messages of further stations are ignored", "limit", maxStations)
		}
		return nil
	}
	s = &station{footage: map[footage.ID]topic.Footage{}}
	t.stations[d] = s
	return s
}

// enter enters a message of the station. retained says that the broker had it before the cloud subscribed.
func (t *Table) enter(s *station, m message, retained bool) {
	now := t.o.Now()
	at := now
	if retained {
		at = knownTime(m.header(), now)
	}
	entered := true
	switch {
	case m.status != nil:
		entered = t.enterStatus(s, m.status, retained, at)
	case m.vitals != nil:
		entered = s.enterVitals(m.vitals, at)
	case m.footage != nil:
		entered = t.enterFootage(s, m.footage)
	case m.reply != nil:
		t.enterReply(s, m, retained, at)
	case m.at.Kind == topic.KindFootage: // the retained message was removed
		t.dropFootage(s, footage.ID(m.at.ID))
	default:
		entered = false
	}
	will := m.status != nil && !m.status.Online // the broker may have published it
	if entered && !will && at.After(s.heard) {
		s.heard = at
	}
	s.changed = s.changed || entered
}

// knownTime returns when a message was published, by the clock of the station. It is the zero time when that clock is
// not known to be right.
func knownTime(h *topic.Header, now time.Time) time.Time {
	if h == nil || h.Clock != topic.ClockSynced || h.At.After(now) || h.At.Year() < 2000 {
		return time.Time{}
	}
	return h.At.UTC()
}

// enterStatus enters a birth, a last will or a goodbye. The will of an older session does not count. A birth with a
// lower session is that of a station that was set up again, unless the broker had retained it.
func (t *Table) enterStatus(s *station, m *topic.Status, retained bool, at time.Time) bool {
	newer := m.Session > s.session || m.Session == s.session && m.Seq > s.seq
	reset := s.known && m.Online && !retained && m.Session < s.session
	if s.known && !newer && !reset {
		return false
	}
	if reset {
		t.pieces -= len(s.footage)
		s.footage, s.vitals, s.replies = map[footage.ID]topic.Footage{}, nil, nil
	}
	if !s.known || s.online != m.Online || m.Session != s.session {
		s.since, s.turned = at, true
	}
	s.known, s.online, s.session, s.seq, s.version = true, m.Online, m.Session, m.Seq, m.Version
	return true
}

func (s *station) enterVitals(v *topic.Vitals, at time.Time) bool {
	if s.vitals != nil && v.Seq <= s.vitals.Seq || at.IsZero() {
		return false
	}
	if s.vitals != nil && v.Session == s.vitals.Session {
		s.gap = at.Sub(s.vitalsAt)
	}
	if before := s.vitals; before == nil && v.OrderKey != "" || before != nil && v.OrderKey != before.OrderKey {
		s.refusesKey, s.announced, s.turned = false, time.Time{}, true
	}
	s.vitals, s.vitalsAt = v, at
	p := wire.VitalsPoint{At: at.UTC(), DiskFree: v.DiskFree, DiskTotal: v.DiskTotal, SpoolBytes: v.SpoolBytes,
		SpoolFootage: v.SpoolFootage, SpoolPercent: v.SpoolPercent, TemperatureC: v.TemperatureC,
		ClockOffset: v.ClockOffset, LinkUp: v.LinkUp}
	if n := len(s.history); n > 0 && s.history[n-1].At.Truncate(historyStep).Equal(p.At.Truncate(historyStep)) {
		s.history[n-1] = p
	} else {
		s.history = append(s.history, p)
	}
	s.trimHistory(at)
	return true
}

// trimHistory removes what is older than a day.
func (s *station) trimHistory(now time.Time) {
	old := 0
	for old < len(s.history) && now.Sub(s.history[old].At) > historyLife {
		old++
	}
	if old > 0 {
		s.history = append([]wire.VitalsPoint(nil), s.history[old:]...)
	}
}

// enterFootage enters the state of one piece of footage. In a full table it replaces the one that matters least.
func (t *Table) enterFootage(s *station, f *topic.Footage) bool {
	if old, ok := s.footage[f.Footage]; ok {
		if f.Seq <= old.Seq {
			return false
		}
		s.footage[f.Footage] = *f
		return true
	}
	if len(s.footage) >= maxFootage || t.pieces >= maxAllFootage {
		id, ok := s.leastNeeded()
		if !ok {
			return false
		}
		t.dropFootage(s, id)
	}
	s.footage[f.Footage] = *f
	t.pieces++
	return true
}

// leastNeeded returns the oldest footage that the cloud has, else the oldest one. Ids begin with the time.
func (s *station) leastNeeded() (footage.ID, bool) {
	var oldest, uploaded footage.ID
	for id, f := range s.footage {
		if oldest == "" || id < oldest {
			oldest = id
		}
		if f.State == topic.Uploaded && (uploaded == "" || id < uploaded) {
			uploaded = id
		}
	}
	if uploaded != "" {
		return uploaded, true
	}
	return oldest, oldest != ""
}

func (t *Table) dropFootage(s *station, id footage.ID) {
	if _, ok := s.footage[id]; ok {
		delete(s.footage, id)
		t.pieces--
	}
}

// enterReply enters the answer to a command and hands it to the request that waits for it.
func (t *Table) enterReply(s *station, m message, retained bool, at time.Time) {
	r := m.reply
	v := wire.StationReply{ID: r.ID, Name: r.Name, State: r.State, Text: r.Why}
	if !at.IsZero() {
		v.At = &at
	}
	found := false
	for i := range s.replies {
		if found = s.replies[i].ID == r.ID; found {
			s.replies[i] = v
			break
		}
	}
	if !found {
		s.replies = append([]wire.StationReply{v}, s.replies...)
		sortReplies(s.replies)
		s.replies = s.replies[:min(len(s.replies), maxReplies)]
	}
	if c, ok := t.waiting[replyTo{m.at.Device, r.ID}]; ok && !retained {
		select {
		case c <- *r:
		default: // it has one already
		}
	}
}
