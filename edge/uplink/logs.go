package uplink

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// videoUnsent reports whether the video of a late flight log is still to be sent. The log is sent after it: the video may
// bring an older log, which must not replace this one.
func (u *Uplink) videoUnsent(id footage.ID) bool {
	v, ok := u.o.Spool.Records.Get(id)
	return ok && v.State != spool.Confirmed && !v.State.Ended()
}

// olderLogUnsent reports whether an older flight log of the same footage is still to be sent. The newest log is sent
// last, whatever the order: the cloud keeps the last one that it gets.
func olderLogUnsent(list []spool.Record, log spool.Record) bool {
	return slices.ContainsFunc(list, func(r spool.Record) bool {
		return r.LogOf == log.LogOf && r.Seq < log.Seq && r.State.HasContent() && r.State != spool.Confirmed
	})
}

// cloudID returns the id under which the cloud knows the footage of a record. A late flight log has the footage of its
// video.
func (u *Uplink) cloudID(r spool.Record) footage.ID {
	if r.LogOf == "" {
		return r.CloudID()
	}
	if video, ok := u.o.Spool.Records.Get(r.LogOf); ok {
		return video.CloudID()
	}
	return r.LogOf
}

// sendLog sends a flight log that arrived after its video, as telemetry of the video's footage. The cloud compares the
// digest before it accepts the last byte, so an accepted log is confirmed. A cloud that has another log for the footage
// replaces it.
func (u *Uplink) sendLog(ctx context.Context, r spool.Record, m footage.Manifest) error {
	if err := u.sendFile(ctx, r, m, spool.Video, &m.Video); err != nil {
		if errors.Is(err, ErrIDTaken) {
			return fmt.Errorf("flight log of footage %s: %w; a cloud of an older release accepts a log only before its video",
				r.LogOf, err)
		}
		return err
	}
	if err := u.o.Spool.Uploads.Accept(r.ID); err != nil {
		return err
	}
	if err := u.o.Spool.Uploads.Confirm(r.ID, ""); err != nil {
		return err
	}
	u.o.Log.Info("flight log confirmed by the cloud", "footage", r.LogOf, "name", r.Name, "bytes", m.Video.Size,
		"sha256", m.Video.SHA256.String())
	return u.o.Spool.Uploads.Release(r.ID)
}

// recoverLogs sends the late flight logs of footage again that the cloud has lost.
func (u *Uplink) recoverLogs(id footage.ID) error {
	var errs []error
	for _, r := range u.o.Spool.Records.All() {
		switch {
		case r.LogOf != id:
		case r.State == spool.Confirmed:
			errs = append(errs, u.o.Spool.Recovery.Resend(r.ID))
		case r.State == spool.Reclaimed && u.o.OnCard(r.Source):
			errs = append(errs, u.o.Spool.Recovery.Reread(r.ID))
		}
	}
	return errors.Join(errs...)
}
