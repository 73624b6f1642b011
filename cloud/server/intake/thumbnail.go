package intake

import (
	"context"
	"errors"
	"slices"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// checkThumbnail allows a thumbnail of footage that is unknown or of the same device,
// before its video and after it.
func (in *Intake) checkThumbnail(ctx context.Context, u ledger.Upload) error {
	have, err := in.footage.Get(ctx, u.Footage)
	if err == nil && have.Device != u.Device {
		return takenProblem(u)
	}
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	shown, err := in.thumbnails.Get(ctx, u.Footage)
	if err == nil && shown.Device != u.Device {
		return takenProblem(u)
	}
	if errors.Is(err, ledger.ErrNotFound) {
		err = nil
	}
	return err
}

// jpegHead begins every JPEG (ITU-T T.81 annex B: SOI, then a marker).
var jpegHead = []byte{0xff, 0xd8, 0xff}

// commitThumbnail commits a picture and records it. A finish that stopped after the
// commit has no staged bytes any more, and the check of the first bytes is skipped.
func (in *Intake) commitThumbnail(ctx context.Context, up *upload) error {
	u := up.u
	head, err := up.stagedHead(ctx)
	switch {
	case err == nil && (len(head) < len(jpegHead) || !slices.Equal(head[:len(jpegHead)], jpegHead)):
		return in.refuse(ctx, u, problem.New(wire.SlugNotAPicture, "%s: the thumbnail is not a JPEG.", u.Name))
	case err != nil && !errors.Is(err, blob.ErrNotFound):
		return err
	}
	if err := in.checkThumbnail(ctx, u); err != nil {
		var p *problem.Error
		if errors.As(err, &p) {
			return in.refuse(ctx, u, p)
		}
		return err // a fault of the ledger: the picture stays for the next try
	}
	if _, err := in.blobs.Commit(ctx, u.ID, u.BlobKey); err != nil {
		return err
	}
	return in.thumbnails.Put(ctx, ledger.Thumbnail{Footage: u.Footage, Site: u.Site, Device: u.Device, Name: u.Name,
		Size:    u.Size,
		BlobKey: u.BlobKey, Captured: u.Captured, Received: in.now()})
}
