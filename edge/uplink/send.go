package uplink

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"path/filepath"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// maxRounds bounds the tries of one file in a row, for a server that loses every upload at
// once.
const maxRounds = 8

// errTooManyRounds means that maxRounds tries did not send a file.
var errTooManyRounds = fmt.Errorf("the cloud lost the upload %d times in a row: %w", maxRounds, ErrBusy)

// send sends one piece of footage and releases it: telemetry first, then the video, then
// the comparison of digests.
func (u *Uplink) send(ctx context.Context, r spool.Record) error {
	m, err := u.o.Spool.Content.Manifest(r.ID)
	if errors.Is(err, spool.ErrNotFound) {
		err = fmt.Errorf("%w: %w", err, spool.ErrDamaged)
	}
	if err != nil {
		return err
	}
	if err := u.sendThumbnail(ctx, r, m); err != nil {
		return err
	}
	if u.videoWaits(r) {
		return ErrThumbnails
	}
	if r, err = u.o.Spool.Uploads.Begin(r.ID); err != nil {
		return err
	}
	if r.LogOf != "" {
		return u.sendLog(ctx, r, m)
	}
	if m.Telemetry != nil {
		if err := u.sendFile(ctx, r, m, spool.Telemetry, m.Telemetry); err != nil && !u.dropsTelemetry(r, err) {
			return err
		}
	}
	if err := u.sendFile(ctx, r, m, spool.Video, &m.Video); err != nil && !errors.Is(err, errStored) {
		return err
	}
	return u.confirm(ctx, r.ID, m)
}

// dropsTelemetry reports whether to send the video without its telemetry: the cloud has
// refused the telemetry, or has the whole footage already.
func (u *Uplink) dropsTelemetry(r spool.Record, err error) bool {
	if errors.Is(err, errStored) {
		return true
	}
	if !errors.Is(err, ErrRefused) || errors.Is(err, ErrHash) || errors.Is(err, ErrIDTaken) {
		return false
	}
	u.o.Log.Warn("the cloud refuses the telemetry; sending the video without it", "footage", r.ID, "name", r.Name, "err",
		err)
	u.postponeOnError(r.ID, u.o.Spool.Uploads.SetTransfer(r.ID, spool.Telemetry, spool.Transfer{Done: true}))
	return true
}

// errStored means that the cloud has the whole footage already.
var errStored = errors.New("the cloud has it already")

// sendFile sends one file until the server has every byte of it. The server's offset counts,
// not the one in the spool.
func (u *Uplink) sendFile(ctx context.Context, r spool.Record, m footage.Manifest, p spool.Part,
	f *footage.File) error {
	t := *r.Transfer(p)
	for range maxRounds {
		if t.Done {
			return nil
		}
		err := u.tryFile(ctx, r, m, p, f, &t)
		switch {
		case err == nil || errors.Is(err, ErrOffset) && t.URL != "":
			continue // ask for the offset again
		case errors.Is(err, spool.ErrDamaged):
			return err
		case errors.Is(err, ErrIDTaken):
			stored, failed := u.cloudHas(ctx, r, m)
			if failed != nil || stored {
				return errors.Join(failed, errIf(stored, errStored))
			}
			return err
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrOffset): // the server lost the upload
			if p != spool.Telemetry { // the cloud takes telemetry of footage that it has
				if stored, err := u.cloudHas(ctx, r, m); err != nil || stored {
					return errors.Join(err, errIf(stored, errStored))
				}
			}
			u.o.Log.Info("the cloud lost the upload; starting it again", "footage", r.ID, "part", string(p))
			t = spool.Transfer{}
		case errors.Is(err, ErrHash):
			t = spool.Transfer{} // the server has deleted the upload
			return errors.Join(err, u.o.Spool.Uploads.SetTransfer(r.ID, p, t))
		default:
			return errors.Join(err, u.o.Spool.Uploads.SetTransfer(r.ID, p, t))
		}
		if err := u.o.Spool.Uploads.SetTransfer(r.ID, p, t); err != nil {
			return err
		}
	}
	return errTooManyRounds
}

func errIf(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}

// tryFile makes one try: it creates the upload or asks for its offset, then sends the rest.
func (u *Uplink) tryFile(ctx context.Context, r spool.Record, m footage.Manifest, p spool.Part, f *footage.File,
	t *spool.Transfer) error {
	if t.URL == "" {
		to, err := u.o.Cloud.Create(ctx, f.Size, metadata(u.cloudID(r), m, p, f))
		if err != nil {
			return err
		}
		*t = spool.Transfer{URL: to}
		if err := u.o.Spool.Uploads.SetTransfer(r.ID, p, *t); err != nil {
			return err
		}
	} else {
		at, err := u.o.Cloud.Offset(ctx, t.URL, f.Size)
		if err != nil {
			return err
		}
		if at != t.Offset {
			u.o.Log.Info("upload resumes at the server's offset", "footage", r.ID, "part", string(p), "bytes", at, "assumed",
				t.Offset)
		}
		t.Offset = at
	}
	u.noteOffset(r.ID, t.URL, t.Offset)
	u.setLink(LinkUp, "")
	if t.Offset < f.Size {
		at, err := u.stream(ctx, r.ID, p, f, t)
		if err != nil {
			return err
		}
		t.Offset = at
		u.noteOffset(r.ID, t.URL, at)
	}
	if t.Done = t.Offset == f.Size; !t.Done {
		return nil
	}
	return u.o.Spool.Uploads.SetTransfer(r.ID, p, *t)
}

// stream sends everything from the offset in one PATCH.
func (u *Uplink) stream(ctx context.Context, id footage.ID, p spool.Part, f *footage.File, t *spool.Transfer) (int64,
	error) {
	began, from := time.Now(), t.Offset
	speed := newMeter(from)
	u.o.Spool.Uploads.SetSent(id, p, from, 0)
	body := &chunkReader{spool: u.o.Spool.Content, id: id, part: p, file: f, at: from, most: u.limit.most,
		wait: func(n int) error { return u.limit.wait(ctx, n) }, budget: u.o.Cloud.budget, index: -1, moved: func(at int64) {
			if speed.moved(at) {
				u.o.Spool.Uploads.SetSent(id, p, at, speed.rate)
			}
		}}
	at, err := u.o.Cloud.Patch(ctx, t.URL, from, f.Size, body)
	if err != nil {
		t.Offset = body.at // the next try asks for the server's offset
		return 0, err
	}
	u.o.Log.Info("upload sent", "footage", id, "part", string(p), "bytes", at-from, "offset", at, "took",
		time.Since(began).Round(time.Millisecond))
	return at, nil
}

// metadata describes one file of a piece of footage to the cloud, which knows the footage
// under id.
func metadata(id footage.ID, m footage.Manifest, p spool.Part, f *footage.File) wire.Metadata {
	md := wire.Metadata{Filename: footage.SafeName(f.Name), Filetype: mime.TypeByExtension(filepath.Ext(f.Name)),
		Footage: id, SHA256: f.SHA256, Captured: m.Captured, Kind: wire.Kind(p)}
	if !footage.IsPlausible(m.Captured, time.Time{}, false) {
		md.Captured = time.Time{} // a manifest of an earlier release
	}
	if m.TelemetryOf != "" {
		md.Kind = wire.KindTelemetry
	}
	switch md.Kind {
	case wire.KindTelemetry:
		md.Filetype = "application/x-subrip"
	case wire.KindThumbnail:
		md.Filename = footage.SafeName(m.Video.Name) // of the video that it shows
	case wire.KindVideo:
	}
	return md
}

// cloudHas reports whether the cloud has the whole footage with the right digest.
func (u *Uplink) cloudHas(ctx context.Context, r spool.Record, m footage.Manifest) (bool, error) {
	got, err := u.o.Cloud.Footage(ctx, u.cloudID(r))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && got.SHA256 == m.Video.SHA256 && got.Size == m.Video.Size, err
}

// confirm compares what the cloud stored with the manifest. Only after that the content may
// be deleted.
func (u *Uplink) confirm(ctx context.Context, id footage.ID, m footage.Manifest) error {
	r, _ := u.o.Spool.Records.Get(id)
	if r.State == spool.Uploading {
		if err := u.o.Spool.Uploads.Accept(id); err != nil {
			return err
		}
	}
	got, err := u.fetchStored(ctx, r.CloudID())
	switch {
	case errors.Is(err, ErrNotFound):
		// The cloud accepted every byte and does not know the footage: start again.
		return errors.Join(fmt.Errorf("the cloud does not know the footage that it accepted: %w", ErrUnexpected),
			u.restartTransfers(id))
	case err != nil:
		return err
	case got.SHA256 != m.Video.SHA256 || got.Size != m.Video.Size:
		return errors.Join(fmt.Errorf("the cloud has %d bytes with sha256 %s, the spool %d with %s: %w",
			got.Size, got.SHA256, m.Video.Size, m.Video.SHA256, ErrHash), u.restartTransfers(id))
	}
	if err := u.o.Spool.Uploads.Confirm(id, got.DuplicateOf); err != nil {
		return err
	}
	u.o.Log.Info("footage confirmed by the cloud", "footage", id, "bytes", got.Size, "sha256", got.SHA256.String(),
		"duplicate_of", string(got.DuplicateOf))
	return u.o.Spool.Uploads.Release(id)
}

// fetchStored returns what the cloud has under an id, or for a duplicate under the id of the
// first footage with the content.
func (u *Uplink) fetchStored(ctx context.Context, id footage.ID) (wire.Footage, error) {
	got, err := u.o.Cloud.Footage(ctx, id)
	if err != nil || !got.SHA256.IsZero() || got.DuplicateOf == "" {
		return got, err
	}
	first := got.DuplicateOf
	if got, err = u.o.Cloud.Footage(ctx, first); err == nil {
		got.DuplicateOf = first
	}
	return got, err
}

func (u *Uplink) restartTransfers(id footage.ID) error {
	return errors.Join(u.o.Spool.Uploads.SetTransfer(id, spool.Video, spool.Transfer{}),
		u.o.Spool.Uploads.SetTransfer(id, spool.Telemetry, spool.Transfer{}))
}
