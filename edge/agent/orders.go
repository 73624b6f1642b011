package agent

import (
	"context"
	"errors"
	"fmt"

	"cattlecounter/edge/command"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// Orders that this agent takes, over MQTT and by edge-agent ctl.
const (
	orderPause  = "pause"
	orderResume = "resume"
	orderRetry  = "retry"
	orderFsck   = "fsck"
	orderRescan = "rescan"
)

func (a *Agent) actions() map[string]command.Action {
	return map[string]command.Action{
		orderPause:  {Do: func(context.Context, map[string]string) (string, error) { return "upload is paused", a.pause(true) }},
		orderResume: {Do: func(context.Context, map[string]string) (string, error) { return "upload goes on", a.pause(false) }},
		orderRetry:  {Do: func(_ context.Context, args map[string]string) (string, error) { return a.retry(args["footage"]) }},
		orderFsck:   {Do: func(ctx context.Context, _ map[string]string) (string, error) { return a.fsck(ctx) }, Long: true},
		orderRescan: {Do: func(context.Context, map[string]string) (string, error) { return a.rescan(), nil }},
	}
}

// fsck compares everything in the spool with its manifests.
func (a *Agent) fsck(ctx context.Context) (string, error) {
	n, err := a.spool.CheckAll(ctx)
	if err != nil || n == 0 {
		return "the spool is whole", err
	}
	return fmt.Sprintf("%d pieces of footage are damaged in the spool, they are read from the card again", n), nil
}

// rescan looks at the cards now, and again at what could not be read.
func (a *Agent) rescan() string {
	a.ingest.Again()
	a.watch.Look()
	return "the folders are looked at now"
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
