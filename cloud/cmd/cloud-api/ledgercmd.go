package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

// withLedger opens the ledger for one command; a running cloud-api does not mind.
func (e *env) withLedger(do func(*ledger.Ledger) error) error {
	return e.withConfigured(func(_ config.Config, l *ledger.Ledger) error { return do(l) })
}

func (e *env) withConfigured(do func(config.Config, *ledger.Ledger) error) (err error) {
	c, err := e.config()
	if err != nil {
		return err
	}
	l, err := server.OpenLedger(e.ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	e.ctx = ledger.By(e.ctx, commandLine())
	return do(c, l)
}

// commandLine is who the audit names for a command.
func commandLine() string {
	who, where := "somebody", "somewhere"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		where = h
	}
	return "command line, " + who + "@" + where
}

type deviceAdd struct {
	Name string `arg:"" help:"Name, 1 to 64 characters out of A-Z a-z 0-9 _ and -."`
	Site string `required:"" help:"Where it stands; part of its MQTT topics."`
	Role string `enum:"device,reader,operator" default:"device" help:"device: uploads and reports. reader: reads every topic. operator: reads, commands, uploads from the browser."`
}

func (d *deviceAdd) Run(e *env) error {
	if _, err := topic.ParseDevice(d.Site, d.Name); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return e.withLedger(func(l *ledger.Ledger) error {
		token, err := l.Devices.Add(e.ctx, d.Name, d.Site, ledger.Role(d.Role))
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "%s %s of site %s is known now. Its token follows; it is not stored and cannot be shown again.\n", d.Role, d.Name, d.Site)
		_, err = fmt.Fprintln(e.stdout, token.Reveal())
		return err
	})
}

type deviceRenew struct {
	Name string `arg:"" help:"Name of the device."`
}

func (d *deviceRenew) Run(e *env) error {
	return e.withLedger(func(l *ledger.Ledger) error {
		token, err := l.Devices.Renew(e.ctx, d.Name)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "The new token of %s follows; it cannot be shown again. The old one is good until the new one is used.\n", d.Name)
		_, err = fmt.Fprintln(e.stdout, token.Reveal())
		return err
	})
}

type deviceList struct{}

func (deviceList) Run(e *env) error {
	return e.withLedger(func(l *ledger.Ledger) error {
		ds, err := l.Devices.List(e.ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tSITE\tROLE\tSTATE\tLAST SEEN")
		for _, d := range ds {
			state := "active"
			if d.Revoked != nil {
				state = "revoked " + day(d.Revoked)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.Name, d.Site, d.Role, state, day(d.LastSeen))
		}
		return w.Flush()
	})
}

func day(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

type deviceRevoke struct {
	Name string `arg:"" help:"Name of the device."`
}

func (d *deviceRevoke) Run(e *env) error {
	return e.withLedger(func(l *ledger.Ledger) error {
		if err := l.Devices.Revoke(e.ctx, d.Name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stderr, "The token of %s is void; a connected device is cut off within seconds.\n", d.Name)
		return err
	})
}

type jobList struct {
	State string `help:"Only jobs in this state: uploaded, queued, leased, processing, done, failed, poisoned or canceled."`
	Limit int    `default:"50" help:"How many at most."`
}

func (j *jobList) Run(e *env) error {
	if j.State != "" && !slices.Contains(states(), j.State) {
		return fmt.Errorf("%w: --state %s is none of %s", errUsage, j.State, strings.Join(states(), ", "))
	}
	return e.withLedger(func(l *ledger.Ledger) error {
		vs, _, err := l.Jobs.List(e.ctx, job.State(j.State), ledger.Page{Limit: j.Limit})
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "JOB\tSTATE\tPERCENT\tCOUNT\tTRIES\tDEVICE\tFOOTAGE\tNAME\tREASON")
		for _, v := range vs {
			fmt.Fprintf(w, "%s\t%s\t%.0f\t%d\t%d\t%s\t%s\t%s\t%s\n", v.ID, v.State, v.Progress.Percent, v.Progress.Count, v.Attempt,
				v.Footage.Device, v.Footage.ID, oneLine(v.Footage.Name), oneLine(v.Reason))
		}
		return w.Flush()
	})
}

// oneLine keeps what strangers named from moving the terminal's cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

type jobShow struct {
	ID string `arg:"" help:"Identifier of the job."`
}

func (j *jobShow) Run(e *env) error {
	return e.withLedger(func(l *ledger.Ledger) error {
		have, err := l.Jobs.Get(e.ctx, j.ID)
		if err != nil {
			return err
		}
		as, err := l.Attempts.List(e.ctx, j.ID, 100)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "%s\t%s\t%.0f %%\t%s\n\n", have.ID, have.State, have.Progress.Percent, oneLine(have.Reason))
		fmt.Fprintln(w, "ATTEMPT\tWORKER\tBEGAN\tENDED\tOUTCOME\tREASON")
		for _, a := range as {
			outcome, ended := cmp.Or(a.Outcome, "under way"), "-"
			if a.Ended != nil {
				ended = day(a.Ended)
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", a.N, oneLine(a.Worker), day(&a.Began), ended, outcome, oneLine(a.Reason))
		}
		return w.Flush()
	})
}

type auditCmd struct {
	Limit int `default:"50" help:"How many at most, the newest first."`
}

func (a *auditCmd) Run(e *env) error {
	if a.Limit < 1 {
		return fmt.Errorf("%w: --limit %d, want 1 or more", errUsage, a.Limit)
	}
	return e.withLedger(func(l *ledger.Ledger) error {
		ds, err := l.Audit.List(e.ctx, 0, a.Limit)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "WHEN\tWHO\tWHAT\tON")
		for _, d := range ds {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", day(&d.At), oneLine(d.Who), d.Deed, oneLine(d.Subject))
		}
		return w.Flush()
	})
}

type jobRetry struct {
	ID string `arg:"" help:"Identifier of the job."`
}

func (j *jobRetry) Run(e *env) error {
	return e.withConfigured(func(c config.Config, l *ledger.Ledger) error {
		st, err := store.Open(e.ctx, c, l, c.Log.Logger(e.stderr))
		if err != nil {
			return err
		}
		if _, err := l.Jobs.Retry(e.ctx, j.ID); err != nil {
			return err
		}
		if err := st.Queue.Enqueue(e.ctx, j.ID); err != nil {
			return err
		}
		if err := l.Jobs.MarkQueued(e.ctx, j.ID); err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.stderr, "Job %s waits for a worker again.\n", j.ID)
		return err
	})
}

type jobCancel struct {
	ID string `arg:"" help:"Identifier of the job."`
}

func (j *jobCancel) Run(e *env) error {
	return e.withLedger(func(l *ledger.Ledger) error {
		if err := l.Jobs.Cancel(e.ctx, j.ID); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stderr, "Job %s is canceled.\n", j.ID)
		return err
	})
}

type ledgerCountOn struct{}

func (ledgerCountOn) Run(e *env) error {
	return e.withLedger(func(l *ledger.Ledger) error { return l.CountOn(e.ctx) })
}

type ledgerBackup struct {
	File string `arg:"" type:"path" help:"Where to; it must not exist."`
}

func (b *ledgerBackup) Run(e *env) error {
	return e.withLedger(func(l *ledger.Ledger) error { return l.Backup(e.ctx, b.File) })
}

type ledgerRestore struct {
	File string `arg:"" type:"path" help:"What \"ledger backup\" wrote."`
}

func (r *ledgerRestore) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	old, err := server.Restore(ledger.By(e.ctx, commandLine()), c, r.File)
	if err == nil && old != "" {
		_, err = fmt.Fprintf(e.stderr, "The ledger that was there is %s now.\n", old)
	}
	return err
}
