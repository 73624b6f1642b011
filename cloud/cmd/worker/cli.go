// Package cli is the command line of the worker.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/model"
	"cattlecounter/cloud/model/hub"
	"cattlecounter/cloud/worker/countcmd"
	"cattlecounter/cloud/worker/detectcmd"
	"cattlecounter/cloud/worker/modelcmd"
	"cattlecounter/cloud/worker/runcmd"
	"cattlecounter/cloud/worker/simulatecmd"
	"cattlecounter/shared/settings"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitFootage = 3
	exitModel   = 4
	exitStopped = 130
)

const description = `Counts cattle in drone footage.

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 footage (or some of it) cannot be counted; 4 no usable model or ONNX Runtime; 130 interrupted.`

type commands struct {
	Run      runcmd.Command            `cmd:"" help:"Take jobs from the queue until told to stop."`
	Count    countcmd.Command          `cmd:"" help:"Count the animals in a clip or in a folder of clips."`
	Detect   detectcmd.Command         `cmd:"" help:"Detect animals in a folder of pictures, as JSON lines."`
	Model    modelcmd.Command          `cmd:"" help:"List, verify, pull and choose detectors."`
	Simulate simulatecmd.Command       `cmd:"" help:"Render a clip of a herd that never was, with the exact truth beside it."`
	Render   simulatecmd.RenderCommand `cmd:"" help:"Render pictures of cattle from above with labels, a COCO data set to train on."`
}

// Main runs one command line and returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commands
	exited := -1
	p, err := kong.New(&c, kong.Name("worker"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(stderr, "worker:", err)
		return exitFailed
	}
	k, err := p.Parse(args)
	if exited >= 0 {
		return exited // --help was printed
	}
	if err != nil {
		fmt.Fprintf(stderr, "worker: %v\nTry: worker --help\n", err)
		return exitUsage
	}
	switch k.Selected().Name {
	case "run":
		err = c.Run.Run(ctx, stderr)
	case "count":
		err = c.Count.Run(ctx, stdout, stderr)
	case "detect":
		err = c.Detect.Run(ctx, stdout, stderr)
	case "list":
		err = c.Model.List.Run(ctx, stdout, stderr)
	case "verify":
		err = c.Model.Verify.Run(ctx, stdout, stderr)
	case "pull":
		err = c.Model.Pull.Run(ctx, stdout, stderr)
	case "use":
		err = c.Model.Use.Run(ctx, stdout, stderr)
	case "simulate":
		err = c.Simulate.Run(ctx, stderr)
	case "render":
		err = c.Render.Run(ctx, stderr)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "worker:", err)
	}
	return code(ctx, err)
}

func code(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		return exitStopped
	case errors.Is(err, settings.ErrInvalid), errors.Is(err, hub.ErrReference), errors.Is(err, simulatecmd.ErrDataset):
		return exitUsage
	case count.IsFootageFault(err), errors.Is(err, countcmd.ErrFootage), errors.Is(err, detectcmd.ErrPictures):
		return exitFootage
	case errors.Is(err, model.ErrNoModel), errors.Is(err, model.ErrDigest), errors.Is(err, model.ErrName), errors.Is(err, model.ErrStore), errors.Is(err, detr.ErrModel), errors.Is(err, detr.ErrCard),
		errors.Is(err, detr.ErrProvider), errors.Is(err, detr.ErrRuntime):
		return exitModel
	}
	return exitFailed
}
