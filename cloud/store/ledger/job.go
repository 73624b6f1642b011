package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// change reads a job, lets f alter it and writes it back with a new Seq, on the
// condition that state and fence are what was read.
func (l *Ledger) change(ctx context.Context, deed, jobID string, f func(context.Context, *sql.Tx, *Job) error) (Job, error) {
	var j Job
	err := l.write(ctx, deed+" job "+jobID, func(ctx context.Context, tx *sql.Tx) error {
		var err error
		if j, err = getJob(ctx, tx, `id = $1`, jobID); err != nil {
			return err
		}
		was := j
		if err = f(ctx, tx, &j); err != nil {
			return err
		}
		if j.Seq, err = nextSeq(ctx, tx); err != nil {
			return err
		}
		j.Updated = l.now().UTC()
		p := j.Progress
		res, err := tx.ExecContext(ctx, `UPDATE job SET state = $1, attempt = $2, fence = $3, worker = $4, reason = $5, stage = $6,
			frames_done = $7, frames_total = $8, percent = $9, fps = $10, eta_seconds = $11, animals = $12, result_key = $13, updated = $14, seq = $15
			WHERE id = $16 AND state = $17 AND fence = $18`,
			j.State, j.Attempt, j.Fence, j.Worker, j.Reason, p.Stage,
			p.FramesDone, p.FramesTotal, p.Percent, p.FPS, p.ETASeconds, p.Count, j.ResultKey, micros(j.Updated), j.Seq,
			jobID, was.State, was.Fence)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, fmt.Errorf("moved on from %s meanwhile: %w", was.State, ErrFenced))
		}
		if err := l.noteAttempt(ctx, tx, was, j); err != nil {
			return err
		}
		return moved(ctx, tx, was.State, j.State)
	})
	if errors.Is(err, errUnchanged) {
		return j, nil
	}
	return j, err
}

// errUnchanged ends a change without a write: what was asked for is so already.
var errUnchanged = errors.New("unchanged")

// move applies one event of the table.
func (j *Job) move(e job.Event) error {
	next, err := job.Next(j.State, e)
	if err != nil {
		return err
	}
	j.State = next
	return nil
}

// held checks that the fence is the one of the present lease holder.
func (j *Job) held(fence int64) error {
	if j.Fence != fence || (j.State != job.Leased && j.State != job.Processing) {
		return fmt.Errorf("job is %s with fence %d, the caller's is %d: %w", j.State, j.Fence, fence, ErrFenced)
	}
	return nil
}

// ended reports whether the holder of fence has brought the job to state
// before: its call is a repeat.
func (j *Job) ended(s job.State, fence int64) bool { return j.State == s && j.Fence == fence }

// MarkQueued notes that the job's message is in the queue. A job that a worker
// has taken in the meantime, or that has ended, stays as it is: its message
// was there.
func (l *Ledger) MarkQueued(ctx context.Context, jobID string) error {
	_, err := l.change(ctx, "mark queued", jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
		if j.State != job.Uploaded {
			return errUnchanged
		}
		return j.move(job.Enqueue)
	})
	return err
}

// Begin takes the job for a worker: lease and start in one step, also over a
// lease whose holder is gone. From now on only the returned Fence can write.
// An ended job fails with job.ErrTransition: delete its message.
func (l *Ledger) Begin(ctx context.Context, jobID, worker string) (Job, Footage, error) {
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

// UpdateProgress notes how far the attempt is. Percent never falls within an
// attempt, whatever p says. It fails with ErrFenced when the lease is lost,
// also by Cancel.
func (l *Ledger) UpdateProgress(ctx context.Context, jobID string, fence int64, p job.Progress) error {
	_, err := l.change(ctx, "progress of", jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
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
	return err
}

// clamp brings x into 0..high; not-a-number becomes 0.
func clamp(x, high float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, high)
}

// Finish notes the count and ends the job as done. Repeating it with the same
// fence changes nothing.
func (l *Ledger) Finish(ctx context.Context, jobID string, fence int64, c Count, resultKey string) error {
	_, err := l.change(ctx, "finish", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
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
	return err
}

func (l *Ledger) putCount(ctx context.Context, tx *sql.Tx, c Count) error {
	if c.Unique < 0 || c.Low > c.Unique || c.High < c.Unique {
		return fmt.Errorf("count %d outside its interval %d..%d: %w", c.Unique, c.Low, c.High, ErrInvalid)
	}
	if c.ByClass == nil {
		c.ByClass = map[string]int{}
	}
	byClass, err := json.Marshal(c.ByClass)
	if err != nil {
		return err
	}
	if c.At.IsZero() {
		c.At = l.now()
	}
	if err := countTotals(ctx, tx, c); err != nil {
		return err
	}
	seq, err := nextSeq(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO animal_count (`+countColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (footage) DO UPDATE SET job = excluded.job, animals = excluded.animals, low = excluded.low, high = excluded.high,
			by_class = excluded.by_class, model = excluded.model, model_digest = excluded.model_digest, at = excluded.at, seq = excluded.seq`,
		c.Footage, c.Job, c.Unique, c.Low, c.High, string(byClass), c.Model, c.ModelDigest.String(), micros(c.At), seq)
	return err
}

// countTotals makes the totals right for a count that is new or goes over another.
func countTotals(ctx context.Context, tx *sql.Tx, c Count) error {
	var before int64
	err := tx.QueryRowContext(ctx, `SELECT animals FROM animal_count WHERE footage = $1`, c.Footage).Scan(&before)
	if errors.Is(err, sql.ErrNoRows) {
		err = add(ctx, tx, totalCounts, 1)
	}
	if err != nil {
		return err
	}
	return add(ctx, tx, totalAnimals, int64(c.Unique)-before)
}

// Fail ends the job as failed: trying again cannot mend it. Repeating it with
// the same fence changes nothing.
func (l *Ledger) Fail(ctx context.Context, jobID string, fence int64, reason string) error {
	return l.giveUp(ctx, "fail", jobID, fence, job.Fail, job.Failed, reason)
}

// Release gives the lease back undone; the job waits in the queue again.
// Repeating it with the same fence changes nothing.
func (l *Ledger) Release(ctx context.Context, jobID string, fence int64, reason string) error {
	return l.giveUp(ctx, "release", jobID, fence, job.Release, job.Queued, reason)
}

func (l *Ledger) giveUp(ctx context.Context, deed, jobID string, fence int64, e job.Event, to job.State, reason string) error {
	_, err := l.change(ctx, deed, jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
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
	return err
}

// Poison ends a job that was delivered too often. The lease holder, if there is
// one, is fenced off.
func (l *Ledger) Poison(ctx context.Context, jobID, reason string) error {
	_, err := l.change(ctx, "poison", jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
		j.Fence++
		j.Reason, j.Progress.ETASeconds = clean(reason), nil
		return j.move(job.Poison)
	})
	return err
}

// Cancel takes a job back. The lease holder, if there is one, is fenced off and
// learns of it at its next write.
func (l *Ledger) Cancel(ctx context.Context, jobID string) error {
	_, err := l.change(ctx, "cancel", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		j.Fence++
		j.Progress.ETASeconds = nil
		if err := j.move(job.Cancel); err != nil {
			return err
		}
		return l.audit(ctx, tx, DeedCancel, j.ID)
	})
	return err
}

// Retry takes a failed, poisoned or canceled job back to its beginning. The
// caller enqueues it and calls MarkQueued; if it cannot, the reconciler will.
func (l *Ledger) Retry(ctx context.Context, jobID string) (Job, error) {
	return l.change(ctx, "retry", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		e := job.Retry
		if j.State == job.Poisoned {
			e = job.Replay
		}
		j.Reason, j.Progress = "", job.Progress{}
		if err := j.move(e); err != nil {
			return err
		}
		return l.audit(ctx, tx, DeedRetry, j.ID)
	})
}

// Job returns one job.
func (l *Ledger) Job(ctx context.Context, id string) (Job, error) {
	j, err := getJob(ctx, l.db.Read(), `id = $1`, id)
	if err != nil {
		return Job{}, fmt.Errorf("job %s: %w", id, database.Classify(err))
	}
	return j, nil
}

// JobOf returns the job of a footage; a duplicate has none.
func (l *Ledger) JobOf(ctx context.Context, id footage.ID) (Job, error) {
	j, err := getJob(ctx, l.db.Read(), `footage = $1`, id)
	if err != nil {
		return Job{}, fmt.Errorf("job of footage %s: %w", id, database.Classify(err))
	}
	return j, nil
}
