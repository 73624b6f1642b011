// Command peers compares the worker with published trackers in Python. `make peers` runs it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"cattlecounter/deploy/bench/peers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := peers.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
