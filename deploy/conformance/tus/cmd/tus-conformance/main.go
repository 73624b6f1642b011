// Command tus-conformance checks from outside whether a server follows tus 1.0.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"cattlecounter/deploy/conformance/tus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := tus.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
