package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// workerJobs is the ledger's jobs behind the gates of a process. It notes every write that the ledger accepts.
type workerJobs struct {
	*ledger.Jobs
	p *process
}

// workerAttempts is the ledger's attempts behind the gates of a process. It notes every write that the ledger accepts.
type workerAttempts struct {
	*ledger.Attempts
	p *process
}

func (l workerJobs) Get(ctx context.Context, id string) (j ledger.Job, err error) {
	err = l.p.call(fullWeight, func() error {
		j, err = l.Jobs.Get(ctx, id)
		return err
	})
	return j, err
}

func (l workerJobs) Poison(ctx context.Context, id, reason string) error {
	return l.p.call(fullWeight, func() error {
		err := l.Jobs.Poison(ctx, id, reason)
		if err == nil {
			l.p.w.noteEnd(id, poisonEnd)
		}
		return err
	})
}

func (l workerAttempts) Begin(ctx context.Context, id, worker string) (j ledger.Job, f ledger.Footage, err error) {
	err = l.p.call(fullWeight, func() error {
		if j, f, err = l.Attempts.Begin(ctx, id, worker); err == nil {
			l.p.w.noteBegun(id)
		}
		return err
	})
	return j, f, err
}

func (l workerAttempts) UpdateProgress(
	ctx context.Context, id string, fence int64, p job.Progress,
) (j ledger.Job, err error) {
	err = l.p.call(statusWrite, func() error {
		var err error
		j, err = l.Attempts.UpdateProgress(ctx, id, l.usedFence(ctx, id, fence), p)
		if l.p.w.without.fence && errors.Is(err, ledger.ErrFenced) {
			return nil // without fencing the ledger does not report that the attempt has ended
		}
		return err
	})
	return j, err
}

func (l workerAttempts) Finish(
	ctx context.Context, id string, fence int64, c ledger.Count, key string,
) (ledger.Job, error) {
	return l.end(id, fence, func() (ledger.Job, error) {
		return l.Attempts.Finish(ctx, id, l.usedFence(ctx, id, fence), c, key)
	})
}

func (l workerAttempts) Fail(ctx context.Context, id string, fence int64, reason string) (ledger.Job, error) {
	return l.end(id, fence, func() (ledger.Job, error) {
		return l.Attempts.Fail(ctx, id, l.usedFence(ctx, id, fence), reason)
	})
}

func (l workerAttempts) Release(ctx context.Context, id string, fence int64, reason string) (j ledger.Job, err error) {
	err = l.p.call(fullWeight, func() (err error) {
		j, err = l.Attempts.Release(ctx, id, l.usedFence(ctx, id, fence), reason)
		return err
	})
	return j, err
}

// end calls write, which ends the attempt with the fence, and notes the end if the ledger accepts it.
func (l workerAttempts) end(id string, fence int64, write func() (ledger.Job, error)) (j ledger.Job, err error) {
	err = l.p.call(fullWeight, func() (err error) {
		if j, err = write(); err == nil {
			l.p.w.noteEnd(id, fence)
		}
		return err
	})
	return j, err
}

// usedFence returns the attempt's own fence. Without fencing it returns the job's current one.
func (l workerAttempts) usedFence(ctx context.Context, id string, own int64) int64 {
	if !l.p.w.without.fence {
		return own
	}
	if j, err := l.p.w.ledger.Jobs.Get(ctx, id); err == nil {
		return j.Fence
	}
	return own
}

// workerBlobs is the blob store behind the gates of a process.
type workerBlobs struct {
	blob.Store
	p *process
}

func (b workerBlobs) Put(ctx context.Context, key string, r io.Reader) (info blob.Info, err error) {
	err = b.p.call(statusWrite, func() error {
		info, err = b.Store.Put(ctx, key, r)
		return err
	})
	return info, err
}

func (b workerBlobs) Replace(ctx context.Context, key, version string, r io.Reader) (info blob.Info, err error) {
	err = b.p.call(statusWrite, func() error {
		info, err = b.Store.Replace(ctx, key, version, r)
		return err
	})
	return info, err
}

func (b workerBlobs) Open(ctx context.Context, key string, offset, length int64) (r io.ReadCloser, err error) {
	err = b.p.call(fullWeight, func() error {
		r, err = b.Store.Open(ctx, key, offset, length)
		return err
	})
	if err != nil && r != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, err
}

// counter simulates the Counter: it takes the clip's counting time and returns the clip's number of animals.
type counter struct{ p *process }

func (c counter) Count(ctx context.Context, s count.Source, progress func(job.Progress)) (count.Outcome, error) {
	clip := c.p.w.clip(s.Footage)
	const steps = 4
	for i := range steps {
		if err := c.p.gate(fullWeight); err != nil {
			return count.Outcome{}, err
		}
		if ctx.Err() != nil {
			return count.Outcome{}, context.Cause(ctx)
		}
		progress(job.Progress{FramesDone: i, FramesTotal: steps, Percent: 100 * float64(i) / steps})
		wait(ctx, clip.countTime/steps)
	}
	if clip.truncated {
		return count.Outcome{}, fmt.Errorf("%s: %w", s.Name, video.ErrTruncated)
	}
	n := clip.animals
	return count.Outcome{Result: report.Result{
		Schema: report.Schema, Footage: s.Footage, Model: report.Model{Name: "simulated", Digest: modelDigest},
		Count: report.Count{Unique: n, Low: n, High: n, ByClass: map[string]int{"cow": n}},
	}}, nil
}

var modelDigest = footage.Sum([]byte("simulated"))
