// Package ingest reads finished footage from the card into the spool, in chunks of
// footage.ChunkSize. Each chunk is hashed and durable before the next one is read; the
// digest of the whole file and the manifest follow. When a file changes while it is read,
// what was read of it is discarded.
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
	"cattlecounter/shared/wake"
)

// Spool is what ingest needs of the spool, by purpose. All parts are required.
type Spool struct {
	Records  records
	Captures captures
	Content  content
	Recovery recovery
	Disk     disk
}

type records interface {
	All() []spool.Record
	SetWaiting(footage.ID, string)
}

type captures interface {
	Known(spool.Source) (bool, error)
	Add(src spool.Source, telemetry *spool.Source) (spool.Record, error)
	BeginRead(footage.ID) (spool.Record, error)
	SetRead(footage.ID, int64)
	Commit(footage.Manifest) (spool.Record, error)
	Discard(id footage.ID, why string) error
}

type content interface {
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

// Ingest reads one file at a time, the oldest capture first. It is a watch.Sink. Create it
// with New; it is safe for concurrent use.
type Ingest struct {
	spool Spool
	log   *slog.Logger
	wake  wake.Signal
	buf   []byte

	mu        sync.Mutex // guards postponed, and is held while Run chooses a file
	postponed map[footage.ID]retry
}

// retry is when a postponed file is read again.
type retry struct {
	at       time.Time
	attempts int // failed reads, 0: the file is all right and waits for space
}

// New returns an Ingest that fills the spool.
func New(sp Spool, log *slog.Logger) *Ingest {
	return &Ingest{spool: sp, log: log, wake: wake.New(), postponed: map[footage.ID]retry{}}
}

func source(f watch.File) spool.Source {
	return spool.Source{Path: f.Path, Size: f.Size, ModTime: f.ModTime}
}

// Known implements watch.Sink: it reports whether the file needs no further reading.
func (in *Ingest) Known(f watch.File) (bool, error) { return in.spool.Captures.Known(source(f)) }

// Capture implements watch.Sink: it records the finding, which Run then reads.
func (in *Ingest) Capture(f watch.Finding) error {
	var telemetry *spool.Source
	if f.Telemetry != nil {
		s := source(*f.Telemetry)
		telemetry = &s
	}
	r, err := in.record(f, telemetry)
	if err != nil || f.Fault != "" {
		return err
	}
	in.log.Info("footage captured", "footage", r.ID, "path", f.Video.Path, "bytes", f.Video.Size,
		"telemetry", telemetry != nil)
	in.Wake()
	return nil
}

// record adds a finding to the spool and quarantines one with a fault. It holds the lock of
// next, so that Run does not read a file between the two steps.
func (in *Ingest) record(f watch.Finding, telemetry *spool.Source) (spool.Record, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	r, err := in.spool.Captures.Add(source(f.Video), telemetry)
	if err == nil && f.Fault != "" {
		err = in.spool.Recovery.Quarantine(r.ID, f.Fault)
	}
	return r, err
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

// Run reads captured files until ctx ends; then it returns nil. A file that a crash left half
// read is read again; its durable chunks are not written twice.
func (in *Ingest) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		r, wait := in.next(time.Now())
		if r == nil {
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-in.wake.C():
			case <-timer.C:
			}
			timer.Stop()
			continue
		}
		in.handleResult(ctx, *r, in.read(ctx, *r))
	}
	return nil
}

// next returns the oldest capture that can be read now, or how long to wait for one. A
// half-read file comes first. While it waits for space no other file begins, because two half
// files could fill the spool with nothing to send.
func (in *Ingest) next(now time.Time) (*spool.Record, time.Duration) {
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
		in.forget(r.ID)
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
	in.forgetElapsed(r.ID)
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

func (in *Ingest) forget(id footage.ID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.postponed, id)
}

// forgetElapsed forgets a postponed file whose wait has ended.
func (in *Ingest) forgetElapsed(id footage.ID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if time.Until(in.postponed[id].at) <= 0 {
		delete(in.postponed, id)
	}
}
