package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

const (
	defaultPage = 50
	maxPage     = 1000
)

// bounds returns the limit and the number that entries must stay below.
func (p Page) bounds() (limit int, after int64, err error) {
	limit, after = p.Limit, math.MaxInt64
	if limit <= 0 {
		limit = defaultPage
	}
	if p.After != "" {
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil || after < 0 {
			return 0, 0, fmt.Errorf("page after %.40q: %w", p.After, ErrCursor)
		}
	}
	return min(limit, maxPage), after, nil
}

// cut shortens a list that was read one entry too long and names the next page.
func cut[T any](all []T, limit int, at func(T) int64) ([]T, string) {
	if len(all) <= limit {
		return all, ""
	}
	return all[:limit], strconv.FormatInt(at(all[limit-1]), 10)
}

type bornJob struct {
	JobView
	born int64
}

var jobViewQuery = `SELECT ` + prefixed("j", jobColumns) + `, ` + prefixed("f", footageColumns) + ` FROM job j JOIN footage f ON f.id = j.footage `

func scanJobView(rows *sql.Rows) (bornJob, error) {
	var j jobRow
	var f footageRow
	var v bornJob
	if err := rows.Scan(append(j.dest(), f.dest()...)...); err != nil {
		return v, err
	}
	var err error
	v.Job, v.born = j.value(), j.born.Int64
	v.Footage, err = f.value()
	return v, err
}

// ListJobs returns a page of the jobs in a state, or of all for "", newest
// first, and where the next one begins.
func (l *Ledger) ListJobs(ctx context.Context, s job.State, p Page) ([]JobView, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	where, args := `WHERE j.born < $2`, []any{limit + 1, after}
	if s != "" {
		where, args = where+` AND j.state = $3`, append(args, s)
	}
	vs, err := list(ctx, l.db.Read(), scanJobView, jobViewQuery+where+` ORDER BY j.born DESC LIMIT $1`, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list jobs: %w", err)
	}
	vs, next := cut(vs, limit, func(v bornJob) int64 { return v.born })
	return jobViews(vs), next, nil
}

func jobViews(vs []bornJob) []JobView {
	out := make([]JobView, len(vs))
	for i := range vs {
		out[i] = vs[i].JobView
	}
	return out
}

var countViewQuery = `SELECT ` + prefixed("c", countColumns) + `, ` + prefixed("f", footageColumns) + ` FROM animal_count c JOIN footage f ON f.id = c.footage `

func scanCountView(rows *sql.Rows) (CountView, error) {
	var c countRow
	var f footageRow
	var v CountView
	if err := rows.Scan(append(c.dest(), f.dest()...)...); err != nil {
		return v, err
	}
	var err error
	if v.Count, err = c.value(); err != nil {
		return v, err
	}
	v.Footage, err = f.value()
	return v, err
}

// Count returns the count of a footage; for a duplicate, that of its original.
func (l *Ledger) Count(ctx context.Context, id footage.ID) (Count, error) {
	vs, err := list(ctx, l.db.Read(), scanCountView,
		countViewQuery+`WHERE c.footage = (SELECT COALESCE(duplicate_of, id) FROM footage WHERE id = $1)`, id)
	if err == nil && len(vs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Count{}, fmt.Errorf("count of footage %s: %w", id, err)
	}
	return vs[0].Count, nil
}

// ListCounts returns a page of counts, newest first, and where the next one begins.
func (l *Ledger) ListCounts(ctx context.Context, p Page) ([]CountView, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	vs, err := list(ctx, l.db.Read(), scanCountView, countViewQuery+`WHERE c.seq < $1 ORDER BY c.seq DESC LIMIT $2`, after, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list counts: %w", err)
	}
	vs, next := cut(vs, limit, func(v CountView) int64 { return v.Seq })
	return vs, next, nil
}

// ChangedJobs returns the jobs whose Seq is above afterSeq, in the order of
// their Seq, at most limit. A job that changed twice shows once, as it is now.
func (l *Ledger) ChangedJobs(ctx context.Context, afterSeq int64, limit int) ([]JobView, error) {
	vs, err := list(ctx, l.db.Read(), scanJobView, jobViewQuery+`WHERE j.seq > $1 ORDER BY j.seq LIMIT $2`, afterSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("changed jobs: %w", err)
	}
	return jobViews(vs), nil
}

// ChangedCounts is ChangedJobs for counts.
func (l *Ledger) ChangedCounts(ctx context.Context, afterSeq int64, limit int) ([]CountView, error) {
	vs, err := list(ctx, l.db.Read(), scanCountView, countViewQuery+`WHERE c.seq > $1 ORDER BY c.seq LIMIT $2`, afterSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("changed counts: %w", err)
	}
	return vs, nil
}

// ChangedFootage is ChangedJobs for footage.
func (l *Ledger) ChangedFootage(ctx context.Context, afterSeq int64, limit int) ([]Footage, error) {
	fs, err := list(ctx, l.db.Read(), scanFootage, `SELECT `+footageColumns+` FROM footage WHERE seq > $1 ORDER BY seq LIMIT $2`, afterSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("changed footage: %w", err)
	}
	return fs, nil
}

// Cursor returns how far a named reader of changes has come, 0 for a new one.
func (l *Ledger) Cursor(ctx context.Context, name string) (int64, error) {
	var seq int64
	err := l.db.Read().QueryRowContext(ctx, `SELECT seq FROM change_cursor WHERE name = $1`, name).Scan(&seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("cursor %s: %w", name, database.Classify(err))
	}
	return seq, nil
}

// SetCursor notes how far a named reader of changes has come. It never goes back.
func (l *Ledger) SetCursor(ctx context.Context, name string, seq int64) error {
	return l.write(ctx, "set cursor "+name, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO change_cursor (name, seq) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > change_cursor.seq`, name, seq)
		return err
	})
}

// Unqueued returns jobs in state uploaded, oldest first: their message was
// never sent, or nobody noted that it was.
func (l *Ledger) Unqueued(ctx context.Context, limit int) ([]Job, error) {
	js, err := list(ctx, l.db.Read(), scanJob, `SELECT `+jobColumns+` FROM job WHERE state = $1 ORDER BY born LIMIT $2`, job.Uploaded, limit)
	if err != nil {
		return nil, fmt.Errorf("unqueued jobs: %w", err)
	}
	return js, nil
}

// Idle returns jobs in a state that were not written since before, in the order
// of their ids above afterID: what the reconciler compares with the queue.
func (l *Ledger) Idle(ctx context.Context, s job.State, before time.Time, afterID string, limit int) ([]Job, error) {
	js, err := list(ctx, l.db.Read(), scanJob, `SELECT `+jobColumns+` FROM job
		WHERE state = $1 AND updated < $2 AND id > $3 ORDER BY id LIMIT $4`, s, before.UnixMicro(), afterID, limit)
	if err != nil {
		return nil, fmt.Errorf("idle jobs: %w", err)
	}
	return js, nil
}

func scanJob(rows *sql.Rows) (Job, error) {
	var r jobRow
	err := rows.Scan(r.dest()...)
	return r.value(), err
}
