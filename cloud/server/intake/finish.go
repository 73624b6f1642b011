package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// Outcomes of a finish, for the metric.
const (
	outcomeCounted   = "counted"   // a job was made
	outcomeDuplicate = "duplicate" // the content was there under another id
	outcomeRepeat    = "repeat"    // the footage was there under this id
	outcomeTelemetry = "telemetry"
	outcomeThumbnail = "thumbnail"
)

// finish brings a complete session to its end, from wherever it stopped. The
// caller holds the session's lock. The package comment has the order.
func (in *Intake) finish(ctx context.Context, up *upload) error {
	defer in.atWork(ctx, up.u.ID)()
	if up.u.BlobKey == "" {
		head, err := up.stagedHead(ctx)
		if err != nil {
			return err
		}
		if err := up.judge(ctx, head, true); err != nil {
			return err
		}
	}
	digest, err := up.verify(ctx)
	if err != nil {
		return err
	}
	// Telemetry and thumbnails of one footage have one key for all sessions.
	if err := in.finishes.take(ctx, string(up.u.Footage)); err != nil {
		return err
	}
	defer in.finishes.release(string(up.u.Footage))
	outcome, err := in.keep(ctx, up, digest)
	if err != nil {
		return err
	}
	if err := in.received.Finish(ctx, up.u.ID); err != nil {
		return err
	}
	up.u.Finished = in.now()
	in.rollings.take(up.u.ID)
	in.metrics.finished.WithLabelValues(outcome).Inc()
	in.log.Info("upload finished", "footage", up.u.Footage, "device", up.u.Device, "bytes", up.u.Size, "sha256", digest.String(), "outcome", outcome)
	return nil
}

// atWork keeps the rounds of other servers away from a session, whose commit may take
// long, until stop is called. Where that fails one of them finishes it.
func (in *Intake) atWork(ctx context.Context, id string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(in.beat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := in.received.Touch(ctx, id); err != nil && ctx.Err() == nil {
				in.log.Warn("cannot note that an upload is being finished", "upload", id, "err", err)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// keep puts verified bytes where their kind belongs, and says what became of them.
func (in *Intake) keep(ctx context.Context, up *upload, digest footage.Digest) (outcome string, err error) {
	switch up.u.Kind {
	case wire.KindTelemetry:
		return outcomeTelemetry, in.keepTelemetry(ctx, up.u)
	case wire.KindThumbnail:
		return outcomeThumbnail, in.keepThumbnail(ctx, up)
	}
	return in.keepVideo(ctx, up.u, digest)
}

// verify compares the hash of the stored bytes with the declared one. The state
// is saved before the commit, which takes away the bytes it could be made from.
func (up *upload) verify(ctx context.Context) (footage.Digest, error) {
	sum, err := up.in.hashAt(ctx, up.u, up.u.Size)
	if err != nil {
		return footage.Digest{}, err
	}
	if err := up.save(ctx, sum); err != nil {
		return footage.Digest{}, err
	}
	digest := sum.digest()
	up.in.rollings.put(up.u.ID, sum)
	if !up.u.SHA256.IsZero() && up.u.SHA256 != digest {
		return digest, up.in.refuse(ctx, up.u, problem.New(wire.SlugHashMismatch, "The stored bytes have SHA-256 %s, declared was %s. The upload is dropped: read the file again and begin anew.", digest, up.u.SHA256))
	}
	return digest, nil
}

func (in *Intake) keepTelemetry(ctx context.Context, u ledger.Upload) error {
	_, err := in.footage.Get(ctx, u.Footage)
	switch {
	case err == nil:
		return in.refuse(ctx, u, problem.New(wire.SlugConflict, "Footage %s is complete; telemetry must be uploaded before its video.", u.Footage))
	case !errors.Is(err, ledger.ErrNotFound):
		return err
	}
	_, err = in.blobs.Commit(ctx, u.ID, u.BlobKey)
	return err
}

// keepVideo commits, records and enqueues.
func (in *Intake) keepVideo(ctx context.Context, u ledger.Upload, digest footage.Digest) (string, error) {
	rec, err := in.record(ctx, u, digest)
	if err == nil && rec.Footage.BlobKey != u.BlobKey {
		rec.Job, err = in.spare(ctx, u, rec)
	}
	if err != nil {
		return "", err
	}
	if rec.Job != nil && rec.Job.State == job.Uploaded {
		if err := in.send(ctx, *rec.Job); err != nil {
			// The footage is safe and the job known: the device may forget it,
			// the next round of Run sends the message.
			in.log.Warn("job not enqueued yet", "job", rec.Job.ID, "footage", u.Footage, "err", err)
		}
	}
	switch {
	case rec.Footage.DuplicateOf != "":
		return outcomeDuplicate, nil
	case !rec.Created:
		return outcomeRepeat, nil
	}
	return outcomeCounted, nil
}

// spare drops bytes that the ledger has under another key already, unless they are lost
// there: then those of the session take their place. It returns the job of the content.
func (in *Intake) spare(ctx context.Context, u ledger.Upload, rec ledger.Recorded) (*ledger.Job, error) {
	have, err := in.footage.Get(ctx, rec.Footage.Original())
	if err != nil || have.BlobKey == u.BlobKey { // they have taken it before
		return have.Job, err
	}
	if have.BlobKey != "" { // else it was removed by its age
		_, err := in.blobs.Stat(ctx, have.BlobKey)
		if errors.Is(err, blob.ErrNotFound) {
			return in.restore(ctx, u, have)
		}
		if err != nil {
			return nil, err
		}
	}
	return have.Job, errors.Join(in.blobs.Discard(ctx, u.ID), in.blobs.Delete(ctx, u.BlobKey))
}

func (in *Intake) restore(ctx context.Context, u ledger.Upload, have ledger.FootageView) (*ledger.Job, error) {
	if _, err := in.blobs.Commit(ctx, u.ID, u.BlobKey); err != nil {
		return nil, err
	}
	j, err := in.footage.RestoreVideo(ctx, u.ID, have.ID, have.BlobKey, u.BlobKey)
	if err != nil {
		return nil, err
	}
	in.log.Warn("the blob of footage was lost, what came again takes its place", "footage", have.ID, "lost", have.BlobKey, "upload", u.ID, "job", j.ID, "state", j.State)
	return &j, nil
}

// record puts the blob under its key and the footage into the ledger, unless that has
// it already.
func (in *Intake) record(ctx context.Context, u ledger.Upload, digest footage.Digest) (ledger.Recorded, error) {
	have, err := in.footage.Get(ctx, u.Footage)
	switch {
	case err == nil && !same(have.Footage, u, digest):
		return ledger.Recorded{}, in.refuse(ctx, u, asProblem(takenProblem(u)))
	case err == nil:
		return ledger.Recorded{Footage: have.Footage, Job: have.Job}, nil
	case !errors.Is(err, ledger.ErrNotFound):
		return ledger.Recorded{}, err
	}
	info, err := in.blobs.Commit(ctx, u.ID, u.BlobKey)
	if err != nil {
		return ledger.Recorded{}, err
	}
	if info.Size != u.Size {
		return ledger.Recorded{}, fmt.Errorf("blob %s has %d bytes after the commit, want %d", u.BlobKey, info.Size, u.Size)
	}
	f := ledger.Footage{
		ID: u.Footage, Site: u.Site, Device: u.Device, Name: u.Name, Size: u.Size, SHA256: digest,
		BlobKey: u.BlobKey, Captured: u.Captured, Received: in.now(),
	}
	telemetry := wire.TelemetryKey(u.Footage)
	if _, err := in.blobs.Stat(ctx, telemetry); err == nil {
		f.TelemetryKey = telemetry
	} else if !errors.Is(err, blob.ErrNotFound) {
		return ledger.Recorded{}, err
	}
	rec, err := in.footage.RecordUpload(ctx, u.ID, f)
	switch {
	case errors.Is(err, ledger.ErrNotFound): // dropped at another server, or done there long ago
		return ledger.Recorded{}, errors.Join(goneProblem(), in.dropBlob(ctx, u))
	case err == nil && !same(rec.Footage, u, digest):
		// Another server was faster with another file of the same id.
		return ledger.Recorded{}, in.refuse(ctx, u, asProblem(takenProblem(u)))
	}
	return rec, err
}

// same reports whether what the ledger has under the id is what a session brought.
func same(f ledger.Footage, u ledger.Upload, digest footage.Digest) bool {
	return f.SHA256 == digest && f.Device == u.Device
}

// send puts the message of a job into the queue and notes that it is there.
func (in *Intake) send(ctx context.Context, j ledger.Job) error {
	if err := in.queue.Enqueue(ctx, j.ID); err != nil {
		return err
	}
	return in.jobs.MarkQueued(ctx, j.ID)
}
