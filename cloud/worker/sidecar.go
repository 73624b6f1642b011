package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// sidecar is what an attempt knows of the status sidecar that it wrote last. The zero
// value takes it that there is none, as with the first attempt of a job. It is not safe
// for concurrent use.
type sidecar struct {
	version string // of the blob, "" for none
	unsure  bool   // the version may be another: look before writing
	least   int64  // the lowest Seq of the next write
}

// errAhead says that a sidecar is further on than what was to be written.
var errAhead = errors.New("a later status is there")

// sidecarTries bounds the race with another attempt. That one is behind or ahead, and
// in either case is done after a write or two.
const sidecarTries = 4

// writeStatus replaces the sidecar with what the ledger has. A fault here must not fail
// the job: the ledger is the truth.
func (a *attempt) writeStatus(ctx context.Context, j ledger.Job) {
	err := a.sidecar.write(ctx, a.w.o.Blobs, topic.Job{
		Header: topic.Header{V: topic.Version, Seq: j.Seq, At: time.Now().UTC(), Clock: topic.ClockSynced},
		Job:    j.ID, Footage: a.footage.ID, State: j.State, Progress: j.Progress,
		Attempt: j.Attempt, Fence: j.Fence, Updated: j.Updated, Reason: j.Reason,
	})
	switch {
	case err == nil, ctx.Err() != nil:
	case errors.Is(err, errAhead):
		a.log.Info("status sidecar not replaced: it is newer", "err", err)
	default:
		a.log.Warn("status sidecar not written", "err", err)
	}
}

// write puts m in the place of the status that is there, unless that one is ahead. Between
// the ledger's consent and this write a worker may be paused for as long as another one
// takes for the whole job, so the blob store is asked to compare: one request when no
// other worker wrote. Seq grows with every write, whatever was there.
func (s *sidecar) write(ctx context.Context, b blob.Store, m topic.Job) error {
	key := wire.StatusKey(m.Footage)
	var err error
	for range sidecarTries {
		if s.unsure {
			if err = s.look(ctx, b, key, m); err != nil {
				return err
			}
		}
		m.Seq = max(m.Seq, s.least)
		var text []byte
		if text, err = json.MarshalIndent(m, "", "  "); err != nil {
			return err
		}
		var info blob.Info
		if info, err = b.Replace(ctx, key, s.version, bytes.NewReader(append(text, '\n'))); err == nil {
			s.version, s.unsure, s.least = info.Version, false, m.Seq+1
			return nil
		}
		s.unsure = true
		if !errors.Is(err, blob.ErrChanged) {
			return err
		}
	}
	return err
}

// look learns the version that is there; errAhead when it must stay.
func (s *sidecar) look(ctx context.Context, b blob.Store, key string, m topic.Job) error {
	info, err := b.Stat(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		s.version, s.unsure = "", false
		return nil
	}
	if err != nil {
		return err
	}
	// What is read may be newer than the version; then the write is refused.
	there, err := read(ctx, b, key)
	if err != nil {
		return err
	}
	if ahead(there, m) {
		return fmt.Errorf("%w: fence %d, %s, %.0f %%; not written: fence %d, %s, %.0f %%", errAhead,
			there.Fence, there.State, there.Percent, m.Fence, m.State, m.Percent)
	}
	// Version 0.1.0 counted Seq in milliseconds, far above the ledger's numbers.
	s.version, s.unsure, s.least = info.Version, false, there.Seq+1
	return nil
}

// mostSidecar is far more than a status has.
const mostSidecar = 1 << 20

// read returns the status that is there, a zero one where nobody can read it.
func read(ctx context.Context, b blob.Store, key string) (m topic.Job, err error) {
	r, err := b.Open(ctx, key, 0, mostSidecar)
	if err != nil {
		return m, err
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return m, err
	}
	if json.Unmarshal(text, &m) != nil {
		return topic.Job{}, nil
	}
	return m, nil
}

// ahead reports whether a status is of a later attempt than m, or of the same and
// further on. One of another job is of a ledger that was lost: the fences of two ledgers
// cannot be compared, and the one in use has just agreed to m.
func ahead(there, m topic.Job) bool {
	if there.Job != m.Job || there.Fence != m.Fence {
		return there.Job == m.Job && there.Fence > m.Fence
	}
	if over, mine := there.State != job.Processing, m.State != job.Processing; over != mine {
		return over
	}
	return there.Percent > m.Percent
}
