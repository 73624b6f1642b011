package ledger

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
)

const uploadColumns = `id, footage, device, site, kind, name, size, received, deferred, sha256, captured, metadata, ` +
	`hash_state, blob_key, created, updated, finished`

// Uploads are the resumable upload sessions.
type Uploads struct{ *tables }

// Create stores a new session and returns it with Created and Updated. In the same
// transaction it claims the footage id for the session's device. An id of another device
// fails with ErrOwned. A known session id fails with ErrExists.
func (l *Uploads) Create(ctx context.Context, u Upload) (Upload, error) {
	meta, err := json.Marshal(u.Metadata)
	if err != nil {
		return Upload{}, fmt.Errorf("create upload %s: %w: %w", u.ID, err, ErrInvalid)
	}
	u.Name = clean(u.Name)
	u.Created = l.now().UTC().Truncate(time.Microsecond)
	u.Updated, u.Finished = u.Created, time.Time{}
	err = l.write(ctx, "create upload "+u.ID, func(ctx context.Context, tx *sql.Tx) error {
		if err := l.claim(ctx, tx, u.Footage, u.Device); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO upload (`+uploadColumns+
			`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, NULL)`,
			u.ID, u.Footage, u.Device, u.Site, u.Kind, u.Name, u.Size, u.Offset, bit(u.Deferred), u.SHA256.String(),
			micros(u.Captured), string(meta), hex.EncodeToString(u.HashState), u.BlobKey, micros(u.Created), micros(u.Updated))
		if database.DuplicateKey(err) {
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
	u.Captured, u.Created, u.Updated, u.Finished = fromMicros(captured), fromMicros(created), fromMicros(updated),
		fromMicros(finished)
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

// Get returns one session.
func (l *Uploads) Get(ctx context.Context, id string) (Upload, error) {
	us, err := list(ctx, l.db.Read(), scanUpload, `SELECT `+uploadColumns+` FROM upload WHERE id = $1`, id)
	if err == nil && len(us) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Upload{}, fmt.Errorf("upload %s: %w", id, err)
	}
	return us[0], nil
}

// SaveOffset stores the hash state after offset bytes.
func (l *Uploads) SaveOffset(ctx context.Context, id string, offset int64, hashState []byte) error {
	return l.updateUpload(ctx, "save upload ", id, `received = $3, hash_state = $4`, offset, hex.EncodeToString(hashState))
}

// SetKey stores the key of the blob that the session will become.
func (l *Uploads) SetKey(ctx context.Context, id, blobKey string) error {
	return l.updateUpload(ctx, "place upload ", id, `blob_key = $3`, blobKey)
}

// SetSize stores the size in bytes of a session that was created without a size.
func (l *Uploads) SetSize(ctx context.Context, id string, size int64) error {
	return l.updateUpload(ctx, "declare size of upload ", id, `size = $3, deferred = 0`, size)
}

// Touch updates only the time of the last change of a session.
func (l *Uploads) Touch(ctx context.Context, id string) error {
	return l.write(ctx, "touch upload "+id, func(ctx context.Context, tx *sql.Tx) error { return l.touch(ctx, tx, id) })
}

// touch prevents the deletion of the session until the transaction ends. It returns
// ErrNotFound when the session was deleted.
func (l *tables) touch(ctx context.Context, tx *sql.Tx, id string) error {
	return execOne(tx.ExecContext(ctx, `UPDATE upload SET updated = $1 WHERE id = $2`, micros(l.now()), id))
}

// Finish marks the session as finished.
func (l *Uploads) Finish(ctx context.Context, id string) error {
	return l.updateUpload(ctx, "finish upload ", id, `finished = COALESCE(finished, $3)`, micros(l.now()))
}

// updateUpload updates a session. The parameters of set begin with $3.
func (l *tables) updateUpload(ctx context.Context, action, id, set string, args ...any) error {
	return l.write(ctx, action+id, func(ctx context.Context, tx *sql.Tx) error {
		return execOne(tx.ExecContext(ctx, `UPDATE upload SET `+set+`, updated = $1 WHERE id = $2`,
			append([]any{micros(l.now()), id}, args...)...))
	})
}

// Delete deletes a session. An unknown id is no error.
func (l *Uploads) Delete(ctx context.Context, id string) error {
	return l.write(ctx, "delete upload "+id, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM upload WHERE id = $1`, id)
		return err
	})
}

// List returns at most limit sessions that were last changed before a time, oldest first.
// A zero time means all.
func (l *Uploads) List(ctx context.Context, before time.Time, limit int) ([]Upload, error) {
	where, args := ``, []any{limit}
	if !before.IsZero() {
		where, args = `WHERE updated < $2 `, append(args, before.UnixMicro())
	}
	us, err := list(ctx, l.db.Read(), scanUpload,
		`SELECT `+uploadColumns+` FROM upload `+where+`ORDER BY updated, id LIMIT $1`, args...)
	if err != nil {
		return nil, fmt.Errorf("list uploads: %w", err)
	}
	return us, nil
}

// ListUnfinished returns at most limit unfinished sessions of a device, oldest first. The
// device "" means all devices.
func (l *Uploads) ListUnfinished(ctx context.Context, device string, limit int) ([]Upload, error) {
	return l.ListUnfinishedAt(ctx, nil, device, limit)
}

// ListUnfinishedAt is ListUnfinished for some sites; nil means all sites.
func (l *Uploads) ListUnfinishedAt(ctx context.Context, sites SiteSet, device string, limit int) ([]Upload, error) {
	at, args := sites.where("site", []any{device, limit})
	us, err := list(ctx, l.db.Read(), scanUpload, `SELECT `+uploadColumns+` FROM upload
		WHERE finished IS NULL AND ($1 = '' OR device = $1)`+at+` ORDER BY updated, id LIMIT $2`, args...)
	if err != nil {
		return nil, fmt.Errorf("unfinished uploads: %w", err)
	}
	return us, nil
}

// ListComplete returns at most limit unfinished sessions whose bytes were all received
// and hashed before a time, oldest first.
func (l *Uploads) ListComplete(ctx context.Context, before time.Time, limit int) ([]Upload, error) {
	us, err := list(ctx, l.db.Read(), scanUpload, `SELECT `+uploadColumns+` FROM upload
		WHERE finished IS NULL AND deferred = 0 AND received = size AND updated < $1 ORDER BY updated, id LIMIT $2`,
		before.UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("complete uploads: %w", err)
	}
	return us, nil
}

// Reserved returns the bytes that unfinished sessions have announced and not received: of all devices, and of one.
func (l *Uploads) Reserved(ctx context.Context, device string) (all, own int64, err error) {
	err = l.db.Read().QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(size - received), 0) AS BIGINT),
		CAST(COALESCE(SUM(CASE WHEN device = $1 THEN size - received ELSE 0 END), 0) AS BIGINT)
		FROM upload WHERE finished IS NULL AND deferred = 0`, device).Scan(&all, &own)
	if err != nil {
		return 0, 0, fmt.Errorf("reserved bytes: %w", database.Classify(err))
	}
	return all, own, nil
}

// CountUnfinished returns the number of unfinished sessions of a device. The device ""
// means all devices.
func (l *Uploads) CountUnfinished(ctx context.Context, device string) (int, error) {
	var n int
	err := l.db.Read().QueryRowContext(ctx,
		`SELECT COUNT(*) FROM upload WHERE finished IS NULL AND ($1 = '' OR device = $1)`, device).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count uploads: %w", database.Classify(err))
	}
	return n, nil
}
