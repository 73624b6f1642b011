package results

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// world is a spool and a cloud. Its methods lock; a test that runs a Fetcher at the
// same time uses change to look and to write.
type world struct {
	mu      sync.Mutex
	list    []spool.Record
	footage map[footage.ID]wire.Footage
	err     error
	asked   []footage.ID
	jobs    map[footage.ID]topic.Job
	counts  map[footage.ID]spool.Count
	broker  bool
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) All() []spool.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}

func (w *world) PutJob(j topic.Job) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[j.Footage] = j
	return true, nil
}

func (w *world) PutCount(id footage.ID, c spool.Count) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[id] = c
	return nil
}

func (w *world) Footage(_ context.Context, id footage.ID) (wire.Footage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, id)
	return w.footage[id], w.err
}

func newWorld(list ...spool.Record) (*world, *Fetcher) {
	w := &world{list: list, footage: map[footage.ID]wire.Footage{}, jobs: map[footage.ID]topic.Job{},
		counts: map[footage.ID]spool.Count{}}
	return w, New(w, w, func() bool { return w.broker }, slog.New(slog.DiscardHandler))
}

func record(id footage.ID, s spool.State, j job.State) spool.Record {
	r := spool.Record{ID: id, State: s}
	if j != "" {
		r.Job = &topic.Job{Job: "j", State: j}
	}
	return r
}

func TestInterval(t *testing.T) {
	counted := record("a", spool.Reclaimed, job.Done)
	counted.Count = &spool.Count{Unique: 1, JobSeq: 5}
	counted.Job.Seq = 5
	recounting, recounted, refused, copied := counted, counted, counted, counted
	refused.Job = &topic.Job{Header: topic.Header{Seq: 9}, Job: "j", State: job.Canceled}
	copied.DuplicateOf = "first"
	recounting.Job = &topic.Job{Header: topic.Header{Seq: 7}, Job: "j", State: job.Processing}
	recounted.Job = &topic.Job{Header: topic.Header{Seq: 9}, Job: "j", State: job.Done}
	for name, c := range map[string]struct {
		r               spool.Record
		without, broker time.Duration // the interval without and with a broker
	}{
		"not confirmed": {record("a", spool.Uploading, ""), 0, 0},
		"confirmed":     {record("a", spool.Confirmed, ""), fetchEvery, fetchSlow},
		"processing":    {record("a", spool.Reclaimed, job.Processing), fetchEvery, fetchSlow},
		"done":          {record("a", spool.Reclaimed, job.Done), fetchEvery, fetchEvery},
		"counted":       {counted, fetchAgain, 0},
		"recounting":    {recounting, fetchEvery, fetchSlow},
		"not recounted": {refused, fetchAgain, fetchAgain},
		"a copy":        {copied, fetchAgain, fetchAgain},
		"recounted":     {recounted, fetchEvery, fetchEvery},
		"failed":        {record("a", spool.Reclaimed, job.Failed), 0, 0},
		"duplicate":     {record("a", spool.Duplicate, ""), 0, 0},
	} {
		w, f := newWorld()
		if got := f.interval(c.r); got != c.without {
			t.Errorf("%s without a broker: %s, want %s", name, got, c.without)
		}
		w.broker = true
		if got := f.interval(c.r); got != c.broker {
			t.Errorf("%s with a broker: %s, want %s", name, got, c.broker)
		}
	}
}

// Without a broker the station shows the cloud's progress and then its count.
func TestProgressAndCountWithoutBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, f := newWorld(record("a", spool.Reclaimed, ""))
		w.footage["a"] = wire.Footage{Job: &wire.Job{ID: "j1", State: job.Processing, Seq: 4,
			Progress: job.Progress{Stage: job.StageDetect, Percent: 40, Count: 17}}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		synctest.Wait()
		w.change(func() {
			if len(w.asked) != 0 {
				t.Errorf("asked %v for a job that has just begun", w.asked)
			}
		})
		<-time.After(fetchEvery)
		synctest.Wait()
		w.change(func() {
			if j := w.jobs["a"]; j.Percent != 40 || j.Count != 17 || j.Seq != 4 || j.Job != "j1" ||
				j.Stage != job.StageDetect {
				t.Errorf("%+v", j)
			}
			// The job ends: a wake fetches the count at once.
			w.list[0].Job = &topic.Job{Job: "j1", State: job.Done}
			w.footage["a"] = wire.Footage{Job: &wire.Job{ID: "j1", State: job.Done},
				Count: &wire.Count{Unique: 92, Low: 88, High: 97}}
		})
		<-time.After(fetchEvery)
		f.Wake()
		synctest.Wait()
		w.change(func() {
			if c := w.counts["a"]; c != (spool.Count{Unique: 92, Low: 88, High: 97}) {
				t.Errorf("%+v", c)
			}
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestCountIsFetchedAtOnce(t *testing.T) {
	w, f := newWorld(record("a", spool.Reclaimed, job.Done))
	w.broker = true
	w.footage["a"] = wire.Footage{Count: &wire.Count{Unique: 1}}
	f.fetchDue(t.Context(), time.Now())
	if w.counts["a"].Unique != 1 {
		t.Error("no count after the first round")
	}
}

// A recount in the cloud reaches a station that already has a count, also one that saw nothing of it.
func TestRecountIsFetched(t *testing.T) {
	r := record("a", spool.Reclaimed, job.Done)
	r.Job.Seq, r.Count = 5, &spool.Count{Unique: 92, JobSeq: 5}
	w, f := newWorld(r)
	w.footage["a"] = wire.Footage{Job: &wire.Job{ID: "j", State: job.Done, Seq: 9}, Count: &wire.Count{Unique: 95}}
	now := time.Now()
	f.fetchDue(t.Context(), now)
	if len(w.asked) != 0 {
		t.Errorf("asked %v for a result that was just stored", w.asked)
	}
	f.fetchDue(t.Context(), now.Add(fetchAgain))
	if want := (spool.Count{Unique: 95, JobSeq: 9}); w.counts["a"] != want || w.jobs["a"].Seq != 9 {
		t.Errorf("count %+v, want %+v; job %+v", w.counts["a"], want, w.jobs["a"])
	}
	// Only the newest are fetched again, and they do not keep a count from an older one that is due.
	w.list = nil
	for i := range maxFetches + 5 {
		one := record(footage.ID(fmt.Sprintf("f%02d", i)), spool.Reclaimed, job.Done)
		if i > 0 {
			one.Count = &spool.Count{Unique: 1}
		}
		w.list = append(w.list, one)
	}
	w.asked = nil
	f.fetchDue(t.Context(), now)
	f.fetchDue(t.Context(), now.Add(fetchAgain))
	f.fetchDue(t.Context(), now.Add(fetchAgain+fetchEvery))
	if want := maxFetches + 2; len(w.asked) != want || w.asked[0] != "f00" || slices.Contains(w.asked, "f04") {
		t.Errorf("asked %d times, want %d: %v", len(w.asked), want, w.asked)
	}
}

// With a broker the progress comes over MQTT: a fetched job does not overwrite it.
func TestBrokersProgressStays(t *testing.T) {
	w, f := newWorld()
	w.broker = true
	w.footage["a"] = wire.Footage{Job: &wire.Job{ID: "j", State: job.Processing}}
	for state, stored := range map[job.State]bool{job.Processing: false, job.Queued: true} {
		clear(w.jobs)
		if err := f.Fetch(t.Context(), record("a", spool.Reclaimed, state)); err != nil {
			t.Fatal(err)
		}
		if _, got := w.jobs["a"]; got != stored {
			t.Errorf("known state %s: stored %t, want %t", state, got, stored)
		}
	}
}

func TestDuplicateHasTheFirstResult(t *testing.T) {
	w, f := newWorld()
	w.footage["b"] = wire.Footage{DuplicateOf: "a"}
	w.footage["a"] = wire.Footage{Count: &wire.Count{Unique: 92}}
	if err := f.Fetch(t.Context(), record("b", spool.Reclaimed, "")); err != nil {
		t.Fatal(err)
	}
	if w.counts["b"].Unique != 92 || !slices.Equal(w.asked, []footage.ID{"b", "a"}) {
		t.Errorf("%+v after %v", w.counts, w.asked)
	}
}

// A round is bounded, begins with the newest footage and ends when the link is down.
func TestRoundIsBounded(t *testing.T) {
	var list []spool.Record
	for i := range maxFetches + 5 {
		list = append(list, record(footage.ID(fmt.Sprintf("f%02d", i)), spool.Reclaimed, job.Done))
	}
	w, f := newWorld(list...)
	now := time.Now()
	f.fetchDue(t.Context(), now)
	if len(w.asked) != maxFetches || w.asked[0] != "f24" || w.asked[maxFetches-1] != "f05" {
		t.Errorf("asked %v", w.asked)
	}
	w.asked, w.err = nil, fmt.Errorf("no route: %w", uplink.ErrLink)
	f.fetchDue(t.Context(), now.Add(fetchEvery))
	if len(w.asked) != 1 {
		t.Errorf("asked %v over a link that is down", w.asked)
	}
	w.asked, w.err = nil, errors.New("HTTP 500")
	f.fetchDue(t.Context(), now.Add(3*fetchEvery))
	if len(w.asked) != maxFetches {
		t.Errorf("asked %v: a faulty answer must not stop the round", w.asked)
	}
}

// The cloud knows footage under another id when its own one is in use there.
func TestResultUnderAnotherID(t *testing.T) {
	r := record("f1", spool.Reclaimed, job.Done)
	r.UploadedAs = "f1-cloud"
	w, f := newWorld(r)
	w.footage["f1-cloud"] = wire.Footage{ID: "f1-cloud", Job: &wire.Job{ID: "j", State: job.Failed},
		Count: &wire.Count{Unique: 12, Low: 10, High: 14}}
	if err := f.Fetch(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if w.counts["f1"].Unique != 12 || w.jobs["f1-cloud"].Job != "j" || len(w.jobs) != 1 || len(w.counts) != 1 {
		t.Errorf("counts %v, jobs %v", w.counts, w.jobs)
	}
}
