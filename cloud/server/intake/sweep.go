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
	// sweepBatch bounds the rows that one part of a round takes; what is left
	// comes in the next.
	sweepBatch = 200
	// settled is how long a row must have been left alone before a round looks
	// after it: a request may be at it, or a worker, which writes every second.
	settled = time.Minute
)

// Run does the housekeeping until ctx ends, and returns nil then: it finishes
// sessions that a crash left complete, drops expired ones, sends the messages
// of jobs that have none. Faults are logged and met again in the next round.
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
			in.log.Error("intake round", "of", what, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (in *Intake) sweepUploads(ctx context.Context) error {
	return errors.Join(in.finishComplete(ctx), in.dropExpired(ctx))
}

func (in *Intake) sweepJobs(ctx context.Context) error {
	return errors.Join(in.sendUnqueued(ctx), in.sendLost(ctx))
}

func (in *Intake) finishComplete(ctx context.Context) error {
	us, err := in.stale.ListComplete(ctx, in.now().Add(-settled), sweepBatch)
	if err != nil {
		return err
	}
	var errs []error
	for _, u := range us {
		errs = append(errs, in.finishLeft(ctx, u.ID))
	}
	return errors.Join(errs...)
}

// finishLeft finishes a session that still nobody is at: the one before it may have
// taken long, and with the lock it would be taken from another server.
func (in *Intake) finishLeft(ctx context.Context, id string) error {
	u, err := in.sessions.Get(ctx, id)
	if err != nil || !u.Updated.Before(in.now().Add(-settled)) {
		return ignoreGone(err)
	}
	return in.locked(ctx, id, func() error {
		up, err := in.load(ctx, u.Device, id)
		if err != nil || !up.complete() || !up.u.Finished.IsZero() {
			return ignoreGone(err)
		}
		return ignoreRefusal(in.finish(ctx, up))
	})
}

// locked runs f under the session's lock, or not at all when a request of
// this process has it. From another server it takes the lock.
func (in *Intake) locked(ctx context.Context, id string, f func() error) error {
	if _, free, err := in.locks.try(ctx, id); err != nil || !free {
		return err
	}
	defer in.locks.release(id)
	return f()
}

func ignoreGone(err error) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	return ignoreRefusal(err)
}

// ignoreRefusal drops a verdict on the client's bytes, which is no fault of ours.
func ignoreRefusal(err error) error {
	var p *problem.Error
	if errors.As(err, &p) && p.Status < http.StatusInternalServerError {
		return nil
	}
	return err
}

func (in *Intake) dropExpired(ctx context.Context) error {
	us, err := in.stale.List(ctx, in.now().Add(-in.o.Expire), sweepBatch)
	if err != nil {
		return err
	}
	var errs []error
	for _, u := range us {
		errs = append(errs, in.locked(ctx, u.ID, func() error {
			now, err := in.sessions.Get(ctx, u.ID)
			if err != nil || !in.expired(now) {
				return ignoreGone(err)
			}
			if now.Finished.IsZero() {
				in.log.Info("upload expired", "upload", u.ID, "footage", u.Footage, "device", u.Device, "bytes", u.Offset)
			}
			return in.discard(ctx, now)
		}))
	}
	return errors.Join(errs...)
}

// sendUnqueued sends the messages of jobs in state uploaded.
func (in *Intake) sendUnqueued(ctx context.Context) error {
	js, err := in.jobs.ListUnqueued(ctx, sweepBatch)
	if err != nil {
		return err
	}
	for _, j := range js {
		if err := in.send(ctx, j); err != nil {
			return err // the queue is away: the others would fail as well
		}
	}
	return nil
}

// sendLost sends a new message for jobs that should have one and do not: in
// state queued, or under work by a worker that is heard of no more. A message that is
// leased exists, so no job is taken from a worker who still holds it; and if one were,
// the fence would keep its count from being told twice.
func (in *Intake) sendLost(ctx context.Context) error {
	before := in.now().Add(-settled)
	return errors.Join(
		in.sendMissing(ctx, job.Queued, before),
		in.sendMissing(ctx, job.Leased, before),
		in.sendMissing(ctx, job.Processing, before))
}

// sendMissing compares a batch of jobs with the queue, and the following batch
// in the next round, in a circle.
func (in *Intake) sendMissing(ctx context.Context, s job.State, before time.Time) error {
	js, err := in.jobs.ListIdle(ctx, s, before, in.after[string(s)], sweepBatch)
	if err != nil {
		return err
	}
	in.after[string(s)] = ""
	if len(js) == sweepBatch {
		in.after[string(s)] = js[len(js)-1].ID
	}
	for _, j := range js {
		has, err := in.queue.Has(ctx, j.ID)
		if err != nil {
			return err
		}
		if has {
			continue
		}
		// It may have ended between the two looks; then a message would only be
		// delivered to be thrown away.
		now, err := in.jobs.Get(ctx, j.ID)
		if err != nil {
			return err
		}
		if now.State != s {
			continue
		}
		in.log.Warn("message of job was lost, sending it again", "job", j.ID, "footage", j.Footage, "state", s)
		if err := in.queue.Enqueue(ctx, j.ID); err != nil {
			return err
		}
	}
	return nil
}
