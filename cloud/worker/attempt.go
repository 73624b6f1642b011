package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/shared/job"
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/wire"
)

// attempt is the work on one lease of one job.
type attempt struct {
	w       *Worker
	lease   queue.Lease
	job     ledger.Job
	footage ledger.Footage
	model   wire.ModelRef // to count with; zero for that of the worker
	counter Counter
	log     *slog.Logger
	status  currentProgress
	unique  int // counted animals, set by finish
	sidecar sidecar
	// flightResults are blob keys of documents of flights that this attempt has written; only the last ones may be named.
	flightResults []string
}

// errFinished ends the tasks of an attempt after the count.
var errFinished = errors.New("attempt finished")

// run counts and writes the results. One task renews the lease and, until the results are written, another one
// publishes the status. When either learns that the lease is lost it ends the attempt.
func (a *attempt) run(ctx context.Context) error {
	work, stop := context.WithCancelCause(ctx)
	lease := startTask(work, func(ctx context.Context) { a.renewLease(ctx, stop) })
	err := a.countAndFinish(work, stop)
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

func (a *attempt) countAndFinish(ctx context.Context, stop context.CancelCauseFunc) error {
	a.status.set(job.Progress{Stage: job.StageDownload})
	status := startTask(ctx, func(ctx context.Context) { a.publishStatus(ctx, stop) })
	defer status.end()
	var err error
	if a.counter, err = a.w.counter(a.model); err != nil {
		return err
	}
	fetching, span := tracing.Begin(ctx, "fetch", a.footage.ID)
	src, download, release, err := a.fetch(fetching)
	span.End(err)
	if err != nil {
		return err
	}
	defer release()
	if src.Lines, err = a.findLines(ctx); err != nil {
		return err
	}
	files := a.openEvidence()
	defer files.close()
	src.Evidence = files.options
	detecting, span := tracing.Begin(ctx, "detect", a.footage.ID)
	out, err := a.w.count(detecting, a.counter, src, a.status.set)
	if download != nil {
		out, err = a.confirmStreamed(detecting, src, download, out, err)
	}
	span.End(err)
	if err != nil {
		return err
	}
	film := src.Path
	if download != nil {
		if film, err = download.Wait(ctx); err != nil { // it has ended: confirmStreamed waited
			return err
		}
	}
	ctx, span = tracing.Begin(ctx, "report", a.footage.ID)
	err = a.finish(ctx, out, film, files, status.end)
	span.End(err)
	return err
}

// finish writes the results, then the ledger, then the sidecar, and removes the results of earlier attempts. The keys of
// results have the fence of the attempt, and the ledger decides which attempt counts. The status task ends before the
// ledger is written, because a late "processing" must not overwrite the end.
func (a *attempt) finish(ctx context.Context, out count.Outcome, film string, files *evidenceFile,
	endStatus func()) error {
	files.measure(&out.Result)
	a.status.setStage(job.StageReport)
	err := a.persist(ctx, func() error { // checks the lease before the first byte of a result
		_, err := a.w.o.Attempts.UpdateProgress(ctx, a.job.ID, a.job.Fence, a.status.get())
		return err
	})
	if err != nil {
		return err
	}
	if err := a.storeEvidence(ctx, &out, files); err != nil { // before the result, which lists what there is
		return err
	}
	a.addPositions(ctx, &out, film)
	r := out.Result
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
			_, err := a.w.o.Blobs.Put(ctx, a.resultKey(&out, ext), bytes.NewReader(b))
			return err
		})
		if err != nil {
			return fmt.Errorf("write result of %s: %w", a.footage.ID, err)
		}
	}
	if err := a.storeCrossings(ctx, &out); err != nil {
		return err
	}
	c := ledger.Count{
		Footage: a.footage.ID, Job: a.job.ID, Unique: r.Count.Unique, Low: r.Count.Low, High: r.Count.High,
		ByClass: r.Count.ByClass, Model: r.Model.Name, ModelDigest: r.Model.Digest,
		Boundaries: r.Totals(),
	}
	j, err := a.record(ctx, out, c, endStatus)
	if err != nil {
		return err
	}
	a.unique = r.Count.Unique
	a.writeSidecar(ctx, j)
	a.removeOlder(ctx)
	return nil
}

// resultKey is the blob key of one form of the attempt's result.
func (a *attempt) resultKey(out *count.Outcome, ext string) string {
	return wire.ResultKey(a.footage.ID, out.Result.Model.Digest, a.job.Fence, ext)
}

// removeOlder deletes the results of earlier attempts, but not the one that counted until now: links to it may live for
// some time. cloud-api deletes it after an hour, and what a crash or a fault leaves.
func (a *attempt) removeOlder(ctx context.Context) {
	if a.job.Fence == 1 {
		return
	}
	former := strings.TrimSuffix(a.job.ResultKey, "json")
	older := func(key string) bool {
		return wire.ResultFence(key) < a.job.Fence && (former == "" || !strings.HasPrefix(key, former))
	}
	if err := a.w.remove(ctx, wire.ResultPrefix(a.footage.ID), older); err != nil {
		a.log.Warn("cannot remove the results of earlier attempts; cloud-api does in an hour", "err", err)
	}
}

// record writes the end of the job into the ledger, with its flight.
func (a *attempt) record(ctx context.Context, out count.Outcome, c ledger.Count, endStatus func()) (j ledger.Job,
	err error) {
	key := a.resultKey(&out, "json")
	if a.w.o.Flights == nil || out.Trace == nil {
		endStatus()
		err = a.persist(ctx, func() (err error) {
			j, err = a.w.o.Attempts.Finish(ctx, a.job.ID, a.job.Fence, c, key)
			return err
		})
		return j, err
	}
	p, err := a.storeTrace(ctx, out)
	if err != nil {
		return j, fmt.Errorf("write the trace of %s: %w", a.footage.ID, err)
	}
	endStatus()
	err = a.persist(ctx, func() (err error) {
		j, err = a.finishPart(ctx, out, p, c, key)
		return err
	})
	if err == nil {
		a.w.removeUnnamed(ctx, a.flightResults)
	}
	return j, err
}

const (
	persistPause = 2 * time.Second
	// persistTries bounds the wait for ledger and storage at the end of a job.
	persistTries = 150
)

// persist retries a write at the end of a job while the lease is held. An outage of the storage or the ledger for a few
// minutes must not discard hours of counting. A value that the ledger refuses is refused each time.
func (a *attempt) persist(ctx context.Context, write func() error) error {
	for try := 1; ; try++ {
		err := a.asLeaseLost(write())
		switch {
		case err == nil, errors.Is(err, ErrLeaseLost), errors.Is(err, ledger.ErrInvalid), try == persistTries:
			return err
		case ctx.Err() != nil:
			return errors.Join(context.Cause(ctx), err)
		}
		a.log.Warn("cannot write the end of the job; retrying", "err", err, "retry_in", persistPause)
		a.w.pause(ctx, persistPause)
	}
}

// fail records that the footage cannot be counted, with the remedy.
func (a *attempt) fail(ctx context.Context, fault error) error {
	reason := fmt.Sprintf("%s; %s", a.w.faultText(fault), count.Advice(fault))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	j, err := a.w.o.Attempts.Fail(ctx, a.job.ID, a.job.Fence, reason)
	if err != nil {
		return a.asLeaseLost(err)
	}
	a.removeOwn(ctx)
	a.writeSidecar(ctx, j)
	return nil
}

// removeOwn deletes the results that the attempt has written: the ledger has recorded that it ended without a result,
// so it names none.
func (a *attempt) removeOwn(ctx context.Context) {
	own := func(key string) bool { return wire.ResultFence(key) == a.job.Fence }
	if err := a.w.remove(ctx, wire.ResultPrefix(a.footage.ID), own); err != nil {
		a.log.Warn("cannot remove the results of a failed attempt; cloud-api does in an hour", "err", err)
	}
	if a.w.o.Flights != nil {
		a.w.removeUnnamed(ctx, a.flightResults)
	}
}

// release returns the job to the queue without a result.
func (a *attempt) release(ctx context.Context, reason string) {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	j, err := a.w.o.Attempts.Release(short, a.job.ID, a.job.Fence, reason)
	if err != nil {
		a.log.Warn("cannot record the return of the job; its lease will expire", "err", err)
		return
	}
	a.writeSidecar(short, j)
	if ctx.Err() != nil {
		a.w.requeue(short, a.lease, a.log)
		return
	}
	a.removeOwn(short)
	a.w.returnMessage(ctx, a.lease, a.log)
}

// asLeaseLost adds ErrLeaseLost to the ledger's refusal of an older fencing token.
func (a *attempt) asLeaseLost(err error) error {
	if errors.Is(err, ledger.ErrFenced) {
		return fmt.Errorf("job %s: %w: %w", a.job.ID, ErrLeaseLost, err)
	}
	return err
}

// renewLease renews the lease after each third of it, so two renewals may fail.
func (a *attempt) renewLease(ctx context.Context, stop context.CancelCauseFunc) {
	every := a.w.o.Lease / 3
	tick := time.NewTicker(every)
	defer tick.Stop()
	renewed := time.Now()
	for {
		a.w.o.Beat(every + betweenBeats)
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
			a.log.Warn("cannot renew the lease; retrying", "err", err)
		}
	}
}

const statusEvery = time.Second

// publishStatus writes ledger and sidecar once a second, even without a change: the time of the last write
// distinguishes a slow job from a dead one.
func (a *attempt) publishStatus(ctx context.Context, stop context.CancelCauseFunc) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		j, err := a.w.o.Attempts.UpdateProgress(ctx, a.job.ID, a.job.Fence, a.status.get())
		switch {
		case err == nil:
			a.writeSidecar(ctx, j)
		case ctx.Err() != nil:
			return
		case errors.Is(err, ledger.ErrFenced):
			stop(a.asLeaseLost(err))
			return
		default:
			a.log.Warn("cannot write the status; retrying", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
