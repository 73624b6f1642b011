package intake

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/job"
)

const (
	// sweepBatch bounds the rows of one part of a round; the next round takes the rest.
	sweepBatch = 200
	// idleTime is how long a row must be unchanged before a round handles it: a request
	// may be using it, or a worker, which writes every second.
	idleTime = time.Minute
)

// Run does the housekeeping until ctx ends, and returns nil then. It finishes complete
// sessions that a crash left, deletes expired ones, and enqueues jobs without a message.
// Faults are logged; the next round tries again.
func (in *Intake) Run(ctx context.Context) error {
	var both sync.WaitGroup
	both.Go(func() { in.repeat(ctx, "uploads", in.sweepUploads) }) // a commit may take long
	both.Go(func() { in.repeat(ctx, "jobs", in.sweepJobs) })
	both.Wait()
	return nil
}

func (in *Intake) repeat(ctx context.Context, what string, round func(context.Context) error) {
	tick := time.NewTicker(in.o.SweepEvery)
	defer tick.Stop()
	for {
		if err := round(ctx); err != nil && ctx.Err() == nil {
			in.log.Error("housekeeping failed; the next round tries again", "of", what, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (in *Intake) sweepUploads(ctx context.Context) error {
	return errors.Join(in.finishComplete(ctx), in.expireSessions(ctx))
}

func (in *Intake) sweepJobs(ctx context.Context) error {
	return errors.Join(in.enqueueNew(ctx), in.enqueueLost(ctx))
}

func (in *Intake) finishComplete(ctx context.Context) error {
	us, err := in.stale.ListComplete(ctx, in.now().Add(-idleTime), sweepBatch)
	if err != nil {
		return err
	}
	var errs []error
	for _, u := range us {
		errs = append(errs, in.finishAbandoned(ctx, u.ID))
	}
	return errors.Join(errs...)
}

// finishAbandoned finishes a session that no request uses. It checks again first: the
// session before may have taken long, and the lock would be taken from another server.
func (in *Intake) finishAbandoned(ctx context.Context, id string) error {
	u, err := in.sessions.Get(ctx, id)
	if err != nil || !u.Updated.Before(in.now().Add(-idleTime)) {
		return ignoreNotFound(err)
	}
	return in.withLock(ctx, id, func() error {
		up, err := in.load(ctx, u.Device, id)
		if err != nil || !up.complete() || !up.u.Finished.IsZero() {
			return ignoreNotFound(err)
		}
		return ignoreRefusal(in.finish(ctx, up))
	})
}

// withLock runs f under the session's lock, or not at all when a request of this process
// holds it. It takes the lock from other servers.
func (in *Intake) withLock(ctx context.Context, id string, f func() error) error {
	if _, free, err := in.locks.try(ctx, id); err != nil || !free {
		return err
	}
	defer in.locks.release(id)
	return f()
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	return ignoreRefusal(err)
}

// ignoreRefusal drops a problem of the client's bytes: it is not a fault of the server.
func ignoreRefusal(err error) error {
	var p *problem.Error
	if errors.As(err, &p) && p.Status < http.StatusInternalServerError {
		return nil
	}
	return err
}

func (in *Intake) expireSessions(ctx context.Context) error {
	us, err := in.stale.List(ctx, in.now().Add(-in.o.Expire), sweepBatch)
	if err != nil {
		return err
	}
	var errs []error
	for _, u := range us {
		errs = append(errs, in.withLock(ctx, u.ID, func() error {
			now, err := in.sessions.Get(ctx, u.ID)
			if err != nil || !in.expired(now) {
				return ignoreNotFound(err)
			}
			if now.Finished.IsZero() {
				in.log.Info("upload expired", "upload", u.ID, "footage", u.Footage, "device", u.Device, "bytes", u.Offset)
			}
			return in.deleteSession(ctx, now)
		}))
	}
	return errors.Join(errs...)
}

// enqueueNew enqueues jobs in the state uploaded.
func (in *Intake) enqueueNew(ctx context.Context) error {
	js, err := in.jobs.ListUnqueued(ctx, sweepBatch)
	if err != nil {
		return err
	}
	for _, j := range js {
		if err := in.enqueue(ctx, j); err != nil {
			return err // the queue is unreachable: the others would fail as well
		}
	}
	return nil
}

// enqueueLost enqueues jobs whose message is missing: jobs in the state queued, or jobs
// of a worker that writes no more. A leased message exists, so no job is taken from a
// worker that still holds it. If one were, the fence would prevent a second count.
func (in *Intake) enqueueLost(ctx context.Context) error {
	before := in.now().Add(-idleTime)
	return errors.Join(
		in.enqueueMissing(ctx, job.Queued, before),
		in.enqueueMissing(ctx, job.Leased, before),
		in.enqueueMissing(ctx, job.Processing, before))
}

// enqueueMissing compares one batch of jobs with the queue. Each round takes the next
// batch, and starts over after the last.
func (in *Intake) enqueueMissing(ctx context.Context, s job.State, before time.Time) error {
	js, err := in.jobs.ListIdle(ctx, s, before, in.jobCursors[string(s)], sweepBatch)
	if err != nil {
		return err
	}
	in.jobCursors[string(s)] = ""
	if len(js) == sweepBatch {
		in.jobCursors[string(s)] = js[len(js)-1].ID
	}
	for _, j := range js {
		has, err := in.queue.Has(ctx, j.ID)
		if err != nil {
			return err
		}
		if has {
			continue
		}
		// The job may have ended since the list was read.
		now, err := in.jobs.Get(ctx, j.ID)
		if err != nil {
			return err
		}
		if now.State != s {
			continue
		}
		in.log.Warn("message of job missing; queueing it again", "job", j.ID, "footage", j.Footage, "state", s)
		if err := in.queue.Enqueue(ctx, j.ID); err != nil {
			return err
		}
	}
	return nil
}
