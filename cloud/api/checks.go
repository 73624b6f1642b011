package api

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cattlecounter/cloud/web"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/settings"
)

var (
	errLowDisk  = errors.New("too little free space")
	errNoBroker = errors.New("no connection to the MQTT broker; messages wait and go out later")
)

func ledgerCheck(ping func(context.Context) error) web.Check {
	return web.Check{Name: "ledger", Test: ping}
}

// blobCheck wants a folder that can be written and has space.
func blobCheck(dir string, minFree settings.ByteSize) web.Check {
	return web.Check{Name: "blobs", Test: func(context.Context) error {
		f, err := os.CreateTemp(dir, ".ready-*")
		if err != nil {
			return fmt.Errorf("blob folder cannot be written: %w", err)
		}
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			return fmt.Errorf("blob folder: %w", err)
		}
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			return fmt.Errorf("blob folder: %w", err)
		}
		if free := settings.ByteSize(st.Bavail) * settings.ByteSize(st.Bsize); free < minFree {
			return fmt.Errorf("%d MiB are free, intake.min_free is %s: %w", free>>20, minFree, errLowDisk)
		}
		return nil
	}}
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
