package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/job"
)

// Work is what workers do and what waits for them.
type Work struct{ *tables }

// Backlog is how much work there is.
type Backlog struct {
	Waiting int       // jobs in state uploaded or queued
	Held    int       // jobs in state leased or processing
	Oldest  time.Time // since when the oldest waiting job waits; zero without one
}

// HeldJob is a job with its footage, and when its attempt began. Began is zero for a job that no worker has.
type HeldJob struct {
	JobView
	Began time.Time
}

// Idle is a worker that has ended an attempt.
type Idle struct {
	Worker string
	Since  time.Time // the end of its last attempt
}

// Backlog returns how much work there is for the footage of a scope.
func (l *Work) Backlog(ctx context.Context, in Scope) (Backlog, error) {
	var b Backlog
	type row struct {
		state  job.State
		n      int
		oldest sql.NullInt64
	}
	from, args := ` FROM job j`, []any{job.Uploaded, job.Queued, job.Leased, job.Processing}
	where := ` WHERE j.state IN ($1, $2, $3, $4)`
	if !in.All() {
		from, where = from+` JOIN footage f ON f.id = j.footage`, where+` AND ($5 = '' OR f.device = $5)`
		var at string
		at, args = in.Sites.where("f.site", append(args, in.Device))
		where += at
	}
	all, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (r row, err error) {
		return r, rows.Scan(&r.state, &r.n, &r.oldest)
	}, `SELECT j.state, COUNT(*), MIN(j.updated)`+from+where+` GROUP BY j.state`, args...)
	if err != nil {
		return b, fmt.Errorf("backlog: %w", err)
	}
	for _, r := range all {
		if r.state == job.Leased || r.state == job.Processing {
			b.Held += r.n
			continue
		}
		b.Waiting += r.n
		if at := fromMicros(r.oldest); b.Oldest.IsZero() || at.Before(b.Oldest) {
			b.Oldest = at
		}
	}
	return b, nil
}

// Jobs returns the jobs in a state, at most limit: those of the highest priority first, and of one priority those that
// have been in the state for the longest time, or with newest those that came into it last. It is restricted to a scope.
func (l *Work) Jobs(ctx context.Context, s job.State, in Scope, newest bool, limit int) ([]HeldJob, error) {
	at, args := in.Sites.where("f.site", []any{s, in.Device, limit})
	order := ` ORDER BY j.priority DESC, j.updated`
	if newest {
		order += ` DESC`
	}
	scan := func(rows *sql.Rows) (h HeldJob, err error) {
		var j jobRow
		var f footageRow
		var began sql.NullInt64
		if err = rows.Scan(append(append(j.dest(), f.dest()...), &began)...); err != nil {
			return h, err
		}
		if h.Job, err = j.value(); err != nil {
			return h, err
		}
		h.Began = fromMicros(began)
		h.Footage, err = f.value()
		return h, err
	}
	all, err := list(ctx, l.db.Read(), scan, `SELECT `+prefixed("j", jobColumns)+`, `+prefixed("f", footageColumns)+
		`, a.began FROM job j JOIN footage f ON f.id = j.footage
		LEFT JOIN attempt a ON a.job = j.id AND a.fence = j.fence AND a.ended IS NULL
		WHERE j.state = $1 AND ($2 = '' OR f.device = $2)`+at+order+` LIMIT $3`, args...)
	if err != nil {
		return nil, fmt.Errorf("jobs in state %s: %w", s, err)
	}
	return all, nil
}

// Idle returns the workers that ended an attempt after a time, the last one first, at most limit. They may have another
// job by now.
func (l *Work) Idle(ctx context.Context, after time.Time, limit int) ([]Idle, error) {
	all, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (w Idle, err error) {
		var ended sql.NullInt64
		err = rows.Scan(&w.Worker, &ended)
		w.Since = fromMicros(ended)
		return w, err
	}, `SELECT worker, MAX(ended) AS last FROM attempt WHERE ended > $1
		GROUP BY worker ORDER BY last DESC, worker LIMIT $2`, after.UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("idle workers: %w", database.Classify(err))
	}
	return all, nil
}
