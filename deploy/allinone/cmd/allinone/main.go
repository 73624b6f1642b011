// Command allinone runs the whole of CattleCounter on one machine and, given a
// clip, shows its way from the drone card to the count.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"cattlecounter/deploy/allinone"
)

func main() {
	var o allinone.Options
	kong.Parse(&o, kong.Description("Run station, broker, API, page and worker on this machine. Exit codes: 0 done, 1 failed, 2 wrong usage or a missing model."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := allinone.Run(ctx, o, os.Stdout)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, allinone.ErrUsage):
		fmt.Fprintln(os.Stderr, "allinone:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "allinone:", err)
		os.Exit(1)
	}
}
