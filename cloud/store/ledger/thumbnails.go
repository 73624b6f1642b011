package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"cattlecounter/shared/footage"
)

// Thumbnail is the small picture of a piece of footage. It may arrive long before the
// video.
type Thumbnail struct {
	Footage  footage.ID
	Site     string
	Device   string // who uploaded it
	Name     string // of the video
	Size     int64  // bytes of the picture
	BlobKey  string
	Captured time.Time // zero when not known
	Received time.Time
	Seq      int64
}

const thumbnailColumns = `footage, site, device, name, size, blob_key, captured, received, seq`

// Thumbnails are the small pictures of footage, one a footage.
type Thumbnails struct{ *tables }

// Put records a thumbnail and replaces an older one. In the same transaction it claims the
// footage id for the thumbnail's device. An id of another device fails with ErrOwned. Put
// sets Received when zero.
func (l *Thumbnails) Put(ctx context.Context, t Thumbnail) error {
	if t.Received.IsZero() {
		t.Received = l.now()
	}
	return l.write(ctx, fmt.Sprintf("thumbnail of %s", t.Footage), func(ctx context.Context, tx *sql.Tx) error {
		if err := l.claim(ctx, tx, t.Footage, t.Device); err != nil {
			return err
		}
		seq, err := nextSeq(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO thumbnail (`+thumbnailColumns+
			`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (footage) DO UPDATE SET site = excluded.site, device = excluded.device, name = excluded.name,
				size = excluded.size, blob_key = excluded.blob_key, captured = excluded.captured,
				received = excluded.received, seq = excluded.seq`,
			t.Footage, t.Site, t.Device, clean(t.Name), t.Size, t.BlobKey, micros(t.Captured), micros(t.Received), seq)
		return err
	})
}

// Get returns the thumbnail of a piece of footage, or ErrNotFound.
func (l *Thumbnails) Get(ctx context.Context, id footage.ID) (Thumbnail, error) {
	ts, err := list(ctx, l.db.Read(), scanThumbnail, `SELECT `+thumbnailColumns+` FROM thumbnail WHERE footage = $1`, id)
	if err == nil && len(ts) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Thumbnail{}, fmt.Errorf("thumbnail of %s: %w", id, err)
	}
	return ts[0], nil
}

// ListWaiting returns a page of the thumbnails whose video has not arrived, newest first,
// and the start of the next page.
func (l *Thumbnails) ListWaiting(ctx context.Context, p Page) ([]Thumbnail, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	f := p.filter("f.seq", after, limit+1)
	ts, err := list(ctx, l.db.Read(), scanThumbnail, `SELECT `+prefixed("f", thumbnailColumns)+` FROM thumbnail f `+f.String()+
		` AND NOT EXISTS (SELECT 1 FROM footage o WHERE o.id = f.footage) ORDER BY f.seq DESC LIMIT $2`, f.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list waiting footage: %w", err)
	}
	ts, next := cutPage(ts, limit, func(t Thumbnail) int64 { return t.Seq })
	return ts, next, nil
}

func scanThumbnail(rows *sql.Rows) (Thumbnail, error) {
	var t Thumbnail
	var captured, received sql.NullInt64
	err := rows.Scan(&t.Footage, &t.Site, &t.Device, &t.Name, &t.Size, &t.BlobKey, &captured, &received, &t.Seq)
	t.Captured, t.Received = fromMicros(captured), fromMicros(received)
	return t, err
}
