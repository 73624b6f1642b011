package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// listedJob is a job with what people know it by.
type listedJob struct {
	wire.Job
	Name   string `json:"name"` // of the file
	Device string `json:"device"`
}

type jobList struct {
	output
	State string `help:"List only jobs in this state: uploaded, queued, leased, processing, done, failed, poisoned or canceled."`
	Limit int    `default:"50" help:"List at most this many jobs."`
}

func (j *jobList) Run(ctx context.Context, e *env) error {
	if j.State != "" && !slices.Contains(states(), j.State) {
		return fmt.Errorf("%w: --state %s: want one of %s", errUsage, j.State, strings.Join(states(), ", "))
	}
	if j.Limit < 1 {
		return fmt.Errorf("%w: --limit %d: want 1 or more", errUsage, j.Limit)
	}
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		stored, _, err := l.Jobs.List(ctx, job.State(j.State), ledger.Page{Limit: j.Limit})
		if err != nil {
			return err
		}
		var jobs []listedJob
		for _, s := range stored {
			jobs = append(jobs, listedJob{Name: s.Footage.Name, Device: s.Footage.Device, Job: wire.Job{ID: s.ID, Footage: s.Footage.ID, State: s.State,
				Progress: s.Progress, Attempt: s.Attempt, Reason: s.Reason, Created: s.Created, Updated: s.Updated, Seq: s.Seq}})
		}
		return list(e, j.output, jobs, "JOB,STATE,PERCENT,COUNT,TRIES,DEVICE,FOOTAGE,NAME,REASON", func(j listedJob) []any {
			return []any{j.ID, j.State, fmt.Sprintf("%.0f", j.Percent), j.Job.Count, j.Attempt, j.Device, j.Footage, j.Name, j.Reason}
		})
	})
}

type jobShow struct {
	output
	ID string `arg:"" help:"Identifier of the job."`
}

func (j *jobShow) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		shown, err := l.Jobs.Get(ctx, j.ID)
		if err != nil {
			return err
		}
		const most = 100
		stored, err := l.Attempts.List(ctx, j.ID, most)
		if err != nil {
			return err
		}
		var attempts []wire.Attempt
		for _, a := range stored {
			attempts = append(attempts, wire.Attempt{N: a.N, Worker: a.Worker, Began: a.Began, Ended: a.Ended, Outcome: a.Outcome, Reason: a.Reason})
		}
		if !j.JSON {
			fmt.Fprintf(e.stdout, "%s  %s  %.0f %%  %s\n\n", shown.ID, shown.State, shown.Progress.Percent, oneLine(shown.Reason))
		}
		return list(e, j.output, attempts, "ATTEMPT,WORKER,BEGAN,ENDED,OUTCOME,REASON", func(a wire.Attempt) []any {
			ended := "-"
			if a.Ended != nil {
				ended = day(a.Ended)
			}
			return []any{a.N, a.Worker, day(&a.Began), ended, cmp.Or(a.Outcome, "running"), a.Reason}
		})
	})
}

type jobRetry struct {
	ID string `arg:"" help:"Identifier of the job."`
}

func (j *jobRetry) Run(ctx context.Context, e *env) error {
	return e.enqueueJob(ctx, "Job %s is queued again.\n", func(ctx context.Context, l *ledger.Ledger) (ledger.Job, error) {
		return l.Jobs.Retry(ctx, j.ID)
	})
}

type jobCount struct {
	Footage string `arg:"" help:"Identifier of the footage."`
}

func (j *jobCount) Run(ctx context.Context, e *env) error {
	return e.enqueueJob(ctx, "Job %s is queued.\n", func(ctx context.Context, l *ledger.Ledger) (ledger.Job, error) {
		return l.Jobs.CountSibling(ctx, footage.ID(j.Footage))
	})
}

type jobRecount struct {
	Footage string `arg:"" help:"Identifier of the footage."`
}

func (j *jobRecount) Run(ctx context.Context, e *env) error {
	return e.enqueueJob(ctx, "Job %s is queued. The count stays until the new one replaces it.\n", func(ctx context.Context, l *ledger.Ledger) (ledger.Job, error) {
		return l.Jobs.Recount(ctx, footage.ID(j.Footage))
	})
}

// enqueueJob queues the job that prepare returns, and prints done with its identifier.
func (e *env) enqueueJob(ctx context.Context, done string,
	prepare func(context.Context, *ledger.Ledger) (ledger.Job, error)) error {
	return e.withConfigured(ctx, func(ctx context.Context, c config.Config, l *ledger.Ledger) error {
		st, err := store.Open(ctx, c, l, c.Log.Logger(e.stderr))
		if err != nil {
			return err
		}
		j, err := prepare(ctx, l)
		if err != nil {
			return err
		}
		if err := st.Queue.Enqueue(ctx, j.ID); err != nil {
			return err
		}
		if err := l.Jobs.MarkQueued(ctx, j.ID); err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.stderr, done, j.ID)
		return err
	})
}

type jobCancel struct {
	ID string `arg:"" help:"Identifier of the job."`
}

func (j *jobCancel) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		if err := l.Jobs.Cancel(ctx, j.ID); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stderr, "Job %s is canceled.\n", j.ID)
		return err
	})
}
