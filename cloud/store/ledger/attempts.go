package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
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
func (l *tables) noteAttempt(ctx context.Context, tx *sql.Tx, was, j Job) error {
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

// Attempts is what a worker does with a job: it begins an attempt, reports its
// progress and ends it. All writes but Begin carry the fence that Begin returned.
type Attempts struct{ *tables }

// List returns the attempts at a job, newest first, at most limit.
func (l *Attempts) List(ctx context.Context, jobID string, limit int) ([]Attempt, error) {
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

// Begin takes the job for a worker: lease and start in one step, also over a
// lease whose holder is gone. From now on only the returned Fence can write.
// An ended job fails with job.ErrTransition: delete its message.
func (l *Attempts) Begin(ctx context.Context, jobID, worker string) (Job, Footage, error) {
	var f Footage
	j, err := l.change(ctx, "begin", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		if err := j.move(job.Lease); err != nil {
			return err
		}
		if err := j.move(job.Start); err != nil {
			return err
		}
		j.Fence++
		j.Attempt++
		j.Worker, j.Reason, j.Progress = worker, "", job.Progress{}
		var err error
		f, err = getFootage(ctx, tx, `id = $1`, j.Footage)
		return err
	})
	if err != nil {
		return Job{}, Footage{}, err
	}
	return j, f, nil
}

// UpdateProgress records how far the attempt is and returns the job as it is then.
// Percent never falls within an attempt, whatever p says. It fails with ErrFenced when
// the lease is lost, also by Cancel.
func (l *Attempts) UpdateProgress(ctx context.Context, jobID string, fence int64, p job.Progress) (Job, error) {
	return l.change(ctx, "progress of", jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
		if err := j.held(fence); err != nil {
			return err
		}
		p.Percent = max(j.Progress.Percent, clamp(p.Percent, 100))
		p.FPS = clamp(p.FPS, math.MaxFloat64)
		if p.ETASeconds != nil && clamp(*p.ETASeconds, math.MaxFloat64) != *p.ETASeconds {
			p.ETASeconds = nil
		}
		// Frames come from the file, which may say anything.
		p.FramesDone, p.FramesTotal = min(p.FramesDone, math.MaxInt32), min(p.FramesTotal, math.MaxInt32)
		j.Progress = p
		return nil
	})
}

// clamp brings x into 0..high; not-a-number becomes 0.
func clamp(x, high float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, high)
}

// Finish records the count, ends the job as done and returns it. Repeating it with
// the same fence changes nothing and returns the job as well.
func (l *Attempts) Finish(ctx context.Context, jobID string, fence int64, c Count, resultKey string) (Job, error) {
	return l.change(ctx, "finish", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		if j.ended(job.Done, fence) {
			return errUnchanged
		}
		if err := j.held(fence); err != nil {
			return err
		}
		if err := j.move(job.Finish); err != nil {
			return err
		}
		j.ResultKey, j.Reason = resultKey, ""
		j.Progress.Percent, j.Progress.ETASeconds, j.Progress.Count = 100, nil, c.Unique
		c.Footage, c.Job = j.Footage, j.ID
		return l.putCount(ctx, tx, c)
	})
}

// Fail ends the job as failed: trying again cannot mend it. Repeating it with
// the same fence changes nothing.
func (l *Attempts) Fail(ctx context.Context, jobID string, fence int64, reason string) (Job, error) {
	return l.giveUp(ctx, "fail", jobID, fence, job.Fail, job.Failed, reason)
}

// Release gives the lease back undone; the job waits in the queue again.
// Repeating it with the same fence changes nothing.
func (l *Attempts) Release(ctx context.Context, jobID string, fence int64, reason string) (Job, error) {
	return l.giveUp(ctx, "release", jobID, fence, job.Release, job.Queued, reason)
}

func (l *tables) giveUp(ctx context.Context, deed, jobID string, fence int64, e job.Event, to job.State, reason string) (Job, error) {
	return l.change(ctx, deed, jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
		if j.ended(to, fence) {
			return errUnchanged
		}
		if err := j.held(fence); err != nil {
			return err
		}
		// The ledger never shows leased by itself (Begin goes on to processing),
		// but a row of another program may: it starts before it ends.
		if j.State == job.Leased && e == job.Fail {
			if err := j.move(job.Start); err != nil {
				return err
			}
		}
		j.Reason, j.Progress.ETASeconds = clean(reason), nil
		return j.move(e)
	})
}
