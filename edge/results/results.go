// Package results fetches the result of confirmed footage from the cloud: the final
// count, which a device may not read from the broker, and the progress of the job
// where there is no broker.
package results

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wake"
	"cattlecounter/shared/wire"
)

// records are the spool's records and their results.
type records interface {
	All() []spool.Record
	PutJob(topic.Job) (bool, error)
	PutCount(footage.ID, spool.Count) error
}

// cloud returns what the cloud has under an id.
type cloud interface {
	Footage(context.Context, footage.ID) (wire.Footage, error)
}

const (
	// fetchEvery is the interval of fetches without a broker, and for a count that is
	// due. Each answer has about a kilobyte.
	fetchEvery = 15 * time.Second
	// fetchSlow is the interval with a broker, which sends the progress by itself. It
	// covers lost messages.
	fetchSlow = 10 * time.Minute
	// fetchAgain is the interval without a broker at which the newest counted footage is fetched again: the cloud may
	// have counted it once more.
	fetchAgain = time.Hour
	// maxFetches bounds the requests of one round, and the counted footage that is fetched again. The newest footage
	// comes first.
	maxFetches = 20
)

// Fetcher stores the cloud's results in the spool. Create it with New, start it with
// Run. Wake is safe for concurrent use.
type Fetcher struct {
	records  records
	cloud    cloud
	brokerUp func() bool
	log      *slog.Logger
	wake     wake.Signal
	// fetched is the last fetch of each footage without a result; only Run uses it.
	fetched map[footage.ID]time.Time
}

// New returns a Fetcher. brokerUp reports whether the broker is connected.
func New(r records, c cloud, brokerUp func() bool, log *slog.Logger) *Fetcher {
	return &Fetcher{records: r, cloud: c, brokerUp: brokerUp, log: log, wake: wake.New(),
		fetched: map[footage.ID]time.Time{}}
}

// Wake makes Run look for results now.
func (f *Fetcher) Wake() { f.wake.Set() }

// Run fetches results until ctx ends, and then returns nil.
func (f *Fetcher) Run(ctx context.Context) error {
	tick := time.NewTicker(fetchEvery)
	defer tick.Stop()
	for {
		f.fetchDue(ctx, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-f.wake.C():
		}
	}
}

// interval is how often to fetch the result of a record, 0 for never.
func (f *Fetcher) interval(r spool.Record) time.Duration {
	confirmed := r.State == spool.Reclaimed || r.State == spool.Confirmed
	failed := r.Job != nil && r.Job.State.Ended() && r.Job.State != job.Done
	switch {
	case !confirmed, r.LogOf != "", failed && r.Count == nil:
		return 0
	case settled(r) && f.brokerUp() && r.DuplicateOf == "":
		return 0 // the broker tells when the job moves again; that of a duplicate is another footage's
	case settled(r), failed:
		return fetchAgain
	case r.CountDue(), !f.brokerUp():
		return fetchEvery
	}
	return fetchSlow
}

// settled reports that the station has the count of the job's last run.
func settled(r spool.Record) bool {
	return r.Count != nil && !r.CountDue() && (r.Job == nil || r.Job.State == job.Done)
}

// fetchDue makes one round: it fetches the results that are due at now.
func (f *Fetcher) fetchDue(ctx context.Context, now time.Time) {
	all := f.records.All()
	fetched := map[footage.ID]time.Time{}
	left, again := maxFetches, maxFetches
	for _, r := range slices.Backward(all) {
		every := f.interval(r)
		if every == fetchAgain {
			if again--; again < 0 {
				continue
			}
		}
		if every == 0 {
			continue
		}
		last, known := f.fetched[r.ID]
		if !known && !r.CountDue() {
			last, known = now, true // a job that has just begun has no result, a settled one nothing new
		}
		if left > 0 && ctx.Err() == nil && (!known || now.Sub(last) >= every) {
			left--
			last = now
			if err := f.Fetch(ctx, r); err != nil {
				f.log.Debug("cannot fetch the result", "footage", r.ID, "err", err)
				if errors.Is(err, uplink.ErrLink) {
					left = 0
				}
			}
		}
		fetched[r.ID] = last
	}
	f.fetched = fetched
}

// Fetch fetches the result of one record and stores it. A duplicate in the cloud has
// the result of the first footage with its content.
func (f *Fetcher) Fetch(ctx context.Context, r spool.Record) error {
	got, err := f.cloud.Footage(ctx, r.CloudID())
	if err == nil && got.Count == nil && got.Job == nil && got.DuplicateOf != "" {
		got, err = f.cloud.Footage(ctx, got.DuplicateOf)
	}
	if err != nil {
		return err
	}
	if j := got.Job; j != nil && (r.Job == nil || r.Job.State != j.State || !f.brokerUp()) {
		_, err = f.records.PutJob(topic.Job{Header: topic.Header{V: topic.Version, Seq: j.Seq, At: j.Updated},
			Job: j.ID, Footage: r.CloudID(), State: j.State, Progress: j.Progress, Attempt: j.Attempt, Updated: j.Updated,
			Reason: j.Reason})
	}
	if c := got.Count; c != nil {
		count := spool.Count{Unique: c.Unique, Low: c.Low, High: c.High}
		if j := got.Job; j != nil {
			count.JobSeq = j.Seq
		}
		if r.Job != nil && (got.Job == nil || got.Job.ID == r.Job.Job) {
			count.JobSeq = max(count.JobSeq, r.Job.Seq)
		}
		if r.Count == nil || *r.Count != count {
			err = errors.Join(err, f.records.PutCount(r.ID, count))
		}
	}
	return err
}
