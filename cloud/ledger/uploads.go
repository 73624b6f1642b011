package ledger

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

const uploadColumns = `id, footage, device, site, kind, name, size, received, deferred, sha256, captured, metadata, hash_state, blob_key, created, updated, finished`

// CreateUpload notes a new session. Created and Updated are set. An id that is
// there fails with ErrExists.
func (l *Ledger) CreateUpload(ctx context.Context, u Upload) (Upload, error) {
	meta, err := json.Marshal(u.Metadata)
	if err != nil {
		return Upload{}, fmt.Errorf("create upload %s: %w: %w", u.ID, err, ErrInvalid)
	}
	u.Created = l.now().UTC().Truncate(time.Microsecond)
	u.Updated, u.Finished = u.Created, time.Time{}
	err = l.write(ctx, "create upload "+u.ID, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO upload (`+uploadColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)`,
			u.ID, u.Footage, u.Device, u.Site, u.Kind, u.Name, u.Size, u.Offset, bit(u.Deferred), u.SHA256.String(),
			micros(u.Captured), string(meta), hex.EncodeToString(u.HashState), u.BlobKey, micros(u.Created), micros(u.Updated))
		if duplicateKey(err) {
			return ErrExists
		}
		return err
	})
	return u, err
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func scanUpload(rows *sql.Rows) (Upload, error) {
	var u Upload
	var digest, meta, hash string
	var captured, created, updated, finished sql.NullInt64
	err := rows.Scan(&u.ID, &u.Footage, &u.Device, &u.Site, &u.Kind, &u.Name, &u.Size, &u.Offset, &u.Deferred, &digest,
		&captured, &meta, &hash, &u.BlobKey, &created, &updated, &finished)
	if err != nil {
		return u, err
	}
	u.Captured, u.Created, u.Updated, u.Finished = fromMicros(captured), fromMicros(created), fromMicros(updated), fromMicros(finished)
	if err := u.SHA256.UnmarshalText([]byte(digest)); err != nil {
		return u, fmt.Errorf("upload %s: %w", u.ID, err)
	}
	if err := json.Unmarshal([]byte(meta), &u.Metadata); err != nil {
		return u, fmt.Errorf("upload %s: metadata: %w", u.ID, err)
	}
	if hash != "" {
		if u.HashState, err = hex.DecodeString(hash); err != nil {
			return u, fmt.Errorf("upload %s: hash state: %w", u.ID, err)
		}
	}
	return u, nil
}

// Upload returns one session.
func (l *Ledger) Upload(ctx context.Context, id string) (Upload, error) {
	us, err := list(ctx, l.r, scanUpload, `SELECT `+uploadColumns+` FROM upload WHERE id = ?`, id)
	if err == nil && len(us) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Upload{}, fmt.Errorf("upload %s: %w", id, err)
	}
	return us[0], nil
}

// SaveUpload notes the hash state after offset bytes.
func (l *Ledger) SaveUpload(ctx context.Context, id string, offset int64, hashState []byte) error {
	return l.onUpload(ctx, "save upload ", id, `received = ?, hash_state = ?`, offset, hex.EncodeToString(hashState))
}

// SetUploadKey notes where the bytes of a session will go.
func (l *Ledger) SetUploadKey(ctx context.Context, id, blobKey string) error {
	return l.onUpload(ctx, "place upload ", id, `blob_key = ?`, blobKey)
}

// DeclareUpload notes the size of a session that was created without.
func (l *Ledger) DeclareUpload(ctx context.Context, id string, size int64) error {
	return l.onUpload(ctx, "declare size of upload ", id, `size = ?, deferred = 0`, size)
}

// FinishUpload notes that the session did what it was for.
func (l *Ledger) FinishUpload(ctx context.Context, id string) error {
	return l.onUpload(ctx, "finish upload ", id, `finished = COALESCE(finished, ?)`, micros(l.now()))
}

func (l *Ledger) onUpload(ctx context.Context, deed, id, set string, args ...any) error {
	return l.write(ctx, deed+id, func(tx *sql.Tx) error {
		return one(tx.ExecContext(ctx, `UPDATE upload SET `+set+`, updated = ? WHERE id = ?`, append(args, micros(l.now()), id)...))
	})
}

// DeleteUpload forgets a session. One that is not there is fine.
func (l *Ledger) DeleteUpload(ctx context.Context, id string) error {
	return l.write(ctx, "delete upload "+id, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM upload WHERE id = ?`, id)
		return err
	})
}

// ListUploads returns the sessions last touched before a time, oldest first, at
// most limit. A zero time means all.
func (l *Ledger) ListUploads(ctx context.Context, before time.Time, limit int) ([]Upload, error) {
	where, args := ``, []any{}
	if !before.IsZero() {
		where, args = `WHERE updated < ? `, append(args, before.UnixMicro())
	}
	us, err := list(ctx, l.r, scanUpload, `SELECT `+uploadColumns+` FROM upload `+where+`ORDER BY updated, id LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list uploads: %w", err)
	}
	return us, nil
}

// CompleteUploads returns sessions whose bytes were all there and hashed before a
// time and that nobody finished, oldest first, at most limit.
func (l *Ledger) CompleteUploads(ctx context.Context, before time.Time, limit int) ([]Upload, error) {
	us, err := list(ctx, l.r, scanUpload, `SELECT `+uploadColumns+` FROM upload
		WHERE finished IS NULL AND deferred = 0 AND received = size AND updated < ? ORDER BY updated, id LIMIT ?`, before.UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("complete uploads: %w", err)
	}
	return us, nil
}

// OpenUploads counts the sessions that are not finished, of one device or, for
// "", of all.
func (l *Ledger) OpenUploads(ctx context.Context, device string) (int, error) {
	var n int
	err := l.r.QueryRowContext(ctx, `SELECT COUNT(*) FROM upload WHERE finished IS NULL AND (? = '' OR device = ?)`, device, device).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count uploads: %w", translate(err))
	}
	return n, nil
}
