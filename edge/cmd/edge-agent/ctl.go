package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cattlecounter/edge/local"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// orderLife is how long the order is valid.
const orderLife = time.Hour

type ctlCmd struct {
	source
	Order string   `arg:"" help:"pause, resume, retry, prioritise, limit, metered, fsck, rescan or log. The same orders also arrive over MQTT."`
	Args  []string `arg:"" optional:"" placeholder:"KEY=VALUE" help:"Arguments of the order, such as footage=all."`
}

var errRefused = errors.New("refused")

func (c *ctlCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.load(s.environ)
	if err != nil {
		return err
	}
	now := time.Now()
	order := topic.Command{ID: "ctl-" + string(footage.NewID(now)), Name: c.Order, Args: map[string]string{},
		Expires: now.Add(orderLife).UTC()}
	for _, a := range c.Args {
		key, value, ok := strings.Cut(a, "=")
		if !ok {
			return fmt.Errorf("%q is not KEY=VALUE: %w", a, errUsage)
		}
		order.Args[key] = value
	}
	r, err := local.Order(ctx, cfg.Spool.Dir, order)
	if err != nil {
		return err
	}
	if r.State == topic.Refused {
		return fmt.Errorf("%s is %w: %s", c.Order, errRefused, r.Why)
	}
	_, err = fmt.Fprintln(s.out, r.Why)
	return err
}
