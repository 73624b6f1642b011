// Package retention deletes videos that were counted long ago, with the annotated video and the sheets of their counts.
// Results, stills and the ledger's rows stay, so footage that arrives a second time is recognized as a duplicate
// and is not uploaded again.
package retention

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const (
	every     = time.Hour
	batch     = 100
	auditName = "retention" // the author in the ledger's audit
)

// Footage reads and changes the ledger's footage; *ledger.Catalog implements it.
type Footage interface {
	ListCounted(ctx context.Context, in ledger.Choice, before time.Time, limit int) ([]ledger.Footage, error)
	// IsCounted reports whether ListCounted would list a piece of footage now.
	IsCounted(ctx context.Context, id footage.ID, before time.Time) (bool, error)
	RemoveVideo(ctx context.Context, id footage.ID) error
}

// Blobs lists and deletes blobs; blob.Store implements it. Deleting a blob that does not exist is no error.
type Blobs interface {
	List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error]
	Delete(ctx context.Context, key string) error
}

// Flights reads the ledger's flights; *ledger.Flights implements it.
type Flights interface {
	Get(ctx context.Context, id string) (ledger.FlightView, error)
}

// Ages say how long videos are kept after their count; 0 means forever.
type Ages struct {
	Default time.Duration
	Sites   map[string]time.Duration // sites with another time than Default
}

// Any reports whether any video is deleted by its age.
func (a Ages) Any() bool {
	return len(a.Rules()) > 0
}

// Rule is the time of a choice of sites; it is above 0.
type Rule struct {
	In  ledger.Choice
	Age time.Duration
}

// Rules are the times that are not forever: those of single sites, then that of all others.
func (a Ages) Rules() (all []Rule) {
	sites := slices.Sorted(maps.Keys(a.Sites))
	for _, site := range sites {
		if a.Sites[site] != 0 {
			all = append(all, Rule{ledger.Choice{Only: site}, a.Sites[site]})
		}
	}
	if a.Default != 0 {
		all = append(all, Rule{ledger.Choice{Except: sites}, a.Default})
	}
	return all
}

// Remover deletes videos by age. All fields are required.
type Remover struct {
	Footage Footage
	Flights Flights
	Blobs   Blobs
	Ages    Ages
	Now     func() time.Time
	Log     *slog.Logger
}

// Run deletes expired videos at once and then every hour, until ctx ends, and returns nil.
// It logs faults and retries in the next hour. Several processes may run it at once.
func (r *Remover) Run(ctx context.Context) error {
	ctx = ledger.By(ctx, auditName)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n, bytes, err := r.RemoveExpired(ctx)
		if n > 0 {
			r.Log.Info("expired videos deleted", "videos", n, "bytes", bytes)
		}
		if err != nil && ctx.Err() == nil {
			r.Log.Error("cannot delete expired videos; trying again", "err", err, "retry_in", every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// RemoveExpired deletes the videos that are older than the time of their site. It returns how many videos and bytes it
// deleted. A fault of one video does not stop it, such as a legal hold: the error has the first faults. After mostHeld
// faults of a rule it continues with the next one.
//
// It deletes the blob before it changes the ledger. After a crash in between the next call
// deletes the video once more, which is harmless.
func (r *Remover) RemoveExpired(ctx context.Context) (n int, bytes int64, err error) {
	var faults []error
	for _, rule := range r.Ages.Rules() {
		videos, size, err := r.removeBy(ctx, rule)
		n, bytes = n+videos, bytes+size
		faults = append(faults, err)
		if ctx.Err() != nil {
			break
		}
	}
	return n, bytes, errors.Join(faults...)
}

// removeBy is RemoveExpired for one rule.
func (r *Remover) removeBy(ctx context.Context, by Rule) (n int, bytes int64, err error) {
	before := r.Now().Add(-by.Age)
	var faults []error
	passed := map[footage.ID]bool{} // that stay for now
	for len(faults) < mostHeld {
		limit := batch + len(passed) // they are listed again
		list, err := r.Footage.ListCounted(ctx, by.In, before, limit)
		if err != nil {
			return n, bytes, errors.Join(firstFaults(faults), err)
		}
		previous := n + len(passed)
		for _, f := range list {
			if passed[f.ID] {
				continue
			}
			switch removed, err := r.remove(ctx, f, before); {
			case err == nil && removed:
				n, bytes = n+1, bytes+f.Size
			case err == nil: // it is counted again
				passed[f.ID] = true
			case errors.Is(err, ledger.ErrNotFound): // another process removed it first
			case ctx.Err() != nil:
				return n, bytes, err
			default:
				passed[f.ID] = true
				faults = append(faults, fmt.Errorf("delete video of footage %s: %w", f.ID, err))
			}
		}
		if len(list) < limit || n+len(passed) == previous {
			break
		}
	}
	return n, bytes, firstFaults(faults)
}

// Limits of what one call reports and passes over.
const (
	mostHeld     = 1000
	mostReported = 5
)

// firstFaults joins the first of many faults.
func firstFaults(faults []error) error {
	if more := len(faults) - mostReported; more > 0 {
		return errors.Join(append(faults[:mostReported:mostReported], fmt.Errorf("and %d more", more))...)
	}
	return errors.Join(faults...)
}

// remove deletes the evidence before the video: the ledger lists the footage as long as it has a video.
// It asks the ledger once more, because the footage may be counted again since it was listed.
func (r *Remover) remove(ctx context.Context, f ledger.Footage, before time.Time) (removed bool, err error) {
	if still, err := r.Footage.IsCounted(ctx, f.ID, before); err != nil || !still {
		return false, err
	}
	keys, err := r.evidence(ctx, f)
	if err != nil {
		return false, err
	}
	for _, key := range append(keys, f.BlobKey) {
		if err := r.Blobs.Delete(ctx, key); err != nil {
			return false, err
		}
	}
	return true, r.Footage.RemoveVideo(ctx, f.ID)
}

// evidence lists the blobs that show the footage, beside its video.
func (r *Remover) evidence(ctx context.Context, f ledger.Footage) ([]string, error) {
	var keys []string
	for info, err := range r.Blobs.List(ctx, wire.ResultPrefix(f.ID)) {
		if err != nil {
			return nil, err
		}
		if wire.IsEvidence(info.Key) {
			keys = append(keys, info.Key)
		}
	}
	if f.Flight != "" { // the sheet of the flight shows the footage, too
		v, err := r.Flights.Get(ctx, f.Flight)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return nil, err
		}
		if v.ResultKey != "" {
			keys = append(keys, wire.FlightSheetKey(v.ResultKey))
		}
	}
	return keys, nil
}
