package allinone

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cattlecounter/shared/cli"
)

// Exit codes; the description has the same list.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = cli.ExitUsage
)

const description = `Runs the station, the broker, the API with its page, and a worker on this machine.

Exit codes: 0 done; 1 failed; 2 wrong use, no such footage or no such model.`

// Main runs one command line until ctx ends and returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o Options
	p := cli.Parse(&o, cli.Program{Name: "allinone", Description: description, Stdout: stdout, Stderr: stderr}, args)
	if p.Ended {
		return p.Code
	}
	err := Run(ctx, o, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "allinone:", err)
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, ErrUsage):
		return exitUsage
	}
	return exitFailed
}
