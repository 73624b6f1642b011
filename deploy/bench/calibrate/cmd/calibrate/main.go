// Command calibrate counts the clips of the bench and prints how near the counts are to the truth. `make calibrate` runs
// it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"cattlecounter/deploy/bench/calibrate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := calibrate.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
