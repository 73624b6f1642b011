package uplink

import (
	"context"
	"errors"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// Confirms asks the cloud whether it still has what it confirmed: the content of a video, or for a record of a late flight
// log the video with some log. The request moves about a kilobyte. The error wraps ErrPaused while an operator paused the
// upload, and is nil when the cloud answers that it has nothing or other content.
func (u *Uplink) Confirms(ctx context.Context, r spool.Record) (bool, error) {
	if u.Paused() {
		return false, ErrPaused
	}
	want, size := r.SHA256, r.Source.Size
	if r.LogOf != "" {
		video, ok := u.o.Spool.Records.Get(r.LogOf)
		if want, size = video.SHA256, video.Source.Size; !ok {
			want = footage.Digest{} // its record is pruned
		}
	}
	got, err := u.fetchStored(ctx, u.cloudID(r))
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case r.LogOf != "" && !got.Telemetry:
		return false, nil
	}
	return want.IsZero() || got.SHA256 == want && got.Size == size, nil
}
