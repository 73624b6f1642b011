package worker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

func detector(name string) wire.ModelRef {
	return wire.ModelRef{Name: name, SHA256: footage.Sum([]byte(name))}
}

// shelf has some models; its counters say with which one they counted.
type shelf struct {
	models map[wire.ModelRef]bool
	broken bool
	asked  []wire.ModelRef
}

func (s *shelf) Has(m wire.ModelRef) bool { return s.models[m] }

func (s *shelf) Usable() []wire.ModelRef { return slices.Collect(maps.Keys(s.models)) }

func (s *shelf) Counter(m wire.ModelRef) (Counter, error) {
	s.asked = append(s.asked, m)
	if s.broken {
		return nil, errors.New("the file is cut off")
	}
	return counterFunc(func(context.Context, count.Source, func(job.Progress)) (count.Outcome, error) {
		var out count.Outcome
		out.Result.Model.Name, out.Result.Model.Digest = m.Name, m.SHA256
		return out, nil
	}), nil
}

func (s *stage) workerWith(name string, models *shelf) *Worker {
	return New(Options{
		Name: name, Jobs: s.l.Jobs, Attempts: s.l.Attempts, Queue: s.q, Blobs: s.b, Models: s.l.Models, Shelf: models, CacheDir: s.t.TempDir(),
		Lease: 10 * time.Second, MaxDeliveries: 2,
	})
}

// A worker leaves a job to others as long as it lacks the model, however often, and counts with no other model.
func TestJobWaitsForItsModel(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	j := s.put("f1")
	must.Get(s.l.Models.Choose(ctx, "", detector("herd")))(t)
	plain, herd := &shelf{}, &shelf{models: map[wire.ModelRef]bool{detector("herd"): true}}
	without, with := s.workerWith("plain", plain), s.workerWith("herd", herd)
	for range 5 { // more often than MaxDeliveries
		s.deliver(ctx, without)
		if _, err := s.q.Receive(ctx, time.Second); err == nil {
			t.Fatal("the job is offered again at once")
		}
		s.later(time.Minute)
	}
	if j = s.job(j.ID); j.State != job.Queued || j.Attempt != 0 || len(plain.asked) != 0 {
		t.Fatalf("after five declines: %+v, asked for %v", j, plain.asked)
	}
	s.deliver(ctx, with)
	if j = s.job(j.ID); j.State != job.Done {
		t.Fatalf("the job is %s: %s", j.State, j.Reason)
	}
	if c := must.Get(s.l.Counts.Get(ctx, "f1"))(t); c.Model != "herd" || c.ModelDigest != detector("herd").SHA256 {
		t.Errorf("counted with %s", c.Model)
	}
	if s.messages() != 0 {
		t.Error("the message was not acknowledged")
	}
}

// A worker takes the jobs that it has the model for, and neither delays nor counts a delivery of the others.
func TestWorkerTakesWhatItCan(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	first, own := s.put("f1"), s.put("f2")
	must.Get(s.l.Models.Choose(ctx, "", detector("dunes")))(t)
	must.Get(s.l.DB().Exec(ctx, `UPDATE job SET model = 'herd', model_digest = $1 WHERE id = $2`, detector("herd").SHA256.String(), own.ID))(t)
	plain := s.workerWith("plain", &shelf{})
	herd := s.workerWith("herd", &shelf{models: map[wire.ModelRef]bool{detector("herd"): true}})
	dunes := s.workerWith("dunes", &shelf{models: map[wire.ModelRef]bool{detector("dunes"): true}})
	_, err := plain.receive(ctx)
	must.FailWith(t, err, queue.ErrEmpty)
	for worker, want := range map[*Worker]string{herd: own.ID, dunes: first.ID} {
		lease := must.Get(worker.receive(ctx))(t)
		if lease.Job() != want || lease.Deliveries() != 1 {
			t.Errorf("%s received %s with delivery %d, want %s", worker.o.Name, lease.Job(), lease.Deliveries(), want)
		}
		_, err := worker.receive(ctx)
		must.FailWith(t, err, queue.ErrEmpty)
		must.Do(t, worker.deliver(ctx, lease))
		if j := s.job(want); j.State != job.Done {
			t.Errorf("the job is %s: %s", j.State, j.Reason)
		}
	}
	at := s.put("f3")
	must.Get(s.l.Models.Choose(ctx, "ranch", wire.ModelRef{}))(t) // that of all sites
	_, err = plain.receive(ctx)
	must.FailWith(t, err, queue.ErrEmpty)
	must.Get(s.l.Models.Choose(ctx, "", wire.ModelRef{}))(t)
	must.Get(s.l.Models.Choose(ctx, "elsewhere", detector("dunes")))(t)
	if lease := must.Get(plain.receive(ctx))(t); lease.Job() != at.ID {
		t.Errorf("received %s", lease.Job())
	}
}

// A job that ended while it waited for its model needs no work.
func TestCanceledJobNeedsNoModel(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	must.Get(s.l.Models.Choose(t.Context(), "ranch", detector("herd")))(t)
	must.Do(t, s.l.Jobs.Cancel(t.Context(), j.ID))
	s.deliver(t.Context(), s.workerWith("plain", &shelf{}))
	if s.messages() != 0 {
		t.Error("the message of a canceled job waits for a model")
	}
}

// Without a choice the model of the worker counts.
func TestOwnModel(t *testing.T) {
	s := newStage(t)
	j, own := s.put("f1"), &shelf{}
	s.deliver(t.Context(), s.workerWith("own", own))
	if j = s.job(j.ID); j.State != job.Done || len(own.asked) != 1 || !own.asked[0].IsZero() {
		t.Errorf("the job is %s, asked for %v", j.State, own.asked)
	}
}

// A model that one worker cannot load uses up no delivery, however often; the job has the reason until another worker
// counts it.
func TestModelThatCannotBeLoaded(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	j := s.put("f1")
	must.Get(s.l.Models.Choose(ctx, "", detector("herd")))(t)
	models := map[wire.ModelRef]bool{detector("herd"): true}
	broken := s.workerWith("broken", &shelf{models: models, broken: true})
	for range 5 { // more often than MaxDeliveries
		s.deliver(ctx, broken)
		if j = s.job(j.ID); j.State != job.Queued || j.Reason != "cannot load the model "+detector("herd").String()+": the file is cut off" {
			t.Fatalf("the job is %s: %s", j.State, j.Reason)
		}
		s.later(time.Minute)
	}
	s.deliver(ctx, s.workerWith("herd", &shelf{models: models}))
	if j = s.job(j.ID); j.State != job.Done || s.messages() != 0 {
		t.Errorf("the job is %s: %s", j.State, j.Reason)
	}
}

// A worker that cannot load its own model ends, and its job waits for another one.
func TestWorkerEndsWithoutItsModel(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	err := s.workerWith("broken", &shelf{broken: true}).Run(t.Context())
	must.FailWith(t, err, errOwnModel)
	if !strings.Contains(err.Error(), "the file is cut off") {
		t.Errorf("it ends with %v", err)
	}
	if j = s.job(j.ID); j.State != job.Queued || s.messages() != 1 {
		t.Errorf("the job is %s with %d messages", j.State, s.messages())
	}
}

// However many jobs lack their model, a worker declines about one a second and logs one a minute. Later it begins with
// short delays again.
func TestDeclinesStaySeldom(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	d := declines{now: func() time.Time { return now }, logged: map[wire.ModelRef]time.Time{}}
	const jobs, seconds = 100, 1000
	var due [jobs]time.Time
	begin, n, late, lines := now, 0, 0, 0
	for now.Sub(begin) < seconds*time.Second {
		for i := range due {
			if due[i].After(now) {
				continue
			}
			due[i] = now.Add(d.delay())
			if n++; now.Sub(begin) >= seconds/2*time.Second {
				late++
			}
			if d.level(detector("herd")) == slog.LevelInfo {
				lines++
			}
		}
		now = now.Add(idlePoll)
	}
	if late > seconds*3/4 {
		t.Errorf("%d declines in the last %d seconds", late, seconds/2)
	}
	if want := seconds/60 + 1; lines != want {
		t.Errorf("%d lines for %d declines, want %d", lines, n, want)
	}
	for range 1000 {
		if got := d.delay(); got > maxBackoff {
			t.Fatalf("a delay of %s", got)
		}
	}
	now = now.Add(maxBackoff)
	if got := d.delay(); got != declineFor {
		t.Errorf("after a quiet time the delay is %s", got)
	}
}

// reports are what a worker wrote.
type reports struct {
	all     []ledger.Worker
	removed []string
	fault   error
}

func (r *reports) Report(_ context.Context, w ledger.Worker) error {
	r.all = append(r.all, w)
	return r.fault
}

func (r *reports) Remove(_ context.Context, name string) error {
	r.removed = append(r.removed, name)
	return nil
}

// A worker reports at its first beat, when something changes, when it promises more time, and now and then.
func TestPresence(t *testing.T) {
	var r reports
	models := []wire.InstalledModel{{ModelRef: detector("herd")}}
	p := NewPresence("w1", &r, func() []wire.InstalledModel { return models }, slog.New(slog.DiscardHandler))
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	p.now = func() time.Time { return now }
	step := func(what string, after, next time.Duration, want int) {
		t.Helper()
		now = now.Add(after)
		p.Beat(next)
		if len(r.all) != want {
			t.Errorf("%s: %d reports, want %d", what, len(r.all), want)
		}
	}
	step("the first beat", 0, 2*time.Minute, 1)
	step("a moment later", time.Second, 2*time.Minute, 1)
	step("a longer promise", time.Second, 10*time.Minute, 2)
	models = []wire.InstalledModel{{ModelRef: detector("herd"), Loaded: true}}
	step("another model is loaded", time.Second, 2*time.Minute, 3)
	r.fault = errors.New("the ledger is away")
	step("after a while", reportEvery, 2*time.Minute, 4)
	step("not at once after a fault", time.Second, time.Minute, 4)
	if last := r.all[3]; last.Name != "w1" || !last.Until.Equal(now.Add(-time.Second+2*time.Minute+reportGrace)) || len(last.Models) != 1 {
		t.Errorf("reported %+v", last)
	}
	p.End()
	if len(r.removed) != 1 || r.removed[0] != "w1" {
		t.Errorf("removed %v", r.removed)
	}
}
