package main

import (
	"context"
	"fmt"
	"time"

	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store/ledger"
)

type auditCmd struct {
	output
	Limit   int    `default:"50" help:"List at most this many entries, the newest first."`
	Who     string `help:"Only what this person, token or program did." placeholder:"NAME"`
	Action  string `help:"Only this action, such as \"log in\"." placeholder:"TEXT"`
	Subject string `help:"Only what was done to this device, user, job or footage." placeholder:"NAME"`
}

// auditEntry is one line of the audit.
type auditEntry struct {
	At      time.Time `json:"at"`
	Who     string    `json:"who"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
}

func (a *auditCmd) Run(ctx context.Context, e *env) error {
	if a.Limit < 1 {
		return fmt.Errorf("%w: --limit %d: want 1 or more", errUsage, a.Limit)
	}
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		stored, err := l.Audit.Find(ctx, ledger.AuditQuery{Who: a.Who, Action: a.Action, Subject: a.Subject, Limit: a.Limit})
		if err != nil {
			return err
		}
		var entries []auditEntry
		for _, s := range stored {
			entries = append(entries, auditEntry{At: s.At, Who: s.Who, Action: s.Action, Subject: s.Subject})
		}
		return list(e, a.output, entries, "WHEN,WHO,WHAT,ON", func(a auditEntry) []any { return []any{day(&a.At), a.Who, a.Action, a.Subject} })
	})
}

type ledgerCountOn struct{}

func (ledgerCountOn) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error { return l.AdvanceNumbers(ctx) })
}

type ledgerBackup struct {
	File string `arg:"" type:"path" help:"File to write; it must not exist."`
}

func (b *ledgerBackup) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error { return l.Backup(ctx, b.File) })
}

type ledgerRestore struct {
	File string `arg:"" type:"path" help:"File that \"ledger backup\" wrote."`
}

func (r *ledgerRestore) Run(ctx context.Context, e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	old, err := server.Restore(ledger.By(ctx, actor()), c, r.File)
	if err == nil && old != "" {
		_, err = fmt.Fprintf(e.stderr, "The previous ledger is now %s.\n", old)
	}
	return err
}
