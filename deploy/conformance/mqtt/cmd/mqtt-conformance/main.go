// Command mqtt-conformance checks from outside whether a cloud follows the MQTT contract.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"cattlecounter/deploy/conformance/mqtt"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := mqtt.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
