package main

import (
	"errors"
	"os"
	"os/user"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store/ledger"
)

// withLedger opens the ledger for one command. A running cloud-api can have it open at the same time.
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
	e.ctx = ledger.By(e.ctx, actor())
	return do(c, l)
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
