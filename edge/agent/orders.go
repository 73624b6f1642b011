package agent

import (
	"context"
	"errors"
	"fmt"

	"cattlecounter/edge/command"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// Orders that this agent takes.
const (
	orderPause  = "pause"
	orderResume = "resume"
	orderRetry  = "retry"
)

func (a *Agent) actions() map[string]command.Action {
	return map[string]command.Action{
		orderPause:  func(context.Context, map[string]string) (string, error) { return "upload is paused", a.pause(true) },
		orderResume: func(context.Context, map[string]string) (string, error) { return "upload goes on", a.pause(false) },
		orderRetry:  func(_ context.Context, args map[string]string) (string, error) { return a.retry(args["footage"]) },
	}
}

// pause keeps the operator's will before it acts on it, so that a power cut
// does not undo it.
func (a *Agent) pause(p bool) error {
	if err := a.spool.SetPaused(p); err != nil {
		return err
	}
	a.uplink.SetPaused(p)
	return nil
}

// retry takes one piece of footage, or with "all" every one, out of quarantine,
// and ends every wait for the link.
func (a *Agent) retry(which string) (string, error) {
	defer a.uplink.Kick()
	if which == "" {
		return "", errors.New(`set the argument footage to an id, or to "all"`)
	}
	if which != "all" {
		id, err := footage.ParseID(which)
		if err != nil {
			return "", err
		}
		if r, ok := a.spool.Record(id); ok && r.State != spool.Quarantined && r.State != spool.Duplicate {
			return fmt.Sprintf("footage %s is %s; its next try comes now", id, r.State), nil
		}
		return fmt.Sprintf("footage %s is tried again", id), a.spool.Retry(id)
	}
	n := 0
	var errs []error
	for _, r := range a.spool.Records() {
		if r.State != spool.Quarantined {
			continue
		}
		if err := a.spool.Retry(r.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return fmt.Sprintf("%d pieces of footage are tried again", n), errors.Join(errs...)
}
