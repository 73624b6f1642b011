// Package ingest reads finished footage from the card into the spool: in chunks
// of footage.ChunkSize, each hashed and durable before the next, then the whole
// file's digest and the manifest. A file that changes while it is read is not
// footage yet; what was read of it is void.
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
	spaceWait = 5 * time.Second  // between looks for space
	readWait  = 30 * time.Second // after a file could not be read
	// readTries bounds how often a faulty card is asked for the same file.
	readTries = 5
)

// Ingest reads one file at a time, the oldest capture first. It is a
// watch.Sink. Create it with New.
type Ingest struct {
	spool Spool
	log   *slog.Logger
	wake  wake.Signal
	buf   []byte

	mu    sync.Mutex
	again map[footage.ID]retry
}

// retry says when a file that could not be read is tried again.
type retry struct {
	at    time.Time
	tries int // 0: nothing is wrong with the file, it waits for space
}

// New returns an Ingest that fills the spool.
func New(sp Spool, log *slog.Logger) *Ingest {
	return &Ingest{spool: sp, log: log, wake: wake.New(), again: map[footage.ID]retry{}}
}

func source(f watch.File) spool.Source {
	return spool.Source{Path: f.Path, Size: f.Size, ModTime: f.ModTime}
}

// Known implements watch.Sink.
func (in *Ingest) Known(f watch.File) (bool, error) { return in.spool.Captures.Known(source(f)) }

// Take implements watch.Sink: it records the finding, Run reads it.
func (in *Ingest) Take(f watch.Finding) error {
	var side *spool.Source
	if f.Telemetry != nil {
		s := source(*f.Telemetry)
		side = &s
	}
	r, err := in.spool.Captures.Add(source(f.Video), side)
	if err != nil {
		return err
	}
	if f.Fault != "" {
		return in.spool.Recovery.Quarantine(r.ID, f.Fault)
	}
	in.log.Info("footage captured", "footage", r.ID, "path", f.Video.Path, "bytes", f.Video.Size, "telemetry", side != nil)
	in.Wake()
	return nil
}

// Wake makes Run look for work now.
func (in *Ingest) Wake() { in.wake.Set() }

// Again ends every wait: what could not be read is tried now.
func (in *Ingest) Again() {
	in.mu.Lock()
	clear(in.again)
	in.mu.Unlock()
	in.Wake()
}

// Run reads what was captured, until ctx ends. What a crash left half read is
// read again; chunks that are there already are not written twice.
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
		in.settle(ctx, *r, in.read(ctx, *r))
	}
	return nil
}

// next returns the oldest readable capture, or how long to wait for one. One that
// is half read comes first, and while it waits for space nothing else begins: two
// halves could fill the spool with nothing to send.
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
		if d := in.again[r.ID].at.Sub(now); d > 0 {
			wait = min(wait, d)
			if r.State == spool.Spooling && in.again[r.ID].tries == 0 {
				break
			}
			continue
		}
		return &r, 0
	}
	return nil, wait
}

// rank sorts what is half read before the rest.
func rank(s spool.State) int {
	if s == spool.Spooling {
		return 0
	}
	return 1
}

// settle decides what follows from how the reading ended.
func (in *Ingest) settle(ctx context.Context, r spool.Record, err error) {
	log := in.log.With("footage", r.ID, "name", r.Name)
	switch {
	case err == nil:
		in.forget(r.ID)
		return
	case ctx.Err() != nil:
		return // read again after the restart
	case errors.Is(err, spool.ErrNoSpace):
		if r.Waiting == "" {
			log.Warn("waiting for space", "err", err)
		}
		in.spool.Records.SetWaiting(r.ID, "no space: "+err.Error())
		in.later(r.ID, spaceWait, 0)
		return
	case errors.Is(err, spool.ErrTooLarge):
		err = in.spool.Recovery.Quarantine(r.ID, err.Error()+"; give it more room, then order a retry")
	case errors.Is(err, errChanged):
		log.Info("file changes, waiting until it is finished", "err", err)
		err = in.spool.Captures.Discard(r.ID, err.Error())
	case errors.Is(err, fs.ErrNotExist):
		err = in.spool.Recovery.QuarantineMissing(r.ID, "the file vanished from the card before it was read; insert the card again")
	case errors.Is(err, footage.ErrNotVideo):
		err = in.spool.Recovery.Quarantine(r.ID, "not a video, whatever its name says ("+err.Error()+"); record or copy it again")
	default:
		err = in.tryLater(r, err)
	}
	in.forgetEnded(r.ID, err)
}

// tryLater handles a file that cannot be read now: wrong permissions are for a
// person to mend, a card that fails again and again is given up.
func (in *Ingest) tryLater(r spool.Record, err error) error {
	in.mu.Lock()
	tries := in.again[r.ID].tries + 1
	in.mu.Unlock()
	if errors.Is(err, errSource) && !errors.Is(err, fs.ErrPermission) && tries >= readTries {
		return in.spool.Recovery.Quarantine(r.ID, fmt.Sprintf("cannot be read after %d tries: %v", tries, err))
	}
	in.log.Warn("footage cannot be read now", "footage", r.ID, "attempt", tries, "err", err)
	in.later(r.ID, readWait, tries) // before others hear of it
	in.spool.Records.SetWaiting(r.ID, "cannot be read: "+err.Error())
	return nil
}

func (in *Ingest) later(id footage.ID, d time.Duration, tries int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.again[id] = retry{at: time.Now().Add(d), tries: tries}
}

func (in *Ingest) forget(id footage.ID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.again, id)
}

// forgetEnded keeps Run from spinning when even the state cannot be written.
func (in *Ingest) forgetEnded(id footage.ID, err error) {
	if err == nil {
		in.mu.Lock()
		if time.Until(in.again[id].at) <= 0 {
			delete(in.again, id)
		}
		in.mu.Unlock()
		return
	}
	in.log.Error("footage state cannot be written", "footage", id, "err", err)
	in.spool.Records.SetWaiting(id, "the spool cannot be written: "+err.Error())
	in.later(id, spaceWait, 0)
}
