package modelcmd

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
	"cattlecounter/cloud/worker/meter"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/settings"
)

// Pull is the command line of `worker model pull`.
type Pull struct {
	Reference string            `arg:"" placeholder:"REPO[@REV]" help:"OWNER/NAME of a hub's repository, with a branch, tag or commit; or the address of a folder or .onnx file; or a path that begins with / or ./"`
	Name      string            `placeholder:"NAME" help:"Name in the store. Default: the repository's."`
	File      string            `placeholder:"PATH" help:"Network in the repository, such as onnx/model_fp16.onnx. Default: model.onnx, or the only one."`
	SHA256    footage.Digest    `name:"sha256" placeholder:"HEX" help:"Refuse a network of another SHA-256."`
	Base      string            `env:"HF_ENDPOINT" default:"https://huggingface.co" placeholder:"URL" help:"Address of the hub. Default: https://huggingface.co."`
	Token     secret.String     `env:"HF_TOKEN" hidden:"" help:"Token for the hub; better given as HF_TOKEN."`
	MaxSize   settings.ByteSize `name:"max-size" default:"2GiB" placeholder:"SIZE" help:"Largest network, and largest file of weights. Default: 2GiB."`
	JSON      bool              `name:"json" help:"Print a JSON document."`
	place
	Runtime string `env:"ONNXRUNTIME_LIB" placeholder:"FILE" help:"ONNX Runtime's shared library."`
}

// Pulled is what pull prints with --json.
type Pulled struct {
	Verification
	Already bool `json:"already"` // it was in the store before
}

// Run does the command. Progress goes to stderr.
func (c *Pull) Run(ctx context.Context, stdout, stderr io.Writer) error {
	w, err := c.read()
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
	token := secret.New(strings.TrimSpace(c.Token.Reveal())) // tokens out of files end with a newline
	run := inference{Provider: detr.CPU, Runtime: c.Runtime}
	if err := detr.LoadRuntime(run.library(w)); err != nil { // before the transfer, not after it
		return err
	}
	var v Verification
	m := meter.New(stderr, ref.String())
	out, err := hub.Pull(ctx, hub.Options{
		Reference: ref, Store: w.store, Name: c.Name, SHA256: c.SHA256, MaxSize: int64(c.MaxSize), Token: token, TokenBase: base,
		Check: func(ctx context.Context, dir string) (err error) {
			v, err = run.verify(ctx, w, model.Entry{Name: ref.String(), Path: dir, Origin: model.Stored})
			return err
		},
		Bad: func(err error) bool {
			return errors.Is(err, detr.ErrModel) || errors.Is(err, detr.ErrCard) || errors.Is(err, model.ErrDigest)
		},
		Progress: func(file string, done, total int64) {
			m.Show(float64(done)/1e6, float64(max(total, 0))/1e6, "MB", file)
		},
		Note: func(text string) { m.Clear(); fmt.Fprintln(stderr, text) },
	})
	m.Clear()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	if out.Already {
		if v, err = run.verify(ctx, w, out.Entry); err != nil {
			return fmt.Errorf("it is there already, as %s, and does not work: %w; remove %s and pull it again", out.Name, err, absolute(out.Path))
		}
	}
	v.Name, v.Path, v.Source = out.Name, absolute(out.Path), &out.Source
	return c.print(stdout, v, out.Already)
}

func (c *Pull) print(w io.Writer, v Verification, already bool) error {
	if c.JSON {
		return printJSON(w, Pulled{v, already})
	}
	if already {
		fmt.Fprintf(w, "It is there already, as %s.\n", v.Name)
	}
	err := v.print(w)
	_, last := fmt.Fprintf(w, "Workers take it from their next start on after: worker model use %s\n", v.Name)
	return errors.Join(err, last)
}
