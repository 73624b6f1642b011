package server

import (
	"context"
	"errors"
	"log/slog"

	"cattlecounter/cloud/server/web"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/mqttlink"
)

var errNoBroker = errors.New("no connection to the MQTT broker; messages wait and are sent when it is back")

// public hides the address of a database: /readyz needs no token.
func public(err error, log *slog.Logger) error {
	if errors.Is(err, ledger.ErrUnreachable) {
		log.Error("ledger unreachable", "err", err)
		return ledger.ErrUnreachable
	}
	return err
}

func ledgerCheck(ping func(context.Context) error, log *slog.Logger) web.Check {
	return web.Check{Name: "ledger", Test: func(ctx context.Context) error { return public(ping(ctx), log) }}
}

func blobCheck(ready func(context.Context) error) web.Check {
	return web.Check{Name: "blobs", Test: ready}
}

func queueCheck(length func(context.Context) (int, error), log *slog.Logger) web.Check {
	return web.Check{Name: "queue", Test: func(ctx context.Context) error {
		_, err := length(ctx)
		return public(err, log)
	}}
}

func linkCheck(l *mqttlink.Link) web.Check {
	return web.Check{Name: "broker", Test: func(context.Context) error {
		if !l.Up() {
			return errNoBroker
		}
		return nil
	}}
}
