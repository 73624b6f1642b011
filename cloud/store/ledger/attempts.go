package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// Outcomes of an attempt. Any other outcome is the state in which the attempt left the
// job: done, failed, queued (released), poisoned or canceled.
const (
	OutcomeOpen = ""     // it runs, or its worker died and no other worker has the job yet
	OutcomeLost = "lost" // another worker took over the job
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
	Reason  string // why it did not end in done
}

// recordAttempt ends and begins attempts in the table as the change of a job demands.
func (l *tables) recordAttempt(ctx context.Context, tx *sql.Tx, was, j Job) error {
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
		_, err := tx.ExecContext(ctx, `UPDATE attempt SET ended = $1, outcome = $2, reason = $3
			WHERE job = $4 AND ended IS NULL`,
			micros(j.Updated), outcome, reason, j.ID)
		if err != nil {
			return err
		}
	}
	if !begun {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO attempt (job, n, fence, worker, began, ended, outcome, reason)
		VALUES ($1, $2, $3, $4, $5, NULL, $6, '')`,
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
		a.Began, a.Ended, a.Reason = fromMicros(began), timePointer(ended), faulttext.WithoutFolders(a.Reason)
		return a, err
	}, `SELECT job, n, fence, worker, began, ended, outcome, reason FROM attempt
		WHERE job = $1 ORDER BY fence DESC LIMIT $2`, jobID, limit)
	if err != nil {
		return nil, fmt.Errorf("attempts at job %s: %w", jobID, err)
	}
	return as, nil
}

// Begin leases and starts the job for a worker. It also takes over the job of a worker
// that died. From now on only writes with the returned Fence succeed. For a job that has
// ended it fails with job.ErrTransition: delete the job's message.
func (l *Attempts) Begin(ctx context.Context, jobID, worker string) (Job, Footage, error) {
	var f Footage
	j, err := l.updateJob(ctx, "begin", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		if err := j.apply(job.Lease); err != nil {
			return err
		}
		if err := j.apply(job.Start); err != nil {
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

// UpdateProgress stores the progress of the attempt and returns the job. Percent never
// decreases within an attempt. It fails with ErrFenced when the lease is lost, also after
// Cancel.
func (l *Attempts) UpdateProgress(ctx context.Context, jobID string, fence int64, p job.Progress) (Job, error) {
	return l.updateJob(ctx, "progress of", jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
		if err := j.checkFence(fence); err != nil {
			return err
		}
		p.Percent = max(j.Progress.Percent, clamp(p.Percent, 100))
		p.FPS = clamp(p.FPS, math.MaxFloat64)
		if p.ETASeconds != nil && clamp(*p.ETASeconds, math.MaxFloat64) != *p.ETASeconds {
			p.ETASeconds = nil
		}
		// The numbers of frames come from the file, which may be wrong.
		p.FramesDone, p.FramesTotal = min(p.FramesDone, math.MaxInt32), min(p.FramesTotal, math.MaxInt32)
		j.Progress = p
		return nil
	})
}

// clamp limits x to 0..high. Not-a-number becomes 0.
func clamp(x, high float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, high)
}

// Finish stores the count, ends the job as done and returns it. A repeat with the same
// fence changes nothing and also returns the job.
func (l *Attempts) Finish(ctx context.Context, jobID string, fence int64, c Count, resultKey string) (Job, error) {
	return l.updateJob(ctx, "finish", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		if j.endedBy(job.Done, fence) {
			return errUnchanged
		}
		if err := j.finish(fence, c, resultKey); err != nil {
			return err
		}
		c.Footage, c.Job = j.Footage, j.ID
		return l.putCount(ctx, tx, c)
	})
}

// finish ends the job as done.
func (j *Job) finish(fence int64, c Count, resultKey string) error {
	if err := j.checkFence(fence); err != nil {
		return err
	}
	if err := j.apply(job.Finish); err != nil {
		return err
	}
	j.ResultKey, j.Reason, j.Model = resultKey, "", wire.ModelRef{}
	j.Progress.Percent, j.Progress.ETASeconds, j.Progress.Count = 100, nil, c.Unique
	return nil
}

// Fail ends the job as failed, because another attempt would fail, too. A repeat with
// the same fence changes nothing.
func (l *Attempts) Fail(ctx context.Context, jobID string, fence int64, reason string) (Job, error) {
	return l.endAttempt(ctx, "fail", jobID, fence, job.Fail, job.Failed, reason)
}

// Release gives up the lease without a result. The job is queued again. A repeat with the
// same fence changes nothing.
func (l *Attempts) Release(ctx context.Context, jobID string, fence int64, reason string) (Job, error) {
	return l.endAttempt(ctx, "release", jobID, fence, job.Release, job.Queued, reason)
}

func (l *tables) endAttempt(ctx context.Context, action, jobID string, fence int64, e job.Event, to job.State,
	reason string) (Job, error) {
	return l.updateJob(ctx, action, jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
		if j.endedBy(to, fence) {
			return errUnchanged
		}
		if err := j.checkFence(fence); err != nil {
			return err
		}
		// Begin never leaves a job in state leased, but another program may. Such a job
		// starts before it fails.
		if j.State == job.Leased && e == job.Fail {
			if err := j.apply(job.Start); err != nil {
				return err
			}
		}
		j.Reason, j.Progress.ETASeconds = clean(faulttext.WithoutFolders(reason)), nil
		return j.apply(e)
	})
}
