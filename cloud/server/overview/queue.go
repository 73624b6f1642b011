package overview

import (
	"context"
	"slices"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

const (
	mostJobs = 100
	// leastGivenUp is how many jobs that were given up have a place in a long queue.
	leastGivenUp = 30
	mostWorkers  = 100
	idleFor      = time.Hour // how long a worker without a job is shown
)

// Queue returns what waits for the workers, what they do, and what was given up. A scope has its own jobs and their
// workers only.
func (o *Overview) Queue(ctx context.Context, in ledger.Scope) (wire.Queue, error) {
	v := wire.Queue{Jobs: []wire.QueueJob{}, Workers: []wire.QueueWorker{}}
	b, err := o.o.Work.Backlog(ctx, in)
	if err != nil {
		return v, err
	}
	v.Waiting, v.Leased, v.Oldest = b.Waiting, b.Held, timeOrNil(b.Oldest)
	held, err := o.jobs(ctx, in, false, job.Processing, job.Leased)
	if err != nil {
		return v, err
	}
	waiting, err := o.jobs(ctx, in, false, job.Queued, job.Uploaded)
	if err != nil {
		return v, err
	}
	ended, err := o.jobs(ctx, in, true, job.Poisoned, job.Failed)
	if err != nil {
		return v, err
	}
	held = held[:min(len(held), mostJobs-leastGivenUp)]
	ended = ended[:min(len(ended), max(leastGivenUp, mostJobs-len(held)-len(waiting)))]
	waiting = waiting[:min(len(waiting), mostJobs-len(held)-len(ended))]
	alive, err := o.o.Workers.Alive(ctx)
	if err != nil {
		return v, err
	}
	chosen, err := o.o.Models.Chosen(ctx)
	if err != nil {
		return v, err
	}
	for _, some := range [][]ledger.HeldJob{held, waiting, ended} {
		for _, j := range some {
			v.Jobs = append(v.Jobs, o.withModel(j, chosen, alive))
		}
	}
	v.Workers, err = o.workers(ctx, in, held, alive)
	return v, err
}

// jobs returns the jobs in some states, those of the first state first, at most mostJobs.
func (o *Overview) jobs(ctx context.Context, in ledger.Scope, newest bool, states ...job.State) ([]ledger.HeldJob,
	error) {
	var all []ledger.HeldJob
	for _, s := range states {
		some, err := o.o.Work.Jobs(ctx, s, in, newest, mostJobs-len(all))
		if err != nil {
			return nil, err
		}
		if all = append(all, some...); len(all) == mostJobs {
			break
		}
	}
	return all, nil
}

func queueJob(j ledger.HeldJob) wire.QueueJob {
	v := wire.QueueJob{Job: j.ID, Footage: j.Job.Footage, Name: j.Footage.Name, State: j.State,
		Percent: j.Progress.Percent, FPS: j.Progress.FPS, Attempt: j.Attempt, Since: j.Updated, Reason: j.Reason,
		Priority: j.Priority}
	if isHeld(j) {
		v.Worker = j.Worker
		if !j.Began.IsZero() {
			v.Since = j.Began
		}
	}
	return v
}

func isHeld(j ledger.HeldJob) bool { return j.State == job.Leased || j.State == job.Processing }

// isLost reports whether the worker of a job is gone: its lease has run out and it is not among the living. A worker writes
// the progress of its job each second. Such a job waits for the next worker, although the ledger has it as held.
func (o *Overview) isLost(j ledger.HeldJob, alive []ledger.Worker) bool {
	return isHeld(j) && o.o.Now().Sub(j.Updated) > queue.MaxVisibility &&
		!slices.ContainsFunc(alive, func(w ledger.Worker) bool { return w.Name == j.Worker })
}

// lost returns the jobs in any scope whose worker is gone, at most mostJobs.
func (o *Overview) lost(ctx context.Context, alive []ledger.Worker) ([]ledger.HeldJob, error) {
	held, err := o.jobs(ctx, ledger.Scope{}, false, job.Processing, job.Leased)
	return slices.DeleteFunc(held, func(j ledger.HeldJob) bool { return !o.isLost(j, alive) }), err
}

// withModel returns a job with the model that it is to be counted with, and whether it waits for a worker that has it.
func (o *Overview) withModel(j ledger.HeldJob, chosen []ledger.ModelChoice, alive []ledger.Worker) wire.QueueJob {
	v, want := queueJob(j), ledger.WantedModel(j.Job, j.Footage.Site, chosen)
	if want.IsZero() || v.State.Ended() {
		return v
	}
	v.Model = &want
	waits := v.State == job.Queued || v.State == job.Uploaded || o.isLost(j, alive)
	v.NoModel = waits && !slices.ContainsFunc(alive, func(w ledger.Worker) bool {
		return slices.ContainsFunc(w.Models, func(m wire.InstalledModel) bool { return m.ModelRef == want && m.Fault == "" })
	})
	return v
}

// loadedModel returns the model that a living worker has loaded, nil when that is not known.
func loadedModel(name string, alive []ledger.Worker) *wire.ModelRef {
	for _, w := range alive {
		for _, m := range w.Models {
			if w.Name == name && m.Loaded {
				return &m.ModelRef
			}
		}
	}
	return nil
}

// workers returns the workers that have a job, then those that had one within the last hour, then others that are alive.
func (o *Overview) workers(ctx context.Context, in ledger.Scope, held []ledger.HeldJob, alive []ledger.Worker) ([]wire.QueueWorker, error) {
	all, busy := []wire.QueueWorker{}, map[string]bool{}
	for _, j := range held {
		q := queueJob(j)
		busy[q.Worker] = true
		all = append(all, wire.QueueWorker{Worker: q.Worker, Job: q.Job, Since: q.Since, Model: loadedModel(q.Worker, alive)})
	}
	if !in.All() {
		return all, nil
	}
	idle, err := o.o.Work.Idle(ctx, o.o.Now().Add(-idleFor), mostWorkers)
	for _, w := range idle {
		if !busy[w.Worker] {
			busy[w.Worker] = true
			all = append(all, wire.QueueWorker{Worker: w.Worker, Since: w.Since, Model: loadedModel(w.Worker, alive)})
		}
	}
	for _, w := range alive {
		if !busy[w.Name] && len(all) < mostWorkers {
			all = append(all, wire.QueueWorker{Worker: w.Name, Since: w.Started, Model: loadedModel(w.Name, alive)})
		}
	}
	return all, err
}
