// Package retention removes what is kept no longer: videos whose animals were counted
// long ago. Results, pictures and the whole history stay, so footage that comes again
// is known, and nobody sends an old video anew.
package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
)

const (
	every = time.Hour
	batch = 100
	who   = "retention" // in the audit
)

// Footage is what it needs of the ledger's footage; *ledger.Catalog is one.
type Footage interface {
	ListCounted(ctx context.Context, before time.Time, limit int) ([]ledger.Footage, error)
	RemoveVideo(ctx context.Context, id footage.ID) error
}

// Blobs is what it needs of the blob store.
type Blobs interface {
	Delete(ctx context.Context, key string) error
}

// Keeper removes videos by age.
type Keeper struct {
	Footage Footage
	Blobs   Blobs
	Videos  time.Duration // since the count; above 0
	Now     func() time.Time
	Log     *slog.Logger
}

// Run removes what is due, at once and every hour, until ctx ends, and returns nil then.
// Faults are logged and met again in the next round. Several processes may run it.
func (k *Keeper) Run(ctx context.Context) error {
	ctx = ledger.By(ctx, who)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n, bytes, err := k.Round(ctx)
		if n > 0 {
			k.Log.Info("videos removed by age", "videos", n, "bytes", bytes, "older_than", k.Videos)
		}
		if err != nil && ctx.Err() == nil {
			k.Log.Error("removing videos by age", "err", err, "retry_in", every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Round removes what is due now and returns how much that was. The blob goes first: a
// crash in between leaves a note of a video that is gone, which the next round mends.
func (k *Keeper) Round(ctx context.Context) (n int, bytes int64, err error) {
	before := k.Now().Add(-k.Videos)
	var faults []error // of single videos, which must not hold up the others
	for {
		fs, err := k.Footage.ListCounted(ctx, before, batch)
		if err != nil {
			return n, bytes, errors.Join(append(faults, err)...)
		}
		was := n
		for _, f := range fs {
			switch err := k.remove(ctx, f); {
			case err == nil:
				n, bytes = n+1, bytes+f.Size
			case errors.Is(err, ledger.ErrNotFound): // another process was faster
			case ctx.Err() != nil:
				return n, bytes, err
			default:
				faults = append(faults, fmt.Errorf("video of footage %s: %w", f.ID, err))
			}
		}
		if len(fs) < batch || n == was {
			return n, bytes, errors.Join(faults...)
		}
	}
}

func (k *Keeper) remove(ctx context.Context, f ledger.Footage) error {
	if err := k.Blobs.Delete(ctx, f.BlobKey); err != nil {
		return err
	}
	return k.Footage.RemoveVideo(ctx, f.ID)
}
