package modelcmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/model"
)

// Use is the command line of `worker model use`.
type Use struct {
	Name string `arg:"" help:"Name in the store; default goes back to the project's own model."`
	place
	Runtime string `env:"ONNXRUNTIME_LIB" placeholder:"FILE" help:"ONNX Runtime's shared library."`
}

// Run verifies the model and chooses it.
func (c *Use) Run(ctx context.Context, stdout, stderr io.Writer) error {
	w, err := c.read()
	if err != nil {
		return err
	}
	e, ok := model.Own()
	if c.Name != model.Default {
		e, err = w.store.Get(c.Name)
		if errors.Is(err, model.ErrName) {
			err = fmt.Errorf("%w; a folder gets a name with: worker model pull ./FOLDER", err)
		}
		if err != nil {
			return err
		}
		ok = true
	}
	if ok {
		v, err := (inference{Provider: detr.CPU, Runtime: c.Runtime}).verify(ctx, w, e)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s (SHA-256 %s) works.\n", v.Name, v.Digest)
	}
	if err := w.store.Use(c.Name); err != nil {
		return err
	}
	now, err := w.store.Find("")
	if err != nil {
		fmt.Fprintln(stderr, "No model is chosen now, and a worker would not start:", err)
		return nil
	}
	fmt.Fprintf(stdout, "Workers with the store %s take %s from their next start on; those that run keep theirs.\n", w.store, now.Name)
	if w.named != "" {
		fmt.Fprintf(stderr, "But worker.model names %s, which goes before.\n", w.named)
	}
	return nil
}
