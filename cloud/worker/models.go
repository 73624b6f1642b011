package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/shared/wire"
)

var (
	// errDeclined says that a job was returned for another worker, because its model is not on this machine.
	errDeclined = errors.New("model not installed")
	// errLoad says that this machine cannot load the model of a job.
	errLoad = errors.New("cannot load the model")
	// errOwnModel says that it is the model of this worker, so that the worker can count nothing.
	errOwnModel = errors.New("cannot load the model of this worker")
)

const (
	// declineFor is how long a job whose model is not on this machine waits before it is offered again.
	declineFor = 15 * time.Second
	// declineMore longer waits each further one. Without declines this falls by declineMore a second, so a worker declines
	// about one job a second, however many of them wait.
	declineMore = time.Second
	mostPassed  = int((maxBackoff - declineFor) / declineMore)
	// declineLog is how often a model that is missing is in the log.
	declineLog = time.Minute
)

// declines are the jobs that a worker leaves to others. One goroutine uses them.
type declines struct {
	now    func() time.Time
	passed int       // lately
	at     time.Time // of the last one
	logged map[wire.ModelRef]time.Time
}

// delay counts a decline, and returns how long its job waits.
func (d *declines) delay() time.Duration {
	now := d.now()
	if fallen := int(now.Sub(d.at) / time.Second); fallen > 0 {
		d.passed, d.at = max(d.passed-fallen, 0), now
	}
	wait := declineFor + declineMore*time.Duration(d.passed)
	d.passed = min(d.passed+1, mostPassed)
	return wait
}

// level is where the decline of a job belongs in the log: each model is there once a minute.
func (d *declines) level(m wire.ModelRef) slog.Level {
	now := d.now()
	maps.DeleteFunc(d.logged, func(_ wire.ModelRef, at time.Time) bool { return now.Sub(at) >= declineLog })
	if _, ok := d.logged[m]; ok {
		return slog.LevelDebug
	}
	d.logged[m] = now
	return slog.LevelInfo
}

// receive leases a job that this machine has the model for.
func (w *Worker) receive(ctx context.Context) (queue.Lease, error) {
	able, err := w.able(ctx)
	if err != nil {
		return nil, err
	}
	return w.o.Queue.ReceiveAble(ctx, w.o.Lease, able)
}

// able says which jobs this machine has the model for. A choice may change before the job begins, so wanted looks again.
func (w *Worker) able(ctx context.Context) (queue.Able, error) {
	if w.o.Models == nil {
		return queue.Able{}, nil
	}
	chosen, err := w.o.Models.Chosen(ctx)
	if err != nil {
		return queue.Able{}, err
	}
	can := func(site string) bool {
		m := ledger.WantedModel(ledger.Job{}, site, chosen)
		return m.IsZero() || w.o.Shelf.Has(m)
	}
	a := queue.Able{Some: true, Models: w.o.Shelf.Usable(), Others: can("")}
	for _, c := range chosen {
		if c.Site != "" && can(c.Site) != a.Others {
			a.Sites = append(a.Sites, c.Site)
		}
	}
	return a, nil
}

// wanted returns the model that the job of a lease is to be counted with. When this machine does not have it, the message
// goes back for another worker, without a delivery that counts, and the error is errDeclined. No other model replaces it.
func (w *Worker) wanted(ctx context.Context, lease queue.Lease, log *slog.Logger) (wire.ModelRef, error) {
	if w.o.Models == nil {
		return wire.ModelRef{}, nil
	}
	want, err := w.o.Models.For(ctx, lease.Job())
	if errors.Is(err, ledger.ErrNotFound) {
		return wire.ModelRef{}, nil // there is nothing to count, and Begin says so
	}
	if err != nil || want.IsZero() || w.o.Shelf.Has(want) {
		return want, err
	}
	w.decline(ctx, lease, want, log)
	return want, errDeclined
}

// decline returns the message of a job for another worker. The delivery does not count.
func (w *Worker) decline(ctx context.Context, lease queue.Lease, want wire.ModelRef, log *slog.Logger) {
	delay := w.declined.delay()
	log.Log(ctx, w.declined.level(want), "model not usable here; leaving the job to another worker", "model", want.String(),
		"retry_in", delay)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	if err := lease.Decline(ctx, delay); err != nil {
		log.Warn("cannot return the message; it will be delivered again after its lease", "err", err)
	}
}

// leave ends an attempt whose model this machine cannot load. The job waits for another worker. The error is not nil when
// this worker can count nothing.
func (a *attempt) leave(ctx context.Context, fault error) error {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	if j, err := a.w.o.Attempts.Release(short, a.job.ID, a.job.Fence, a.w.faultText(fault)); err != nil {
		a.log.Warn("cannot record the return of the job; its lease will expire", "err", err)
	} else {
		a.writeSidecar(short, j)
		a.w.decline(ctx, a.lease, a.model, a.log)
	}
	if a.model.IsZero() {
		return fmt.Errorf("%w: %w", errOwnModel, fault)
	}
	return nil
}

// counter returns what counts with a model. The error wraps errLoad.
func (w *Worker) counter(m wire.ModelRef) (Counter, error) {
	if w.o.Shelf == nil {
		return w.o.Counter, nil
	}
	c, err := w.o.Shelf.Counter(m)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", errLoad, m, err)
	}
	return c, nil
}
