package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wake"
	"cattlecounter/shared/wire"
)

// follower asks the cloud what became of confirmed footage: the final count,
// which a device may not read from the broker, and the job's progress where
// there is no broker.
type follower struct {
	spool    followed
	cloud    asked
	brokerUp func() bool
	log      *slog.Logger
	wake     wake.Signal
	// tried is when each id was last asked for; only of footage still followed.
	tried map[footage.ID]time.Time
}

type followed interface {
	All() []spool.Record
	PutJob(topic.Job) (bool, error)
	PutCount(footage.ID, spool.Count) error
}

type asked interface {
	Footage(context.Context, footage.ID) (wire.Footage, error)
}

const (
	// followEvery is how often a job is asked for without a broker, and a count
	// that is due. Each answer is about a kilobyte.
	followEvery = 15 * time.Second
	// followSlow is how often with a broker that tells of progress by itself: for
	// what it lost.
	followSlow = 10 * time.Minute
	// followMost bounds the questions of one round; the newest footage counts.
	followMost = 20
)

func newFollower(s followed, c asked, brokerUp func() bool, log *slog.Logger) *follower {
	return &follower{spool: s, cloud: c, brokerUp: brokerUp, log: log, wake: wake.New(), tried: map[footage.ID]time.Time{}}
}

func (f *follower) wakeUp() {
	f.wake.Set()
}

// Run follows until ctx ends.
func (f *follower) Run(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		f.round(ctx, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-f.wake.C():
		}
	}
}

// wants says how often to ask for a record, 0 for never.
func (f *follower) wants(r spool.Record) time.Duration {
	switch {
	case r.State != spool.Reclaimed && r.State != spool.Confirmed, r.Count != nil, r.Job != nil && r.Job.State.Ended() && r.Job.State != job.Done:
		return 0
	case r.Job != nil && r.Job.State == job.Done, !f.brokerUp():
		return followEvery
	}
	return followSlow
}

func (f *follower) round(ctx context.Context, now time.Time) {
	records := f.spool.All()
	followed := map[footage.ID]time.Time{}
	for i, left := len(records)-1, followMost; i >= 0; i-- {
		r := records[i]
		every := f.wants(r)
		if every == 0 {
			continue
		}
		last, before := f.tried[r.ID]
		counted := r.Job != nil && r.Job.State == job.Done
		// The first question waits a round, unless the count is there.
		if !before && !counted {
			last, before = now, true
		}
		if left > 0 && ctx.Err() == nil && (!before || now.Sub(last) >= every) {
			left--
			last = now
			if err := f.ask(ctx, r); err != nil {
				f.log.Debug("the cloud does not say what became of footage", "footage", r.ID, "err", err)
				if errors.Is(err, uplink.ErrLink) {
					left = 0
				}
			}
		}
		followed[r.ID] = last
	}
	f.tried = followed
}

func (f *follower) ask(ctx context.Context, r spool.Record) error {
	got, err := f.cloud.Footage(ctx, r.ID)
	if err == nil && got.Count == nil && got.Job == nil && got.DuplicateOf != "" {
		got, err = f.cloud.Footage(ctx, got.DuplicateOf)
	}
	if err != nil {
		return err
	}
	if j := got.Job; j != nil && (r.Job == nil || r.Job.State != j.State || !f.brokerUp()) {
		_, err = f.spool.PutJob(topic.Job{Header: topic.Header{V: topic.Version, Seq: j.Seq, At: j.Updated}, Job: j.ID, Footage: r.ID,
			State: j.State, Progress: j.Progress, Attempt: j.Attempt, Updated: j.Updated, Reason: j.Reason})
	}
	if c := got.Count; c != nil {
		err = errors.Join(err, f.spool.PutCount(r.ID, spool.Count{Unique: c.Unique, Low: c.Low, High: c.High}))
	}
	return err
}
