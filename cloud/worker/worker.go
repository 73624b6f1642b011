// Package worker takes jobs from the queue, counts them and writes the results. Every job gets exactly one result.
//
// Rules of a lease. The lease of the queue decides who may work; it is renewed long before it ends. The fencing token
// of the ledger decides who may write: it grows with every lease, and the ledger refuses a write with an older token. A
// worker that has lost either stops at once and writes nothing more. The keys of results are made of footage and model,
// so counting a job twice gives one result. The end of a job is written in this order: result blobs, ledger, status
// sidecar, acknowledgement. After a crash between two of them the job is delivered again. It is then counted again
// under the same keys, or acknowledged because the ledger has it as done.
//
// A fault of the footage (not a video, truncated) fails the job with the reason. After any other fault the job returns
// to the queue with a growing delay. A job whose model is not on this machine, or cannot be loaded, waits for another
// worker, and this delivery does not count. A job without deliveries left is poisoned, with the reason, until a person retries
// it.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/cloud/worker/cache"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// Causes that stop a job before its end.
var (
	ErrLeaseLost = errors.New("lease lost")
	ErrShutdown  = errors.New("worker is shutting down")
	errPanic     = errors.New("internal fault while counting")
)

// ErrRestart is what Run returns when the process has to restart.
var ErrRestart = errors.New("the worker process has to restart")

// Counter counts the animals of one clip. count.Counter implements it.
type Counter interface {
	Count(ctx context.Context, s count.Source, progress func(job.Progress)) (count.Outcome, error)
}

// jobs is the part of the ledger that a worker needs outside of an attempt. ledger.Jobs implements it.
type jobs interface {
	Get(ctx context.Context, id string) (ledger.Job, error)
	Poison(ctx context.Context, jobID, reason string) error
}

// attempts is the part of the ledger that one attempt at a job writes to. ledger.Attempts implements it; a simulation
// has another implementation, which loses answers.
type attempts interface {
	Begin(ctx context.Context, jobID, worker string) (ledger.Job, ledger.Footage, error)
	UpdateProgress(ctx context.Context, jobID string, fence int64, p job.Progress) (ledger.Job, error)
	Finish(ctx context.Context, jobID string, fence int64, c ledger.Count, resultKey string) (ledger.Job, error)
	Fail(ctx context.Context, jobID string, fence int64, reason string) (ledger.Job, error)
	Release(ctx context.Context, jobID string, fence int64, reason string) (ledger.Job, error)
}

// wishes is the part of the ledger that says which model counts a job, and which is chosen for which site. ledger.Models
// implements it.
type wishes interface {
	For(ctx context.Context, jobID string) (wire.ModelRef, error)
	Chosen(ctx context.Context) ([]ledger.ModelChoice, error)
}

// Shelf has the models of a machine. The zero reference is the model that the worker uses while no other is chosen.
type Shelf interface {
	// Usable returns the models that are installed and usable.
	Usable() []wire.ModelRef
	// Has reports whether a model is installed and usable.
	Has(m wire.ModelRef) bool
	// Counter returns a counter with a model. It may load the model, and then the counters of other models end.
	Counter(m wire.ModelRef) (Counter, error)
}

// VideoFunc opens an annotated video, see evidence.Options.
type VideoFunc func(width, height int, rate float64) (evidence.VideoWriter, error)

// Options configure a Worker. All but Models with Shelf, or else Counter, Lines, DefaultLines, Sheets, Video, the limits of the cache, Drain, StopNow,
// RestartDue, Beat and Log are required.
type Options struct {
	Name     string   // unique among the workers of one queue
	Jobs     jobs     // of a ledger.Ledger
	Attempts attempts // of the same ledger
	Flights  flights  // of the same ledger; nil to count every piece of footage by itself
	Queue    queue.Queue
	Blobs    blob.Store
	Counter  Counter
	// Models says which model a job is to be counted with, and Shelf has the models of this machine. Without them every
	// job is counted by Counter; with them Counter is not used.
	Models wishes // of the same ledger
	Shelf  Shelf
	Lines  lines // of the same ledger; nil judges every footage by DefaultLines
	// DefaultLines are for footage that has no lines and zones, nor has its device; valid.
	DefaultLines boundary.Set
	// Sheets makes the count sheet and the contact sheets of every count.
	Sheets bool
	// Video returns what writes an annotated video into the file path; nil makes none.
	Video         func(path string) VideoFunc
	CacheDir      string // for footage of a blob store without files on this machine; workers may share it
	CacheLimit    int64  // bytes in CacheDir; with 0 only footage in use stays
	CacheSpare    int64  // bytes that the cache leaves free on the disk of CacheDir
	Lease         time.Duration
	MaxDeliveries int
	// Drain is how long Run continues with the current job after its context has ended. With 0 the job returns to the
	// queue at once.
	Drain time.Duration
	// StopNow ends the drain when it is closed; it may be nil.
	StopNow <-chan struct{}
	// RestartDue reports whether the process has to restart. Run calls it before each job with the number of received
	// jobs. It may be nil.
	RestartDue func(jobs int) bool
	// Beat, when set, is called while Run works; next is when at the latest it is called again. Calls do not overlap.
	Beat func(next time.Duration)
	Log  *slog.Logger // nil means no log
}

// Worker is one consumer of the queue. Make it with New.
type Worker struct {
	o        Options
	pause    func(context.Context, time.Duration)
	declined declines    // only Run uses it
	faults   int         // consecutive attempts that ended with a fault other than the footage's; only Run uses it
	busy     atomic.Bool // a job is being counted
	swept    time.Time   // when it looked for stale flights; only Run uses it
	cache    *cache.Cache
}

// New returns a worker.
func New(o Options) *Worker {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Beat == nil {
		o.Beat = func(time.Duration) {}
	}
	files := cache.New(cache.Options{Dir: o.CacheDir, Limit: o.CacheLimit, Spare: o.CacheSpare, Log: o.Log})
	return &Worker{o: o, pause: pause, cache: files,
		declined: declines{now: time.Now, logged: map[wire.ModelRef]time.Time{}}}
}

const (
	idlePoll     = 500 * time.Millisecond
	faultPause   = 5 * time.Second
	lastWrites   = 5 * time.Second // for the writes at the end of a job after its context has ended
	firstBackoff = 5 * time.Second
	maxBackoff   = 5 * time.Minute
	// betweenBeats is above what the queue and the ledger may take for one answer.
	betweenBeats = 2 * time.Minute
)

// Run counts jobs until ctx ends. The current job is then finished within the drain, or returned to the queue without
// using up a delivery. Run returns nil, ErrRestart between two jobs, or why the model of this worker cannot be loaded.
func (w *Worker) Run(ctx context.Context) error {
	w.o.Log.Info("worker ready", "worker", w.o.Name, "lease", w.o.Lease)
	if err := w.cache.Sweep(); err != nil {
		w.o.Log.Warn("cannot sweep the cache", "err", err)
	}
	jobs, end := w.jobContext(ctx)
	defer end()
	for received := 0; ctx.Err() == nil; {
		w.o.Beat(betweenBeats)
		if w.o.RestartDue != nil && w.o.RestartDue(received) {
			return ErrRestart
		}
		lease, err := w.receive(ctx)
		switch {
		case err == nil:
			received++
			err := w.handle(ctx, jobs, lease)
			if errors.Is(err, errOwnModel) {
				return err
			}
			w.pauseAfter(ctx, err)
		case errors.Is(err, queue.ErrEmpty):
			w.joinStale(jobs)
			w.pause(ctx, idlePoll)
		case ctx.Err() == nil:
			w.o.Log.Error("cannot receive from the queue; retrying", "err", err, "retry_in", faultPause)
			w.pause(ctx, faultPause)
		}
	}
	return nil
}

// handle counts the job of a lease in the context jobs, unless ctx has ended in the meantime.
func (w *Worker) handle(ctx, jobs context.Context, lease queue.Lease) error {
	w.busy.Store(true) // before the check of ctx: drain checks both in the other order
	defer w.busy.Store(false)
	if ctx.Err() == nil {
		return w.deliver(jobs, lease)
	}
	log := w.o.Log.With("job", lease.Job())
	log.Info("stop requested before the job began; returning it to the queue")
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	w.requeue(short, lease, log)
	return nil
}

// pauseAfter pauses after a fault that other jobs may meet too. The pause grows with consecutive faults. Without it a
// storage outage of minutes would use up the deliveries of every queued job and poison all of them.
func (w *Worker) pauseAfter(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		w.faults = 0
		return
	}
	w.faults++
	w.o.Beat(betweenBeats + backoff(w.faults))
	w.pause(ctx, backoff(w.faults))
}

// backoff is the delay after fault n, from 1 on.
func backoff(n int) time.Duration { return min(firstBackoff<<min(max(n-1, 0), 6), maxBackoff) }

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
