package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

// Share is a link to one survey for people without a login. It reads that survey and nothing else.
type Share struct {
	ID      string
	Survey  string
	Who     string // made it
	Created time.Time
	Expires time.Time
	Revoked *time.Time
}

// MaxShares is how many links of a survey may be valid at the same time.
const MaxShares = 20

// Shares are the links to surveys. The ledger stores only digests of their keys.
type Shares struct{ *tables }

const shareColumns = `id, survey, who, created, expires, revoked`

func scanShare(rows *sql.Rows) (s Share, err error) {
	var created, expires, revoked sql.NullInt64
	err = rows.Scan(&s.ID, &s.Survey, &s.Who, &created, &expires, &revoked)
	s.Created, s.Expires, s.Revoked = fromMicros(created), fromMicros(expires), timePointer(revoked)
	return s, err
}

// Add makes a link to a survey that ends after a time, and returns its key, which is stored nowhere. Its error wraps
// ErrInvalid when the survey has MaxShares valid links, and ErrNotFound for an unknown survey.
func (l *Shares) Add(ctx context.Context, survey string, life time.Duration) (Share, secret.String, error) {
	now := l.now().UTC()
	s := Share{ID: string(footage.NewID(now)), Survey: survey, Who: Actor(ctx), Created: now, Expires: now.Add(life)}
	key := newToken()
	err := l.write(ctx, "share survey "+survey, func(ctx context.Context, tx *sql.Tx) error {
		var valid int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM share WHERE survey = $1 AND revoked IS NULL AND expires > $2`,
			survey, micros(now)).Scan(&valid); err != nil {
			return err
		}
		if valid >= MaxShares {
			return fmt.Errorf("the survey has %d valid links, which is the most; revoke one: %w", valid, ErrInvalid)
		}
		if err := execOne(tx.ExecContext(ctx, `INSERT INTO share (id, hash, survey, who, created, expires)
			SELECT $1, $2, id, $3, $4, $5 FROM survey WHERE id = $6`, s.ID, hashToken(key), s.Who, micros(s.Created),
			micros(s.Expires), survey)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionShare, survey)
	})
	return s, secret.New(key), err
}

// List returns the links of a survey, the newest first, at most limit; also those that have ended.
func (l *Shares) List(ctx context.Context, survey string, limit int) ([]Share, error) {
	ss, err := list(ctx, l.db.Read(), scanShare, `SELECT `+shareColumns+` FROM share WHERE survey = $1
		ORDER BY created DESC, id DESC LIMIT $2`, clean(survey), limit)
	if err != nil {
		return nil, fmt.Errorf("links of survey %.64s: %w", survey, err)
	}
	return ss, nil
}

// Revoke ends a link of a survey. Its error wraps ErrNotFound for one that is unknown or was revoked before.
func (l *Shares) Revoke(ctx context.Context, survey, id string) error {
	return l.write(ctx, "revoke link of survey "+survey, func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx,
			`UPDATE share SET revoked = $1 WHERE id = $2 AND survey = $3 AND revoked IS NULL`,
			micros(l.now()), id, survey)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRevokeShare, survey)
	})
}

// Open returns the link of a key. It fails with ErrUnauthorised for a key that is unknown, was revoked or has expired.
func (l *Shares) Open(ctx context.Context, key string) (Share, error) {
	ss, err := list(ctx, l.db.Read(), scanShare, `SELECT `+shareColumns+` FROM share WHERE hash = $1 AND revoked IS NULL
		AND expires > $2`, hashToken(key), micros(l.now()))
	if err == nil && len(ss) == 0 {
		err = ErrUnauthorised
	}
	if err != nil {
		return Share{}, fmt.Errorf("open link: %w", database.Classify(err))
	}
	return ss[0], nil
}
