// Command tus-conformance looks at a server of tus 1.0 from outside and tells
// where it departs from the protocol.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"cattlecounter/deploy/conformance/tus"
)

func main() {
	var c tus.Command
	usage := func(code int) { os.Exit(min(code, 2)) } // kong has other codes for wrong usage
	kong.Parse(&c, kong.Exit(usage), kong.Description("Check a server against tus 1.0. It makes uploads and finishes some: use a server for tests. "+
		"Exit codes: 0 every MUST holds, 1 one does not, 2 wrong usage or no answer."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := c.Run(ctx, os.Stdout)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "tus-conformance:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}
