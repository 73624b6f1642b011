package main

import (
	"context"
	"fmt"

	"cattlecounter/cloud/server"
)

type probeCmd struct {
	Broker bool `help:"Ask the broker of the command \"broker\" instead."`
}

// Run asks the running program. Health checks of containers and services run it.
func (p *probeCmd) Run(ctx context.Context, e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	ask := server.Probe
	if p.Broker {
		ask = server.ProbeBroker
	}
	if err := ask(ctx, c); err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "ready")
	return err
}
