// Command worker counts cattle in footage: jobs from the queue, or files on this machine.
package main

import (
	"context"
	"os"

	"cattlecounter/cloud/worker/process"
)

func main() {
	ctx, stop := process.Context(context.Background())
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
