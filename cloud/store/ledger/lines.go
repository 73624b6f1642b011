package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	FootageLines LineKind = "footage" // to one piece of footage
)

// LineOwner is the device or the footage that lines and zones belong to.
type LineOwner struct {
	Kind LineKind
	ID   string // name of the device or id of the footage
}

// String names the owner for people.
func (o LineOwner) String() string { return string(o.Kind) + " " + o.ID }

// LineSet is the lines and zones of one owner.
type LineSet struct {
	LineOwner
	Set     boundary.Set
	Updated time.Time
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
	if err := q.QueryRowContext(ctx, `SELECT document, updated FROM line_set WHERE kind = $1 AND id = $2`,
		o.Kind, o.ID).Scan(&text, &updated); err != nil {
		return LineSet{}, notFound(err)
	}
	s.Updated = fromMicros(updated)
	var err error
	s.Set, err = boundary.Parse([]byte(text))
	return s, err
}

// For returns what a piece of footage is judged by: its own lines and zones, else those of its device. An empty set of
// the footage counts, too: it turns the lines of the device off. Without either it fails with ErrNotFound, as it does for
// unknown footage.
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
	return getLines(ctx, l.db.Read(), LineOwner{DeviceLines, f.Device})
}

// Put stores the lines and zones of one owner in the place of earlier ones. It changes no count: footage that is counted
// later is judged by them. An unknown owner fails with ErrNotFound. A duplicate has no count of its own, so its lines
// fail with ErrInvalid, as do those that are not valid.
func (l *Lines) Put(ctx context.Context, o LineOwner, set boundary.Set) (LineSet, error) {
	if err := set.Validate(); err != nil {
		return LineSet{}, fmt.Errorf("lines of %s: %w: %w", o, err, ErrInvalid)
	}
	s := LineSet{LineOwner: o, Set: set, Updated: fromMicros(sql.NullInt64{Int64: l.now().UnixMicro(), Valid: true})}
	err := l.write(ctx, "set lines of "+o.String(), func(ctx context.Context, tx *sql.Tx) error {
		if err := checkLineOwner(ctx, tx, o); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO line_set (kind, id, document, updated) VALUES ($1, $2, $3, $4)
			ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document, updated = excluded.updated`,
			o.Kind, o.ID, string(set.Format()), micros(s.Updated)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionSetLines, o.ID)
	})
	if err != nil {
		return LineSet{}, err
	}
	return s, nil
}

func checkLineOwner(ctx context.Context, tx *sql.Tx, o LineOwner) error {
	switch o.Kind {
	case DeviceLines:
		var name string
		return notFound(tx.QueryRowContext(ctx, `SELECT name FROM device WHERE name = $1`, o.ID).Scan(&name))
	case FootageLines:
		f, err := getFootage(ctx, tx, `id = $1`, o.ID)
		if err == nil && f.DuplicateOf != "" {
			err = fmt.Errorf("the footage is a duplicate and has no count of its own; set the lines of its original: %w", ErrInvalid)
		}
		return err
	}
	return fmt.Errorf("owner %q: %w", o.Kind, ErrInvalid)
}

// Delete removes the lines and zones of one owner. An owner without any fails with ErrNotFound.
func (l *Lines) Delete(ctx context.Context, o LineOwner) error {
	return l.write(ctx, "remove lines of "+o.String(), func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx, `DELETE FROM line_set WHERE kind = $1 AND id = $2`, o.Kind, o.ID)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRemoveLines, o.ID)
	})
}
