package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/synthetic/dataset"
	"cattlecounter/shared/cli"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = cli.ExitUsage
	exitStopped = 130
)

const description = `Renders simulated herds with their exact truth: clips to count, and labelled pictures to train on.

Exit codes: 0 done; 1 failed; 2 wrong usage; 130 interrupted.`

type commands struct {
	Clip     clipCommand     `cmd:"" help:"Render a clip of a herd, with the exact truth beside it."`
	Pictures picturesCommand `cmd:"" help:"Render pictures of cattle from above with labels, a COCO data set."`
}

func parse(c *commands, args []string, stdout, stderr io.Writer) cli.Parsed {
	return cli.Parse(c, cli.Program{Name: "herdsim", Description: description, Stdout: stdout, Stderr: stderr}, args, kinds())
}

// run does one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commands
	p := parse(&c, args, stdout, stderr)
	if p.Ended {
		return p.Code
	}
	var err error
	switch p.Context.Selected().Name {
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
	case errors.Is(err, synthetic.ErrConfig), errors.Is(err, synthetic.ErrTracks), errors.Is(err, dataset.ErrOptions):
		return exitUsage
	}
	return exitFailed
}
