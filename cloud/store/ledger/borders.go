package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
)

// Borders are the paddocks of a site from a time on.
type Borders struct {
	Site     string
	Version  int64     // from 1
	From     time.Time // when they begin to hold; zero for the first version, which holds for all earlier times
	Document string    // GeoJSON; "" in lists
	Paddocks int       // how many
	Created  time.Time
	Who      string
}

// BorderBook has the paddocks of sites, in versions. A count is divided by the version that held when its footage was
// recorded, so an old count keeps its borders.
type BorderBook struct{ *tables }

const borderColumns = `site, version, valid_from, paddocks, created, who`

func scanBorders(rows *sql.Rows) (b Borders, err error) {
	var from, created sql.NullInt64
	err = rows.Scan(&b.Site, &b.Version, &from, &b.Paddocks, &created, &b.Who)
	b.From, b.Created = fromMicros(from), fromMicros(created)
	return b, err
}

func scanBorderDocument(rows *sql.Rows) (b Borders, err error) {
	var from, created sql.NullInt64
	err = rows.Scan(&b.Site, &b.Version, &from, &b.Paddocks, &created, &b.Who, &b.Document)
	b.From, b.Created = fromMicros(from), fromMicros(created)
	return b, err
}

// Put stores a new version that holds from b.From on, and from now on when that is zero. The first version of a site holds
// for all times. Counts of footage that was recorded from then on are divided again. The document of the version that holds
// at that time changes nothing: that version is returned. The error wraps ErrInvalid for a site that is no valid name,
// and ErrLimit for a site with more than 50 new versions within a day or 2,000 in all.
func (l *BorderBook) Put(ctx context.Context, b Borders) (Borders, error) {
	return l.PutOver(ctx, b, 0)
}

// PutOver is Put in place of a version: it fails with ErrChanged when another one holds now. 0 means whichever holds.
func (l *BorderBook) PutOver(ctx context.Context, b Borders, over int64) (Borders, error) {
	if _, err := footage.ParseID(b.Site); err != nil {
		return b, fmt.Errorf("paddocks of site %.64q: %w: %w", b.Site, err, ErrInvalid)
	}
	err := l.write(ctx, "set paddocks of "+b.Site, func(ctx context.Context, tx *sql.Tx) error {
		b.Created = l.now().UTC()
		if over != 0 {
			now, err := bordersAt(ctx, tx, b.Site, b.Created)
			if err != nil {
				return err
			}
			if now.Version != over {
				return fmt.Errorf("version %d, not %d, holds now: %w", now.Version, over, ErrChanged)
			}
		}
		if b.From.IsZero() {
			b.From = b.Created
		}
		holds, err := bordersAt(ctx, tx, b.Site, b.From)
		switch {
		case err == nil && holds.Document == b.Document:
			b = holds
			return nil
		case err == nil:
			if b.Version, err = l.nextVersion(ctx, tx, b.Site); err != nil {
				return err
			}
		case errors.Is(err, ErrNotFound):
			b.Version, b.From = 1, time.Time{}
		default:
			return err
		}
		b.Who = Actor(ctx)
		if _, err := tx.ExecContext(ctx, `INSERT INTO border_version (`+borderColumns+`, document)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			b.Site, b.Version, micros(b.From), b.Paddocks, micros(b.Created), b.Who, b.Document); err != nil {
			return err
		}
		from := int64(-1 << 62)
		if !b.From.IsZero() {
			from = b.From.UnixMicro()
		}
		if _, err := tx.ExecContext(ctx, `UPDATE ground SET mark = mark + 1 WHERE footage IN
			(SELECT id FROM footage WHERE site = $1 AND COALESCE(taken, received) >= $2)`, b.Site, from); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionSetPaddocks, fmt.Sprintf("%s version %d", b.Site, b.Version))
	})
	return b, err
}

// Limits of the versions of a site: each has a whole document, and divides counts again.
const (
	maxVersions    = 2000
	maxDayVersions = 50 // within 24 hours
)

// nextVersion returns the number of a new version. It fails with ErrLimit when the site has too many.
func (l *BorderBook) nextVersion(ctx context.Context, tx *sql.Tx, site string) (next int64, err error) {
	var all, lately int64
	if err := tx.QueryRowContext(ctx, `SELECT MAX(version) + 1, COUNT(*), COUNT(CASE WHEN created > $2 THEN 1 END)
		FROM border_version WHERE site = $1`, site, micros(l.now().Add(-24*time.Hour))).Scan(&next, &all, &lately); err != nil {
		return 0, err
	}
	switch {
	case all >= maxVersions:
		return 0, fmt.Errorf("the site has %d versions of its paddocks, at most %d: %w", all, maxVersions, ErrLimit)
	case lately >= maxDayVersions:
		return 0, fmt.Errorf("the site has %d new versions of its paddocks within a day, at most %d; try again later: %w",
			lately, maxDayVersions, ErrLimit)
	}
	return next, nil
}

// At returns the version that held at a time, with its document, or ErrNotFound for a site without paddocks.
func (l *BorderBook) At(ctx context.Context, site string, at time.Time) (Borders, error) {
	b, err := bordersAt(ctx, l.db.Read(), site, at)
	if err != nil {
		return b, fmt.Errorf("paddocks of site %.64s: %w", site, err)
	}
	return b, nil
}

// bordersAt finds the version that begins last until a time, the newer one of two; the first one for all earlier times.
func bordersAt(ctx context.Context, q querier, site string, at time.Time) (Borders, error) {
	bs, err := list(ctx, q, scanBorderDocument, `SELECT `+borderColumns+`, document FROM border_version
		WHERE site = $1 AND (valid_from IS NULL OR valid_from <= $2)
		ORDER BY COALESCE(valid_from, $3) DESC, version DESC LIMIT 1`, site, at.UnixMicro(), int64(-1<<62))
	if err == nil && len(bs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Borders{}, err
	}
	return bs[0], nil
}

// Get returns a version with its document, or ErrNotFound.
func (l *BorderBook) Get(ctx context.Context, site string, version int64) (Borders, error) {
	bs, err := list(ctx, l.db.Read(), scanBorderDocument, `SELECT `+borderColumns+`, document FROM border_version
		WHERE site = $1 AND version = $2`, site, version)
	if err == nil && len(bs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Borders{}, fmt.Errorf("paddocks of site %.64s version %d: %w", site, version, database.Classify(err))
	}
	return bs[0], nil
}

// LastBy returns the newest version of a site that somebody made, with its document, or ErrNotFound.
func (l *BorderBook) LastBy(ctx context.Context, site, who string) (Borders, error) {
	bs, err := list(ctx, l.db.Read(), scanBorderDocument, `SELECT `+borderColumns+`, document FROM border_version
		WHERE site = $1 AND who = $2 ORDER BY version DESC LIMIT 1`, site, who)
	if err == nil && len(bs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Borders{}, fmt.Errorf("paddocks of site %.64s by %.64s: %w", site, who, database.Classify(err))
	}
	return bs[0], nil
}

// List returns the versions of a site, newest first, without their documents, at most limit.
func (l *BorderBook) List(ctx context.Context, site string, limit int) ([]Borders, error) {
	bs, err := list(ctx, l.db.Read(), scanBorders, `SELECT `+borderColumns+` FROM border_version WHERE site = $1
		ORDER BY version DESC LIMIT $2`, site, limit)
	if err != nil {
		return nil, fmt.Errorf("paddocks of site %.64s: %w", site, err)
	}
	return bs, nil
}
