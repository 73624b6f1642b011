package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"cattlecounter/shared/footage"
)

// Expected is how many animals are expected in a paddock from a time on.
type Expected struct {
	Paddock string // "" for the whole site
	Animals *int   // nil when none is expected to be known from then on
	Since   time.Time
	Who     string
}

// HerdBook has the expected numbers of animals of sites, with their history.
type HerdBook struct{ *tables }

// Put sets the expected numbers of a site from since on, and from now on when that is zero. Paddocks that the list does not
// name have no expected number from then on. A number that holds at that time already is not stored again. Its error wraps
// ErrInvalid for a site or a number that is not valid.
func (l *HerdBook) Put(ctx context.Context, site string, since time.Time, list []Expected) error {
	return l.put(ctx, site, since, list, func(context.Context, *sql.Tx) error { return nil })
}

// PutOver is Put in place of numbers that were read: it fails with ErrChanged when History, with the limit
// MostHistory, does not return read any more.
func (l *HerdBook) PutOver(ctx context.Context, site string, since time.Time, list, read []Expected) error {
	return l.put(ctx, site, since, list, func(ctx context.Context, tx *sql.Tx) error {
		now, err := history(ctx, tx, site, MostHistory)
		if err == nil && !slices.EqualFunc(now, read, sameExpected) {
			err = ErrChanged
		}
		return err
	})
}

// MostHistory is how much of the history of a book is shown.
const MostHistory = 1000

func sameExpected(a, b Expected) bool {
	same := a.Animals == nil && b.Animals == nil || a.Animals != nil && b.Animals != nil && *a.Animals == *b.Animals
	return same && a.Paddock == b.Paddock && a.Since.Equal(b.Since) && a.Who == b.Who
}

// put is Put if may allows it in its transaction.
func (l *HerdBook) put(ctx context.Context, site string, since time.Time, list []Expected,
	may func(context.Context, *sql.Tx) error) error {
	if _, err := footage.ParseID(site); err != nil {
		return fmt.Errorf("book of site %.64q: %w: %w", site, err, ErrInvalid)
	}
	if since.IsZero() {
		since = l.now().UTC()
	}
	named := map[string]int{}
	for _, e := range list {
		name := clean(e.Paddock)
		if _, twice := named[name]; twice || e.Animals == nil || *e.Animals < 0 {
			return fmt.Errorf("book of site %s: paddock %.64q has no number from 0 on, or is there twice: %w", site, e.Paddock,
				ErrInvalid)
		}
		named[name] = *e.Animals
	}
	return l.write(ctx, "set the book of "+site, func(ctx context.Context, tx *sql.Tx) error {
		if err := may(ctx, tx); err != nil {
			return err
		}
		now, err := expectedAt(ctx, tx, site, since)
		if err != nil {
			return err
		}
		changed := changedNumbers(now, named)
		for _, e := range changed {
			if _, err := tx.ExecContext(ctx, `INSERT INTO book (site, paddock, since, animals, who) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (site, paddock, since) DO UPDATE SET animals = excluded.animals, who = excluded.who`,
				site, e.Paddock, since.UnixMicro(), e.Animals, Actor(ctx)); err != nil {
				return err
			}
		}
		if len(changed) == 0 {
			return nil
		}
		return l.audit(ctx, tx, ActionSetBook, site)
	})
}

// changedNumbers returns the entries that differ from those that hold, and ends for those that are not named any more.
func changedNumbers(holds []Expected, named map[string]int) (changed []Expected) {
	for _, e := range holds {
		n, ok := named[e.Paddock]
		if !ok {
			changed = append(changed, Expected{Paddock: e.Paddock})
		} else if n == *e.Animals {
			delete(named, e.Paddock)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		n := named[name]
		changed = append(changed, Expected{Paddock: name, Animals: &n})
	}
	return changed
}

func scanExpected(rows *sql.Rows) (e Expected, err error) {
	var animals, since sql.NullInt64
	err = rows.Scan(&e.Paddock, &animals, &since, &e.Who)
	if animals.Valid {
		n := int(animals.Int64)
		e.Animals = &n
	}
	e.Since = fromMicros(since)
	return e, err
}

// At returns the numbers that were expected at a time, by the name of the paddock.
func (l *HerdBook) At(ctx context.Context, site string, at time.Time) ([]Expected, error) {
	es, err := expectedAt(ctx, l.db.Read(), site, at)
	if err != nil {
		return nil, fmt.Errorf("book of site %.64s: %w", site, err)
	}
	return es, nil
}

func expectedAt(ctx context.Context, q querier, site string, at time.Time) ([]Expected, error) {
	return list(ctx, q, scanExpected, `SELECT b.paddock, b.animals, b.since, b.who FROM book b
		WHERE b.site = $1 AND b.animals IS NOT NULL AND b.since = (SELECT MAX(o.since) FROM book o
			WHERE o.site = b.site AND o.paddock = b.paddock AND o.since <= $2) ORDER BY b.paddock`, site, at.UnixMicro())
}

// History returns at most limit numbers of a site that were ever expected, the latest first. One without Animals ends an
// earlier number.
func (l *HerdBook) History(ctx context.Context, site string, limit int) ([]Expected, error) {
	es, err := history(ctx, l.db.Read(), site, limit)
	if err != nil {
		return nil, fmt.Errorf("book of site %.64s: %w", site, err)
	}
	return es, nil
}

func history(ctx context.Context, q querier, site string, limit int) ([]Expected, error) {
	return list(ctx, q, scanExpected, `SELECT paddock, animals, since, who FROM book WHERE site = $1
		ORDER BY since DESC, paddock LIMIT $2`, site, limit)
}
