// Package worker takes jobs from the queue, has them counted, and writes what
// came out, so that every job gets exactly one result.
//
// Rules of a lease. The queue's lease says who may work, and is renewed long
// before it ends. The ledger's fencing token says who may write: it goes up
// with every lease, and a write with an older one is refused. A worker that
// lost either stops at once and writes nothing more. Results lie under names
// made of footage and model, so that doing a job twice gives one result. The
// order of the end is: result blobs, ledger, status sidecar, queue. A crash
// between two of them leads to the job being delivered again, and then either
// done again under the same names or found done and acknowledged.
//
// What the footage itself is to blame for (not a video, cut short) fails the
// job with the reason. Everything else gives the job back with a growing delay,
// until the deliveries are used up and it is poisoned, with the reason, for a
// person to look at and replay.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/cloud/worker/cache"
	"cattlecounter/shared/job"
)

// Causes for which a job is stopped before its end.
var (
	ErrLeaseLost = errors.New("lease lost")
	ErrShutdown  = errors.New("worker is shutting down")
	errPanic     = errors.New("internal fault while counting")
)

// ErrAnew is what Run returns when the process has to be started anew.
var ErrAnew = errors.New("the worker has to be started anew")

// Counter counts the animals of one clip; count.Counter does.
type Counter interface {
	Count(ctx context.Context, s count.Source, progress func(job.Progress)) (count.Outcome, error)
}

// jobs is what a worker asks of the ledger outside of an attempt. A simulation puts
// another in its place, whose answers get lost.
type jobs interface {
	Get(ctx context.Context, id string) (ledger.Job, error)
	Poison(ctx context.Context, jobID, reason string) error
}

// attempts is where a worker begins, reports and ends its attempts. See jobs.
type attempts interface {
	Begin(ctx context.Context, jobID, worker string) (ledger.Job, ledger.Footage, error)
	UpdateProgress(ctx context.Context, jobID string, fence int64, p job.Progress) (ledger.Job, error)
	Finish(ctx context.Context, jobID string, fence int64, c ledger.Count, resultKey string) (ledger.Job, error)
	Fail(ctx context.Context, jobID string, fence int64, reason string) (ledger.Job, error)
	Release(ctx context.Context, jobID string, fence int64, reason string) (ledger.Job, error)
}

// Options configure a Worker. All but the cache's limits, Drain, Hurry, Anew and Log are required.
type Options struct {
	Name          string   // unique among the workers of one queue
	Jobs          jobs     // of a ledger.Ledger
	Attempts      attempts // of the same
	Queue         queue.Queue
	Blobs         blob.Store
	Counter       Counter
	CacheDir      string // for footage that the blob store does not hold as a file; workers may share it
	CacheLimit    int64  // bytes in CacheDir; 0 keeps only what is in use
	CacheSpare    int64  // bytes of CacheDir's disk that the cache leaves free
	Lease         time.Duration
	MaxDeliveries int
	// Drain is how long Run works on at the job at hand after its context has ended;
	// 0 gives it back at once.
	Drain time.Duration
	// Hurry, when closed, ends the drain; nil is fine.
	Hurry <-chan struct{}
	// Anew is asked before each job, with how many were taken so far, whether the
	// process has to be started anew; nil is never.
	Anew func(jobs int) bool
	Log  *slog.Logger
}

// Worker is one consumer of the queue. Make it with New.
type Worker struct {
	o      Options
	pause  func(context.Context, time.Duration)
	faults int // attempts in a row that ended for reasons outside the footage; Run's own
	busy   atomic.Bool
	cache  *cache.Cache
}

// New returns a worker.
func New(o Options) *Worker {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Worker{o: o, pause: pause, cache: cache.New(cache.Options{Dir: o.CacheDir, Limit: o.CacheLimit, Spare: o.CacheSpare, Log: o.Log})}
}

const (
	idlePoll   = 500 * time.Millisecond
	faultPause = 5 * time.Second
	lastWrites = 5 * time.Second
	firstDelay = 5 * time.Second
	mostDelay  = 5 * time.Minute
)

// Run works until ctx ends. The job at hand is then finished within the drain, or
// given back, without using up one of its deliveries. It returns nil, or ErrAnew
// between two jobs.
func (w *Worker) Run(ctx context.Context) error {
	w.o.Log.Info("worker ready", "worker", w.o.Name, "lease", w.o.Lease)
	if err := w.cache.Sweep(); err != nil {
		w.o.Log.Warn("cannot clear up what killed workers left", "err", err)
	}
	work, end := w.drain(ctx)
	defer end()
	for jobs := 0; ctx.Err() == nil; {
		if w.o.Anew != nil && w.o.Anew(jobs) {
			return ErrAnew
		}
		lease, err := w.o.Queue.Receive(ctx, w.o.Lease)
		switch {
		case err == nil:
			jobs++
			w.rest(ctx, w.work(ctx, work, lease))
		case errors.Is(err, queue.ErrEmpty):
			w.pause(ctx, idlePoll)
		case ctx.Err() == nil:
			w.o.Log.Error("queue does not answer, trying again", "err", err, "retry_in", faultPause)
			w.pause(ctx, faultPause)
		}
	}
	return nil
}

// work takes the job, unless the worker was told to stop meanwhile.
func (w *Worker) work(ctx, work context.Context, lease queue.Lease) error {
	w.busy.Store(true) // before the look at ctx: drain looks at both in the other order
	defer w.busy.Store(false)
	if ctx.Err() == nil {
		return w.take(work, lease)
	}
	log := w.o.Log.With("job", lease.Job())
	log.Info("told to stop before the job was begun, giving it back")
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	w.sendAnew(short, lease, log)
	return nil
}

// drain returns the context of jobs. It ends with ctx when no job is at hand, else when
// the time is up or somebody is in a hurry. end must be called.
func (w *Worker) drain(ctx context.Context) (work context.Context, end func()) {
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	b := start(work, func(ended context.Context) {
		defer stop(ErrShutdown)
		select {
		case <-ctx.Done():
		case <-ended.Done():
			return
		}
		if w.o.Drain <= 0 || !w.busy.Load() {
			return
		}
		w.o.Log.Info("told to stop: taking no new job, finishing the one at hand; a second signal gives it back at once",
			"until", time.Now().Add(w.o.Drain).Format(time.RFC3339), "drain", w.o.Drain)
		t := time.NewTimer(w.o.Drain)
		defer t.Stop()
		select {
		case <-ended.Done():
			w.o.Log.Info("the job at hand is over, stopping")
		case <-w.o.Hurry:
			w.o.Log.Info("told to stop again: giving the job at hand back")
		case <-t.C:
			w.o.Log.Warn("the job at hand was not finished in time: giving it back; a longer worker.drain would have let it", "drain", w.o.Drain)
		}
	})
	return work, b.end
}

// rest pauses after a fault that is not the footage's, the longer the more come
// in a row: with the storage away for minutes a worker without rest would use up
// the deliveries of every job that waits, and all of them would be poisoned.
func (w *Worker) rest(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		w.faults = 0
		return
	}
	w.faults++
	w.pause(ctx, backoff(w.faults))
}

// backoff is the delay after the n-th fault, from 1 on.
func backoff(n int) time.Duration { return min(firstDelay<<min(max(n-1, 0), 6), mostDelay) }

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// take handles one delivery from lease to acknowledgement. It returns a fault
// that other jobs may meet as well.
func (w *Worker) take(ctx context.Context, lease queue.Lease) error {
	log := w.o.Log.With("job", lease.Job(), "delivery", lease.Deliveries())
	if lease.Deliveries() > w.o.MaxDeliveries {
		w.poison(ctx, lease, log)
		return nil
	}
	j, f, err := w.o.Attempts.Begin(ctx, lease.Job(), w.o.Name)
	switch {
	case errors.Is(err, job.ErrTransition), errors.Is(err, ledger.ErrNotFound):
		log.Info("nothing to do for this message", "why", err)
		w.acknowledge(ctx, lease, log)
		return nil
	case err != nil:
		log.Error("cannot begin, giving the message back", "err", err)
		w.giveBack(ctx, lease, log)
		return err
	}
	log = log.With("footage", f.ID, "attempt", j.Attempt)
	log.Info("job begun", "name", f.Name, "bytes", f.Size)
	began := time.Now()
	a := &attempt{w: w, lease: lease, job: j, footage: f, log: log}
	a.sidecar.unsure = j.Attempt > 1 // an earlier attempt has most likely left one
	err = a.run(ctx)
	log = log.With("took", time.Since(began).Round(time.Millisecond))
	switch {
	case err == nil:
		log.Info("job done", "count", a.unique)
	case errors.Is(err, ErrLeaseLost):
		log.Warn("job stopped, it is not this worker's any more", "err", err)
		return nil
	case errors.Is(err, ErrShutdown):
		log.Info("job given back for the shutdown")
		a.release(ctx, "the worker was stopped")
		return nil
	case count.IsFootageFault(err):
		log.Warn("job failed", "reason", err)
		if err := a.fail(ctx, err); err != nil {
			log.Error("cannot record the failure", "err", err)
			w.giveBack(ctx, lease, log)
			return err
		}
	default:
		log.Error("job could not be done now, giving it back", "err", err)
		a.release(ctx, err.Error())
		if errors.Is(err, errPanic) || errors.Is(err, blob.ErrNotFound) || errors.Is(err, cache.ErrContent) {
			return nil // this clip's alone
		}
		return err
	}
	w.acknowledge(ctx, lease, log)
	return nil
}

func (w *Worker) poison(ctx context.Context, lease queue.Lease, log *slog.Logger) {
	reason := fmt.Sprintf("given up after %d deliveries", lease.Deliveries()-1)
	if j, err := w.o.Jobs.Get(ctx, lease.Job()); err == nil && j.Reason != "" {
		reason += "; last: " + j.Reason
	} else if err == nil {
		reason += "; the worker died each time, see its log"
	}
	err := w.o.Jobs.Poison(ctx, lease.Job(), reason)
	if err != nil && !errors.Is(err, job.ErrTransition) && !errors.Is(err, ledger.ErrNotFound) {
		log.Error("cannot record that the job is poisoned", "err", err)
		w.giveBack(ctx, lease, log)
		return
	}
	log.Error("job poisoned", "reason", reason)
	if p, ok := w.o.Queue.(queue.Poisoner); ok {
		if err := p.Poison(ctx, lease.Job(), reason); err != nil {
			log.Warn("job not put into the poison queue; the ledger has it", "err", err)
		}
	}
	w.acknowledge(ctx, lease, log)
}

func (w *Worker) acknowledge(ctx context.Context, lease queue.Lease, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	if err := lease.Delete(ctx); err != nil {
		log.Warn("message not acknowledged, it will come again and be found done", "err", err)
	}
}

// sendAnew replaces the message by one without deliveries: a shutdown is not the
// job's fault, and a long job must outlive any number of them. A crash in between
// leaves a queued job without a message, which the intake sends again.
func (w *Worker) sendAnew(ctx context.Context, lease queue.Lease, log *slog.Logger) {
	if err := lease.Delete(ctx); err != nil {
		log.Warn("message not given back, it comes again when its lease ends", "err", err)
		return
	}
	if err := w.o.Queue.Enqueue(ctx, lease.Job()); err != nil {
		log.Warn("message not sent anew, cloud-api does it within minutes", "err", err)
	}
}

// giveBack returns the message with a delay that doubles with every delivery.
func (w *Worker) giveBack(ctx context.Context, lease queue.Lease, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	if err := lease.Release(ctx, backoff(lease.Deliveries())); err != nil {
		log.Warn("message not given back, it comes again when its lease ends", "err", err)
	}
}

// counted calls the Counter and turns a panic into an error: one bad clip must
// not take the worker down.
func (w *Worker) counted(ctx context.Context, s count.Source, progress func(job.Progress)) (out count.Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			w.o.Log.Error("panic while counting", "footage", s.Footage, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("count %s: %w: %v", s.Footage, errPanic, r)
		}
	}()
	return w.o.Counter.Count(ctx, s, progress)
}
