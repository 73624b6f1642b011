package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
)

// LogState is the state of the flight log of a piece of footage.
type LogState string

// States of a flight log. They are stored, so their text must not change.
const (
	LogOK         LogState = "ok"
	LogNoFix      LogState = "no_fix"       // it is a flight log, and no record has a position
	LogUnreadable LogState = "unreadable"   // it is no flight log
	LogDoesNotFit LogState = "does_not_fit" // it is that of another recording
	LogMissing    LogState = "missing"      // there is none
)

// FlightLog is what was found in the flight log of a piece of footage.
type FlightLog struct {
	State   LogState
	Dialect string // the form of the log, "" when it could not be read
	Fixes   int    // records with a position
	Why     string // why the state is not LogOK, for a person; with the line where there is one
}

// Ground is what is known of where and when a piece of footage was recorded.
type Ground struct {
	Log FlightLog
	// Taken is when it was recorded by its log, zero when the log does not tell. CapturedFrom says where the time of the
	// footage comes from, and Zone how local time became UTC.
	Taken        time.Time
	CapturedFrom string
	Zone         string
	Spread
	Places    []Place          // animals with a position
	Footprint [][][][2]float64 // the seen ground, as the coordinates of a GeoJSON MultiPolygon
}

// Spread is how the animals of a count lie in the paddocks of its site.
type Spread struct {
	Way     string // how positions were found, see report.Place; "" before the count was placed
	Placed  int    // animals with a position
	Borders int64  // version of the paddocks, 0 for a site without paddocks
	// Paddocks are those of which something was seen, or that are near to an animal, in the order of their file.
	Paddocks []PaddockCount
}

// PaddockCount is the animals of a count in one paddock.
type PaddockCount struct {
	Name    string  `json:"name"`
	Animals *int    `json:"animals"` // nil when nothing was placed there
	Low     *int    `json:"low"`     // 95 % interval
	High    *int    `json:"high"`
	Border  int     `json:"border"` // of them may be outside
	Near    int     `json:"near"`   // animals outside may be inside
	Area    float64 `json:"area_m2"`
	Seen    float64 `json:"seen"` // share of the paddock, 0 to 1
}

// Place is where an animal of a count was.
type Place struct {
	ID      int     `json:"id"`
	Class   string  `json:"class"`
	Lat     float64 `json:"lat"`
	Lon     float64 `json:"lon"`
	Radius  float64 `json:"r"` // metres, 95 %
	Seconds float64 `json:"s"` // of the clip
	// Paddocks are the names of those that it was in.
	Paddocks []string `json:"in,omitempty"`
}

// DueGround is footage whose ground has to be worked out. Mark tells whether it became due again meanwhile.
type DueGround struct {
	Footage footage.ID
	Mark    int64
}

// Grounds are where and when footage was recorded. Footage is due when its flight log arrives, when it is counted and when
// the paddocks of its site change. Duplicates have the ground of their original.
type Grounds struct{ *tables }

// markDue has the ground of a piece of footage worked out again.
func markDue(ctx context.Context, tx *sql.Tx, id footage.ID) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO ground (footage, mark, done) VALUES ($1, 1, 0)
		ON CONFLICT (footage) DO UPDATE SET mark = ground.mark + 1`, id)
	return err
}

// ListDue returns at most limit pieces of footage that are due, by id above after.
func (l *Grounds) ListDue(ctx context.Context, after footage.ID, limit int) ([]DueGround, error) {
	ds, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (d DueGround, err error) {
		err = rows.Scan(&d.Footage, &d.Mark)
		return d, err
	}, `SELECT footage, mark FROM ground WHERE done < mark AND footage > $1 ORDER BY footage LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("due ground: %w", err)
	}
	return ds, nil
}

// Put stores what was worked out for d. When d became due again meanwhile it stays due. The footage gets a new Seq, and so
// do its duplicates, when something has changed that readers see.
func (l *Grounds) Put(ctx context.Context, d DueGround, g Ground) error {
	return l.write(ctx, "ground of "+string(d.Footage), func(ctx context.Context, tx *sql.Tx) error {
		before, err := getGround(ctx, tx, d.Footage)
		if err != nil {
			return err
		}
		f, err := getFootage(ctx, tx, `id = $1`, d.Footage)
		if err != nil {
			return err
		}
		taken := g.Taken
		if taken.IsZero() {
			taken = f.Captured
		}
		g.Log.Why, g.Log.Dialect = clean(g.Log.Why), clean(g.Log.Dialect)
		if _, err := tx.ExecContext(ctx, `UPDATE ground SET log_state = $1, dialect = $2, fixes = $3, why = $4,
				captured_from = $5, zone = $6, done = CASE WHEN done < $7 THEN $8 ELSE done END WHERE footage = $9`,
			g.Log.State, g.Log.Dialect, g.Log.Fixes, g.Log.Why, g.CapturedFrom, g.Zone, d.Mark, d.Mark, d.Footage); err != nil {
			return err
		}
		if err := errors.Join(putSpread(ctx, tx, f, before, g), putTiles(ctx, tx, f, g)); err != nil {
			return err
		}
		if before.Log == g.Log && before.CapturedFrom == g.CapturedFrom && before.Zone == g.Zone && f.Taken.Equal(taken) {
			return nil
		}
		same, err := list(ctx, tx, scanFootage, `SELECT `+footageColumns+` FROM footage WHERE id = $1 OR duplicate_of = $2`,
			d.Footage, d.Footage)
		if err != nil {
			return err
		}
		for _, f := range same {
			seq, err := nextSeq(ctx, tx)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE footage SET taken = $1, seq = $2 WHERE id = $3`, micros(taken), seq,
				f.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// Get returns the ground of a piece of footage; ErrNotFound for footage that has none, such as a duplicate. Taken is that
// of the footage.
func (l *Grounds) Get(ctx context.Context, id footage.ID) (Ground, error) {
	g, err := getGround(ctx, l.db.Read(), id)
	if err != nil {
		return g, fmt.Errorf("ground of footage %s: %w", id, database.Classify(err))
	}
	return g, nil
}

// ListPlaced returns one place of each of at most limit counts of a site, the latest first.
func (l *Grounds) ListPlaced(ctx context.Context, site string, limit int) ([]Place, error) {
	ps, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (p Place, err error) {
		var text string
		if err = rows.Scan(&text); err != nil {
			return p, err
		}
		for first := range eachPlace(text) {
			err = json.Unmarshal([]byte(first), &p)
			break
		}
		return p, err
	}, `SELECT g.places FROM ground g JOIN footage f ON f.id = g.footage WHERE f.site = $1 AND g.placed > 0
		ORDER BY f.born DESC LIMIT $2`, site, limit)
	if err != nil {
		return nil, fmt.Errorf("places of site %.64s: %w", site, err)
	}
	return ps, nil
}

// putSpread stores where the animals of a count are. The count gets a new Seq when its paddocks are others than before.
func putSpread(ctx context.Context, tx *sql.Tx, f Footage, before, g Ground) error {
	var texts [3]string
	for i, v := range []any{g.Places, g.Footprint, g.Paddocks} {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		texts[i] = string(b)
	}
	if g.Way == "" {
		texts = [3]string{}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE ground SET way = $1, placed = $2, places = $3, footprint = $4, borders = $5,
			paddocks = $6 WHERE footage = $7`, g.Way, g.Placed, texts[0], texts[1], g.Borders, clean(texts[2]), f.ID); err != nil {
		return err
	}
	if err := putPaddocks(ctx, tx, f, g.Paddocks); err != nil {
		return err
	}
	old, err := json.Marshal(before.Paddocks)
	if err != nil || string(old) == texts[2] || len(before.Paddocks)+len(g.Paddocks) == 0 {
		return err
	}
	seq, err := nextSeq(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE animal_count SET seq = $1 WHERE footage = $2`, seq, f.ID)
	return err
}

// putPaddocks indexes the paddocks in which animals could be placed, so that lists find their footage.
func putPaddocks(ctx context.Context, tx *sql.Tx, f Footage, list []PaddockCount) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM spread WHERE footage = $1`, f.ID); err != nil {
		return err
	}
	for _, p := range list {
		if p.Animals == nil {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO spread (footage, paddock, born) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, f.ID, clean(p.Name), f.Born); err != nil {
			return err
		}
	}
	return nil
}

// NumberSpread gives what older programs placed in a paddock the number of its footage, without which the history of that
// paddock leaves it out, and returns how much it was. They do so until the last one is replaced.
func (l *Grounds) NumberSpread(ctx context.Context) (n int64, err error) {
	// The paddocks come one by one from their index, and from each only what has no number.
	const next = `SELECT MIN(paddock) FROM spread`
	err = l.write(ctx, "numbers of paddocks", func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `WITH RECURSIVE p(paddock) AS (`+next+` UNION ALL SELECT (`+next+` WHERE paddock > p.paddock)
				FROM p WHERE p.paddock IS NOT NULL)
			UPDATE spread SET born = (SELECT f.born FROM footage f WHERE f.id = spread.footage)
			WHERE born = 0 AND paddock IN (SELECT paddock FROM p)`)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// spreadColumns are the part of a ground that a count shows.
const spreadColumns = `way, placed, borders, paddocks`

// spreadRow is a row of spreadColumns, from the right side of a LEFT JOIN.
type spreadRow struct {
	way, paddocks   sql.NullString
	placed, borders sql.NullInt64
}

func (r *spreadRow) dest() []any { return []any{&r.way, &r.placed, &r.borders, &r.paddocks} }

func (r *spreadRow) value() (Spread, error) {
	s := Spread{Way: r.way.String, Placed: int(r.placed.Int64), Borders: r.borders.Int64}
	if r.paddocks.String == "" {
		return s, nil
	}
	return s, json.Unmarshal([]byte(r.paddocks.String), &s.Paddocks)
}

const logColumns = `log_state, dialect, fixes, why, captured_from, zone`

// logRow is a row of logColumns, from the right side of a LEFT JOIN.
type logRow struct {
	state, dialect, why, from, zone sql.NullString
	fixes                           sql.NullInt64
}

func (r *logRow) dest() []any {
	return []any{&r.state, &r.dialect, &r.fixes, &r.why, &r.from, &r.zone}
}

func (r *logRow) value() Ground {
	return Ground{Log: FlightLog{State: LogState(r.state.String), Dialect: r.dialect.String, Fixes: int(r.fixes.Int64),
		Why: r.why.String}, CapturedFrom: r.from.String, Zone: r.zone.String}
}

func getGround(ctx context.Context, q querier, id footage.ID) (Ground, error) {
	var r logRow
	var spread spreadRow
	var places, footprint string
	if err := q.QueryRowContext(ctx, `SELECT `+logColumns+`, `+spreadColumns+`, places, footprint FROM ground
		WHERE footage = $1`, id).Scan(slices.Concat(r.dest(), spread.dest(), []any{&places, &footprint})...); err != nil {
		return Ground{}, notFound(err)
	}
	g := r.value()
	var err error
	if g.Spread, err = spread.value(); err == nil && places != "" {
		err = errors.Join(json.Unmarshal([]byte(places), &g.Places), json.Unmarshal([]byte(footprint), &g.Footprint))
	}
	if err != nil {
		return g, fmt.Errorf("ground of footage %s: %w", id, err)
	}
	return g, nil
}
