package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/model"
	"cattlecounter/cloud/model/hub"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/settings"
)

// modelPull is `worker model pull`.
type modelPull struct {
	Reference string            `arg:"" placeholder:"REPO[@REV]" help:"OWNER/NAME of a repository on the hub, with a branch, tag or commit; or the URL of a folder or .onnx file; or a path that begins with / or ./"`
	Name      string            `placeholder:"NAME" help:"Name in the store. Default: the repository's."`
	File      string            `placeholder:"PATH" help:"Network in the repository, such as onnx/model_fp16.onnx. Default: model.onnx, or the only one."`
	SHA256    footage.Digest    `name:"sha256" placeholder:"HEX" help:"Refuse a network with another SHA-256."`
	Base      string            `env:"HF_ENDPOINT" default:"https://huggingface.co" placeholder:"URL" help:"URL of the hub. Default: https://huggingface.co."`
	Token     secret.String     `env:"HF_TOKEN" hidden:"" help:"Token for the hub; better given as HF_TOKEN."`
	MaxSize   settings.ByteSize `name:"max-size" default:"2GiB" placeholder:"SIZE" help:"Largest network, and largest file of weights. Default: 2GiB."`
	JSON      bool              `name:"json" help:"Print a JSON document."`
	modelFlags
}

// pulledModel is what pull prints with --json.
type pulledModel struct {
	verification
	Already bool `json:"already"` // the model was in the store before
}

// run fetches, verifies and stores a model. Progress goes to stderr.
func (c *modelPull) run(ctx context.Context, stdout, stderr io.Writer) error {
	m, err := c.load()
	if err != nil {
		return err
	}
	ref, err := hub.ParseReference(c.Reference, c.Base)
	if err != nil {
		return err
	}
	if c.File != "" {
		ref.File = c.File
	}
	base := cmp.Or(c.Base, hub.DefaultBase)                  // HF_ENDPOINT may be set and empty
	token := secret.New(strings.TrimSpace(c.Token.Reveal())) // a token from a file ends with a newline
	if err := detr.LoadRuntime(m.library); err != nil {      // a missing library shows before the transfer
		return err
	}
	var v verification
	cpu := deviceFlags{Provider: detr.CPU}
	progress := newMeter(stderr, ref.String())
	out, err := hub.Pull(ctx, hub.Options{
		Reference: ref, Store: m.store, Name: c.Name, SHA256: c.SHA256, MaxSize: int64(c.MaxSize), Token: token, TokenBase: base,
		Check: func(ctx context.Context, dir string) (err error) {
			v, err = m.verify(ctx, model.Entry{Name: ref.String(), Path: dir, Origin: model.Stored}, cpu)
			return err
		},
		Bad: func(err error) bool {
			return errors.Is(err, detr.ErrModel) || errors.Is(err, detr.ErrCard) || errors.Is(err, model.ErrDigest)
		},
		Progress: func(file string, done, total int64) {
			progress.show(float64(done)/1e6, float64(max(total, 0))/1e6, "MB", file)
		},
		Note: func(text string) { progress.clear(); fmt.Fprintln(stderr, text) },
	})
	progress.clear()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	if out.Already {
		if v, err = m.verify(ctx, out.Entry, cpu); err != nil {
			return fmt.Errorf("the model is in the store already, as %s, and cannot be used: %w; remove %s and pull the model again", out.Name, err, absolutePath(out.Path))
		}
	}
	v.Name, v.Path, v.Source = out.Name, absolutePath(out.Path), &out.Source
	return c.print(stdout, v, out.Already)
}

func (c *modelPull) print(w io.Writer, v verification, already bool) error {
	if c.JSON {
		return printJSON(w, pulledModel{v, already})
	}
	if already {
		fmt.Fprintf(w, "The model is in the store already, as %s.\n", v.Name)
	}
	err := v.print(w)
	_, last := fmt.Fprintf(w, "To use it from the next start of a worker on: worker model use %s\n", v.Name)
	return errors.Join(err, last)
}
