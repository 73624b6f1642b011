package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/coco"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/examples"
	"cattlecounter/cloud/count/review"
	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/model"
	"cattlecounter/cloud/model/hub"
	ground "cattlecounter/cloud/place"
	"cattlecounter/cloud/place/geotiff"
	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/cloud/place/paddock"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/cli"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/settings"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = cli.ExitUsage
	exitFootage = 3
	exitModel   = 4
	exitWorse   = 5
	exitStopped = 130
)

const description = `Counts cattle in drone footage.

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 some or all of the footage cannot be counted; 4 no usable model or ONNX Runtime; 5 a compared model is worse; 130 interrupted.`

type commands struct {
	Run       runCommand       `cmd:"" help:"Count the jobs of the queue until the program is stopped."`
	Probe     probeCommand     `cmd:"" help:"Check that the worker that runs with the same configuration is alive; for health checks."`
	Count     countCommand     `cmd:"" help:"Count the animals in a clip or in a folder of clips."`
	Detect    detectCommand    `cmd:"" help:"Detect animals in a folder of pictures, as JSON lines."`
	Telemetry telemetryCommand `cmd:"" help:"Show what is read of a flight log, or of the one inside a video."`
	Dataset   datasetCommand   `cmd:"" help:"Make labeled pictures for training out of reviewed footage."`
	Model     modelCommand     `cmd:"" help:"List, verify, pull, compare and choose detectors."`
}

// moved names the commands that are a program of their own now.
var moved = map[string]string{
	"simulate": "herdsim clip",
	"render":   "herdsim pictures",
}

// run does one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && moved[args[0]] != "" {
		fmt.Fprintf(stderr, "worker: the command %q has moved; use: %s (with the same flags)\n", args[0],
			moved[args[0]])
		return exitUsage
	}
	var c commands
	p := cli.Parse(&c, cli.Program{Name: "worker", Description: description, Stdout: stdout, Stderr: stderr}, args)
	if p.Ended {
		return p.Code
	}
	err := c.dispatch(ctx, p.Context.Selected().Name, stdout, stderr)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "worker:", footage.SafeText(err.Error())) // it may name files of a card
	}
	return exitCode(ctx, err)
}

func (c *commands) dispatch(ctx context.Context, command string, stdout, stderr io.Writer) error {
	switch command {
	case "run":
		return c.Run.run(ctx, stderr)
	case "probe":
		return c.Probe.run(stdout)
	case "count":
		return c.Count.run(ctx, stdout, stderr)
	case "detect":
		return c.Detect.run(ctx, stdout, stderr)
	case "telemetry":
		return c.Telemetry.run(stdout)
	case "dataset":
		return c.Dataset.run(ctx, stdout, stderr)
	case "list":
		return c.Model.List.run(ctx, stdout, stderr)
	case "verify":
		return c.Model.Verify.run(ctx, stdout)
	case "pull":
		return c.Model.Pull.run(ctx, stdout, stderr)
	case "push":
		return c.Model.Push.run(ctx, stdout, stderr)
	case "compare":
		return c.Model.Compare.run(ctx, stdout, stderr)
	case "use":
		return c.Model.Use.run(ctx, stdout, stderr)
	}
	return fmt.Errorf("command %s has no implementation", command)
}

// The classes of errors that have an exit code of their own.
var (
	usageErrors = []error{
		settings.ErrInvalid, boundary.ErrInvalid, hub.ErrReference, review.ErrInvalid, examples.ErrInput, coco.ErrFolder,
		flightlog.ErrNoLog, ground.ErrHGT, geotiff.ErrFile, paddock.ErrFile, mapfile.ErrFormat,
	}
	footageErrors = []error{errFootage, errPictures}
	modelErrors   = []error{
		model.ErrNoModel, model.ErrDigest, model.ErrName, model.ErrStore, model.ErrNotCompared,
		detr.ErrModel, detr.ErrCard, detr.ErrProvider, detr.ErrRuntime,
	}
)

func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		return exitStopped
	case isAny(err, usageErrors):
		return exitUsage
	case count.IsFootageFault(err), isAny(err, footageErrors):
		return exitFootage
	case errors.Is(err, errWorse):
		return exitWorse
	case isAny(err, modelErrors):
		return exitModel
	}
	return exitFailed
}

func isAny(err error, classes []error) bool {
	for _, class := range classes {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}
