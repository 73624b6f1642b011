package api

import (
	"context"
	"errors"

	"cattlecounter/cloud/web"
	"cattlecounter/shared/mqttlink"
)

var errNoBroker = errors.New("no connection to the MQTT broker; messages wait and go out later")

func ledgerCheck(ping func(context.Context) error) web.Check {
	return web.Check{Name: "ledger", Test: ping}
}

func blobCheck(ready func(context.Context) error) web.Check {
	return web.Check{Name: "blobs", Test: ready}
}

func queueCheck(length func(context.Context) (int, error)) web.Check {
	return web.Check{Name: "queue", Test: func(ctx context.Context) error {
		_, err := length(ctx)
		return err
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
