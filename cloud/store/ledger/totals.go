package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/job"
)

// Names of totals. The totals of jobs are named jobTotal and the state.
const (
	totalFootage    = "footage"
	totalDuplicates = "duplicates"
	totalBytes      = "bytes" // of the originals
	totalCounts     = "counts"
	totalAnimals    = "animals"
	jobTotal        = "job."
)

// addTotal changes a total in the transaction that changes the rows that it sums up.
func addTotal(ctx context.Context, tx *sql.Tx, name string, n int64) error {
	if n == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO total (name, n) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET n = total.n + excluded.n`, name, n)
	return err
}

// countState updates the totals of jobs when a job changes its state. from is "" for a
// new job.
func countState(ctx context.Context, tx *sql.Tx, from, to job.State) error {
	if from == to {
		return nil
	}
	if from != "" {
		if err := addTotal(ctx, tx, jobTotal+string(from), -1); err != nil {
			return err
		}
	}
	return addTotal(ctx, tx, jobTotal+string(to), 1)
}

// StatsAt returns the totals within a scope, computed from the tables.
func (l *Totals) StatsAt(ctx context.Context, in Scope) (Stats, error) {
	if in.All() {
		return l.Stats(ctx)
	}
	at, args := in.Sites.where("site", nil)
	if in.Device != "" {
		args = append(args, in.Device)
		at += fmt.Sprintf(" AND device = $%d", len(args))
	}
	query := strings.NewReplacer("FROM footage WHERE", "FROM own_footage WHERE", "FROM footage\n", "FROM own_footage\n",
		"JOIN footage f", "JOIN own_footage f", "FROM flight)", "FROM own_flight)", "FROM job GROUP",
		"FROM job WHERE footage IN (SELECT id FROM own_footage) GROUP").Replace(recount)
	query = `WITH own_footage AS (SELECT * FROM footage WHERE 1 = 1` + at + `), own_flight AS (SELECT * FROM flight
		WHERE 1 = 1` + at + `) ` + query
	return l.stats(ctx, query, args, `SELECT COUNT(*) FROM upload WHERE finished IS NULL`+at)
}

// recount computes the totals from the tables.
const recount = `SELECT 'footage' AS name, COUNT(*) AS n FROM footage
	UNION ALL SELECT 'duplicates', COUNT(duplicate_of) FROM footage
	UNION ALL SELECT 'bytes', CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM footage WHERE duplicate_of IS NULL
	UNION ALL SELECT 'counts', COUNT(*) FROM animal_count c JOIN footage f ON f.id = c.footage AND f.sibling_of IS NULL
	UNION ALL SELECT 'animals', CAST(COALESCE(SUM(animals), 0) AS BIGINT) FROM (
		SELECT animals FROM animal_count c JOIN footage f
			ON f.id = c.footage AND f.sibling_of IS NULL AND f.flight IS NULL
		UNION ALL SELECT animals FROM flight) AS once
	UNION ALL SELECT 'job.' || state, COUNT(*) FROM job GROUP BY state`

// Totals are sums over the whole ledger.
type Totals struct{ *tables }

// Recount computes the totals again from the tables. This is needed after a program wrote
// that does not update them, such as an older version that ran at the same time.
func (l *Totals) Recount(ctx context.Context) error {
	return l.write(ctx, "recount", func(ctx context.Context, tx *sql.Tx) error {
		for _, q := range []string{`DELETE FROM total`, `INSERT INTO total (name, n) ` + recount} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// Stats returns the totals of the ledger.
func (l *Totals) Stats(ctx context.Context) (Stats, error) {
	return l.stats(ctx, `SELECT name, n FROM total`, nil, `SELECT COUNT(*) FROM upload WHERE finished IS NULL`)
}

func (l *Totals) stats(ctx context.Context, query string, args []any, uploads string) (Stats, error) {
	s := Stats{Jobs: map[job.State]int{}}
	type total struct {
		name string
		n    int64
	}
	totals, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (v total, err error) {
		err = rows.Scan(&v.name, &v.n)
		return v, err
	}, query, args...)
	if err == nil {
		err = database.Classify(l.db.Read().QueryRowContext(ctx, uploads, args...).Scan(&s.Uploads))
	}
	if err != nil {
		return Stats{}, fmt.Errorf("statistics: %w", err)
	}
	for _, v := range totals {
		state, isJob := strings.CutPrefix(v.name, jobTotal)
		switch {
		case isJob && v.n != 0:
			s.Jobs[job.State(state)] = int(v.n)
		case v.name == totalFootage:
			s.Footage = int(v.n)
		case v.name == totalDuplicates:
			s.Duplicates = int(v.n)
		case v.name == totalBytes:
			s.Bytes = v.n
		case v.name == totalCounts:
			s.Counts = int(v.n)
		case v.name == totalAnimals:
			s.Animals = v.n
		}
	}
	return s, nil
}
