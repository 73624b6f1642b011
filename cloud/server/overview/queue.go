package overview

import (
	"context"
	"time"

	"cattlecounter/cloud/store/ledger"
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
	for _, some := range [][]ledger.HeldJob{held, waiting, ended} {
		for _, j := range some {
			v.Jobs = append(v.Jobs, queueJob(j))
		}
	}
	v.Workers, err = o.workers(ctx, in, held)
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

// workers returns the workers that have a job, then those that had one within the last hour.
func (o *Overview) workers(ctx context.Context, in ledger.Scope, held []ledger.HeldJob) ([]wire.QueueWorker, error) {
	all, busy := []wire.QueueWorker{}, map[string]bool{}
	for _, j := range held {
		q := queueJob(j)
		busy[q.Worker] = true
		all = append(all, wire.QueueWorker{Worker: q.Worker, Job: q.Job, Since: q.Since})
	}
	if !in.All() {
		return all, nil
	}
	idle, err := o.o.Work.Idle(ctx, o.o.Now().Add(-idleFor), mostWorkers)
	for _, w := range idle {
		if !busy[w.Worker] {
			all = append(all, wire.QueueWorker{Worker: w.Worker, Since: w.Since})
		}
	}
	return all, err
}
