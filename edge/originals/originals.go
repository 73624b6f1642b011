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
	Resolve(spool.Source, footage.Digest) (bool, error)
}

const (
	// retryEvery is how often to look for files whose card was not inserted.
	retryEvery = time.Hour
	// askAgain is how soon to look again when the cloud could not be asked.
	askAgain = time.Minute
	// busyWait is how long to leave the card to the agent before looking again.
	busyWait = time.Second
)

// errOther means that the file on the card is not the one that the cloud confirmed.
var errOther = errors.New("another file on the card has this name")

// errNote means that the spool cannot note the end of a file.
var errNote = errors.New("note that the file is deleted")

// Options configure a Deleter. Records and Files are required.
type Options struct {
	Records records
	Files   files
	// Confirms asks the cloud whether it still has the content of a confirmed record, just before its file is deleted: the
	// cloud may have lost what it confirmed. After an error no file is deleted in this round. nil: the record decides.
	Confirms func(context.Context, spool.Record) (bool, error)
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
	// unasked is set while the cloud cannot be asked, as logged.
	unasked bool
	// lost is footage that the cloud does not have any more, as logged.
	lost map[footage.ID]bool
}

// file is a file on the card that may be one of a footage.
type file struct {
	id   footage.ID
	path string
}

// New returns a Deleter.
func New(o Options) *Deleter {
	if o.Confirms == nil {
		o.Confirms = func(context.Context, spool.Record) (bool, error) { return true, nil }
	}
	if o.Busy == nil {
		o.Busy = func() bool { return false }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Deleter{o: o, wake: wake.New(), stays: map[file]cardfile.Stat{}, lost: map[footage.ID]bool{}}
}

// Wake makes Run look for confirmed footage now.
func (d *Deleter) Wake() { d.wake.Set() }

// Run deletes files at start, after Wake, an hour after the last look, and a minute after one at which the cloud could
// not be asked, until ctx ends. It then returns nil. A file whose reading is interrupted is read from its beginning later.
func (d *Deleter) Run(ctx context.Context) error {
	for {
		wait := retryEvery
		if !d.deleteConfirmed(ctx) {
			wait = askAgain
		}
		next := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			next.Stop()
			return nil
		case <-d.wake.C():
			next.Stop()
		case <-next.C:
		}
	}
}

// deleteConfirmed deletes what is confirmed. It reports whether the cloud could be asked.
func (d *Deleter) deleteConfirmed(ctx context.Context) bool {
	for _, r := range d.o.Records.All() {
		if ctx.Err() != nil {
			return true
		}
		if !d.isConfirmed(r) {
			continue
		}
		if err := d.deleteFiles(ctx, r); err != nil {
			if ctx.Err() == nil && !d.unasked {
				d.unasked = true
				d.o.Log.Info("files on the card are not deleted yet: the cloud cannot be asked", "footage", r.ID, "err", err,
					"retry_in", askAgain)
			}
			return false
		}
	}
	d.unasked = false
	return true
}

// stillConfirmed asks the cloud about the content of a record, or of the one that it is a copy of.
func (d *Deleter) stillConfirmed(ctx context.Context, r spool.Record) (bool, error) {
	if first, ok := d.o.Records.Get(r.DuplicateOf); ok && r.State == spool.Duplicate {
		r = first
	}
	confirmed, err := d.o.Confirms(ctx, r)
	if confirmed {
		delete(d.lost, r.ID)
	}
	if err == nil && !confirmed && !d.lost[r.ID] {
		d.lost[r.ID] = true
		d.o.Log.Warn("the cloud does not have confirmed footage any more; its file stays on the card", "footage", r.ID,
			"name", r.Name)
	}
	return confirmed, err
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

// deleteFiles deletes the files of a record whose content is confirmed. Telemetry that the cloud does not have stays on
// the card. The error is that of Confirms.
func (d *Deleter) deleteFiles(ctx context.Context, r spool.Record) error {
	err := d.deleteFile(ctx, r, r.Source, r.SHA256)
	if err == nil && r.Telemetry != nil && d.telemetryConfirmed(r) {
		err = d.deleteFile(ctx, r, *r.Telemetry, r.TelemetrySHA256)
	}
	return err
}

// deleteFile deletes one file. A file that is not there, that is being changed or that ctx interrupts is tried again
// later. The error is that of Confirms.
func (d *Deleter) deleteFile(ctx context.Context, r spool.Record, f spool.Source, want footage.Digest) error {
	info, err := os.Lstat(f.Path)
	if err != nil {
		return nil // the card is not inserted, or the file is deleted
	}
	key, now := file{r.ID, f.Path}, cardfile.StatOf(info)
	if before, ok := d.stays[key]; ok && before.Equal(now) {
		return nil
	}
	if confirmed, err := d.stillConfirmed(ctx, r); err != nil || !confirmed {
		return err
	}
	delete(d.stays, key)
	if d.deleteConfirmedFile(ctx, r, f, info, want) {
		d.stays[key] = now
	}
	return nil
}

// deleteConfirmedFile deletes a file if it has the confirmed digest. It reports whether the file must stay.
func (d *Deleter) deleteConfirmedFile(ctx context.Context, r spool.Record, f spool.Source, info fs.FileInfo,
	want footage.Digest) bool {
	log := d.o.Log.With("footage", r.ID, "path", footage.SafePath(f.Path), "bytes", f.Size)
	err := d.verifyAndDelete(ctx, r, f, info, want)
	switch {
	case err == nil:
		log.Info("confirmed footage deleted from the card")
		return false
	case errors.Is(err, errNote):
		log.Error("file on the card is not deleted; retrying", "err", err)
		return false
	case errors.Is(err, fs.ErrNotExist), ctx.Err() != nil, errors.Is(err, cardfile.ErrChanged):
		return false
	case errors.Is(err, errOther):
		log.Info("file on the card is not deleted", "reason", err)
		if want == r.SHA256 {
			if err := d.o.Files.Forget(r.ID); err != nil {
				log.Error("cannot forget the file of another recording; retrying", "err", err)
				return false
			}
		}
	default:
		log.Warn("cannot delete confirmed footage from the card; is it mounted read-only?", "err", err)
	}
	return true
}

// verifyAndDelete reads a file whole and deletes it if it has the digest. The error wraps errOther for another file,
// cardfile.ErrChanged for one that changes meanwhile, errNote when the spool cannot be written.
func (d *Deleter) verifyAndDelete(ctx context.Context, rec spool.Record, f spool.Source, info fs.FileInfo,
	want footage.Digest) error {
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
	if f.Path != rec.Source.Path {
		return os.Remove(f.Path) // telemetry: the note below is about the video, which may have to stay
	}
	// The note comes first: a new recording can have the name as soon as the file is gone.
	if err := d.o.Files.RequireDigest(rec.ID); err != nil {
		return fmt.Errorf("%w: %w", errNote, err)
	}
	err = os.Remove(f.Path)
	if err != nil {
		d.keepKnown(r, f, want)
	}
	return err
}

// keepKnown takes back the note about a file that could not be deleted and that has the digest want: without its
// fingerprint it is read whole once more after every start. The note stays if r was changed or replaced meanwhile, and
// after an error.
func (d *Deleter) keepKnown(r *cardfile.Reading, f spool.Source, want footage.Digest) {
	sum, err := r.Print()
	if err == nil {
		err = r.Unchanged()
	}
	if err == nil {
		f.Print = sum
		_, err = d.o.Files.Resolve(f, want)
	}
	if err != nil && !errors.Is(err, cardfile.ErrChanged) {
		d.o.Log.Warn("cannot note that a file stays on the card; it is read again after the next start",
			"path", footage.SafePath(f.Path), "err", err)
	}
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
