package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/model"
)

// modelUse is `worker model use`.
type modelUse struct {
	Name  string `arg:"" help:"Name in the store; default goes back to the project's own model."`
	Force bool   `help:"Use a fine-tuned model without a comparison, or in spite of it."`
	modelFlags
}

// errNotCompared marks a fine-tuned model that no comparison speaks for.
var errNotCompared = errors.New("the model is not chosen")

// checkCompared refuses a fine-tuned model without a comparison on record, with one that it lost, or with one against
// another model than the one that it continues. Other models need none: their makers speak for them.
func checkCompared(e model.Entry, v verification) error {
	if v.FinetunedFrom == "" {
		return nil
	}
	start, digest, _ := strings.Cut(v.FinetunedFrom, "@")
	how := fmt.Sprintf("run: worker model compare %s %s --data FOLDER, with flights that it was not trained with; --force chooses it all the same",
		start, e.Name)
	c, ok, err := model.ReadComparison(e.Dir())
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w: %w", e.Name, errNotCompared, err)
	case !ok:
		return fmt.Errorf("%s is fine-tuned from %s and was not compared with it: %w; %s", e.Name, start, errNotCompared, how)
	case c.New.SHA256 != v.Digest:
		return fmt.Errorf("%s: the comparison in %s is of another network: %w; %s", e.Name, model.ComparisonFile, errNotCompared, how)
	case c.Old.Name != start && c.Old.SHA256.String() != digest:
		return fmt.Errorf("%s continues %s, and was compared with %s: %w; %s", e.Name, start, c.Old.Name, errNotCompared, how)
	case c.Verdict == model.Worse:
		return fmt.Errorf("%s is worse than %s on the flights of %s (%s): %w; --force chooses it all the same", e.Name, c.Old.Name,
			c.Compared.Format(time.DateOnly), strings.Join(c.Reasons, "; "), errNotCompared)
	}
	return nil
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
		if err := checkCompared(e, v); err != nil && !c.Force {
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
