// Package originals deletes footage from the card after the cloud has confirmed it.
package originals

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wake"
)

// records are the spool's records.
type records interface {
	All() []spool.Record
	Get(footage.ID) (spool.Record, bool)
}

// retryEvery is how often to look for files whose card was not inserted.
const retryEvery = time.Hour

// Deleter deletes the original files of confirmed footage. Create it with New, start
// it with Run. Wake is safe for concurrent use.
type Deleter struct {
	records records
	log     *slog.Logger
	wake    wake.Signal
	// finished is footage whose files are deleted, or are not tried again before the
	// next start because the card cannot be written or has other files.
	finished map[footage.ID]bool
}

// New returns a Deleter.
func New(r records, log *slog.Logger) *Deleter {
	return &Deleter{records: r, log: log, wake: wake.New(), finished: map[footage.ID]bool{}}
}

// Wake makes Run look for confirmed footage now.
func (d *Deleter) Wake() { d.wake.Set() }

// Run deletes files at start, after Wake and hourly until ctx ends, and then returns
// nil.
func (d *Deleter) Run(ctx context.Context) error {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		d.deleteConfirmed()
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake.C():
		case <-tick.C:
		}
	}
}

func (d *Deleter) deleteConfirmed() {
	for _, r := range d.records.All() {
		if !d.finished[r.ID] && d.confirmed(r) {
			d.finished[r.ID] = d.remove(r)
		}
	}
}

// confirmed reports whether the cloud has confirmed this content.
func (d *Deleter) confirmed(r spool.Record) bool {
	if r.State == spool.Duplicate {
		first, ok := d.records.Get(r.DuplicateOf)
		return ok && first.State != spool.Duplicate && first.SHA256 == r.SHA256 && d.confirmed(first)
	}
	return r.State == spool.Confirmed || r.State == spool.Reclaimed
}

// remove deletes the files of a record, if they are still those that were read. It
// reports false when it must be called again.
func (d *Deleter) remove(r spool.Record) bool {
	files := []spool.Source{r.Source}
	if r.Telemetry != nil {
		files = append(files, *r.Telemetry)
	}
	for _, f := range files {
		info, err := os.Lstat(f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return false // the card is not inserted
		}
		if err == nil && !sameFile(f, info) {
			d.log.Info("another file on the card has this name; not deleted", "footage", r.ID, "path", f.Path)
			continue
		}
		if err == nil {
			err = os.Remove(f.Path)
		}
		if err != nil {
			d.log.Warn("cannot delete confirmed footage from the card; is it mounted read-only?",
				"footage", r.ID, "path", f.Path, "err", err)
			continue
		}
		d.log.Info("confirmed footage deleted from the card", "footage", r.ID, "path", f.Path, "bytes", f.Size)
	}
	return true
}

// sameFile reports whether info is of the file that was read.
func sameFile(f spool.Source, info fs.FileInfo) bool {
	return info.Mode().IsRegular() && f.Same(spool.Source{Path: f.Path, Size: info.Size(), ModTime: info.ModTime()})
}
