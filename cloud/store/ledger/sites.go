package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
)

// Sighting is one count of the herd of a site: that of a flight, or of footage that is in no flight. Duplicates and
// siblings are no sightings.
type Sighting struct {
	Site      string
	Device    string
	Footage   footage.ID // "" for a flight
	Flight    string     // "" for footage in no flight
	Name      string     // of the file; of a flight that of its first part
	Unique    int
	Low, High int       // 95 % interval
	At        time.Time // of the recording, or when the footage arrived if that is unknown or later
	Captured  time.Time // of the recording; zero when unknown
	Counted   time.Time
}

// Sites are the counts of each site over time.
type Sites struct{ *tables }

const (
	// sightingTime is At of a sighting. The index footage_sighted has the same expression.
	sightingTime = `(CASE WHEN f.taken IS NULL OR f.taken > f.received THEN f.received ELSE f.taken END)`
	// sightings joins the footage f that stands for a sighting with its counts. Of a flight that is the first part.
	sightings = ` FROM footage f JOIN animal_count c ON c.footage = f.id LEFT JOIN flight g ON g.id = f.flight
		WHERE f.duplicate_of IS NULL AND f.sibling_of IS NULL AND f.site = $1 AND ($2 = '' OR f.device = $2)
			AND ` + sightingTime + ` >= $3
			AND (f.flight IS NULL OR NOT EXISTS (SELECT 1 FROM footage other JOIN part o ON o.footage = other.id
				WHERE other.flight = f.flight AND o.place < (SELECT p.place FROM part p WHERE p.footage = f.id)))`
)

// Names returns the sites with footage, in alphabetical order, at most limit.
func (l *Sites) Names(ctx context.Context, limit int) ([]string, error) {
	const next = `SELECT MIN(site) FROM footage WHERE duplicate_of IS NULL AND sibling_of IS NULL`
	names, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (name string, err error) {
		return name, rows.Scan(&name)
	}, `WITH RECURSIVE s(site) AS (`+next+` UNION ALL SELECT (`+next+` AND site > s.site) FROM s WHERE s.site IS NOT NULL)
		SELECT site FROM s WHERE site IS NOT NULL LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("sites: %w", err)
	}
	return names, nil
}

// Unknown returns those of some sites, in their order, that have no footage, no token, not even a revoked one, and no
// paddocks.
func (l *Sites) Unknown(ctx context.Context, sites []string) (unknown []string, err error) {
	for _, site := range sites {
		var known bool
		if err := l.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM footage WHERE site = $1)
			OR EXISTS (SELECT 1 FROM device WHERE site = $1) OR EXISTS (SELECT 1 FROM border_version WHERE site = $1)`, site).
			Scan(&known); err != nil {
			return nil, fmt.Errorf("look for site %.64s: %w", site, database.Classify(err))
		}
		if !known {
			unknown = append(unknown, site)
		}
	}
	return unknown, nil
}

// Newest returns the newest sightings of a site within a scope, from a time on, at most limit.
func (l *Sites) Newest(ctx context.Context, site string, in Scope, from time.Time, limit int) ([]Sighting, error) {
	if !in.hasSite(site) {
		return nil, nil
	}
	all, err := list(ctx, l.db.Read(), scanSighting, `SELECT f.site, f.device, f.id, COALESCE(g.id, ''), f.name,
		COALESCE(g.animals, c.animals), COALESCE(g.low, c.low), COALESCE(g.high, c.high), `+sightingTime+`, f.taken,
		CASE WHEN g.updated IS NULL THEN c.at ELSE g.updated END`+sightings+
		` ORDER BY f.site DESC, `+sightingTime+` DESC LIMIT $4`, site, in.Device, microsFrom(from), limit)
	if err != nil {
		return nil, fmt.Errorf("counts of site %s: %w", site, err)
	}
	return all, nil
}

func scanSighting(rows *sql.Rows) (s Sighting, err error) {
	var at, captured, counted sql.NullInt64
	err = rows.Scan(&s.Site, &s.Device, &s.Footage, &s.Flight, &s.Name, &s.Unique, &s.Low, &s.High, &at, &captured,
		&counted)
	s.At, s.Captured, s.Counted = fromMicros(at), fromMicros(captured), fromMicros(counted)
	if s.Flight != "" {
		s.Footage = ""
	}
	return s, err
}

// PaddockSighting is a count of footage with its animals in one paddock.
type PaddockSighting struct {
	Footage Footage
	Counted time.Time
	PaddockCount
}

// perSighting bounds the newest footage that is read for each count that saw a paddock, since a site may have hardly any.
const perSighting = 20

// NewestPaddocks returns, for each paddock of a site, the newest count that saw a part of it, as PaddockSightings does.
func (l *Sites) NewestPaddocks(ctx context.Context, site string, most int) ([]PaddockSighting, error) {
	return l.PaddockSightings(ctx, site, Scope{}, most, 1)
}

// PaddockSightings returns, for each paddock of a site, the newest counts within a scope that saw a part of it, the newest
// first: at most each, of as many flights, among the newest most counts that saw any paddock, and about the newest perSighting
// times as many pieces of footage.
func (l *Sites) PaddockSightings(ctx context.Context, site string, in Scope, most, each int) ([]PaddockSighting, error) {
	if !in.hasSite(site) {
		return nil, nil
	}
	const (
		ofSite = `f.duplicate_of IS NULL AND f.sibling_of IS NULL AND f.site = $1 AND ($2 = '' OR f.device = $2)`
		newest = ` ORDER BY f.site DESC, ` + sightingTime + ` DESC LIMIT `
	)
	vs, err := list(ctx, l.db.Read(), scanCountView, countViewQuery+`WHERE `+ofSite+` AND q.paddocks LIKE '[{%' AND `+
		sightingTime+` >= COALESCE((SELECT `+sightingTime+` FROM footage f WHERE `+ofSite+newest+`1 OFFSET $3), $4)`+newest+`$5`,
		site, in.Device, perSighting*most, int64(math.MinInt64), most)
	if err != nil {
		return nil, fmt.Errorf("counts in the paddocks of site %.64s: %w", site, err)
	}
	var out []PaddockSighting
	seen := map[string][]string{} // the flights of each paddock
	for _, v := range vs {
		for _, p := range v.Spread.Paddocks {
			flights, flight := seen[p.Name], v.Footage.Flight
			if p.Animals == nil || p.Low == nil || p.High == nil || len(flights) >= each ||
				flight != "" && slices.Contains(flights, flight) {
				continue
			}
			seen[p.Name] = append(flights, flight)
			out = append(out, PaddockSighting{Footage: v.Footage, Counted: v.At, PaddockCount: p})
		}
	}
	return out, nil
}

// Count returns the number of sightings of a site within a scope, from a time on.
func (l *Sites) Count(ctx context.Context, site string, in Scope, from time.Time) (int, error) {
	if !in.hasSite(site) {
		return 0, nil
	}
	var n int
	if err := l.db.Read().QueryRowContext(ctx, `SELECT COUNT(*)`+sightings, site, in.Device, microsFrom(from)).
		Scan(&n); err != nil {
		return 0, fmt.Errorf("counts of site %s: %w", site, database.Classify(err))
	}
	return n, nil
}

// History returns the newest sightings within a scope of all sites, or of one, from a time on, the newest first, at
// most limit.
func (l *Sites) History(ctx context.Context, site string, in Scope, from time.Time, limit int) ([]Sighting, error) {
	names := []string{site}
	if site == "" {
		var err error
		if names, err = l.Names(ctx, maxSites); err != nil {
			return nil, err
		}
	}
	var all []Sighting
	for _, name := range names {
		some, err := l.Newest(ctx, name, in, from, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		slices.SortStableFunc(all, func(a, b Sighting) int { return b.At.Compare(a.At) })
		all = all[:min(len(all), limit)]
	}
	return all, nil
}

// maxSites bounds the sites that one answer is about.
const maxSites = 1000

// microsFrom is the stored form of a time from which something is listed, 0 for the zero time.
func microsFrom(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
