// Package systemd reports the agent's condition to its service manager: ready,
// alive, stopping and a status line (sd_notify(3)). It also gives log lines the
// journal's form (sd-daemon(3)). Without a service manager it does nothing.
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
	// pings is how many signs of life fit into the watchdog's limit, so that one
	// late or lost sign does not restart the program.
	pings = 3
	// statusEvery is how often the status line is renewed without a watchdog.
	statusEvery = time.Minute
	// stopWait is how long a stop waits for the last answer of Alive.
	stopWait = 5 * time.Second
)

// Alive returns the program's status in one line. It is called from one goroutine
// at a time. It may block for good; the watchdog then restarts the program.
type Alive func() (status string, err error)

// Run sends READY, then calls alive regularly and sends its answer until ctx ends,
// then sends STOPPING. It sends no sign of life while alive blocks or returns an
// error, so that the service manager restarts the program after WatchdogSec.
//
// Run returns nil after a stop by ctx, and at once when no service manager
// listens. It returns only after the last call of alive has ended. If alive still
// blocks a few seconds after ctx ended, Run logs that and leaves the call.
func Run(ctx context.Context, alive Alive, log *slog.Logger) error {
	listens, err := daemon.SdNotify(false, daemon.SdNotifyReady)
	if err != nil {
		return fmt.Errorf("send READY to the service manager: %w", err)
	}
	if !listens {
		return nil
	}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read the service manager's watchdog limit: %w", err)
	}
	every := statusEvery
	if limit > 0 {
		every = limit / pings
	}
	watch(ctx, every, alive, sendAlive, log)
	_, err = daemon.SdNotify(false, daemon.SdNotifyStopping)
	return err
}

// sendAlive sends one sign of life.
func sendAlive(status string) error {
	_, err := daemon.SdNotify(false, daemon.SdNotifyWatchdog+"\nSTATUS="+status)
	return err
}

var errSilent = errors.New("the agent does not answer")

// watch calls alive every so often, one call at a time, until ctx ends. It waits
// for a running call, but at most stopWait: a slow disk must not fail the stop.
func watch(ctx context.Context, every time.Duration, alive Alive, send func(string) error, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	type answer struct {
		status string
		err    error
	}
	answers := make(chan answer, 1) // a call that ends after stopWait does not leak
	call := func() {
		status, err := alive()
		answers <- answer{status, err}
	}
	go call()
	for calling := true; ; {
		select {
		case <-ctx.Done():
			if !calling {
				return
			}
			timer := time.NewTimer(stopWait)
			defer timer.Stop()
			select {
			case <-answers:
			case <-timer.C:
				log.Warn("stopping without the last answer of the agent", "err", errSilent, "waited", stopWait)
			}
			return
		case <-tick.C:
			if calling {
				log.Error("no sign of life sent to the watchdog", "err", errSilent)
				continue
			}
			calling = true
			go call()
		case a := <-answers:
			calling = false
			if a.err == nil {
				a.err = send(a.status)
			}
			if a.err != nil {
				log.Error("no sign of life sent to the watchdog", "err", a.err)
			}
		}
	}
}
