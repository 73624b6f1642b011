// Command worker counts cattle in footage: jobs from the queue, or files on
// this machine.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"cattlecounter/cloud/worker/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
