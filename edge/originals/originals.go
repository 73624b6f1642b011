// Package originals deletes files from the card after the cloud has confirmed their content.
//
// The cloud confirms a digest. The package reads a file whole just before it deletes it. The content must have the
// confirmed digest, and the file must not change while it is read. Name, size and time prove nothing: a camera whose
// clock was reset writes new recordings under old names and times.
package originals

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"cattlecounter/edge/cardfile"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/interrupt"
	"cattlecounter/shared/wake"
)

// records are the spool's records.
type records interface {
	All() []spool.Record
	Get(footage.ID) (spool.Record, bool)
}

// files links files on the card to footage.
type files interface {
	Forget(footage.ID) error
	RequireDigest(footage.ID) error
}

const (
	// retryEvery is how often to look for files whose card was not inserted.
	retryEvery = time.Hour
	// busyWait is how long to leave the card to the agent before looking again.
	busyWait = time.Second
)

// errOther means that the file on the card is not the one that the cloud confirmed.
var errOther = errors.New("another file on the card has this name")

// Options configure a Deleter. Records and Files are required.
type Options struct {
	Records records
	Files   files
	// Busy reports whether the card is needed for reading new footage; then the Deleter waits. nil: never.
	Busy func() bool
	Log  *slog.Logger // nil: no log
}

// Deleter deletes the original files of confirmed footage. It reads the card at half its speed. Create it with New,
// start it with Run. Wake is safe for concurrent use.
type Deleter struct {
	o    Options
	wake wake.Signal
	// stays is the condition of files that must stay on the card: another recording, or a card that cannot be written.
	// They are looked at again when they change, and after the next start.
	stays map[file]cardfile.Stat
}

// file is a file on the card that may be one of a footage.
type file struct {
	id   footage.ID
	path string
}

// New returns a Deleter.
func New(o Options) *Deleter {
	if o.Busy == nil {
		o.Busy = func() bool { return false }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Deleter{o: o, wake: wake.New(), stays: map[file]cardfile.Stat{}}
}

// Wake makes Run look for confirmed footage now.
func (d *Deleter) Wake() { d.wake.Set() }

// Run deletes files at start, after Wake and hourly until ctx ends, and then returns nil. A file whose reading is
// interrupted is read from its beginning later.
func (d *Deleter) Run(ctx context.Context) error {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		d.deleteConfirmed(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake.C():
		case <-tick.C:
		}
	}
}

func (d *Deleter) deleteConfirmed(ctx context.Context) {
	for _, r := range d.o.Records.All() {
		if ctx.Err() != nil {
			return
		}
		if d.isConfirmed(r) {
			d.deleteFiles(ctx, r)
		}
	}
}

// isConfirmed reports whether the cloud has confirmed the content of a record.
func (d *Deleter) isConfirmed(r spool.Record) bool {
	if r.SHA256.IsZero() {
		return false
	}
	if r.State == spool.Duplicate {
		first, ok := d.o.Records.Get(r.DuplicateOf)
		switch {
		case !ok || first.State == spool.Duplicate:
			return false
		case r.LogOf == first.ID: // a flight log that was uploaded with its video
			return first.TelemetrySHA256 == r.SHA256 && first.TelemetryConfirmed()
		}
		return first.SHA256 == r.SHA256 && first.LogOf == r.LogOf && d.isConfirmed(first)
	}
	return r.State == spool.Confirmed || r.State == spool.Reclaimed
}

// telemetryConfirmed reports whether the cloud has the telemetry that was read with the video.
func (d *Deleter) telemetryConfirmed(r spool.Record) bool {
	if r.State != spool.Duplicate {
		return r.TelemetryConfirmed()
	}
	first, ok := d.o.Records.Get(r.DuplicateOf)
	return ok && !r.TelemetrySHA256.IsZero() && first.TelemetrySHA256 == r.TelemetrySHA256 && first.TelemetryConfirmed()
}

// deleteFiles deletes the files of a record whose content is confirmed. Telemetry that the cloud does not have stays
// on the card.
func (d *Deleter) deleteFiles(ctx context.Context, r spool.Record) {
	d.deleteFile(ctx, r, r.Source, r.SHA256)
	if r.Telemetry != nil && d.telemetryConfirmed(r) {
		d.deleteFile(ctx, r, *r.Telemetry, r.TelemetrySHA256)
	}
}

// deleteFile deletes one file. A file that is not there, that is being changed or that ctx interrupts is tried again
// later.
func (d *Deleter) deleteFile(ctx context.Context, r spool.Record, f spool.Source, want footage.Digest) {
	info, err := os.Lstat(f.Path)
	if err != nil {
		return // the card is not inserted, or the file is deleted
	}
	key, now := file{r.ID, f.Path}, cardfile.StatOf(info)
	if before, ok := d.stays[key]; ok && before.Equal(now) {
		return
	}
	delete(d.stays, key)
	log := d.o.Log.With("footage", r.ID, "path", footage.SafePath(f.Path), "bytes", f.Size)
	err = d.verifyAndDelete(ctx, f, info, want)
	switch {
	case err == nil:
		log.Info("confirmed footage deleted from the card")
		if err := d.o.Files.RequireDigest(r.ID); err != nil {
			log.Error("cannot note that the file is deleted", "err", err)
		}
		return
	case errors.Is(err, fs.ErrNotExist), ctx.Err() != nil, errors.Is(err, cardfile.ErrChanged):
		return
	case errors.Is(err, errOther):
		log.Info("file on the card is not deleted", "reason", err)
		if want == r.SHA256 {
			if err := d.o.Files.Forget(r.ID); err != nil {
				log.Error("cannot forget the file of another recording; retrying", "err", err)
				return
			}
		}
	default:
		log.Warn("cannot delete confirmed footage from the card; is it mounted read-only?", "err", err)
	}
	d.stays[key] = now
}

// verifyAndDelete reads a file whole and deletes it if it has the digest. The error wraps errOther for another file,
// cardfile.ErrChanged for one that changes meanwhile.
func (d *Deleter) verifyAndDelete(ctx context.Context, f spool.Source, info fs.FileInfo, want footage.Digest) error {
	if !info.Mode().IsRegular() || info.Size() != f.Size || !info.ModTime().Equal(f.ModTime) {
		return fmt.Errorf("%w: its kind, size or time differs", errOther)
	}
	r, err := cardfile.Open(f.Path)
	if err != nil {
		return err
	}
	defer r.Close()
	if !r.Stat().Equal(cardfile.StatOf(info)) {
		return cardfile.ErrChanged
	}
	if !f.Print.IsZero() {
		sum, err := r.Print()
		if err != nil {
			return err
		}
		if sum != f.Print {
			return fmt.Errorf("%w: its fingerprint differs", errOther)
		}
	}
	if err := d.readSlowly(ctx, r); err != nil {
		return err
	}
	if err := r.Unchanged(); err != nil {
		return err
	}
	if got := r.Digest(); got != want {
		return fmt.Errorf("%w: its sha256 is %s, the cloud confirmed %s", errOther, got, want)
	}
	return os.Remove(f.Path)
}

// readSlowly reads a file to its end. It pauses for as long as it reads, and while the agent reads new footage.
func (d *Deleter) readSlowly(ctx context.Context, r *cardfile.Reading) error {
	for {
		for d.o.Busy() {
			if err := interrupt.Pause(ctx, busyWait); err != nil {
				return err
			}
		}
		began := time.Now()
		done, err := r.Step(ctx)
		if err != nil || done {
			return err
		}
		if err := interrupt.Pause(ctx, time.Since(began)); err != nil {
			return err
		}
	}
}
