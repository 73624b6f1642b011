package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/worker/heartbeat"
	"cattlecounter/shared/settings"
)

// probeCommand is `worker probe`. Health checks of containers and services run it, so it opens neither model nor stores.
type probeCommand struct {
	Config string `type:"path" placeholder:"FILE" help:"Configuration of the running worker. Default: no file; defaults and CATTLE_CLOUD_… variables apply."`
}

func (c *probeCommand) run(stdout io.Writer) error {
	conf, err := config.Load(c.Config, os.Environ())
	if err != nil {
		return err
	}
	if conf.Worker.Heartbeat == "" {
		return fmt.Errorf("%w: worker.heartbeat is empty; set it for the worker and for this command", settings.ErrInvalid)
	}
	if err := heartbeat.Check(conf.Worker.Heartbeat, time.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "alive")
	return err
}
