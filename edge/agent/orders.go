package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"cattlecounter/edge/command"
	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/settings"
)

// Orders that this agent takes, over MQTT and by edge-agent ctl.
const (
	orderPause  = "pause"
	orderResume = "resume"
	orderRetry  = "retry"
	orderFsck   = "fsck"
	orderRescan = "rescan"
	orderFirst  = "prioritise"
	orderLimit  = "limit"
	orderMeter  = "metered"
	orderLog    = "log"
)

func (a *Agent) actions() map[string]command.Action {
	return map[string]command.Action{
		orderPause:  {Do: func(context.Context, map[string]string) (string, error) { return "upload is paused", a.pause(true) }},
		orderResume: {Do: func(context.Context, map[string]string) (string, error) { return "upload goes on", a.pause(false) }},
		orderRetry:  {Do: func(_ context.Context, args map[string]string) (string, error) { return a.retry(args["footage"]) }},
		orderFsck:   {Do: func(ctx context.Context, _ map[string]string) (string, error) { return a.fsck(ctx) }, Long: true},
		orderFirst:  {Do: func(_ context.Context, args map[string]string) (string, error) { return a.prioritise(args) }},
		orderLimit:  {Do: func(_ context.Context, args map[string]string) (string, error) { return a.limitRate(args["rate"]) }},
		orderMeter:  {Do: func(_ context.Context, args map[string]string) (string, error) { return a.metered(args["link"]) }},
		orderLog:    {Do: func(_ context.Context, args map[string]string) (string, error) { return a.logLevel(args["level"]) }},
		orderRescan: {Do: func(context.Context, map[string]string) (string, error) { return a.rescan(), nil }},
	}
}

// fsck compares everything in the spool with its manifests.
func (a *Agent) fsck(ctx context.Context) (string, error) {
	n, err := a.spool.Recovery.CheckAll(ctx)
	if err != nil || n == 0 {
		return "the spool is whole", err
	}
	return fmt.Sprintf("%d pieces of footage are damaged in the spool, they are read from the card again", n), nil
}

// rescan looks at the cards now, and again at what could not be read.
func (a *Agent) rescan() string {
	a.ingest.RetryNow()
	a.watch.Rescan()
	return "the folders are looked at now"
}

// prioritise sends footage before others; with now set also before a running one.
func (a *Agent) prioritise(args map[string]string) (string, error) {
	id, err := footage.ParseID(args["footage"])
	if err != nil {
		return "", fmt.Errorf("set the argument footage to an id: %w", err)
	}
	n := 1
	if text := args["priority"]; text != "" {
		if n, err = strconv.Atoi(text); err != nil {
			return "", fmt.Errorf("priority %q is not a number", text)
		}
	}
	now := args["now"]
	if now != "" && now != "true" && now != "false" {
		return "", fmt.Errorf("now is %q, not true or false", now)
	}
	return fmt.Sprintf("footage %s has priority %d", id, n), a.uplink.Prioritise(id, n, now == "true")
}

// limitRate bounds the bytes per second of the upload.
func (a *Agent) limitRate(text string) (string, error) {
	switch text {
	case "":
		return "", errors.New(`set the argument rate to bytes a second such as 512KiB, to "none" or to "configured"`)
	case "none":
		return "the upload has no limit", a.uplink.SetLimit(uplink.LimitNone)
	case "configured":
		return "the upload has the configured limit", a.uplink.SetLimit(uplink.LimitConfigured)
	}
	var n settings.ByteSize
	if err := n.UnmarshalText([]byte(text)); err != nil {
		return "", err
	}
	if n <= 0 {
		return "", errors.New(`a limit must be above 0; "none" takes it away`)
	}
	return fmt.Sprintf("the upload is limited to %s a second", n), a.uplink.SetLimit(int64(n))
}

// metered says whether bytes of the link cost.
func (a *Agent) metered(text string) (string, error) {
	switch text {
	case "yes":
		return "the link counts as metered", a.uplink.SetMetered(true)
	case "no":
		return "the link counts as not metered", a.uplink.SetMetered(false)
	case "configured":
		return "the link counts as configured", a.uplink.ResetMetered()
	}
	return "", errors.New("set the argument link to yes, no or configured")
}

// logLevel says how much is logged until the next start.
func (a *Agent) logLevel(text string) (string, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return "", fmt.Errorf("level %q is not debug, info, warn or error", text)
	}
	a.level.Set(l)
	return "the log has level " + strings.ToLower(l.String()) + " until the next start", nil
}

// pause keeps the operator's will before it acts on it, so that a power cut
// does not undo it.
func (a *Agent) pause(p bool) error {
	if err := a.spool.Link.SetPaused(p); err != nil {
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
		if r, ok := a.spool.Records.Get(id); ok && r.State != spool.Quarantined && r.State != spool.Duplicate {
			return fmt.Sprintf("footage %s is %s; its next try comes now", id, r.State), nil
		}
		return fmt.Sprintf("footage %s is tried again", id), a.spool.Recovery.Retry(id)
	}
	n := 0
	var errs []error
	for _, r := range a.spool.Records.All() {
		if r.State != spool.Quarantined {
			continue
		}
		if err := a.spool.Recovery.Retry(r.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return fmt.Sprintf("%d pieces of footage are tried again", n), errors.Join(errs...)
}
