package agent

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

// originals deletes footage from the card when the cloud has confirmed it, if the
// configuration wants that.
type originals struct {
	records func() []spool.Record
	lookup  func(footage.ID) (spool.Record, bool)
	log     *slog.Logger
	wake    wake.Signal
	// settled is what was deleted, is gone, or could not be deleted and is not
	// tried again before the next start.
	settled map[footage.ID]bool
}

func newOriginals(sp *spool.Records, log *slog.Logger) *originals {
	return &originals{records: sp.All, lookup: sp.Get, log: log, wake: wake.New(), settled: map[footage.ID]bool{}}
}

func (o *originals) wakeUp() {
	o.wake.Set()
}

// Run deletes what may go, at start and when something was confirmed, until ctx ends.
func (o *originals) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour) // a card that was away is back
	defer tick.Stop()
	for {
		for _, r := range o.records() {
			if !o.settled[r.ID] && o.confirmed(r) {
				o.settled[r.ID] = o.remove(r)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake.C():
		case <-tick.C:
		}
	}
}

// confirmed reports whether the cloud has confirmed the very content.
func (o *originals) confirmed(r spool.Record) bool {
	if r.State == spool.Duplicate {
		first, ok := o.lookup(r.DuplicateOf)
		return ok && first.State != spool.Duplicate && first.SHA256 == r.SHA256 && o.confirmed(first)
	}
	return r.State == spool.Confirmed || r.State == spool.Reclaimed
}

// remove deletes the files of a record, if they are still those that were read.
// It reports whether there is nothing left to do.
func (o *originals) remove(r spool.Record) bool {
	files := []spool.Source{r.Source}
	if r.Telemetry != nil {
		files = append(files, *r.Telemetry)
	}
	for _, f := range files {
		info, err := os.Lstat(f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return false // the card is out; it may come back
		}
		if err == nil && (!info.Mode().IsRegular() || !f.Same(spool.Source{Path: f.Path, Size: info.Size(), ModTime: info.ModTime()})) {
			o.log.Info("the card has another file under this name, it stays", "footage", r.ID, "path", f.Path)
			continue
		}
		if err == nil {
			err = os.Remove(f.Path)
		}
		if err != nil {
			o.log.Warn("confirmed footage cannot be deleted from the card; is it mounted read-only?", "footage", r.ID, "path", f.Path, "err", err)
			continue
		}
		o.log.Info("confirmed footage deleted from the card", "footage", r.ID, "path", f.Path, "bytes", f.Size)
	}
	return true
}
