package intake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// store implements tusd's DataStore over ledger and blobs. It passes its errors on in
// the exchange of the request.
type store struct{ in *Intake }

// upload is one session within one request, which holds its lock.
type upload struct {
	in     *Intake
	u      ledger.Upload
	offset int64 // durable bytes
}

// detached lets work continue after the client has disconnected: bytes that arrived
// count, and a finish that has begun is completed.
func detached(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// NewUpload implements handler.DataStore.
func (s store) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	x := exchangeFrom(ctx)
	up, err := s.in.create(detached(ctx), x.device, info)
	if err != nil {
		return nil, x.fail(err)
	}
	up.describe(x)
	return up, nil
}

func (in *Intake) create(ctx context.Context, d ledger.Device, info handler.FileInfo) (*upload, error) {
	if info.Size == 0 && !info.SizeIsDeferred {
		return nil, emptyProblem()
	}
	u, err := newUpload(d, info.MetaData, info.Size, info.SizeIsDeferred, in.now())
	if err != nil {
		return nil, err
	}
	if u, err = in.begin(ctx, u); err != nil {
		return nil, err
	}
	if err := in.blobs.Stage(ctx, u.ID); err != nil {
		return nil, errors.Join(err, in.deleteSession(ctx, u))
	}
	return &upload{in: in, u: u}, nil
}

// begin records a session that is within the quotas. One at a time: many at once would all see the room that is left.
func (in *Intake) begin(ctx context.Context, u ledger.Upload) (ledger.Upload, error) {
	in.creating.Lock()
	defer in.creating.Unlock()
	if err := in.checkCreate(ctx, u); err != nil {
		return u, err
	}
	// The row comes first: bytes without a row would never be found.
	u, err := in.sessions.Create(ctx, u)
	return u, ownerProblem(u, err)
}

func emptyProblem() error {
	return problem.New(wire.SlugEmpty, "The file has no bytes. Check the recording on the card.")
}

// checkCreate refuses an upload that cannot succeed before its bytes are sent.
func (in *Intake) checkCreate(ctx context.Context, u ledger.Upload) error {
	open, err := in.sessions.CountUnfinished(ctx, u.Device)
	if err != nil {
		return err
	}
	if open >= in.o.MaxSessions {
		return problem.New(wire.SlugConflict,
			"This device has %d unfinished uploads. Finish some, or end them with DELETE.", open).
			WithStatus(http.StatusTooManyRequests)
	}
	if err := in.reserve(ctx, u.Device, u.Size); err != nil {
		return err
	}
	have, err := in.footage.Get(ctx, u.Footage)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil
	case err != nil:
		return err
	case have.Device != u.Device:
		return takenProblem(u)
	case u.Kind == wire.KindThumbnail, u.Kind == wire.KindTelemetry: // before their video, after it, or newer ones
		return nil
	case !u.SHA256.IsZero() && u.SHA256 != have.SHA256:
		return takenProblem(u)
	}
	return nil
}

// takenProblem is the answer to an id of another device and to an id of another file. It
// is the same for both, so that it does not reveal what the other device has.
func takenProblem(u ledger.Upload) *problem.Error {
	return problem.New(wire.SlugConflict, "The footage id %s is in use. Upload this file under a new id.", u.Footage)
}

// ownerProblem replaces the ledger's refusal of another device's id by its answer.
func ownerProblem(u ledger.Upload, err error) error {
	if errors.Is(err, ledger.ErrOwned) {
		return takenProblem(u).Because(err)
	}
	return err
}

// GetUpload implements handler.DataStore. It finishes a session that has all bytes: the
// client must not learn that its upload is complete before it is recorded.
func (s store) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	x := exchangeFrom(ctx)
	ctx = detached(ctx)
	up, err := s.in.load(ctx, x.device.Name, id)
	if err != nil {
		return nil, x.fail(err)
	}
	if up.complete() && up.u.Finished.IsZero() && x.method != http.MethodDelete {
		if err := s.in.finish(ctx, up); err != nil {
			return nil, x.fail(err)
		}
	}
	up.describe(x)
	return up, nil
}

// load finds a session of the device. Sessions of other devices are not found.
func (in *Intake) load(ctx context.Context, device, id string) (*upload, error) {
	u, err := in.sessions.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if u.Device != device || in.expired(u) {
		return nil, uploadGoneProblem()
	}
	up := &upload{in: in, u: u, offset: u.Size}
	if !u.Finished.IsZero() {
		return up, nil
	}
	up.offset, err = in.blobs.Staged(ctx, id)
	switch {
	case err == nil:
		return up, nil
	case !errors.Is(err, blob.ErrNotFound):
		return nil, err
	case u.Offset == 0: // a crash after the row and before the staging
		return up, in.blobs.Stage(ctx, id)
	case !u.Deferred && u.Offset == u.Size && u.BlobKey != "": // a crash after the commit
		up.offset = u.Size
		return up, nil
	}
	in.log.Error("staged bytes of an upload are missing; upload deleted", "upload", id, "footage", u.Footage, "bytes",
		u.Offset)
	return nil, errors.Join(uploadGoneProblem(), in.deleteSession(ctx, u))
}

func (in *Intake) expired(u ledger.Upload) bool { return in.now().After(u.Updated.Add(in.o.Expire)) }

// deleteSession deletes the bytes, then the row, so that no bytes stay without a row. A
// committed blob is deleted last, unless it is recorded: without the row no request can
// record it.
func (in *Intake) deleteSession(ctx context.Context, u ledger.Upload) error {
	in.rollings.remove(u.ID)
	if err := errors.Join(in.blobs.Discard(ctx, u.ID), in.blobs.Discard(ctx, checkedID(u.ID))); err != nil {
		return err
	}
	if err := in.sessions.Delete(ctx, u.ID); err != nil || u.Kind != wire.KindVideo || u.BlobKey == "" {
		return err
	}
	return in.deleteUnusedBlob(ctx, u)
}

// deleteUnusedBlob deletes the blob of a session, unless footage in the ledger uses it.
func (in *Intake) deleteUnusedBlob(ctx context.Context, u ledger.Upload) error {
	have, err := in.footage.Get(ctx, u.Footage)
	if err == nil && have.DuplicateOf != "" { // the session may have restored the original's blob
		have, err = in.footage.Get(ctx, have.DuplicateOf)
	}
	if err == nil && have.BlobKey == u.BlobKey || err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	return in.blobs.Delete(ctx, u.BlobKey)
}

func (up *upload) complete() bool { return !up.u.Deferred && up.offset == up.u.Size }

// describe writes the session into the exchange.
func (up *upload) describe(x *exchange) {
	x.upload, x.footage = up.u.ID, up.u.Footage
	x.expires = time.Time{}
	if up.u.Finished.IsZero() {
		x.expires = up.u.Updated.Add(up.in.o.Expire)
	}
}

// GetInfo implements handler.Upload.
func (up *upload) GetInfo(context.Context) (handler.FileInfo, error) {
	return handler.FileInfo{
		ID: up.u.ID, Size: up.u.Size, SizeIsDeferred: up.u.Deferred, Offset: up.offset, MetaData: up.u.Metadata,
	}, nil
}

// GetReader implements handler.Upload. Downloads are disabled.
func (up *upload) GetReader(context.Context) (io.ReadCloser, error) {
	return nil, handler.ErrNotImplemented
}

// FinishUpload implements handler.Upload. tusd calls it even after a WriteChunk that
// failed; the answer is then the problem of WriteChunk.
func (up *upload) FinishUpload(ctx context.Context) error {
	x := exchangeFrom(ctx)
	switch {
	case x.problem != nil:
		return x.fail(x.problem)
	case !up.u.Finished.IsZero():
		return nil
	}
	if err := up.in.finish(detached(ctx), up); err != nil {
		return x.fail(err)
	}
	up.describe(x)
	return nil
}

// AsTerminatableUpload implements handler.TerminaterDataStore.
func (s store) AsTerminatableUpload(u handler.Upload) handler.TerminatableUpload { return u.(*upload) }

// Terminate implements handler.TerminatableUpload. Recorded footage stays.
func (up *upload) Terminate(ctx context.Context) error {
	x := exchangeFrom(ctx)
	x.expires = time.Time{}
	if err := up.in.deleteSession(detached(ctx), up.u); err != nil {
		return x.fail(err)
	}
	return nil
}

// AsLengthDeclarableUpload implements handler.LengthDeferrerDataStore.
func (s store) AsLengthDeclarableUpload(u handler.Upload) handler.LengthDeclarableUpload {
	return u.(*upload)
}

// DeclareLength implements handler.LengthDeclarableUpload.
func (up *upload) DeclareLength(ctx context.Context, length int64) error {
	x := exchangeFrom(ctx)
	ctx = detached(ctx)
	if length == 0 {
		return x.fail(errors.Join(emptyProblem(), up.in.deleteSession(ctx, up.u)))
	}
	if err := up.in.reserve(ctx, up.u.Device, length-up.offset); err != nil {
		return x.fail(err)
	}
	if err := up.in.sessions.SetSize(ctx, up.u.ID, length); err != nil {
		return x.fail(err)
	}
	up.u.Size, up.u.Deferred = length, false
	return nil
}
