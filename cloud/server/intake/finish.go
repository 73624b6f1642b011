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
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/wire"
)

// Outcomes of a finish, for the metric.
const (
	outcomeCounted   = "counted"   // a job was created
	outcomeDuplicate = "duplicate" // the content is known under another id
	outcomeSibling   = "sibling"   // another file of its flight is counted for it
	outcomeRepeat    = "repeat"    // the footage is known under this id
	outcomeTelemetry = "telemetry"
	outcomeThumbnail = "thumbnail"
)

// finish does the steps that a complete session still lacks; the package comment has
// their order. The caller holds the session's lock.
func (in *Intake) finish(ctx context.Context, up *upload) (err error) {
	parent := ""
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		parent = x.parent
	}
	ctx, span := tracing.Receive(ctx, parent, "record", up.u.Footage)
	defer func() { span.End(err) }()
	defer in.touchUntil(ctx, up.u.ID)()
	if up.u.BlobKey == "" {
		head, err := up.stagedHead(ctx)
		if err != nil {
			return err
		}
		if err := up.chooseKey(ctx, head, true); err != nil {
			return err
		}
	}
	digest, err := up.verify(ctx)
	if err != nil {
		return err
	}
	// All sessions of one footage use the same key for telemetry and thumbnails.
	if err := in.finishes.acquire(ctx, string(up.u.Footage)); err != nil {
		return err
	}
	defer in.finishes.release(string(up.u.Footage))
	// A session of an older program may have an id of another device.
	if err := in.owners.Claim(ctx, up.u.Footage, up.u.Device); errors.Is(err, ledger.ErrOwned) {
		return in.refuse(ctx, up.u, takenProblem(up.u).Because(err))
	} else if err != nil {
		return err
	}
	outcome, err := in.commit(ctx, up, digest)
	if err != nil {
		return err
	}
	if err := in.received.Finish(ctx, up.u.ID); err != nil {
		return err
	}
	up.u.Finished = in.now()
	in.rollings.remove(up.u.ID)
	in.metrics.finished.WithLabelValues(outcome).Inc()
	in.log.Info("upload finished", "footage", up.u.Footage, "device", up.u.Device, "bytes", up.u.Size, "sha256",
		digest.String(), "outcome", outcome)
	return nil
}

// touchUntil marks a session as active until stop is called, because its commit may take
// long. Without the mark another server would finish the session.
func (in *Intake) touchUntil(ctx context.Context, id string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(in.touchEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := in.received.Touch(ctx, id); err != nil && ctx.Err() == nil {
				in.log.Warn("cannot mark the upload as active", "upload", id, "err", err)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// commit stores verified bytes by their kind and returns the outcome.
func (in *Intake) commit(ctx context.Context, up *upload, digest footage.Digest) (outcome string, err error) {
	switch up.u.Kind {
	case wire.KindTelemetry:
		return outcomeTelemetry, in.commitTelemetry(ctx, up.u)
	case wire.KindThumbnail:
		return outcomeThumbnail, in.commitThumbnail(ctx, up)
	}
	return in.commitVideo(ctx, up.u, digest)
}

// verify compares the hash of the stored bytes with the declared one. The hash state is
// saved first: after the commit the staged bytes are gone.
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
		return digest, up.in.refuse(ctx, up.u, problem.New(wire.SlugHashMismatch,
			"The stored bytes have the SHA-256 %s, but %s was declared. The upload is deleted: read the file again and "+
				"create a new upload.", digest, up.u.SHA256))
	}
	return digest, nil
}

// commitTelemetry commits a flight log, before its video or after it. A later log of the same device replaces an earlier
// one.
func (in *Intake) commitTelemetry(ctx context.Context, u ledger.Upload) error {
	if _, err := in.blobs.Commit(ctx, u.ID, u.BlobKey); err != nil {
		return err
	}
	err := in.footage.SetTelemetry(ctx, u.Footage, u.BlobKey)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil // its video is still to come
	}
	return err
}

// commitVideo commits and records a video, and enqueues its job.
func (in *Intake) commitVideo(ctx context.Context, u ledger.Upload, digest footage.Digest) (string, error) {
	rec, err := in.record(ctx, u, digest)
	if err == nil && rec.Footage.BlobKey != u.BlobKey {
		rec.Job, err = in.discardOrRestore(ctx, u, rec)
	}
	if err != nil {
		return "", err
	}
	if rec.Job != nil && rec.Job.State == job.Uploaded {
		if err := in.enqueue(ctx, *rec.Job); err != nil {
			// The footage and the job are recorded, so the device may delete its copy.
			// The next round of Run enqueues the job.
			in.log.Warn("job not queued; the next round queues it", "job", rec.Job.ID, "footage", u.Footage, "err", err)
		}
	}
	switch {
	case rec.Footage.DuplicateOf != "":
		return outcomeDuplicate, nil
	case !rec.Created:
		return outcomeRepeat, nil
	case rec.Footage.SiblingOf != "":
		return outcomeSibling, nil
	}
	return outcomeCounted, nil
}

// discardOrRestore handles content that the ledger has under another key. It deletes the
// bytes of the session, unless the other blob is lost: then they take its place. It
// returns the job of the content.
func (in *Intake) discardOrRestore(ctx context.Context, u ledger.Upload, rec ledger.Recorded) (*ledger.Job, error) {
	have, err := in.footage.Get(ctx, rec.Footage.Original())
	if err != nil || have.BlobKey == u.BlobKey { // the session has restored it before
		return have.Job, err
	}
	if have.BlobKey != "" { // otherwise retention removed the video
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
	in.log.Warn("blob of footage missing; restored from a new upload", "footage", have.ID, "lost", have.BlobKey,
		"upload", u.ID, "job", j.ID, "state", j.State)
	return &j, nil
}

// record commits the blob under its key and adds the footage to the ledger, unless the
// ledger has it.
func (in *Intake) record(ctx context.Context, u ledger.Upload, digest footage.Digest) (ledger.Recorded, error) {
	have, err := in.footage.Get(ctx, u.Footage)
	switch {
	case err == nil && !sameFile(have.Footage, u, digest):
		return ledger.Recorded{}, in.refuse(ctx, u, takenProblem(u))
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
	case errors.Is(err, ledger.ErrNotFound): // another server deleted the session, or finished it long ago
		return ledger.Recorded{}, errors.Join(uploadGoneProblem(), in.deleteUnusedBlob(ctx, u))
	case err == nil && !sameFile(rec.Footage, u, digest):
		// Another server recorded another file under the same id first.
		return ledger.Recorded{}, in.refuse(ctx, u, takenProblem(u))
	}
	return rec, err
}

// sameFile reports whether the footage in the ledger is the file of a session.
func sameFile(f ledger.Footage, u ledger.Upload, digest footage.Digest) bool {
	return f.SHA256 == digest && f.Device == u.Device
}

// enqueue sends the message of a job to the queue and marks the job as queued.
func (in *Intake) enqueue(ctx context.Context, j ledger.Job) error {
	ctx, span := tracing.Begin(ctx, "enqueue", j.Footage)
	span.Text("job", j.ID)
	err := in.queue.Enqueue(ctx, j.ID)
	if err == nil {
		err = in.jobs.MarkQueued(ctx, j.ID)
	}
	span.End(err)
	return err
}
