package main

import (
	"context"
	"fmt"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store/ledger"
)

type secretsCommands struct {
	Init   secretsInit   `cmd:"" help:"Make the file of keys that ledger.key_file names. A start of cloud-api makes the one of the data folder by itself."`
	Check  secretsCheck  `cmd:"" help:"Say whether every secret can be read, and how many are in the clear."`
	Rotate secretsRotate `cmd:"" help:"Add a new key and encrypt every secret with it. cloud-api may run; it reads the file again. Copy the file to every other cloud-api."`
	Drop   secretsDrop   `cmd:"" help:"After the loss of the keys: remove the secrets that nothing can read. People set up a second factor again, and stations are enrolled again."`
}

type secretsInit struct{}

func (secretsInit) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	path, err := server.CreateKeys(c)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "%s is made. Keep a copy of it apart from the backups of the ledger.\n", path)
	return err
}

type secretsCheck struct{}

func (secretsCheck) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		lost, clear, err := l.Secrets.Unreadable(ctx)
		if err != nil {
			return err
		}
		for _, s := range lost {
			fmt.Fprintf(e.stdout, "unreadable: %s\n", s)
		}
		fmt.Fprintf(e.stdout, "%d unreadable, %d in the clear\n", len(lost), clear)
		if len(lost) > 0 {
			return fmt.Errorf("%d secrets cannot be read; put the file of keys back: %w", len(lost), ledger.ErrCorrupt)
		}
		return nil
	})
}

type secretsRotate struct{}

func (secretsRotate) Run(ctx context.Context, e *env) error {
	return e.withConfigured(ctx, func(ctx context.Context, c config.Config, l *ledger.Ledger) error {
		sealed, removed, err := server.RotateKeys(ctx, c, l)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.stderr, "%d secrets are encrypted with a new key; %d keys that nothing uses were removed.\n"+
			"Earlier backups of the ledger need the earlier file of keys.\n", sealed, removed)
		return err
	})
}

type secretsDrop struct{}

func (secretsDrop) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		dropped, err := l.Secrets.Drop(ctx)
		for _, s := range dropped {
			fmt.Fprintf(e.stdout, "removed: %s\n", s)
		}
		return err
	})
}
