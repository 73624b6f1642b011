// Package ingest reads finished footage from the card into the spool, in chunks of footage.ChunkSize. Each chunk is
// hashed and durable before the next one is read; the digest of the whole file and the manifest follow. When a file
// changes while it is read, what was read of it is discarded. While nothing waits to be read, it compares the digest
// of files that an earlier release captured without a fingerprint.
package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/wake"
)

// Spool is what ingest needs of the spool, by purpose. All parts are required.
type Spool struct {
	Records  records
	Captures captures
	Files    files // the spool's Captures as well
	Content  content
	Recovery recovery
	Disk     disk
}

type records interface {
	All() []spool.Record
	SetWaiting(footage.ID, string)
	VideoOf(log spool.Source) (video spool.Source, ok bool)
}

type captures interface {
	Add(src spool.Source, telemetry *spool.Source) (spool.Record, error)
	AddLog(video, log spool.Source) (spool.Record, error)
	BeginRead(footage.ID) (spool.Record, error)
	SetRead(footage.ID, int64)
	Commit(footage.Manifest) (spool.Record, error)
	Discard(id footage.ID, why string) error
}

// files knows which files on the card were captured.
type files interface {
	Match(spool.Source) (spool.Match, error)
	KnowsLog(video, log spool.Source) (bool, error)
	Resolve(spool.Source, footage.Digest) (bool, error)
	Forget(footage.ID) error
}

type content interface {
	Manifest(footage.ID) (footage.Manifest, error)
	PutChunk(footage.ID, spool.Part, footage.Chunk, []byte) error
}

type recovery interface {
	Quarantine(id footage.ID, reason string) error
	QuarantineMissing(id footage.ID, reason string) error
}

type disk interface {
	CanHold(int64) error
	MakeRoom(int64) error
}

const (
	spaceWait = 5 * time.Second  // between two checks for free space
	readWait  = 30 * time.Second // after a file could not be read
	// maxAttempts bounds the reads of one file from a faulty card.
	maxAttempts = 5
)

// Clock returns the time of this machine and whether its clock is synchronized.
type Clock func() (now time.Time, trusted bool)

// Ingest reads one file at a time, the oldest capture first. It is a watch.Sink. Create it with New; it is safe for
// concurrent use.
type Ingest struct {
	spool Spool
	clock Clock
	log   *slog.Logger
	wake  wake.Signal
	buf   []byte

	mu        sync.Mutex // guards postponed and busy, and is held while Run chooses a file
	postponed map[footage.ID]retry
	busy      bool // Run reads a file

	checks *checks
}

// retry is when a postponed file is read again.
type retry struct {
	at       time.Time
	attempts int // failed reads, 0: the file is all right and waits for space
}

// New returns an Ingest that fills the spool. clock tells which capture times are plausible; nil: the clock of this
// machine is not trusted.
func New(sp Spool, clock Clock, log *slog.Logger) *Ingest {
	if clock == nil {
		clock = func() (time.Time, bool) { return time.Now(), false }
	}
	return &Ingest{spool: sp, clock: clock, log: log, wake: wake.New(), postponed: map[footage.ID]retry{},
		checks: newChecks()}
}

func source(f watch.File) spool.Source {
	return spool.Source{Path: f.Path, Size: f.Size, ModTime: f.ModTime, Print: f.Print}
}

// Known implements watch.Sink: it reports whether nothing of the finding needs to be read now. A file that Match is
// unsure about is compared later, and is known until then.
func (in *Ingest) Known(f watch.Finding) (bool, error) {
	if f.Video.Path == "" {
		log := source(*f.Telemetry)
		video, ok := in.spool.Records.VideoOf(log)
		if !ok {
			return false, nil
		}
		return in.spool.Files.KnowsLog(video, log)
	}
	src := source(f.Video)
	match, err := in.spool.Files.Match(src)
	switch {
	case err != nil || match == spool.New:
		return false, err
	case match == spool.Unsure:
		if in.checks.add(src, time.Now()) {
			in.Wake()
		}
		return true, nil
	case f.Telemetry == nil:
		return true, nil
	}
	return in.spool.Files.KnowsLog(src, source(*f.Telemetry))
}

// Capture implements watch.Sink: it records what is new in the finding, which Run then reads.
func (in *Ingest) Capture(f watch.Finding) error {
	if f.Video.Path == "" {
		log := source(*f.Telemetry)
		video, ok := in.spool.Records.VideoOf(log)
		if !ok {
			return watch.ErrNoVideo
		}
		return in.captureLog(video, log)
	}
	match, err := in.spool.Files.Match(source(f.Video))
	if err != nil {
		return err
	}
	if match == spool.Same && f.Telemetry != nil {
		return in.captureLog(source(f.Video), source(*f.Telemetry))
	}
	var telemetry *spool.Source
	if f.Telemetry != nil {
		s := source(*f.Telemetry)
		telemetry = &s
	}
	r, err := in.record(f, telemetry)
	if err != nil || f.Fault != "" {
		return err
	}
	in.log.Info("footage captured", "footage", r.ID, "path", footage.SafePath(f.Video.Path), "bytes", f.Video.Size,
		"telemetry", telemetry != nil)
	in.Wake()
	return nil
}

// captureLog records a flight log that arrived after its video.
func (in *Ingest) captureLog(video, log spool.Source) error {
	in.mu.Lock()
	r, err := in.spool.Captures.AddLog(video, log)
	in.mu.Unlock()
	if err != nil {
		return err
	}
	of := r.LogOf
	if of == "" {
		of = r.ID
	}
	in.log.Info("flight log captured after its video", "footage", of, "path", footage.SafePath(log.Path),
		"bytes", log.Size)
	in.Wake()
	return nil
}

// record adds a finding to the spool and quarantines one with a fault. It holds the lock of nextCapture, so that Run
// does not read a file between the two steps.
func (in *Ingest) record(f watch.Finding, telemetry *spool.Source) (spool.Record, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	r, err := in.spool.Captures.Add(source(f.Video), telemetry)
	if err == nil && f.Fault != "" {
		err = in.spool.Recovery.Quarantine(r.ID, f.Fault)
	}
	return r, err
}

// Busy reports whether Run reads a file into the spool now, so that others leave the card to it.
func (in *Ingest) Busy() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.busy
}

// Wake makes Run look for work now.
func (in *Ingest) Wake() { in.wake.Set() }

// RetryNow ends every wait: postponed files are read now.
func (in *Ingest) RetryNow() {
	in.mu.Lock()
	clear(in.postponed)
	in.mu.Unlock()
	in.Wake()
}

// Run reads captured files until ctx ends; then it returns nil. A file that a crash left half read is read again; its
// durable chunks are not written twice. Comparing files of an earlier release starts again after a restart.
func (in *Ingest) Run(ctx context.Context) error {
	defer in.checks.stop()
	for ctx.Err() == nil {
		r, wait := in.nextCapture(time.Now())
		if r == nil {
			if pause, more := in.compare(ctx); more {
				wait = pause
			}
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-in.wake.C():
			case <-timer.C:
			}
			timer.Stop()
			continue
		}
		traced, span := tracing.Begin(ctx, "spool", r.ID)
		err := in.read(traced, *r)
		span.Number("bytes", r.Source.Size)
		span.End(err)
		in.setBusy(false)
		in.handleResult(ctx, *r, err)
	}
	return nil
}

func (in *Ingest) setBusy(busy bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.busy = busy
}

// nextCapture returns the oldest capture that can be read now, or how long to wait for one. A
// half-read file comes first. While it waits for space no other file begins, because two half
// files could fill the spool with nothing to send.
func (in *Ingest) nextCapture(now time.Time) (*spool.Record, time.Duration) {
	const idle = time.Minute
	wait := idle
	in.mu.Lock()
	defer in.mu.Unlock()
	list := in.spool.Records.All()
	slices.SortStableFunc(list, func(a, b spool.Record) int {
		return cmp.Compare(rank(a.State), rank(b.State))
	})
	for _, r := range list {
		if r.Stale || r.State != spool.Captured && r.State != spool.Spooling {
			continue
		}
		if d := in.postponed[r.ID].at.Sub(now); d > 0 {
			wait = min(wait, d)
			if r.State == spool.Spooling && in.postponed[r.ID].attempts == 0 {
				break
			}
			continue
		}
		in.busy = true
		return &r, 0
	}
	return nil, wait
}

// rank sorts half-read files before the others.
func rank(s spool.State) int {
	if s == spool.Spooling {
		return 0
	}
	return 1
}

// handleResult decides what follows from the result of a read.
func (in *Ingest) handleResult(ctx context.Context, r spool.Record, err error) {
	log := in.log.With("footage", r.ID, "name", r.Name)
	switch {
	case err == nil:
		in.clearRetry(r.ID)
		return
	case ctx.Err() != nil:
		return // read again after the restart
	case errors.Is(err, spool.ErrNoSpace):
		if r.Waiting == "" {
			log.Warn("spool is full; waiting for space", "err", err)
		}
		in.spool.Records.SetWaiting(r.ID, "no space: "+err.Error())
		in.postpone(r.ID, spaceWait, 0)
		return
	case errors.Is(err, spool.ErrTooLarge):
		err = in.spool.Recovery.Quarantine(r.ID, err.Error()+"; give the spool more space, then order a retry")
	case errors.Is(err, errTooLarge):
		err = in.spool.Recovery.Quarantine(r.ID, err.Error())
	case errors.Is(err, errOther), errors.Is(err, errChanged) && !r.SHA256.IsZero():
		err = in.quarantineReplaced(r, err)
	case errors.Is(err, errChanged):
		log.Info("file changed during reading; waiting until it is finished", "err", err)
		err = in.spool.Captures.Discard(r.ID, err.Error())
	case errors.Is(err, fs.ErrNotExist):
		err = in.spool.Recovery.QuarantineMissing(r.ID,
			"the file vanished from the card before it was read; insert that card again")
	case errors.Is(err, footage.ErrNotVideo):
		err = in.spool.Recovery.Quarantine(r.ID,
			"the file has a video's name but is not a video ("+err.Error()+"); record or copy it again")
	default:
		err = in.retryOrQuarantine(r, err)
	}
	if err != nil { // the state could not be saved; without a wait Run would spin
		log.Error("cannot save the footage state; retrying", "err", err, "retry_in", spaceWait)
		in.spool.Records.SetWaiting(r.ID, "the spool cannot be written: "+err.Error())
		in.postpone(r.ID, spaceWait, 0)
		return
	}
	in.clearElapsedRetry(r.ID)
}

// quarantineReplaced handles footage that must be read again while the card has another recording under its name. The
// file is forgotten first: after a crash in between the footage is read once more, and the other recording is
// captured.
func (in *Ingest) quarantineReplaced(r spool.Record, why error) error {
	if err := in.spool.Files.Forget(r.ID); err != nil {
		return err
	}
	return in.spool.Recovery.Quarantine(r.ID, why.Error()+
		"; this footage cannot be read again; if another card has it, insert that card")
}

// retryOrQuarantine handles a file that cannot be read now. A person must correct wrong
// permissions, so that file is retried without end. A file that a card fails to deliver
// maxAttempts times is quarantined.
func (in *Ingest) retryOrQuarantine(r spool.Record, err error) error {
	in.mu.Lock()
	attempts := in.postponed[r.ID].attempts + 1
	in.mu.Unlock()
	if errors.Is(err, errSource) && !errors.Is(err, fs.ErrPermission) && attempts >= maxAttempts {
		return in.spool.Recovery.Quarantine(r.ID, fmt.Sprintf("cannot be read after %d attempts: %v", attempts, err))
	}
	in.log.Warn("cannot read footage; retrying", "footage", r.ID, "attempt", attempts, "retry_in", readWait, "err", err)
	in.postpone(r.ID, readWait, attempts) // before SetWaiting, which wakes Run
	in.spool.Records.SetWaiting(r.ID, "cannot be read: "+err.Error())
	return nil
}

func (in *Ingest) postpone(id footage.ID, d time.Duration, attempts int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.postponed[id] = retry{at: time.Now().Add(d), attempts: attempts}
}

func (in *Ingest) clearRetry(id footage.ID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.postponed, id)
}

// clearElapsedRetry clears the retry of a file whose wait has ended.
func (in *Ingest) clearElapsedRetry(id footage.ID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if time.Until(in.postponed[id].at) <= 0 {
		delete(in.postponed, id)
	}
}
