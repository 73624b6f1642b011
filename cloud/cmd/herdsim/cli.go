package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/synthetic/dataset"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitStopped = 130
)

const description = `Renders simulated herds with their exact truth: clips to count, and labelled pictures to train on.

Exit codes: 0 done; 1 failed; 2 wrong usage; 130 interrupted.`

type cli struct {
	Clip     clipCommand     `cmd:"" help:"Render a clip of a herd, with the exact truth beside it."`
	Pictures picturesCommand `cmd:"" help:"Render pictures of cattle from above with labels, a COCO data set."`
}

// run does one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	exited := -1
	p, err := kong.New(&c, kong.Name("herdsim"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(stderr, "herdsim:", err)
		return exitFailed
	}
	k, err := p.Parse(args)
	if exited >= 0 {
		return exited // --help was printed
	}
	if err != nil {
		fmt.Fprintf(stderr, "herdsim: %v\nTry: herdsim --help\n", err)
		return exitUsage
	}
	switch k.Selected().Name {
	case "clip":
		err = c.Clip.run(ctx, stderr)
	case "pictures":
		err = c.Pictures.run(ctx, stderr)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "herdsim:", err)
	}
	return exitCode(ctx, err)
}

func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		return exitStopped
	case errors.Is(err, synthetic.ErrConfig), errors.Is(err, dataset.ErrOptions):
		return exitUsage
	}
	return exitFailed
}
