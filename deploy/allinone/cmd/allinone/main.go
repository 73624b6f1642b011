// Command allinone runs the whole of CattleCounter on one machine and shows the way of a clip from the drone's card to
// the count.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"cattlecounter/deploy/allinone"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := allinone.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
