package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/model"
)

// modelUse is `worker model use`.
type modelUse struct {
	Name  string `arg:"" help:"Name in the store; default goes back to the project's own model."`
	Force bool   `help:"Use a fine-tuned model without a comparison, or in spite of it."`
	modelFlags
}

// run verifies the model and chooses it.
func (c *modelUse) run(ctx context.Context, stdout, stderr io.Writer) error {
	m, err := c.load()
	if err != nil {
		return err
	}
	e, ok := model.Own()
	if c.Name != model.Default {
		e, err = m.store.Get(c.Name)
		if errors.Is(err, model.ErrName) {
			err = fmt.Errorf("%w; a folder gets a name with: worker model pull ./FOLDER", err)
		}
		if err != nil {
			return err
		}
		ok = true
	}
	if ok {
		v, err := m.verify(ctx, e, deviceFlags{Provider: detr.CPU})
		if err != nil {
			return err
		}
		if err := model.CheckCompared(e, v.Digest, v.FinetunedFrom); err != nil && !c.Force {
			return err
		}
		fmt.Fprintf(stdout, "%s (SHA-256 %s) works.\n", v.Name, v.Digest)
	}
	if err := m.store.Use(c.Name); err != nil {
		return err
	}
	now, err := m.store.Find("")
	if err != nil {
		fmt.Fprintln(stderr, "No model is chosen now, and a worker cannot start:", err)
		return nil
	}
	fmt.Fprintf(stdout, "Workers with the store %s use %s from their next start on; running workers keep their model.\n", m.store, now.Name)
	if m.configured != "" {
		fmt.Fprintf(stderr, "worker.model names %s, and the configuration has priority over this choice.\n",
			m.configured)
	}
	return nil
}
