package stations

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

const (
	// missing is how many vitals may be missing before a station is silent.
	missing = 3
	// defaultEvery is the interval of the vitals of an agent that does not state it, until two of them have come.
	defaultEvery = time.Minute
	leastEvery   = 5 * time.Second
	mostEvery    = time.Hour
	// requestsEvery is the longest time between two requests of a station that has no broker.
	requestsEvery = 2 * time.Hour
	// requestsRecent is how long a request shows that a station without its broker is alive.
	requestsRecent = 10 * time.Minute
	// touchStep is how late the ledger may learn of a request.
	touchStep = 90 * time.Second
	// triesRecent is how long people see a revoked station after it last tried to connect.
	triesRecent = 7 * 24 * time.Hour
	// refusedSlack is how much earlier the first refusal may be than the end of the token: times of the ledger are rounded.
	refusedSlack = time.Second
)

// List returns every station that was not revoked, and revoked ones that still try to connect, in the order of their names.
func (t *Table) List(ctx context.Context) ([]wire.Station, error) {
	ds, err := t.o.Devices.List(ctx)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	views := []wire.Station{}
	for _, d := range ds {
		if t.listed(d) {
			views = append(views, t.view(d, wire.StationFootage))
		}
	}
	return views, nil
}

// Get returns one station with all of its footage, its vitals of the last day and its newest answers. The error wraps
// ledger.ErrNotFound.
func (t *Table) Get(ctx context.Context, name string) (wire.StationDetail, error) {
	d, err := t.find(ctx, name, t.listed)
	if err != nil {
		return wire.StationDetail{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	v := wire.StationDetail{Station: t.view(d, maxFootage), History: []wire.VitalsPoint{}, Replies: []wire.StationReply{}}
	if s, ok := t.stations[address(d)]; ok {
		s.trimHistory(t.o.Now())
		v.History, v.Replies = append(v.History, s.history...), append(v.Replies, s.replies...)
	}
	return v, nil
}

// device finds a station that was not revoked.
func (t *Table) device(ctx context.Context, name string) (ledger.Device, error) {
	return t.find(ctx, name, isStation)
}

func (t *Table) find(ctx context.Context, name string, accept func(ledger.Device) bool) (ledger.Device, error) {
	ds, err := t.o.Devices.List(ctx)
	if err != nil {
		return ledger.Device{}, err
	}
	for _, d := range ds {
		if d.Name == name && accept(d) {
			return d, nil
		}
	}
	return ledger.Device{}, fmt.Errorf("station %.64s: %w", name, ledger.ErrNotFound)
}

func isStation(d ledger.Device) bool { return d.Role == ledger.RoleDevice && d.Revoked == nil }

// listed reports whether people see a device as a station: a revoked one only while it still tries to connect.
func (t *Table) listed(d ledger.Device) bool {
	if d.Role == ledger.RoleDevice && d.Revoked != nil {
		r := t.refused(d)
		return r != nil && r.Tried != nil && t.o.Now().Sub(*r.Tried) < triesRecent
	}
	return isStation(d)
}

// refused says since when the token of a station may not be used, nil when it may.
func (t *Table) refused(d ledger.Device) *wire.StationRefused {
	var r wire.StationRefused
	switch {
	case d.Revoked != nil:
		r = wire.StationRefused{Why: wire.TokenRevoked, Since: *d.Revoked}
	case d.Expires != nil && !d.Expires.After(t.o.Now()):
		r = wire.StationRefused{Why: wire.TokenExpired, Since: *d.Expires}
	default:
		return nil
	}
	if d.Refused != nil && !d.Refused.Before(r.Since.Add(-refusedSlack)) {
		r.Tried = d.Refused
	}
	return &r
}

func address(d ledger.Device) topic.Device { return topic.Device{Site: d.Site, Name: d.Name} }

// view returns a station as it is now, with the newest pieces of footage. The caller holds the lock.
func (t *Table) view(d ledger.Device, pieces int) wire.Station {
	s, ok := t.stations[address(d)]
	if !ok {
		s = &station{}
	}
	v := wire.Station{Device: d.Name, Site: d.Site, Version: s.version, Footage: []topic.Footage{},
		Warnings: []wire.StationWarning{}}
	seen := s.heard
	if d.LastSeen != nil && d.LastSeen.After(seen) {
		seen = *d.LastSeen
	}
	v.Seen = timeOrNil(seen)
	var since time.Time
	var byRequests bool
	v.State, since, byRequests = t.state(s, d, seen)
	v.Since = timeOrNil(since)
	if s.vitals != nil {
		copied := *s.vitals
		v.Vitals, v.At = &copied, timeOrNil(s.vitalsAt)
	}
	for _, f := range s.footage {
		if f.DuplicateOf == "" && (f.State == topic.Captured || f.State == topic.Spooled || f.State == topic.Uploading) {
			v.Waiting++
			v.WaitingBytes += max(f.Size-f.Offset, 0)
		}
	}
	ids := slices.SortedFunc(maps.Keys(s.footage), func(a, b footage.ID) int { return cmp.Compare(b, a) })
	for _, id := range ids[:min(len(ids), pieces)] {
		v.Footage = append(v.Footage, s.footage[id])
	}
	v.Warnings = append(v.Warnings, s.warnings()...)
	if byRequests {
		v.Warnings = append(v.Warnings, wire.StationWarning{Kind: wire.WarnErrors,
			Text: "the station sends requests but has no connection to the MQTT broker; check the address of the broker there"})
	}
	if s.refusesKey {
		v.Warnings = append(v.Warnings, wire.StationWarning{Kind: wire.WarnErrors,
			Text: "the station refuses every order: it has another key of orders than the cloud; enrol it again"})
	}
	if v.Refused = t.refused(d); v.Refused != nil {
		v.Warnings = append([]wire.StationWarning{{Kind: wire.WarnErrors, Text: tokenText(*v.Refused)}}, v.Warnings...)
	}
	return v
}

// tokenText says what happened to a token, and what to do.
func tokenText(r wire.StationRefused) string {
	text := fmt.Sprintf("its token %s on %s", map[wire.TokenEnd]string{wire.TokenExpired: "expired",
		wire.TokenRevoked: "was revoked"}[r.Why], r.Since.UTC().Format(time.DateTime+" UTC"))
	if r.Tried != nil {
		text += fmt.Sprintf(", and the station still tries to connect (%s)", r.Tried.UTC().Format(time.DateTime+" UTC"))
	}
	return text + "; enrol it again with a code (cloud-api device enrol, or Stations on the page)"
}

// state returns the state of a station and when it began. byRequests says that only its requests show that it is alive.
func (t *Table) state(s *station, d ledger.Device, seen time.Time) (state wire.StationState, since time.Time,
	byRequests bool) {
	now := t.o.Now()
	switch {
	case seen.IsZero() && !s.known:
		return wire.StationNever, time.Time{}, false
	case !s.known: // no broker, or no connection to it since the cloud has started
		if now.Sub(seen) <= requestsEvery {
			return wire.StationOnline, time.Time{}, false
		}
		return wire.StationSilent, seen, false
	case !s.online:
		asked := !s.since.IsZero() && d.LastSeen != nil && d.LastSeen.Sub(s.since) > touchStep
		if asked && now.Sub(*d.LastSeen) < requestsRecent {
			return wire.StationOnline, *d.LastSeen, true
		}
		if s.since.IsZero() {
			return wire.StationOffline, seen, false
		}
		return wire.StationOffline, s.since, false
	}
	// While the cloud itself has no connection it hears no station: the states are those of before.
	until, heard := now, seen
	if t.link != nil && !t.up {
		until = t.turned
	} else if t.turned.After(heard) {
		heard = t.turned
	}
	if until.Sub(heard) > missing*s.every() {
		return wire.StationSilent, seen, false
	}
	return wire.StationOnline, s.since, false
}

// every is the interval of the vitals of the station.
func (s *station) every() time.Duration {
	every := defaultEvery
	switch {
	case s.vitals != nil && s.vitals.EverySeconds > 0:
		every = time.Duration(min(s.vitals.EverySeconds, mostEvery.Seconds()) * float64(time.Second))
	case s.gap > every:
		every = s.gap
	}
	return min(max(every, leastEvery), mostEvery)
}

// Thresholds of warnings.
const (
	diskLow    = 0.05 // share of the file system that is free
	spoolFull  = 80   // percent of the room of the spool
	tooHot     = 80   // degrees Celsius; boards throttle at about 85
	clockWrong = 120  // seconds
)

// warningOf maps the names of a station's alarms to kinds of warnings. All others are errors.
var warningOf = map[string]wire.WarningKind{"clock": wire.WarnClock, "space": wire.WarnSpool, "spool": wire.WarnSpool}

// warnings are what a person should check, by the newest vitals.
func (s *station) warnings() []wire.StationWarning {
	v := s.vitals
	if v == nil {
		return nil
	}
	var all []wire.StationWarning
	add := func(kind wire.WarningKind, format string, args ...any) {
		all = append(all, wire.StationWarning{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	for _, name := range slices.Sorted(maps.Keys(v.Alarms)) {
		if text := strings.TrimSpace(v.Alarms[name]); text != "" {
			add(cmp.Or(warningOf[name], wire.WarnErrors), "%s", text)
		}
	}
	if off := v.ClockOffset; off != nil && (*off > clockWrong || *off < -clockWrong) && v.Alarms["clock"] == "" {
		wrong := time.Duration(min(math.Abs(*off), 1e9) * float64(time.Second))
		add(wire.WarnClock, "the clock of the station is wrong by %s", wrong.Round(time.Second))
	}
	if v.DiskTotal > 0 && float64(v.DiskFree) < diskLow*float64(v.DiskTotal) {
		add(wire.WarnDisk, "the disk of the station has %.1f GB free of %.1f GB", float64(v.DiskFree)/1e9,
			float64(v.DiskTotal)/1e9)
	}
	if v.SpoolPercent >= spoolFull && v.Alarms["space"] == "" {
		add(wire.WarnSpool, "the spool is %.0f %% full; at 100 %% the station reads no more footage", v.SpoolPercent)
	}
	if c := v.TemperatureC; c != nil && *c >= tooHot {
		add(wire.WarnTemperature, "the station has %.0f °C", *c)
	}
	if v.Alarm != "" && len(v.Alarms) == 0 {
		add(wire.WarnErrors, "%s", v.Alarm)
	}
	return all
}

// sortReplies sorts the newest first. Those without a time come last.
func sortReplies(all []wire.StationReply) {
	slices.SortStableFunc(all, func(a, b wire.StationReply) int {
		switch {
		case a.At == nil || b.At == nil:
			return cmp.Compare(boolRank(a.At == nil), boolRank(b.At == nil))
		default:
			return b.At.Compare(*a.At)
		}
	})
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
