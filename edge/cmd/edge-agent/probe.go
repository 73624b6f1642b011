package main

import (
	"context"
	"fmt"

	"cattlecounter/edge/local"
)

// probeCmd asks the running agent for its status. A link that is down is no fault of the agent, so it does not count.
type probeCmd struct{ source }

func (c *probeCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.load(s.environ)
	if err != nil {
		return err
	}
	if _, err := local.Status(ctx, cfg.Spool.Dir); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, "alive")
	return err
}
