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

// maxRounds bounds the requests of one file in one go: a server that loses
// every upload at once is waited for, not hammered.
const maxRounds = 8

// errRestless says that a file did not get through in maxRounds.
var errRestless = fmt.Errorf("the cloud lost the upload again and again: %w", ErrBusy)

// send brings one piece of footage to the cloud and frees it: telemetry first,
// then the video, then the comparison of digests.
func (u *Uplink) send(ctx context.Context, r spool.Record) error {
	m, err := u.o.Spool.Content.Manifest(r.ID)
	if errors.Is(err, spool.ErrNotFound) {
		err = fmt.Errorf("%w: %w", err, spool.ErrDamaged)
	}
	if err != nil {
		return err
	}
	if err := u.thumbnail(ctx, r, m); err != nil {
		return err
	}
	if u.videoWaits(r) {
		return ErrThumbnails
	}
	if r, err = u.o.Spool.Uploads.Begin(r.ID); err != nil {
		return err
	}
	if m.Telemetry != nil {
		if err := u.part(ctx, r, m, spool.Telemetry, m.Telemetry); err != nil && !u.dropsTelemetry(r, err) {
			return err
		}
	}
	if err := u.part(ctx, r, m, spool.Video, &m.Video); err != nil && !errors.Is(err, errThere) {
		return err
	}
	return u.confirm(ctx, r.ID, m)
}

// dropsTelemetry reports whether the video goes on without its sidecar: the
// cloud refused the sidecar, or has the whole footage already.
func (u *Uplink) dropsTelemetry(r spool.Record, err error) bool {
	if errors.Is(err, errThere) {
		return true
	}
	if !errors.Is(err, ErrRefused) || errors.Is(err, ErrHash) {
		return false
	}
	u.o.Log.Warn("telemetry refused, the video goes without it", "footage", r.ID, "name", r.Name, "err", err)
	u.keep(r.ID, u.o.Spool.Uploads.SetTransfer(r.ID, spool.Telemetry, spool.Transfer{Done: true}))
	return true
}

// errThere says that the cloud has the footage already, whole.
var errThere = errors.New("the cloud has it already")

// part sends one file until the server has every byte of it. The book-keeping
// in the spool follows the server, never the other way round.
func (u *Uplink) part(ctx context.Context, r spool.Record, m footage.Manifest, p spool.Part, f *footage.File) error {
	t := *r.Transfer(p)
	for range maxRounds {
		if t.Done {
			return nil
		}
		err := u.round(ctx, r, m, p, f, &t)
		switch {
		case err == nil || errors.Is(err, ErrOffset) && t.URL != "":
			continue // ask for the offset again
		case errors.Is(err, spool.ErrDamaged):
			return err
		case errors.Is(err, ErrTaken):
			there, asked := u.has(ctx, m)
			if asked != nil || there {
				return errors.Join(asked, errIf(there, errThere))
			}
			return err
		case errors.Is(err, ErrGone), errors.Is(err, ErrOffset): // the session is lost
			if there, err := u.has(ctx, m); err != nil || there {
				return errors.Join(err, errIf(there, errThere))
			}
			u.o.Log.Info("the cloud lost the upload, it begins again", "footage", r.ID, "part", string(p))
			t = spool.Transfer{}
		case errors.Is(err, ErrHash):
			t = spool.Transfer{} // that session is gone on the server
			return errors.Join(err, u.o.Spool.Uploads.SetTransfer(r.ID, p, t))
		default:
			return errors.Join(err, u.o.Spool.Uploads.SetTransfer(r.ID, p, t))
		}
		if err := u.o.Spool.Uploads.SetTransfer(r.ID, p, t); err != nil {
			return err
		}
	}
	return errRestless
}

func errIf(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}

// round is one try: open the upload or ask for its offset, then send the rest.
func (u *Uplink) round(ctx context.Context, r spool.Record, m footage.Manifest, p spool.Part, f *footage.File, t *spool.Transfer) error {
	if t.URL == "" {
		to, err := u.o.Cloud.Create(ctx, f.Size, metadata(m, p, f))
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
			u.o.Log.Info("upload goes on at the server's offset", "footage", r.ID, "part", string(p), "bytes", at, "assumed", t.Offset)
		}
		t.Offset = at
	}
	u.reached(r.ID, t.URL, t.Offset)
	u.setLink(LinkUp, "")
	if t.Offset < f.Size {
		at, err := u.stream(ctx, r.ID, p, f, t)
		if err != nil {
			return err
		}
		t.Offset = at
		u.reached(r.ID, t.URL, at)
	}
	if t.Done = t.Offset == f.Size; !t.Done {
		return nil
	}
	return u.o.Spool.Uploads.SetTransfer(r.ID, p, *t)
}

// stream sends everything from the offset on in one PATCH.
func (u *Uplink) stream(ctx context.Context, id footage.ID, p spool.Part, f *footage.File, t *spool.Transfer) (int64, error) {
	began, from := time.Now(), t.Offset
	speed := newMeter(from)
	u.o.Spool.Uploads.SetSent(id, p, from, 0)
	body := &chunkReader{ctx: ctx, spool: u.o.Spool.Content, id: id, part: p, file: f, at: from, limit: u.limit,
		budget: u.o.Cloud.budget, index: -1, moved: func(at int64) {
			if speed.moved(at) {
				u.o.Spool.Uploads.SetSent(id, p, at, speed.rate)
			}
		}}
	at, err := u.o.Cloud.Patch(ctx, t.URL, from, f.Size, body)
	if err != nil {
		t.Offset = body.at // what the server has of it is asked before the next byte
		return 0, err
	}
	u.o.Log.Info("upload sent", "footage", id, "part", string(p), "bytes", at-from, "offset", at, "took", time.Since(began).Round(time.Millisecond))
	return at, nil
}

// metadata describes one file of a piece of footage to the cloud.
func metadata(m footage.Manifest, p spool.Part, f *footage.File) wire.Metadata {
	md := wire.Metadata{Filename: f.Name, Filetype: mime.TypeByExtension(filepath.Ext(f.Name)), Footage: m.Footage,
		SHA256: f.SHA256, Captured: m.Captured, Kind: wire.Kind(p)}
	switch md.Kind {
	case wire.KindTelemetry:
		md.Filetype = "application/x-subrip"
	case wire.KindThumbnail:
		md.Filename = m.Video.Name // of the video that it shows
	case wire.KindVideo:
	}
	return md
}

// has asks whether the cloud has the whole footage with the right digest.
func (u *Uplink) has(ctx context.Context, m footage.Manifest) (bool, error) {
	got, err := u.o.Cloud.Footage(ctx, m.Footage)
	if errors.Is(err, ErrGone) {
		return false, nil
	}
	return err == nil && got.SHA256 == m.Video.SHA256 && got.Size == m.Video.Size, err
}

// confirm compares what the cloud stored with the manifest. Only then the
// content may go.
func (u *Uplink) confirm(ctx context.Context, id footage.ID, m footage.Manifest) error {
	if r, _ := u.o.Spool.Records.Get(id); r.State == spool.Uploading {
		if err := u.o.Spool.Uploads.Accept(id); err != nil {
			return err
		}
	}
	got, err := u.stored(ctx, id)
	switch {
	case errors.Is(err, ErrGone):
		// It took every byte and knows nothing of it: start again.
		return errors.Join(fmt.Errorf("the cloud does not know the footage it took: %w", ErrOdd), u.restart(id))
	case err != nil:
		return err
	case got.SHA256 != m.Video.SHA256 || got.Size != m.Video.Size:
		return errors.Join(fmt.Errorf("the cloud has %d bytes with sha256 %s, the spool %d with %s: %w",
			got.Size, got.SHA256, m.Video.Size, m.Video.SHA256, ErrHash), u.restart(id))
	}
	if err := u.o.Spool.Uploads.Confirm(id, got.DuplicateOf); err != nil {
		return err
	}
	u.o.Log.Info("footage confirmed by the cloud", "footage", id, "bytes", got.Size, "sha256", got.SHA256.String(), "duplicate_of", string(got.DuplicateOf))
	return u.o.Spool.Uploads.Release(id)
}

// stored asks what the cloud stored under an id, or under the id of the footage
// with the same content that came first.
func (u *Uplink) stored(ctx context.Context, id footage.ID) (wire.Footage, error) {
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

func (u *Uplink) restart(id footage.ID) error {
	return errors.Join(u.o.Spool.Uploads.SetTransfer(id, spool.Video, spool.Transfer{}), u.o.Spool.Uploads.SetTransfer(id, spool.Telemetry, spool.Transfer{}))
}
