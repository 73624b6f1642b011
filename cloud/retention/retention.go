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

	"cattlecounter/cloud/ledger"
	"cattlecounter/shared/footage"
)

const (
	every = time.Hour
	batch = 100
	who   = "retention" // in the audit
)

// Book is what it needs of the ledger; *ledger.Ledger is one.
type Book interface {
	Aged(ctx context.Context, before time.Time, limit int) ([]ledger.Footage, error)
	RemoveVideo(ctx context.Context, id footage.ID) error
}

// Blobs is what it needs of the blob store.
type Blobs interface {
	Delete(ctx context.Context, key string) error
}

// Keeper removes videos by age.
type Keeper struct {
	Ledger Book
	Blobs  Blobs
	Videos time.Duration // since the count; above 0
	Now    func() time.Time
	Log    *slog.Logger
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
	for {
		fs, err := k.Ledger.Aged(ctx, before, batch)
		if err != nil {
			return n, bytes, err
		}
		for _, f := range fs {
			if err := k.Blobs.Delete(ctx, f.BlobKey); err != nil {
				return n, bytes, fmt.Errorf("video of footage %s: %w", f.ID, err)
			}
			err := k.Ledger.RemoveVideo(ctx, f.ID)
			if errors.Is(err, ledger.ErrNotFound) {
				continue // another process was faster
			}
			if err != nil {
				return n, bytes, err
			}
			n, bytes = n+1, bytes+f.Size
		}
		if len(fs) < batch {
			return n, bytes, nil
		}
	}
}
