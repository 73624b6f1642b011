package ledger

import (
	"context"
	"database/sql"
	"fmt"
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
	if err := q.QueryRowContext(ctx, `SELECT `+logColumns+` FROM ground WHERE footage = $1`, id).Scan(r.dest()...); err != nil {
		return Ground{}, notFound(err)
	}
	return r.value(), nil
}
