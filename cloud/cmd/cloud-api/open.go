package main

import (
	"context"
	"errors"
	"os"
	"os/user"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store/ledger"
)

// withLedger opens the ledger for one command. A running cloud-api can have it open at the same time.
func (e *env) withLedger(ctx context.Context, do func(context.Context, *ledger.Ledger) error) error {
	return e.withConfigured(ctx, func(ctx context.Context, _ config.Config, l *ledger.Ledger) error { return do(ctx, l) })
}

func (e *env) withConfigured(ctx context.Context, do func(context.Context, config.Config, *ledger.Ledger) error) (err error) {
	c, err := e.config()
	if err != nil {
		return err
	}
	l, err := server.OpenLedger(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return do(ledger.By(ctx, actor()), c, l)
}

// actor is the name of this command's user in the audit.
func actor() string {
	who, where := "somebody", "somewhere"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		where = h
	}
	return "command line, " + who + "@" + where
}
