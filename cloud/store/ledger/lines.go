package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
)

// LineKind is what lines and zones belong to.
type LineKind string

// Kinds. Their text is stored.
const (
	DeviceLines  LineKind = "device"  // to all footage of a device that has none of its own
	FlightLines  LineKind = "flight"  // to one flight, and to footage of it that has none of its own
	FootageLines LineKind = "footage" // to one piece of footage
)

// LineOwner is the device, the flight or the footage that lines and zones belong to.
type LineOwner struct {
	Kind LineKind
	ID   string // name of the device, id of the flight or of the footage
}

// String names the owner for people.
func (o LineOwner) String() string { return string(o.Kind) + " " + o.ID }

// LineSet is the lines and zones of one owner.
type LineSet struct {
	LineOwner
	Set     boundary.Set
	Updated time.Time
	// Anchor is, for lines of a flight, its first footage at that time: the seconds of what is drawn on the ground are
	// measured from its start, also when another footage becomes the first one later.
	Anchor footage.ID
}

// Lines are the lines and zones that footage is judged by.
type Lines struct{ *tables }

// Get returns the lines and zones of one owner, not those that apply in their absence. An owner without any fails with
// ErrNotFound.
func (l *Lines) Get(ctx context.Context, o LineOwner) (LineSet, error) {
	s, err := getLines(ctx, l.db.Read(), o)
	if err != nil {
		return LineSet{}, fmt.Errorf("lines of %s: %w", o, database.Classify(err))
	}
	return s, nil
}

func getLines(ctx context.Context, q querier, o LineOwner) (LineSet, error) {
	s := LineSet{LineOwner: o}
	var text string
	var updated sql.NullInt64
	if err := q.QueryRowContext(ctx, `SELECT document, updated, anchor FROM line_set WHERE kind = $1 AND id = $2`,
		o.Kind, o.ID).Scan(&text, &updated, &s.Anchor); err != nil {
		return LineSet{}, notFound(err)
	}
	s.Updated = fromMicros(updated)
	var err error
	s.Set, err = boundary.Parse([]byte(text))
	return s, err
}

// For returns what a piece of footage is judged by: its own lines and zones, else those of its flight, else those of its
// device. An empty set counts, too: it turns the lines of the others off. Lines of a flight on the ground are only those of
// the footage that they are drawn into. Without any it fails with ErrNotFound, as it does for unknown footage.
func (l *Lines) For(ctx context.Context, id footage.ID) (LineSet, error) {
	s, err := l.find(ctx, id)
	if err != nil {
		return LineSet{}, fmt.Errorf("lines of footage %s: %w", id, database.Classify(err))
	}
	return s, nil
}

func (l *Lines) find(ctx context.Context, id footage.ID) (LineSet, error) {
	s, err := getLines(ctx, l.db.Read(), LineOwner{FootageLines, string(id)})
	if !errors.Is(err, ErrNotFound) {
		return s, err
	}
	f, err := getFootage(ctx, l.db.Read(), `id = $1`, id)
	if err != nil {
		return LineSet{}, err
	}
	s, err = linesOfFlights(ctx, l.db.Read(), []string{f.Flight}, f.Device)
	if err == nil && s.Kind == FlightLines && s.Anchor != id {
		s.Set.Lines = slices.DeleteFunc(s.Set.Lines, func(l boundary.Line) bool { return l.OnGround() })
		s.Set.Zones = slices.DeleteFunc(s.Set.Zones, func(z boundary.Zone) bool { return z.OnGround() })
	}
	return s, err
}

// ForFlight returns what a flight is judged by: its own lines and zones, else those of its device. Several flights are
// those that become one: the lines of the oldest one that has any apply. Without any it fails with ErrNotFound.
func (l *Lines) ForFlight(ctx context.Context, device string, flights ...string) (LineSet, error) {
	s, err := linesOfFlights(ctx, l.db.Read(), flights, device)
	if err != nil {
		return LineSet{}, fmt.Errorf("lines of flights %v of device %s: %w", flights, device, database.Classify(err))
	}
	return s, nil
}

func linesOfFlights(ctx context.Context, q querier, flights []string, device string) (LineSet, error) {
	var known []bornFlight
	for _, id := range flights {
		f, err := getFlight(ctx, q, id)
		if err == nil {
			known = append(known, f)
		} else if !errors.Is(err, ErrNotFound) {
			return LineSet{}, err
		}
	}
	slices.SortFunc(known, func(a, b bornFlight) int { return cmp.Compare(a.born, b.born) })
	for _, f := range known {
		if s, err := getLines(ctx, q, LineOwner{FlightLines, f.ID}); !errors.Is(err, ErrNotFound) {
			return s, err
		}
	}
	return getLines(ctx, q, LineOwner{DeviceLines, device})
}

// Put stores the lines and zones of one owner in the place of earlier ones. It changes no count of footage: what is
// counted later is judged by them. Flights that they apply to are stale until a worker has judged them again. An unknown
// owner fails with ErrNotFound. A duplicate has no count of its own, so its lines fail with ErrInvalid, as do those of a
// flight that has ended and those that are not valid.
func (l *Lines) Put(ctx context.Context, o LineOwner, set boundary.Set) (LineSet, error) {
	if err := set.Validate(); err != nil {
		return LineSet{}, fmt.Errorf("lines of %s: %w: %w", o, err, ErrInvalid)
	}
	s := LineSet{LineOwner: o, Set: set, Updated: fromMicros(sql.NullInt64{Int64: l.now().UnixMicro(), Valid: true})}
	err := l.write(ctx, "set lines of "+o.String(), func(ctx context.Context, tx *sql.Tx) error {
		anchor, err := checkLineOwner(ctx, tx, o)
		if err != nil {
			return err
		}
		s.Anchor = anchor
		if _, err := tx.ExecContext(ctx, `INSERT INTO line_set (kind, id, document, updated, anchor) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document, updated = excluded.updated,
				anchor = excluded.anchor`,
			o.Kind, o.ID, string(set.Format()), micros(s.Updated), anchor); err != nil {
			return err
		}
		if err := l.markStale(ctx, tx, o); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionSetLines, o.ID)
	})
	if err != nil {
		return LineSet{}, err
	}
	return s, nil
}

// checkLineOwner returns the anchor of the lines.
func checkLineOwner(ctx context.Context, tx *sql.Tx, o LineOwner) (anchor footage.ID, err error) {
	switch o.Kind {
	case DeviceLines:
		var name string
		return "", notFound(tx.QueryRowContext(ctx, `SELECT name FROM device WHERE name = $1`, o.ID).Scan(&name))
	case FlightLines:
		f, err := getFlight(ctx, tx, o.ID)
		if err != nil {
			return "", err
		}
		parts, err := partsOf(ctx, tx, o.ID)
		if err == nil && (f.State == FlightEnded || len(parts) == 0) {
			err = fmt.Errorf("the flight has ended and has no parts; set the lines of the flight %q that has them now: %w", f.Next,
				ErrInvalid)
		}
		if err != nil {
			return "", err
		}
		return parts[0].Footage, nil
	case FootageLines:
		f, err := getFootage(ctx, tx, `id = $1`, o.ID)
		if err == nil && f.DuplicateOf != "" {
			err = fmt.Errorf("the footage is a duplicate and has no count of its own; set the lines of its original: %w", ErrInvalid)
		}
		return "", err
	}
	return "", fmt.Errorf("owner %q: %w", o.Kind, ErrInvalid)
}

// Delete removes the lines and zones of one owner. Flights that they applied to are stale. An owner without any fails with ErrNotFound.
func (l *Lines) Delete(ctx context.Context, o LineOwner) error {
	return l.write(ctx, "remove lines of "+o.String(), func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx, `DELETE FROM line_set WHERE kind = $1 AND id = $2`, o.Kind, o.ID)); err != nil {
			return err
		}
		if err := l.markStale(ctx, tx, o); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRemoveLines, o.ID)
	})
}

// RemovedSince reports whether lines or zones of a piece of footage, of its flight or of its device were removed at a
// time or later. Those that replace others have a new LineSet.Updated instead.
func (l *Lines) RemovedSince(ctx context.Context, id footage.ID, at time.Time) (removed bool, err error) {
	var n int
	if err = l.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM audit a JOIN footage f ON f.id = $1
		WHERE a.action = $2 AND a.at >= $3 AND a.subject IN (f.id, f.device, f.flight)`, id, ActionRemoveLines, at.UnixMicro()).
		Scan(&n); err != nil {
		return false, fmt.Errorf("removed lines of footage %s: %w", id, database.Classify(err))
	}
	return n > 0, nil
}

// markStale marks the flights that lines of an owner apply to as to be joined again.
func (l *tables) markStale(ctx context.Context, tx *sql.Tx, o LineOwner) error {
	ids := []string{o.ID}
	switch o.Kind {
	case FootageLines:
		return nil
	case DeviceLines:
		var err error
		ids, err = list(ctx, tx, func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) },
			`SELECT id FROM flight WHERE device = $1 AND state <> $2
				AND id NOT IN (SELECT id FROM line_set WHERE kind = $3) ORDER BY born`, o.ID, FlightEnded, FlightLines)
		if err != nil {
			return err
		}
	}
	for _, id := range ids {
		seq, err := nextSeq(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE flight SET state = $1, updated = $2, seq = $3 WHERE id = $4 AND state <> $5`,
			FlightStale, micros(l.now()), seq, id, FlightEnded); err != nil {
			return err
		}
	}
	return nil
}

// moveLines gives the lines of a flight that ends to the flight that has its parts now, unless that has its own. Lines that
// nothing takes over are removed, and the audit log has that.
func (l *tables) moveLines(ctx context.Context, tx *sql.Tx, ended, next string) error {
	if next != "" {
		if _, err := tx.ExecContext(ctx, `UPDATE line_set SET id = $1 WHERE kind = $2 AND id = $3
			AND NOT EXISTS (SELECT 1 FROM line_set o WHERE o.kind = $4 AND o.id = $5)`, next, FlightLines, ended, FlightLines,
			next); err != nil {
			return err
		}
	}
	r, err := tx.ExecContext(ctx, `DELETE FROM line_set WHERE kind = $1 AND id = $2`, FlightLines, ended)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return l.audit(ctx, tx, ActionRemoveLines, ended)
}

// copyLines gives the lines of a flight that is split to the parts that leave it, which are now the flight id or, with an
// empty id, one piece of footage. parts have their former flights. Lines that these have of their own stay. What is drawn
// on the ground goes only to the parts with the footage that it is drawn into.
func (l *tables) copyLines(ctx context.Context, tx *sql.Tx, id string, g Group, parts map[footage.ID]Part) error {
	to := LineOwner{FlightLines, id}
	if id == "" {
		to = LineOwner{FootageLines, string(g.Parts[0])}
	}
	if _, err := getLines(ctx, tx, to); !errors.Is(err, ErrNotFound) {
		return err
	}
	var flights []string
	for _, part := range g.Parts {
		former := parts[part].Flight
		if former == id { // the flight goes on; lines of those that join it are moved when they end
			return nil
		}
		if former != "" && !slices.Contains(flights, former) {
			flights = append(flights, former)
		}
	}
	for _, former := range flights {
		s, err := getLines(ctx, tx, LineOwner{FlightLines, former})
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		whole := s.Set.Empty()
		if !slices.Contains(g.Parts, s.Anchor) {
			s.Set.Lines = slices.DeleteFunc(s.Set.Lines, func(l boundary.Line) bool { return l.OnGround() })
			s.Set.Zones = slices.DeleteFunc(s.Set.Zones, func(z boundary.Zone) bool { return z.OnGround() })
			s.Anchor = g.Parts[0]
		}
		if s.Set.Empty() && !whole { // an empty set would turn off the lines of the station
			continue
		}
		if to.Kind == FootageLines {
			s.Anchor = ""
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO line_set (kind, id, document, updated, anchor) VALUES ($1, $2, $3, $4, $5)`,
			to.Kind, to.ID, string(s.Set.Format()), micros(s.Updated), s.Anchor); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionSetLines, to.ID)
	}
	return nil
}

// markJudgedByOthers marks flights that were judged by other lines than those that apply now: the lines have changed while
// a worker judged. judged has LineSet.Updated by flight.
func markJudgedByOthers(ctx context.Context, tx *sql.Tx, device string, judged map[string]time.Time) error {
	for id, updated := range judged {
		s, err := linesOfFlights(ctx, tx, []string{id}, device)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if s.Updated.Equal(updated) {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE flight SET state = $1 WHERE id = $2`, FlightStale, id); err != nil {
			return err
		}
	}
	return nil
}
