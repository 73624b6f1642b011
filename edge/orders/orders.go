// Package orders executes the orders of operators: it reads their arguments, acts on the
// parts of the station and words the answers. The orders come over MQTT and from
// edge-agent ctl.
package orders

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
	"cattlecounter/shared/topic"
)

// Names of the orders.
const (
	Pause      = topic.CommandPause
	Resume     = topic.CommandResume
	Retry      = topic.CommandRetry
	Fsck       = topic.CommandFsck
	Rescan     = topic.CommandRescan
	Prioritise = topic.CommandPrioritise
	Limit      = topic.CommandLimit
	Metered    = topic.CommandMetered
	Log        = topic.CommandLog
	Trust      = topic.CommandTrust
)

// link is what orders change of the uplink.
type link interface {
	SetPaused(bool)
	Prioritise(id footage.ID, priority int, now bool) error
	SetLimit(bytesPerSecond int64) error
	SetMetered(bool) error
	ResetMetered() error
	Kick()
}

// records are the spool's records.
type records interface {
	All() []spool.Record
	Get(footage.ID) (spool.Record, bool)
}

// recovery brings footage out of quarantine and checks the spool.
type recovery interface {
	Retry(footage.ID) error
	CheckAll(context.Context) (damaged int, err error)
}

// pauseSetting remembers a pause over a power cut.
type pauseSetting interface{ SetPaused(bool) error }

// Station is the parts of the station that orders act on. All fields are required.
type Station struct {
	Link     link
	Records  records
	Recovery recovery
	Pause    pauseSetting
	Rescan   func() // scans the folders and retries failed reads now
	Level    *slog.LevelVar
	Key      func() string // short name of the key that orders must be signed with, "" without one
}

// Actions returns the action of each order, by name.
func (s *Station) Actions() map[string]command.Action {
	type args = map[string]string
	return map[string]command.Action{
		Pause:      {Do: func(context.Context, args) (string, error) { return "upload paused", s.SetPaused(true) }},
		Resume:     {Do: func(context.Context, args) (string, error) { return "upload resumed", s.SetPaused(false) }},
		Retry:      {Do: func(_ context.Context, a args) (string, error) { return s.retry(a["footage"]) }},
		Fsck:       {Do: func(ctx context.Context, _ args) (string, error) { return s.fsck(ctx) }, Long: true},
		Prioritise: {Do: func(_ context.Context, a args) (string, error) { return s.prioritise(a) }},
		Limit:      {Do: func(_ context.Context, a args) (string, error) { return s.setLimit(a["rate"]) }},
		Metered:    {Do: func(_ context.Context, a args) (string, error) { return s.setMetered(a["link"]) }},
		Log:        {Do: func(_ context.Context, a args) (string, error) { return s.setLogLevel(a["level"]) }},
		Trust:      {Do: func(context.Context, args) (string, error) { return s.trust(), nil }},
		Rescan: {Do: func(context.Context, args) (string, error) {
			s.Rescan()
			return "the folders are scanned now",
				nil
		}},
	}
}

// trust says which key orders must be signed with. The key was pinned before, as with every order.
func (s *Station) trust() string {
	if key := s.Key(); key != "" {
		return "orders must be signed with the key " + key
	}
	return "orders need no signature"
}

// fsck compares the whole content of the spool with its manifests.
func (s *Station) fsck(ctx context.Context) (string, error) {
	n, err := s.Recovery.CheckAll(ctx)
	if err != nil || n == 0 {
		return "the spool is whole", err
	}
	return fmt.Sprintf("%d pieces of footage are damaged in the spool; they are read from the card again", n), nil
}

// prioritise sets the priority of footage. With now it also interrupts a running upload.
func (s *Station) prioritise(args map[string]string) (string, error) {
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
	return fmt.Sprintf("footage %s has priority %d", id, n), s.Link.Prioritise(s.ownID(id), n, now == "true")
}

// setLimit bounds the upload's bytes per second.
func (s *Station) setLimit(text string) (string, error) {
	switch text {
	case "":
		return "", errors.New(`set the argument rate to bytes per second such as 512KiB, to "none" or to "configured"`)
	case "none":
		return "the upload has no limit", s.Link.SetLimit(uplink.LimitNone)
	case "configured":
		return "the upload has the configured limit", s.Link.SetLimit(uplink.LimitConfigured)
	}
	var n settings.ByteSize
	if err := n.UnmarshalText([]byte(text)); err != nil {
		return "", err
	}
	if n <= 0 {
		return "", errors.New(`a limit must be above 0; "none" removes it`)
	}
	return fmt.Sprintf("the upload is limited to %s per second", n), s.Link.SetLimit(int64(n))
}

// setMetered sets whether the link is paid by volume.
func (s *Station) setMetered(text string) (string, error) {
	switch text {
	case "yes":
		return "the link counts as metered", s.Link.SetMetered(true)
	case "no":
		return "the link counts as not metered", s.Link.SetMetered(false)
	case "configured":
		return "the link counts as configured", s.Link.ResetMetered()
	}
	return "", errors.New("set the argument link to yes, no or configured")
}

// setLogLevel sets the log's level until the next start.
func (s *Station) setLogLevel(text string) (string, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return "", fmt.Errorf("level %q is not debug, info, warn or error", text)
	}
	s.Level.Set(l)
	return "the log has level " + strings.ToLower(l.String()) + " until the next start", nil
}

// SetPaused pauses or resumes the upload. It saves the setting first, so that a power cut
// does not undo it.
func (s *Station) SetPaused(p bool) error {
	if err := s.Pause.SetPaused(p); err != nil {
		return err
	}
	s.Link.SetPaused(p)
	return nil
}

// ownID returns the id in the spool of footage that an order names by the cloud's id. An
// order may name either.
func (s *Station) ownID(id footage.ID) footage.ID {
	if _, ok := s.Records.Get(id); ok {
		return id
	}
	for _, r := range s.Records.All() {
		if r.UploadedAs == id {
			return r.ID
		}
	}
	return id
}

// retry releases one piece of footage, or with "all" every piece, from quarantine. It also
// ends every wait for the link.
func (s *Station) retry(which string) (string, error) {
	defer s.Link.Kick()
	if which == "" {
		return "", errors.New(`set the argument footage to an id, or to "all"`)
	}
	if which != "all" {
		id, err := footage.ParseID(which)
		if err != nil {
			return "", err
		}
		id = s.ownID(id)
		if r, ok := s.Records.Get(id); ok && r.State != spool.Quarantined && r.State != spool.Duplicate {
			return fmt.Sprintf("footage %s is %s; it is retried now", id, r.State), nil
		}
		return fmt.Sprintf("footage %s is retried", id), s.Recovery.Retry(id)
	}
	n := 0
	var errs []error
	for _, r := range s.Records.All() {
		if r.State != spool.Quarantined {
			continue
		}
		if err := s.Recovery.Retry(r.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return fmt.Sprintf("%d pieces of footage are retried", n), errors.Join(errs...)
}
