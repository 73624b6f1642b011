package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// Jobs is what the intake, the reconciler and operators do with jobs. What a worker
// does under a lease is in Attempts.
type Jobs struct{ *tables }

// updateJob reads a job, lets f change it and writes it back with a new Seq. The write
// demands the state and the fence that were read.
func (l *tables) updateJob(ctx context.Context, action, jobID string,
	f func(context.Context, *sql.Tx, *Job) error) (Job, error) {
	var j Job
	err := l.write(ctx, action+" job "+jobID, func(ctx context.Context, tx *sql.Tx) (err error) {
		j, err = l.updateJobIn(ctx, tx, jobID, f)
		return err
	})
	if errors.Is(err, errUnchanged) {
		return j, nil
	}
	return j, err
}

// updateJobIn is updateJob within a transaction. It returns errUnchanged when f does.
func (l *tables) updateJobIn(ctx context.Context, tx *sql.Tx, jobID string,
	f func(context.Context, *sql.Tx, *Job) error) (Job, error) {
	j, err := getJob(ctx, tx, `id = $1`, jobID)
	if err != nil {
		return j, err
	}
	was := j
	if err = f(ctx, tx, &j); err != nil {
		return j, err
	}
	if j.Seq, err = nextSeq(ctx, tx); err != nil {
		return j, err
	}
	j.Updated = l.now().UTC()
	if j.State.Ended() {
		j.Priority = 0
	}
	p := j.Progress
	res, err := tx.ExecContext(ctx, `UPDATE job SET state = $1, attempt = $2, fence = $3, worker = $4,
		reason = $5, stage = $6, frames_done = $7, frames_total = $8, percent = $9, fps = $10,
		eta_seconds = $11, animals = $12, result_key = $13, updated = $14, seq = $15, priority = $16,
		model = $17, model_digest = $18 WHERE id = $19 AND state = $20 AND fence = $21`,
		j.State, j.Attempt, j.Fence, j.Worker, j.Reason, p.Stage,
		p.FramesDone, p.FramesTotal, p.Percent, p.FPS, p.ETASeconds, p.Count, j.ResultKey, micros(j.Updated), j.Seq, j.Priority,
		j.Model.Name, digestText(j.Model), jobID, was.State, was.Fence)
	if err != nil {
		return j, err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return j, errors.Join(err, fmt.Errorf("the job has left state %s meanwhile: %w", was.State, ErrFenced))
	}
	if err := l.recordAttempt(ctx, tx, was, j); err != nil {
		return j, err
	}
	return j, countState(ctx, tx, was.State, j.State)
}

// errUnchanged ends updateJob without a write: the job already is as requested.
var errUnchanged = errors.New("unchanged")

// apply applies an event of the table of states.
func (j *Job) apply(e job.Event) error {
	next, err := job.Next(j.State, e)
	if err != nil {
		return err
	}
	j.State = next
	return nil
}

// retry resets a job that has ended without a result.
func (j *Job) retry() error {
	e := job.Retry
	if j.State == job.Poisoned {
		e = job.Replay
	}
	j.Reason, j.Progress = "", job.Progress{}
	return j.apply(e)
}

// checkFence returns ErrFenced unless the fence is that of the current lease.
func (j *Job) checkFence(fence int64) error {
	if j.Fence != fence || (j.State != job.Leased && j.State != job.Processing) {
		return fmt.Errorf("job is %s with fence %d, the caller's is %d: %w", j.State, j.Fence, fence, ErrFenced)
	}
	return nil
}

// endedBy reports whether an earlier call with the same fence has brought the job to the
// state.
func (j *Job) endedBy(s job.State, fence int64) bool { return j.State == s && j.Fence == fence }

// MarkQueued records that the job's message is in the queue. It changes nothing when a
// worker has begun the job meanwhile or the job has ended.
func (l *Jobs) MarkQueued(ctx context.Context, jobID string) error {
	_, err := l.updateJob(ctx, "mark queued", jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
		if j.State != job.Uploaded {
			return errUnchanged
		}
		return j.apply(job.Enqueue)
	})
	return err
}

// Poison ends a job that was delivered too often. The writes of a lease holder fail from
// then on.
func (l *Jobs) Poison(ctx context.Context, jobID, reason string) error {
	_, err := l.updateJob(ctx, "poison", jobID, func(_ context.Context, _ *sql.Tx, j *Job) error {
		j.Fence++
		j.Reason, j.Progress.ETASeconds = clean(faulttext.WithoutFolders(reason)), nil
		return j.apply(job.Poison)
	})
	return err
}

// Cancel cancels a job that has not ended. The next write of a lease holder fails with
// ErrFenced. A retry then counts with the chosen model, also where the canceled recount wanted another one.
func (l *Jobs) Cancel(ctx context.Context, jobID string) error {
	_, err := l.updateJob(ctx, "cancel", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		j.Fence++
		j.Progress.ETASeconds, j.Model = nil, wire.ModelRef{}
		if err := j.apply(job.Cancel); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionCancel, j.ID)
	})
	return err
}

// Prioritise sets the priority of a job that has not ended, from -MaxPriority to MaxPriority; others are set to the
// nearest. It fails with job.ErrTransition for a job that has ended.
func (l *Jobs) Prioritise(ctx context.Context, jobID string, priority int) (Job, error) {
	return l.updateJob(ctx, "prioritise", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		if j.State.Ended() {
			return fmt.Errorf("job is %s, so its priority means nothing: %w", j.State, job.ErrTransition)
		}
		j.Priority = min(max(priority, -MaxPriority), MaxPriority)
		return l.audit(ctx, tx, ActionPrioritise, fmt.Sprintf("%s: %d", j.ID, j.Priority))
	})
}

// Retry resets a failed, poisoned or canceled job. The caller enqueues it and calls
// MarkQueued. If the caller cannot, the intake's reconciler does it.
func (l *Jobs) Retry(ctx context.Context, jobID string) (Job, error) {
	return l.updateJob(ctx, "retry", jobID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		if err := j.retry(); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRetry, j.ID)
	})
}

// Recount is RecountWith the chosen model.
func (l *Jobs) Recount(ctx context.Context, id footage.ID) (Job, error) {
	return l.RecountWith(ctx, id, wire.ModelRef{})
}

// RecountWith resets the job of footage that has a count. The count and its result stay until the new ones replace them. It
// is counted with a model, or where that is zero with the chosen one. A duplicate has no job: ErrNotFound. A job that is
// not done, or whose video was removed, fails with job.ErrTransition. The caller enqueues the job and calls MarkQueued. If
// the caller cannot, the intake's reconciler does it.
func (l *Jobs) RecountWith(ctx context.Context, id footage.ID, m wire.ModelRef) (Job, error) {
	var j Job
	subject := string(id)
	if !m.IsZero() {
		if err := CheckModelRef(m); err != nil {
			return j, err
		}
		subject += ": " + m.String()
	}
	err := l.write(ctx, "recount footage "+string(id), func(ctx context.Context, tx *sql.Tx) error {
		f, err := getFootage(ctx, tx, `id = $1`, id)
		if err != nil {
			return err
		}
		if f.BlobKey == "" && f.DuplicateOf == "" {
			return fmt.Errorf("the video was removed: %w", job.ErrTransition)
		}
		if j, err = getJob(ctx, tx, `footage = $1`, id); err != nil {
			return err
		}
		if j, err = l.updateJobIn(ctx, tx, j.ID, func(_ context.Context, _ *sql.Tx, j *Job) error {
			j.Reason, j.Progress, j.Model = "", job.Progress{}, m
			return j.apply(job.Recount)
		}); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRecount, subject)
	})
	return j, err
}

// Get returns one job.
func (l *Jobs) Get(ctx context.Context, id string) (Job, error) {
	j, err := getJob(ctx, l.db.Read(), `id = $1`, id)
	if err != nil {
		return Job{}, fmt.Errorf("job %s: %w", id, database.Classify(err))
	}
	return j, nil
}

// GetByFootage returns the job of a footage. A duplicate has none: ErrNotFound.
func (l *Jobs) GetByFootage(ctx context.Context, id footage.ID) (Job, error) {
	return l.jobOfFootage(ctx, id)
}

func (l *tables) jobOfFootage(ctx context.Context, id footage.ID) (Job, error) {
	j, err := getJob(ctx, l.db.Read(), `footage = $1`, id)
	if err != nil {
		return Job{}, fmt.Errorf("job of footage %s: %w", id, database.Classify(err))
	}
	return j, nil
}

type bornJob struct {
	JobView
	born int64
}

var jobViewQuery = `SELECT ` + prefixed("j", jobColumns) + `, ` + prefixed("f", footageColumns) +
	` FROM job j JOIN footage f ON f.id = j.footage `

func scanJobView(rows *sql.Rows) (bornJob, error) {
	var j jobRow
	var f footageRow
	var v bornJob
	if err := rows.Scan(append(j.dest(), f.dest()...)...); err != nil {
		return v, err
	}
	var err error
	if v.Job, err = j.value(); err != nil {
		return v, err
	}
	v.born = j.born.Int64
	v.Footage, err = f.value()
	return v, err
}

// List returns a page of the jobs in a state, newest first, and the start of the next
// page. The state "" means all jobs.
func (l *Jobs) List(ctx context.Context, s job.State, p Page) ([]JobView, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	f := p.filter("j.born", after, limit+1)
	if s != "" {
		f.add(`j.state = ?`, s)
	}
	vs, err := list(ctx, l.db.Read(), scanJobView, jobViewQuery+f.String()+` ORDER BY j.born DESC LIMIT $2`, f.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list jobs: %w", err)
	}
	vs, next := cutPage(vs, limit, func(v bornJob) int64 { return v.born })
	return jobViews(vs), next, nil
}

func jobViews(vs []bornJob) []JobView {
	out := make([]JobView, len(vs))
	for i := range vs {
		out[i] = vs[i].JobView
	}
	return out
}

// ListUnqueued returns at most limit jobs in state uploaded, oldest first. Their message
// was not sent, or MarkQueued was not called.
func (l *Jobs) ListUnqueued(ctx context.Context, limit int) ([]Job, error) {
	js, err := list(ctx, l.db.Read(), scanJob, `SELECT `+jobColumns+` FROM job WHERE state = $1 ORDER BY born LIMIT $2`,
		job.Uploaded, limit)
	if err != nil {
		return nil, fmt.Errorf("unqueued jobs: %w", err)
	}
	return js, nil
}

// ListRepeated returns at most limit jobs that took more than one attempt and were done after from and until to, the
// earliest first. Jobs of one moment are never divided between two calls: there may be more of them than limit.
func (l *Jobs) ListRepeated(ctx context.Context, from, to time.Time, limit int) ([]Job, error) {
	js, err := list(ctx, l.db.Read(), scanJob, `SELECT `+jobColumns+` FROM job WHERE state = $1 AND fence > 1
		AND updated > $2 AND updated <= $3 AND updated <= COALESCE((SELECT MAX(updated) FROM (SELECT updated FROM job
			WHERE state = $4 AND fence > 1 AND updated > $5 ORDER BY updated LIMIT $6) part), 0)
		ORDER BY updated, born`, job.Done, from.UnixMicro(), to.UnixMicro(), job.Done, from.UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("jobs with several attempts: %w", err)
	}
	return js, nil
}

// ListIdle returns at most limit jobs in a state that were last written before a time, in
// the order of their ids above afterID. The reconciler compares them with the queue.
func (l *Jobs) ListIdle(ctx context.Context, s job.State, before time.Time, afterID string, limit int) ([]Job, error) {
	js, err := list(ctx, l.db.Read(), scanJob, `SELECT `+jobColumns+` FROM job
		WHERE state = $1 AND updated < $2 AND id > $3 ORDER BY id LIMIT $4`, s, before.UnixMicro(), afterID, limit)
	if err != nil {
		return nil, fmt.Errorf("idle jobs: %w", err)
	}
	return js, nil
}

func scanJob(rows *sql.Rows) (Job, error) {
	var r jobRow
	if err := rows.Scan(r.dest()...); err != nil {
		return Job{}, err
	}
	return r.value()
}
