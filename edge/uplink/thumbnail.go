package uplink

import (
	"context"
	"errors"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// ErrThumbnails is the cause of a transfer that stops because only thumbnails go
// over a metered link.
var ErrThumbnails = errors.New("the link is metered: only thumbnails go, the video waits")

// thumbnailsOnly reports whether the rule and the link keep videos back.
func (u *Uplink) thumbnailsOnly() bool { return u.o.Thumbnails && u.o.Cloud.budget.Metered() }

// videoWaits reports whether the video waits for a link that is not metered. One
// that the cloud has is no longer on its way: only its confirmation is missing.
func (u *Uplink) videoWaits(r spool.Record) bool {
	return !r.Video.Done && u.thumbnailsOnly()
}

// waits reports whether nothing of this footage may go now.
func (u *Uplink) waits(r spool.Record) bool {
	return u.videoWaits(r) && (!r.HasThumbnail || r.Thumbnail.Done)
}

// thumbnail sends the footage's thumbnail, if there is one and the cloud does not
// have it. The state of the footage stays what it was: a picture is no part of
// the video. One that the cloud refuses or that is damaged is left out.
func (u *Uplink) thumbnail(ctx context.Context, r spool.Record, m footage.Manifest) error {
	if m.Thumbnail == nil || r.Thumbnail.Done {
		return nil
	}
	err := u.part(ctx, r, m, spool.Thumbnail, m.Thumbnail)
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, spool.ErrDamaged), errors.Is(err, errThere):
		u.o.Log.Warn("thumbnail left out", "footage", r.ID, "name", r.Name, "err", err)
		return u.o.Spool.Uploads.SetTransfer(r.ID, spool.Thumbnail, spool.Transfer{Done: true})
	case err == nil, ctx.Err() != nil, errors.Is(err, ErrLink), errors.Is(err, ErrToken), u.videoWaits(r):
		return err
	}
	u.o.Log.Warn("thumbnail put off, the video goes first", "footage", r.ID, "name", r.Name, "err", err)
	return nil
}
