package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// attempt is one lease of one job.
type attempt struct {
	w       *Worker
	lease   queue.Lease
	job     ledger.Job
	footage ledger.Footage
	log     *slog.Logger
	status  latest
	unique  int
	sidecar sidecar
}

// errFinished ends the helpers of an attempt when their work is over.
var errFinished = errors.New("attempt finished")

// run counts and writes the results. Beside it the lease is renewed and, until
// the results are written, the status; whichever of the two learns that the
// lease is lost ends all.
func (a *attempt) run(ctx context.Context) error {
	work, stop := context.WithCancelCause(ctx)
	lease := start(work, func(ctx context.Context) { a.keepLease(ctx, stop) })
	err := a.count(work, stop)
	stop(errFinished)
	lease.end()
	switch cause := context.Cause(work); {
	case errors.Is(cause, ErrLeaseLost):
		return cause
	case ctx.Err() != nil && err != nil:
		return ErrShutdown
	}
	return err
}

func (a *attempt) count(ctx context.Context, stop context.CancelCauseFunc) error {
	a.status.set(job.Progress{Stage: job.StageDownload})
	status := start(ctx, func(ctx context.Context) { a.keepStatus(ctx, stop) })
	defer status.end()
	src, coming, release, err := a.fetch(ctx)
	if err != nil {
		return err
	}
	defer release()
	out, err := a.w.counted(ctx, src, a.status.set)
	if coming != nil {
		out, err = a.settle(ctx, src, coming, out, err)
	}
	if err != nil {
		return err
	}
	return a.finish(ctx, out, status.end)
}

// background is a goroutine with an owner.
type background struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func start(ctx context.Context, f func(context.Context)) background {
	ctx, cancel := context.WithCancel(ctx)
	b := background{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		f(ctx)
	}()
	return b
}

// end stops the goroutine and waits for it; twice is fine.
func (b background) end() {
	b.cancel()
	<-b.done
}

// finish writes the results, then the ledger, then the sidecar. Results need no fence
// of their own: their names are made of footage and model, and the same model finds the
// same in the same footage, so a Put over those of another attempt changes nothing that
// counts. Which attempt's count stands, and when, is the ledger's to say. Before that the
// status ends: a late "processing" must not overwrite the end.
func (a *attempt) finish(ctx context.Context, out count.Outcome, endStatus func()) error {
	r := out.Result
	a.status.stage(job.StageReport)
	err := a.persist(ctx, func() error { // ask before the first byte of a result is written
		_, err := a.w.o.Attempts.UpdateProgress(ctx, a.job.ID, a.job.Fence, a.status.get())
		return err
	})
	if err != nil {
		return err
	}
	var doc, table bytes.Buffer
	if err := errors.Join(r.WriteJSON(&doc), r.WriteCSV(&table)); err != nil {
		return err
	}
	forms := map[string][]byte{"json": doc.Bytes(), "csv": table.Bytes()}
	if out.Still != nil {
		forms["jpg"] = out.Still
	}
	for ext, b := range forms {
		err := a.persist(ctx, func() error {
			_, err := a.w.o.Blobs.Put(ctx, wire.ResultKey(a.footage.ID, r.Model.Digest, ext), bytes.NewReader(b))
			return err
		})
		if err != nil {
			return fmt.Errorf("write result of %s: %w", a.footage.ID, err)
		}
	}
	c := ledger.Count{
		Footage: a.footage.ID, Job: a.job.ID, Unique: r.Count.Unique, Low: r.Count.Low, High: r.Count.High,
		ByClass: r.Count.ByClass, Model: r.Model.Name, ModelDigest: r.Model.Digest,
	}
	key := wire.ResultKey(a.footage.ID, r.Model.Digest, "json")
	endStatus()
	var j ledger.Job
	err = a.persist(ctx, func() (err error) {
		j, err = a.w.o.Attempts.Finish(ctx, a.job.ID, a.job.Fence, c, key)
		return err
	})
	if err != nil {
		return err
	}
	a.unique = r.Count.Unique
	a.writeStatus(ctx, j)
	return nil
}

const (
	persistPause = 2 * time.Second
	// persistTries is for how long the end of a job waits for what it is written to.
	persistTries = 150
)

// persist repeats a write at the end of a job while the lease is held: hours of counting
// are not thrown away because storage or ledger are away for a few minutes.
func (a *attempt) persist(ctx context.Context, write func() error) error {
	for try := 1; ; try++ {
		err := a.fenced(write())
		switch {
		case err == nil, errors.Is(err, ErrLeaseLost), try == persistTries:
			return err
		case ctx.Err() != nil:
			return errors.Join(context.Cause(ctx), err)
		}
		a.log.Warn("the end of the job cannot be written yet, trying again", "err", err, "retry_in", persistPause)
		a.w.pause(ctx, persistPause)
	}
}

// fail records that the footage cannot be counted, and what can be done.
func (a *attempt) fail(ctx context.Context, fault error) error {
	reason := fmt.Sprintf("%v; %s", fault, count.Advice(fault))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	j, err := a.w.o.Attempts.Fail(ctx, a.job.ID, a.job.Fence, reason)
	if err != nil {
		return a.fenced(err)
	}
	a.writeStatus(ctx, j)
	return nil
}

// release gives the job back undone.
func (a *attempt) release(ctx context.Context, reason string) {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	j, err := a.w.o.Attempts.Release(short, a.job.ID, a.job.Fence, reason)
	if err != nil {
		a.log.Warn("cannot record that the job is given back, its lease will run out", "err", err)
		return
	}
	a.writeStatus(short, j)
	if ctx.Err() != nil {
		a.w.sendAnew(short, a.lease, a.log)
		return
	}
	a.w.giveBack(ctx, a.lease, a.log)
}

// fenced gives the ledger's refusal this package's name.
func (a *attempt) fenced(err error) error {
	if errors.Is(err, ledger.ErrFenced) {
		return fmt.Errorf("job %s: %w: %w", a.job.ID, ErrLeaseLost, err)
	}
	return err
}

// keepLease renews at a third of the lease, so that two renewals may fail.
func (a *attempt) keepLease(ctx context.Context, stop context.CancelCauseFunc) {
	every := a.w.o.Lease / 3
	tick := time.NewTicker(every)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := a.lease.Renew(ctx, a.w.o.Lease)
		switch {
		case err == nil:
			renewed = time.Now()
		case ctx.Err() != nil:
			return
		case errors.Is(err, queue.ErrLeaseLost), time.Since(renewed) > a.w.o.Lease-every:
			stop(fmt.Errorf("job %s: %w: %w", a.job.ID, ErrLeaseLost, err))
			return
		default:
			a.log.Warn("lease not renewed, trying again", "err", err)
		}
	}
}

const statusEvery = time.Second

// keepStatus writes ledger and sidecar once a second, changed or not: a reader
// tells a slow job from a dead one by the time of the last write.
func (a *attempt) keepStatus(ctx context.Context, stop context.CancelCauseFunc) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		j, err := a.w.o.Attempts.UpdateProgress(ctx, a.job.ID, a.job.Fence, a.status.get())
		switch {
		case err == nil:
			a.writeStatus(ctx, j)
		case ctx.Err() != nil:
			return
		case errors.Is(err, ledger.ErrFenced):
			stop(a.fenced(err))
			return
		default:
			a.log.Warn("status not written, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
