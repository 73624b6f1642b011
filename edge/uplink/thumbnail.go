package uplink

import (
	"context"
	"errors"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// ErrThumbnails stops a video because only thumbnails are sent over a metered link.
var ErrThumbnails = errors.New("the link is metered: only thumbnails are sent, the video waits")

// thumbnailsOnly reports whether videos must wait.
func (u *Uplink) thumbnailsOnly() bool { return u.o.Thumbnails && u.o.Cloud.budget.Metered() }

// videoWaits reports whether the video waits for a link that is not metered. A video that
// the cloud has does not wait: only its confirmation is missing.
func (u *Uplink) videoWaits(r spool.Record) bool {
	return !r.Video.Done && u.thumbnailsOnly()
}

// nothingToSend reports whether no part of this footage may be sent now.
func (u *Uplink) nothingToSend(r spool.Record) bool {
	return u.videoWaits(r) && (!r.HasThumbnail || r.Thumbnail.Done)
}

// sendThumbnail sends the footage's thumbnail, if it has one that the cloud lacks. The state of
// the footage does not change. A thumbnail that is refused or damaged is skipped.
func (u *Uplink) sendThumbnail(ctx context.Context, r spool.Record, m footage.Manifest) error {
	if m.Thumbnail == nil || r.Thumbnail.Done {
		return nil
	}
	err := u.sendFile(ctx, r, m, spool.Thumbnail, m.Thumbnail)
	switch {
	case errors.Is(err, ErrIDTaken):
		return err
	case errors.Is(err, ErrRefused), errors.Is(err, spool.ErrDamaged), errors.Is(err, errStored):
		u.o.Log.Warn("thumbnail skipped", "footage", r.ID, "name", r.Name, "err", err)
		return u.o.Spool.Uploads.SetTransfer(r.ID, spool.Thumbnail, spool.Transfer{Done: true})
	case err == nil, ctx.Err() != nil, errors.Is(err, ErrLink), errors.Is(err, ErrToken), u.videoWaits(r):
		return err
	}
	u.o.Log.Warn("thumbnail postponed; sending the video first", "footage", r.ID, "name", r.Name, "err", err)
	return nil
}
