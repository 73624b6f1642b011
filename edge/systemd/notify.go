// Package systemd is what the agent and its service manager say to each other:
// ready, alive, stopping, what it does in a line (sd_notify(3)), and log lines
// in the form the journal takes (sd-daemon(3)). Without a service manager all of
// it does nothing.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// pings is how many signs of life fit into the watchdog's limit: one that is
	// late or lost costs nothing.
	pings = 3
	// statusEvery is how often the status line is renewed where no watchdog asks
	// for signs of life.
	statusEvery = time.Minute
)

// Alive says in one line what the program does. It is called from one goroutine
// at a time. It may block for good: that is what the watchdog is for.
type Alive func() (status string, err error)

// Run says READY at once, then asks alive and passes its answer on until ctx
// ends, then says STOPPING. While alive does not answer, or answers with an
// error, nothing is passed on, so that the service manager restarts the program
// when its limit (WatchdogSec) is over. Run returns nil after a stop by ctx, and
// at once where no service manager listens.
func Run(ctx context.Context, alive Alive, log *slog.Logger) error {
	listens, err := daemon.SdNotify(false, daemon.SdNotifyReady)
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	if !listens {
		return nil
	}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("watchdog of the service manager: %w", err)
	}
	every := statusEvery
	if limit > 0 {
		every = limit / pings
	}
	watch(ctx, every, alive, send, log)
	_, err = daemon.SdNotify(false, daemon.SdNotifyStopping)
	return err
}

// send passes one sign of life on.
func send(status string) error {
	_, err := daemon.SdNotify(false, daemon.SdNotifyWatchdog+"\nSTATUS="+status)
	return err
}

var errSilent = errors.New("the agent does not answer")

// watch asks every so often, one question at a time.
func watch(ctx context.Context, every time.Duration, alive Alive, pass func(string) error, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	type answer struct {
		status string
		err    error
	}
	answers := make(chan answer, 1) // so that a late answer does not hold its goroutine
	ask := func() {
		status, err := alive()
		answers <- answer{status, err}
	}
	go ask()
	for asked := true; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if asked {
				log.Error("no sign of life for the watchdog", "err", errSilent)
				continue
			}
			asked = true
			go ask()
		case a := <-answers:
			asked = false
			if a.err == nil {
				a.err = pass(a.status)
			}
			if a.err != nil {
				log.Error("no sign of life for the watchdog", "err", a.err)
			}
		}
	}
}
