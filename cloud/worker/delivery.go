package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/cloud/worker/cache"
	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/job"
	"cattlecounter/shared/tracing"
)

// deliver handles one delivery of a job, from its lease to its acknowledgement. It returns a fault that other jobs may
// meet too. With errOwnModel every job would meet it.
func (w *Worker) deliver(ctx context.Context, lease queue.Lease) error {
	log := w.o.Log.With("job", lease.Job(), "delivery", lease.Deliveries())
	if lease.Deliveries() > w.o.MaxDeliveries {
		w.poison(ctx, lease, log)
		return nil
	}
	want, err := w.wanted(ctx, lease, log)
	if errors.Is(err, errDeclined) {
		return nil
	}
	if err != nil {
		log.Error("cannot begin the job; returning it to the queue", "err", err)
		w.returnMessage(ctx, lease, log)
		return err
	}
	j, f, err := w.o.Attempts.Begin(ctx, lease.Job(), w.o.Name)
	switch {
	case errors.Is(err, job.ErrTransition), errors.Is(err, ledger.ErrNotFound):
		log.Info("message needs no work; acknowledging", "why", err)
		w.acknowledge(ctx, lease, log)
		return nil
	case err != nil:
		log.Error("cannot begin the job; returning it to the queue", "err", err)
		w.returnMessage(ctx, lease, log)
		return err
	}
	log = log.With("footage", f.ID, "attempt", j.Attempt)
	log.Info("job begun", "name", f.Name, "bytes", f.Size)
	began := time.Now()
	a := &attempt{w: w, lease: lease, job: j, footage: f, log: log, model: want}
	a.sidecar.stale = j.Attempt > 1 // an earlier attempt has probably written a sidecar
	traced, span := tracing.Begin(ctx, "count", f.ID)
	span.Text("job", j.ID)
	span.Number("attempt", int64(j.Attempt))
	err = a.run(traced)
	span.Number("animals", int64(a.unique))
	span.End(err)
	return a.recordOutcome(ctx, err, time.Since(began))
}

// recordOutcome records how an attempt ended. It returns a fault that other jobs may meet too.
func (a *attempt) recordOutcome(ctx context.Context, err error, took time.Duration) error {
	log := a.log.With("took", took.Round(time.Millisecond))
	switch {
	case err == nil:
		log.Info("job done", "count", a.unique)
	case errors.Is(err, ErrLeaseLost):
		log.Warn("lease lost; job stopped", "err", err)
		return nil
	case errors.Is(err, ErrShutdown):
		log.Info("worker stopped; job returned to the queue")
		a.release(ctx, "the worker was stopped")
		return nil
	case errors.Is(err, errLoad):
		log.Error("model not loaded; leaving the job to another worker", "err", err)
		return a.leave(ctx, err)
	case count.IsFootageFault(err):
		log.Warn("job failed", "reason", err)
		if err := a.fail(ctx, err); err != nil {
			log.Error("cannot record the failure; returning the job to the queue", "err", err)
			a.w.returnMessage(ctx, a.lease, log)
			return err
		}
	default:
		log.Error("job not counted; returning it to the queue", "err", err)
		a.release(ctx, a.w.faultText(err))
		if errors.Is(err, errPanic) || errors.Is(err, blob.ErrNotFound) || errors.Is(err, cache.ErrContent) {
			return nil // a fault of this footage alone
		}
		return err
	}
	a.w.acknowledge(ctx, a.lease, log)
	return nil
}

// poison ends a job without deliveries left.
func (w *Worker) poison(ctx context.Context, lease queue.Lease, log *slog.Logger) {
	reason := fmt.Sprintf("given up after %d deliveries", lease.Deliveries()-1)
	if j, err := w.o.Jobs.Get(ctx, lease.Job()); err == nil && j.Reason != "" {
		reason += "; last: " + j.Reason
	} else if err == nil {
		reason += "; the worker died each time, see its log"
	}
	err := w.o.Jobs.Poison(ctx, lease.Job(), reason)
	if err != nil && !errors.Is(err, job.ErrTransition) && !errors.Is(err, ledger.ErrNotFound) {
		log.Error("cannot record the poisoned job; returning it to the queue", "err", err)
		w.returnMessage(ctx, lease, log)
		return
	}
	log.Error("job poisoned", "reason", reason)
	if p, ok := w.o.Queue.(queue.Poisoner); ok {
		if err := p.Poison(ctx, lease.Job(), reason); err != nil {
			log.Warn("cannot write to the poison queue; the ledger has the poisoned job", "err", err)
		}
	}
	w.acknowledge(ctx, lease, log)
}

func (w *Worker) acknowledge(ctx context.Context, lease queue.Lease, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	if err := lease.Delete(ctx); err != nil {
		log.Warn("cannot acknowledge the message; it will be delivered again and then acknowledged", "err", err)
	}
}

// requeue replaces the message by a new one without deliveries. A shutdown is not a fault of the job, so a long job
// must survive any number of them. After a crash in between the ledger has a queued job without a message; the intake
// sends its message again.
func (w *Worker) requeue(ctx context.Context, lease queue.Lease, log *slog.Logger) {
	if err := lease.Delete(ctx); err != nil {
		log.Warn("cannot return the message; it will be delivered again after its lease", "err", err)
		return
	}
	if err := w.o.Queue.Enqueue(ctx, lease.Job()); err != nil {
		log.Warn("cannot enqueue the job again; cloud-api will do it within minutes", "err", err)
	}
}

// returnMessage returns the message with a delay that doubles with every delivery.
func (w *Worker) returnMessage(ctx context.Context, lease queue.Lease, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	if err := lease.Release(ctx, backoff(lease.Deliveries())); err != nil {
		log.Warn("cannot return the message; it will be delivered again after its lease", "err", err)
	}
}

// faultText is an error as people see it at the job; the log has the folders that it leaves out.
func (w *Worker) faultText(err error) string { return faulttext.Of(err, w.o.CacheDir, os.TempDir()) }

// count calls a Counter and turns a panic into an error, so that one bad clip does not end the worker.
func (w *Worker) count(ctx context.Context, c Counter, s count.Source,
	progress func(job.Progress)) (out count.Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			w.o.Log.Error("panic while counting", "footage", s.Footage, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("count %s: %w: %v", s.Footage, errPanic, r)
		}
	}()
	return c.Count(ctx, s, progress)
}
