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

// jobs are the ledger's jobs as a worker reaches them. What got through is noted.
type jobs struct {
	*ledger.Jobs
	p *process
}

// attempts are the ledger's attempts as a worker reaches them. What got through is noted.
type attempts struct {
	*ledger.Attempts
	p *process
}

func (b jobs) Get(ctx context.Context, id string) (j ledger.Job, err error) {
	err = b.p.do(usually, func() error {
		j, err = b.Jobs.Get(ctx, id)
		return err
	})
	return j, err
}

func (b attempts) Begin(ctx context.Context, id, worker string) (j ledger.Job, f ledger.Footage, err error) {
	err = b.p.do(usually, func() error {
		if j, f, err = b.Attempts.Begin(ctx, id, worker); err == nil {
			b.p.w.begun(id)
		}
		return err
	})
	return j, f, err
}

func (b attempts) UpdateProgress(ctx context.Context, id string, fence int64, p job.Progress) (j ledger.Job, err error) {
	err = b.p.do(seldom, func() error {
		var err error
		j, err = b.Attempts.UpdateProgress(ctx, id, b.fence(ctx, id, fence), p)
		if b.p.w.without.fence && errors.Is(err, ledger.ErrFenced) {
			return nil // the attempt has ended, and the ledger does not report it
		}
		return err
	})
	return j, err
}

func (b attempts) Finish(ctx context.Context, id string, fence int64, c ledger.Count, key string) (ledger.Job, error) {
	return b.end(id, fence, func() (ledger.Job, error) { return b.Attempts.Finish(ctx, id, b.fence(ctx, id, fence), c, key) })
}

func (b attempts) Fail(ctx context.Context, id string, fence int64, reason string) (ledger.Job, error) {
	return b.end(id, fence, func() (ledger.Job, error) { return b.Attempts.Fail(ctx, id, b.fence(ctx, id, fence), reason) })
}

func (b attempts) Release(ctx context.Context, id string, fence int64, reason string) (j ledger.Job, err error) {
	err = b.p.do(usually, func() (err error) {
		j, err = b.Attempts.Release(ctx, id, b.fence(ctx, id, fence), reason)
		return err
	})
	return j, err
}

func (b jobs) Poison(ctx context.Context, id, reason string) error {
	return b.p.do(usually, func() error {
		err := b.Jobs.Poison(ctx, id, reason)
		if err == nil {
			b.p.w.ended(id, -1)
		}
		return err
	})
}

// end notes which attempt's end the ledger took.
func (b attempts) end(id string, fence int64, write func() (ledger.Job, error)) (j ledger.Job, err error) {
	err = b.p.do(usually, func() (err error) {
		if j, err = write(); err == nil {
			b.p.w.ended(id, fence)
		}
		return err
	})
	return j, err
}

// fence is the attempt's own, or, without fencing, whatever is valid now.
func (b attempts) fence(ctx context.Context, id string, own int64) int64 {
	if !b.p.w.without.fence {
		return own
	}
	if j, err := b.p.w.ledger.Jobs.Get(ctx, id); err == nil {
		return j.Fence
	}
	return own
}

// blobs is the store as a worker reaches it.
type blobs struct {
	blob.Store
	p *process
}

func (b blobs) Put(ctx context.Context, key string, r io.Reader) (info blob.Info, err error) {
	err = b.p.do(seldom, func() error {
		info, err = b.Store.Put(ctx, key, r)
		return err
	})
	return info, err
}

func (b blobs) Replace(ctx context.Context, key, version string, r io.Reader) (info blob.Info, err error) {
	err = b.p.do(seldom, func() error {
		info, err = b.Store.Replace(ctx, key, version, r)
		return err
	})
	return info, err
}

func (b blobs) Open(ctx context.Context, key string, offset, length int64) (r io.ReadCloser, err error) {
	err = b.p.do(usually, func() error {
		r, err = b.Store.Open(ctx, key, offset, length)
		return err
	})
	if err != nil && r != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, err
}

// counter takes the time that counting a clip takes, and finds what the world says.
type counter struct{ p *process }

func (c counter) Count(ctx context.Context, s count.Source, progress func(job.Progress)) (count.Outcome, error) {
	clip := c.p.w.clip(s.Footage)
	const steps = 4
	for i := range steps {
		if err := c.p.gate(usually); err != nil {
			return count.Outcome{}, err
		}
		if ctx.Err() != nil {
			return count.Outcome{}, context.Cause(ctx)
		}
		progress(job.Progress{FramesDone: i, FramesTotal: steps, Percent: 100 * float64(i) / steps})
		wait(ctx, clip.takes/steps)
	}
	if clip.bad {
		return count.Outcome{}, fmt.Errorf("%s: %w", s.Name, video.ErrTruncated)
	}
	return count.Outcome{Result: report.Result{
		Schema: report.Schema, Footage: s.Footage, Model: report.Model{Name: "simulated", Digest: model},
		Count: report.Count{Unique: clip.animals, Low: clip.animals, High: clip.animals, ByClass: map[string]int{"cow": clip.animals}},
	}}, nil
}

var model = footage.Sum([]byte("simulated"))
