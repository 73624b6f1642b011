package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"cattlecounter/shared/job"
)

// Outcomes of an attempt. The others are the state in which it left the job: done,
// failed, queued (given back), poisoned or canceled.
const (
	OutcomeOpen = ""     // it is under way, or its worker is gone and nobody has noticed
	OutcomeLost = "lost" // another worker took the job over
)

// Attempt is one lease of a job.
type Attempt struct {
	Job     string
	N       int // from 1 on
	Fence   int64
	Worker  string
	Began   time.Time
	Ended   *time.Time
	Outcome string
	Reason  string // of one that did not end in done
}

// noteAttempt keeps the book of attempts for a job that was changed.
func (l *Ledger) noteAttempt(ctx context.Context, tx *sql.Tx, was, j Job) error {
	held := func(s job.State) bool { return s == job.Leased || s == job.Processing }
	begun := held(j.State) && j.Fence != was.Fence
	if !begun && (!held(was.State) || held(j.State)) {
		return nil
	}
	outcome, reason := string(j.State), j.Reason
	if begun {
		outcome, reason = OutcomeLost, ""
	}
	if held(was.State) {
		_, err := tx.ExecContext(ctx, `UPDATE attempt SET ended = $1, outcome = $2, reason = $3 WHERE job = $4 AND ended IS NULL`,
			micros(j.Updated), outcome, reason, j.ID)
		if err != nil {
			return err
		}
	}
	if !begun {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO attempt (job, n, fence, worker, began, ended, outcome, reason) VALUES ($1, $2, $3, $4, $5, NULL, $6, '')`,
		j.ID, j.Attempt, j.Fence, j.Worker, micros(j.Updated), OutcomeOpen)
	return err
}

// Attempts returns the attempts at a job, newest first, at most limit.
func (l *Ledger) Attempts(ctx context.Context, jobID string, limit int) ([]Attempt, error) {
	as, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (a Attempt, err error) {
		var began, ended sql.NullInt64
		err = rows.Scan(&a.Job, &a.N, &a.Fence, &a.Worker, &began, &ended, &a.Outcome, &a.Reason)
		a.Began, a.Ended = fromMicros(began), pointer(ended)
		return a, err
	}, `SELECT job, n, fence, worker, began, ended, outcome, reason FROM attempt WHERE job = $1 ORDER BY fence DESC LIMIT $2`, jobID, limit)
	if err != nil {
		return nil, fmt.Errorf("attempts at job %s: %w", jobID, err)
	}
	return as, nil
}
