package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
)

// FlightState is the state of a flight.
type FlightState string

// States of a flight. They are stored, so their text must not change.
const (
	FlightJoined FlightState = "joined" // its count is that of its parts
	FlightStale  FlightState = "stale"  // a part or the lines have changed, and a worker has to join it again
	FlightEnded  FlightState = "ended"  // it has no parts any more
)

// Flight is footage of one device that was recorded one after the other, and its count. A footage that no other one
// follows has no Flight.
type Flight struct {
	ID     string
	Site   string
	Device string
	State  FlightState
	Next   string // the flight that has the parts of an ended one, "" when they are in none
	Parts  int
	JointCount
	Created time.Time
	Updated time.Time
	Seq     int64
	Born    int64 // its first Seq, which orders lists
}

// JointCount is the count of several pieces of footage together: no animal is counted twice.
type JointCount struct {
	Unique    int
	Low, High int            // 95 % interval
	ByClass   map[string]int // never nil when read
	Warnings  []string       // for a person; never nil when read
	ResultKey string         // blob key of the document with the animals, "" without one
	// Boundaries is what was found at lines and zones in the whole flight.
	Boundaries boundary.Totals
}

// Part is counted footage as a part of a flight.
type Part struct {
	Footage       footage.ID
	Name          string // of the file
	SHA256        footage.Digest
	Started       time.Time // zero when unknown; an implausible time counts as unknown
	Duration      time.Duration
	Width, Height int // pixels
	FPS           float64
	Codec         string
	TraceKey      string // blob key of what the count left for the joining, "" without it
	Flight        string // "" when it is in none; see FlightOf
	FlightResult  string // blob key of the document of that flight
	Hand          Hand
	Place         int // in the flight, from 1 on; 0 when it is in none
	Unique        int
	Low, High     int // 95 % interval
	Seq           int64
}

// Hand is what a person decided about the place of a part. The zero value is no decision.
type Hand struct {
	Decided bool
	After   footage.ID // the footage that the part follows, "" when it begins a flight
}

// FlightView is a flight with its parts in their order.
type FlightView struct {
	Flight
	Parts []Part
}

// Group is footage that belongs together, in the order in which it was recorded. One footage alone is no flight.
type Group struct {
	Parts []footage.ID
	JointCount
	// Judged is LineSet.Updated of the lines that the flight was judged by, zero when they are those of no owner. When
	// others apply by now, the flight is stale.
	Judged time.Time
}

// Joining is how the footage around a new part is divided into flights, as a worker found it. Parts in no group stay as
// they are. The parts of one flight are all in groups or all in none.
type Joining struct {
	Part      Part   // of the new count; its footage and counts are taken from the job
	Neighbors []Part // as Neighbors returned them
	Groups    []Group
}

// ErrJoinedMeanwhile marks a Joining whose neighbors, or the flight of its part, have changed since they were read: read
// them again.
var ErrJoinedMeanwhile = errors.New("the parts of the flight have changed meanwhile")

const (
	maxNeighbors   = 40  // nearest footage that may belong to the flight of a new part
	maxFlightParts = 200 // of the flights of these
	neighborNumber = 4   // how far their numbers are apart
	// neighborWindow is how far their starts are apart: the longest recording and a break.
	neighborWindow = 3 * time.Hour
	// seriesWindow is how far the starts of footage with near numbers are apart. It is wide because the clock of a camera
	// may be set meanwhile. It is bounded because a camera may begin its numbers again.
	seriesWindow = 3 * 24 * time.Hour
)

// Flights are the flights that consist of several pieces of footage.
type Flights struct{ *tables }

// Neighbors returns the counted footage that may be of one flight with a part: footage of the device with a near number
// or start, and all parts of the flights of that footage, without the part itself. Duplicates and siblings are in none.
func (l *Flights) Neighbors(ctx context.Context, device string, p Part) ([]Part, error) {
	ps, err := neighbors(ctx, l.db.Read(), device, p)
	if err != nil {
		return nil, fmt.Errorf("neighbors of footage %s: %w", p.Footage, err)
	}
	return ps, nil
}

// FlightOf returns the flight that footage is in now, "" when it is in none, and what a person decided about it. It fails
// with ErrNotFound for unknown footage.
func (l *Flights) FlightOf(ctx context.Context, id footage.ID) (string, Hand, error) {
	f, err := getFootage(ctx, l.db.Read(), `id = $1`, id)
	var self []Part
	if err == nil {
		self, err = list(ctx, l.db.Read(), scanPart, partQuery+`WHERE p.footage = $1`, id)
	}
	if err != nil {
		return "", Hand{}, fmt.Errorf("flight of footage %s: %w", id, err)
	}
	if len(self) == 0 {
		return f.Flight, Hand{}, nil // it was never counted
	}
	return f.Flight, self[0].Hand, nil
}

func neighbors(ctx context.Context, q querier, device string, p Part) ([]Part, error) {
	s := footage.ReadSequence(p.Name)
	start := knownStart(p)
	// A comparison with an unknown start is NULL. The nearest in time come first. Where a start is unknown, the nearest
	// numbers come first, then the latest footage.
	near, err := list(ctx, q, scanPart, partQuery+`WHERE p.device = $1 AND p.footage <> $2 AND f.sibling_of IS NULL
		AND (p.series = $3 AND p.series <> '' AND p.number BETWEEN $4 AND $5
				AND COALESCE(p.started BETWEEN $6 AND $7, TRUE)
			OR p.started BETWEEN $8 AND $9)
		ORDER BY COALESCE(ABS(p.started - $10), $11), CASE WHEN p.series = $12 THEN ABS(p.number - $13) ELSE $14 END,
			f.born DESC LIMIT $15`,
		device, p.Footage, s.Series, s.Number-neighborNumber, s.Number+neighborNumber,
		windowEdge(start, -seriesWindow), windowEdge(start, seriesWindow),
		windowEdge(start, -neighborWindow), windowEdge(start, neighborWindow),
		micros(start), neighborWindow.Microseconds(), s.Series, s.Number, neighborNumber+1, maxNeighbors)
	if err != nil {
		return nil, err
	}
	own, err := list(ctx, q, scanPart, partQuery+`WHERE p.footage = $1`, p.Footage)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{"": true}
	for _, n := range append(own, near...) {
		if seen[n.Flight] {
			continue
		}
		seen[n.Flight] = true
		members, err := partsOf(ctx, q, n.Flight)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			if m.Footage != p.Footage && !slices.ContainsFunc(near, func(o Part) bool { return o.Footage == m.Footage }) {
				near = append(near, m)
			}
		}
	}
	slices.SortFunc(near, func(a, b Part) int { return int(a.Seq - b.Seq) })
	return near, nil
}

// knownStart is the start of a part, zero when unknown. A camera whose clock is not set writes an implausible one.
func knownStart(p Part) time.Time {
	if !footage.IsPlausible(p.Started, time.Time{}, false) {
		return time.Time{}
	}
	return p.Started
}

// windowEdge is NULL, which no start is near, for an unknown time.
func windowEdge(t time.Time, by time.Duration) any {
	if t.IsZero() {
		return nil
	}
	return micros(t.Add(by))
}

const partQuery = `SELECT p.footage, f.name, f.sha256, p.started, p.duration, p.width, p.height, p.fps, p.codec, p.trace_key,
	f.flight, g.result_key, p.follows, p.place, c.animals, c.low, c.high, c.seq
	FROM part p JOIN footage f ON f.id = p.footage JOIN animal_count c ON c.footage = p.footage
	LEFT JOIN flight g ON g.id = f.flight `

func scanPart(rows *sql.Rows) (Part, error) {
	var p Part
	var started, duration sql.NullInt64
	var flight, result, follows sql.NullString
	var digest string
	err := rows.Scan(&p.Footage, &p.Name, &digest, &started, &duration, &p.Width, &p.Height, &p.FPS, &p.Codec, &p.TraceKey,
		&flight, &result, &follows, &p.Place, &p.Unique, &p.Low, &p.High, &p.Seq)
	p.Started, p.Flight, p.FlightResult = fromMicros(started), flight.String, result.String
	p.Hand = Hand{follows.Valid, footage.ID(follows.String)}
	p.Duration = time.Duration(duration.Int64) * time.Microsecond
	if err == nil {
		err = p.SHA256.UnmarshalText([]byte(digest))
	}
	return p, err
}

func partsOf(ctx context.Context, q querier, flight string) ([]Part, error) {
	return list(ctx, q, scanPart, partQuery+`WHERE f.flight = $1 ORDER BY p.place LIMIT $2`, flight, maxFlightParts)
}

const flightColumns = `id, site, device, state, next, parts, animals, low, high, by_class, warnings, result_key, ` +
	`created, updated, born, seq, boundaries`

type bornFlight struct {
	Flight
	born int64
}

func scanFlight(rows *sql.Rows) (bornFlight, error) {
	var f bornFlight
	var byClass, warnings, found string
	var created, updated sql.NullInt64
	err := rows.Scan(&f.ID, &f.Site, &f.Device, &f.State, &f.Next, &f.Parts, &f.Unique, &f.Low, &f.High, &byClass,
		&warnings, &f.ResultKey, &created, &updated, &f.born, &f.Seq, &found)
	if err != nil {
		return f, err
	}
	f.Born = f.born
	f.Created, f.Updated, f.ByClass, f.Warnings = fromMicros(created), fromMicros(updated), map[string]int{}, []string{}
	if err := errors.Join(json.Unmarshal([]byte(byClass), &f.ByClass),
		json.Unmarshal([]byte(warnings), &f.Warnings), readTotals(found, &f.Boundaries)); err != nil {
		return f, fmt.Errorf("flight %s: %w", f.ID, err)
	}
	return f, nil
}

func getFlight(ctx context.Context, q querier, id string) (bornFlight, error) {
	fs, err := list(ctx, q, scanFlight, `SELECT `+flightColumns+` FROM flight WHERE id = $1`, id)
	if err == nil && len(fs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return bornFlight{}, err
	}
	return fs[0], nil
}

// Get returns a flight with its parts.
func (l *Flights) Get(ctx context.Context, id string) (FlightView, error) {
	f, err := getFlight(ctx, l.db.Read(), id)
	v := FlightView{Flight: f.Flight}
	if err == nil {
		v.Parts, err = partsOf(ctx, l.db.Read(), id)
	}
	if err != nil {
		return FlightView{}, fmt.Errorf("flight %s: %w", id, err)
	}
	return v, nil
}

// List returns a page of the flights, newest first, and the start of the next page. Those that have ended are left out,
// unless the page asks for their state. From and To hold for different parts: a flight that began before From and ended
// after To is listed.
func (l *Flights) List(ctx context.Context, p Page) ([]FlightView, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	f, order := p.filter("f.born", after, limit+1), ` ORDER BY f.born DESC LIMIT $2`
	if p.State == "" {
		f.add(`f.state <> 'ended'`)
	} else {
		f.add(`f.state = ?`, p.State)
	}
	if !p.From.IsZero() {
		f.add(`EXISTS (SELECT 1 FROM footage o WHERE o.flight = f.id AND o.taken >= ?)`, micros(p.From))
	}
	if !p.To.IsZero() {
		f.add(`EXISTS (SELECT 1 FROM footage o WHERE o.flight = f.id AND o.taken < ?)`, micros(p.To))
	}
	if p.Window != nil {
		few, err := l.flightsIn(ctx, f, *p.Window)
		if err != nil {
			return nil, "", fmt.Errorf("list flights: %w", err)
		}
		if few {
			f.ofChosen()
			order = ` ORDER BY +f.born DESC LIMIT $2`
		}
	}
	vs, err := l.flightViews(ctx, `SELECT `+prefixed("f", flightColumns)+` FROM flight f `+f.String()+
		order, f.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list flights: %w", err)
	}
	vs, next := cutPage(vs, limit, func(v bornFlightView) int64 { return v.born })
	return flightsOf(vs), next, nil
}

type bornFlightView struct {
	FlightView
	born int64
}

// flightViews reads flights with their parts.
func (l *tables) flightViews(ctx context.Context, query string, args ...any) ([]bornFlightView, error) {
	fs, err := list(ctx, l.db.Read(), scanFlight, query, args...)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(fs))
	for i, f := range fs {
		ids[i] = f.ID
	}
	parts := map[string][]Part{}
	for some := range slices.Chunk(ids, keysAsked) {
		f := &filter{}
		f.in(`f.flight`, some)
		ps, err := list(ctx, l.db.Read(), scanPart, partQuery+f.String()+` ORDER BY f.flight, p.place`, f.args...)
		if err != nil {
			return nil, fmt.Errorf("parts of flights: %w", err)
		}
		for _, p := range ps {
			parts[p.Flight] = append(parts[p.Flight], p)
		}
	}
	vs := make([]bornFlightView, len(fs))
	for i, f := range fs {
		vs[i] = bornFlightView{FlightView{Flight: f.Flight, Parts: parts[f.ID]}, f.born}
	}
	return vs, nil
}

func flightsOf(vs []bornFlightView) []FlightView {
	out := make([]FlightView, len(vs))
	for i := range vs {
		out[i] = vs[i].FlightView
	}
	return out
}

// keysAsked is how many flights or blob keys one query asks for.
const keysAsked = 500

// UnnamedResults returns those of the blob keys that are the result of no flight.
func (l *Flights) UnnamedResults(ctx context.Context, keys []string) ([]string, error) {
	var unnamed []string
	for some := range slices.Chunk(keys, keysAsked) {
		f := &filter{}
		f.in(`result_key`, some)
		named, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (key string, err error) {
			return key, rows.Scan(&key)
		}, `SELECT result_key FROM flight `+f.String()+` AND result_key <> ''`, f.args...)
		if err != nil {
			return nil, fmt.Errorf("results of flights: %w", err)
		}
		known := map[string]bool{}
		for _, key := range named {
			known[key] = true
		}
		for _, key := range some {
			if !known[key] {
				unnamed = append(unnamed, key)
			}
		}
	}
	return unnamed, nil
}
