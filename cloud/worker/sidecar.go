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

// sidecar writes footage/{id}/video_status.json for one attempt. The zero value expects no such blob, as in the first
// attempt of a job. It is not safe for concurrent use.
type sidecar struct {
	version string // of the blob as the attempt wrote it last, "" for none
	stale   bool   // the blob may have another version: read it before the next write
	minSeq  int64  // the least Seq of the next write
}

// errNewerStatus marks a sidecar with a newer status than the one to write.
var errNewerStatus = errors.New("the sidecar has a newer status")

// sidecarTries bounds the race with another attempt. The other attempt is older or newer, so one of the two stops after
// a write or two.
const sidecarTries = 4

// writeSidecar replaces the sidecar by the ledger's row of the job. An error does not fail the job: the ledger is
// authoritative.
func (a *attempt) writeSidecar(ctx context.Context, j ledger.Job) {
	err := a.sidecar.write(ctx, a.w.o.Blobs, topic.Job{
		Header: topic.Header{V: topic.Version, Seq: j.Seq, At: time.Now().UTC(), Clock: topic.ClockSynced},
		Job:    j.ID, Footage: a.footage.ID, State: j.State, Progress: j.Progress,
		Attempt: j.Attempt, Fence: j.Fence, Updated: j.Updated, Reason: j.Reason,
	})
	switch {
	case err == nil, ctx.Err() != nil:
	case errors.Is(err, errNewerStatus):
		a.log.Info("status sidecar not replaced", "err", err)
	default:
		a.log.Warn("cannot write the status sidecar", "err", err)
	}
}

// write replaces the stored status by m unless the stored one is newer. Between the ledger's answer and this write a
// worker may be paused for as long as another worker takes for the whole job. So the blob store compares the version
// with the write. This takes one request when no other attempt has written. Seq grows with every write.
func (s *sidecar) write(ctx context.Context, b blob.Store, m topic.Job) error {
	key := wire.StatusKey(m.Footage)
	var err error
	for range sidecarTries {
		if s.stale {
			if err = s.refresh(ctx, b, key, m); err != nil {
				return err
			}
		}
		m.Seq = max(m.Seq, s.minSeq)
		var text []byte
		if text, err = json.MarshalIndent(m, "", "  "); err != nil {
			return err
		}
		var info blob.Info
		if info, err = b.Replace(ctx, key, s.version, bytes.NewReader(append(text, '\n'))); err == nil {
			s.version, s.stale, s.minSeq = info.Version, false, m.Seq+1
			return nil
		}
		s.stale = true
		if !errors.Is(err, blob.ErrChanged) {
			return err
		}
	}
	return err
}

// refresh reads the stored version. It returns errNewerStatus when the stored status must stay.
func (s *sidecar) refresh(ctx context.Context, b blob.Store, key string, m topic.Job) error {
	info, err := b.Stat(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		s.version, s.stale = "", false
		return nil
	}
	if err != nil {
		return err
	}
	// The content may be newer than the version; then the blob store refuses the write.
	stored, err := readStatus(ctx, b, key)
	if err != nil {
		return err
	}
	if isNewer(stored, m) {
		return fmt.Errorf("%w: fence %d, %s, %.0f %%; not written: fence %d, %s, %.0f %%", errNewerStatus,
			stored.Fence, stored.State, stored.Percent, m.Fence, m.State, m.Percent)
	}
	// Version 0.1.0 counted Seq in milliseconds, far above the ledger's numbers.
	s.version, s.stale, s.minSeq = info.Version, false, stored.Seq+1
	return nil
}

// maxSidecar is far larger than any status, in bytes.
const maxSidecar = 1 << 20

// readStatus returns the stored status, and a zero status for content that is not a status.
func readStatus(ctx context.Context, b blob.Store, key string) (m topic.Job, err error) {
	r, err := b.Open(ctx, key, 0, maxSidecar)
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

// isNewer reports whether a stored status is of a later attempt than m, or of the same attempt with more progress. The
// status of another job is of an earlier, lost ledger. The fences of two ledgers cannot be compared, and the current
// ledger has just accepted m, so m is newer.
func isNewer(stored, m topic.Job) bool {
	if stored.Job != m.Job || stored.Fence != m.Fence {
		return stored.Job == m.Job && stored.Fence > m.Fence
	}
	if storedEnded, ended := stored.State != job.Processing, m.State != job.Processing; storedEnded != ended {
		return storedEnded
	}
	return stored.Percent > m.Percent
}
