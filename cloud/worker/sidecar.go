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
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// sidecar knows footage/{id}/video_status.json as its attempt wrote it last. The zero
// value takes it that there is none, as with the first attempt of a job. It is not safe for
// concurrent use.
type sidecar struct {
	version string // of the blob, "" for none
	unsure  bool   // the version may be another: look before writing
}

// errAhead says that a sidecar is further on than what was to be written.
var errAhead = errors.New("a later status is there")

// sidecarTries bounds the race with another attempt. That one is behind or ahead, and
// in either case is done after a write or two.
const sidecarTries = 4

// tell replaces the sidecar. A fault here must not fail the job: the ledger is the
// truth.
func (a *attempt) tell(ctx context.Context, state job.State, p job.Progress, reason string) {
	now := time.Now().UTC()
	err := a.sidecar.write(ctx, a.w.o.Blobs, topic.Job{
		Header: topic.Header{V: topic.Version, Seq: now.UnixMilli(), At: now, Clock: topic.ClockSynced},
		Job:    a.job.ID, Footage: a.footage.ID, State: state, Progress: p,
		Attempt: a.job.Attempt, Fence: a.job.Fence, Updated: now, Reason: reason,
	})
	switch {
	case err == nil, ctx.Err() != nil:
	case errors.Is(err, errAhead):
		a.log.Info("status sidecar left as it is", "why", err)
	default:
		a.log.Warn("status sidecar not written", "err", err)
	}
}

// write puts m in the place of the status that is there, unless that one is ahead. Between
// the ledger's consent and this write a worker may be paused for as long as another one
// takes for the whole job, so the blob store is asked to compare: one request when
// nobody else wrote.
func (s *sidecar) write(ctx context.Context, b blob.Store, m topic.Job) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	key := wire.StatusKey(m.Footage)
	for range sidecarTries {
		if s.unsure {
			if err = s.look(ctx, b, key, m); err != nil {
				return err
			}
		}
		var info blob.Info
		if info, err = b.Replace(ctx, key, s.version, bytes.NewReader(text)); err == nil {
			s.version, s.unsure = info.Version, false
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
	s.version, s.unsure = info.Version, false
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
