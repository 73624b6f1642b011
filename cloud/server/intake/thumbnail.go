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
	if _, err := in.blobs.Commit(ctx, u.ID, u.BlobKey); err != nil {
		return err
	}
	return in.thumbnails.Put(ctx, ledger.Thumbnail{Footage: u.Footage, Site: u.Site, Device: u.Device, Name: u.Name,
		Size: u.Size, BlobKey: u.BlobKey, Captured: u.Captured, Received: in.now()})
}
