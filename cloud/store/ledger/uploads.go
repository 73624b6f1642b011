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

const uploadColumns = `id, footage, device, site, kind, name, size, received, deferred, sha256, captured, metadata, hash_state, blob_key, created, updated, finished`

// Uploads are the resumable upload sessions.
type Uploads struct{ *tables }

// Create notes a new session. Created and Updated are set. An id that is
// there fails with ErrExists.
func (l *Uploads) Create(ctx context.Context, u Upload) (Upload, error) {
	meta, err := json.Marshal(u.Metadata)
	if err != nil {
		return Upload{}, fmt.Errorf("create upload %s: %w: %w", u.ID, err, ErrInvalid)
	}
	u.Name = clean(u.Name)
	u.Created = l.now().UTC().Truncate(time.Microsecond)
	u.Updated, u.Finished = u.Created, time.Time{}
	err = l.write(ctx, "create upload "+u.ID, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO upload (`+uploadColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, NULL)`,
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

// SaveOffset notes the hash state after offset bytes.
func (l *Uploads) SaveOffset(ctx context.Context, id string, offset int64, hashState []byte) error {
	return l.onUpload(ctx, "save upload ", id, `received = $3, hash_state = $4`, offset, hex.EncodeToString(hashState))
}

// SetKey notes where the bytes of a session will go.
func (l *Uploads) SetKey(ctx context.Context, id, blobKey string) error {
	return l.onUpload(ctx, "place upload ", id, `blob_key = $3`, blobKey)
}

// SetSize notes the size of a session that was created without.
func (l *Uploads) SetSize(ctx context.Context, id string, size int64) error {
	return l.onUpload(ctx, "declare size of upload ", id, `size = $3, deferred = 0`, size)
}

// Touch notes that somebody is at work on a session, which changes nothing else.
func (l *Uploads) Touch(ctx context.Context, id string) error {
	return l.write(ctx, "touch upload "+id, func(ctx context.Context, tx *sql.Tx) error { return l.touch(ctx, tx, id) })
}

// touch also makes sure, until the transaction ends, that nobody drops the session;
// ErrNotFound when somebody has.
func (l *tables) touch(ctx context.Context, tx *sql.Tx, id string) error {
	return one(tx.ExecContext(ctx, `UPDATE upload SET updated = $1 WHERE id = $2`, micros(l.now()), id))
}

// Finish notes that the session did what it was for.
func (l *Uploads) Finish(ctx context.Context, id string) error {
	return l.onUpload(ctx, "finish upload ", id, `finished = COALESCE(finished, $3)`, micros(l.now()))
}

// onUpload changes a session; the parameters of set begin with $3.
func (l *tables) onUpload(ctx context.Context, deed, id, set string, args ...any) error {
	return l.write(ctx, deed+id, func(ctx context.Context, tx *sql.Tx) error {
		return one(tx.ExecContext(ctx, `UPDATE upload SET `+set+`, updated = $1 WHERE id = $2`, append([]any{micros(l.now()), id}, args...)...))
	})
}

// Delete forgets a session. One that is not there is fine.
func (l *Uploads) Delete(ctx context.Context, id string) error {
	return l.write(ctx, "delete upload "+id, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM upload WHERE id = $1`, id)
		return err
	})
}

// List returns the sessions last touched before a time, oldest first, at
// most limit. A zero time means all.
func (l *Uploads) List(ctx context.Context, before time.Time, limit int) ([]Upload, error) {
	where, args := ``, []any{limit}
	if !before.IsZero() {
		where, args = `WHERE updated < $2 `, append(args, before.UnixMicro())
	}
	us, err := list(ctx, l.db.Read(), scanUpload, `SELECT `+uploadColumns+` FROM upload `+where+`ORDER BY updated, id LIMIT $1`, args...)
	if err != nil {
		return nil, fmt.Errorf("list uploads: %w", err)
	}
	return us, nil
}

// ListComplete returns sessions whose bytes were all there and hashed before a
// time and that nobody finished, oldest first, at most limit.
func (l *Uploads) ListComplete(ctx context.Context, before time.Time, limit int) ([]Upload, error) {
	us, err := list(ctx, l.db.Read(), scanUpload, `SELECT `+uploadColumns+` FROM upload
		WHERE finished IS NULL AND deferred = 0 AND received = size AND updated < $1 ORDER BY updated, id LIMIT $2`, before.UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("complete uploads: %w", err)
	}
	return us, nil
}

// CountUnfinished counts the sessions that are not finished, of one device or, for
// "", of all.
func (l *Uploads) CountUnfinished(ctx context.Context, device string) (int, error) {
	var n int
	err := l.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM upload WHERE finished IS NULL AND ($1 = '' OR device = $1)`, device).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count uploads: %w", database.Classify(err))
	}
	return n, nil
}
