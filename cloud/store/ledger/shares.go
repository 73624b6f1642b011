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

// ShareKind is what a link shows. Kinds are stored, so their text must not change.
type ShareKind string

// Kinds of links.
const (
	ShareSurvey  ShareKind = "survey"
	ShareFlight  ShareKind = "flight"
	ShareFootage ShareKind = "footage"
)

// shareTables have what may be shared, by its id.
var shareTables = map[ShareKind]string{ShareSurvey: "survey", ShareFlight: "flight", ShareFootage: "footage"}

// Shared is what a link shows: one survey, flight or piece of footage.
type Shared struct {
	Kind ShareKind
	ID   string
}

func (s Shared) String() string { return string(s.Kind) + " " + s.ID }

// Share is a link for people without a login. It reads what it is made for and nothing else.
type Share struct {
	ID string
	Shared
	Video   bool   // it shows the annotated videos too
	Who     string // made it
	Created time.Time
	Expires time.Time
	Revoked *time.Time
}

// MaxShares is how many links of one survey, flight or footage may be valid at the same time.
const MaxShares = 20

// Shares are the links. The ledger stores only digests of their keys.
type Shares struct{ *tables }

const shareColumns = `id, kind, subject, video, who, created, expires, revoked`

func scanShare(rows *sql.Rows) (s Share, err error) {
	var created, expires, revoked sql.NullInt64
	var video int
	err = rows.Scan(&s.ID, &s.Kind, &s.Shared.ID, &video, &s.Who, &created, &expires, &revoked)
	s.Created, s.Expires, s.Revoked, s.Video = fromMicros(created), fromMicros(expires), timePointer(revoked), video == 1
	return s, err
}

// Add makes a link that ends after a time, and returns its key, which is stored nowhere. Its error wraps ErrInvalid when
// there are MaxShares valid links to the same, and ErrNotFound when there is nothing of that id.
func (l *Shares) Add(ctx context.Context, of Shared, video bool, life time.Duration) (Share, secret.String, error) {
	now := l.now().UTC()
	s := Share{ID: string(footage.NewID(now)), Shared: of, Video: video, Who: Actor(ctx), Created: now, Expires: now.Add(life)}
	key := newToken()
	table := shareTables[of.Kind]
	if table == "" {
		return s, secret.String{}, fmt.Errorf("share %.64s: there are no links of this kind: %w", of, ErrInvalid)
	}
	err := l.write(ctx, "share "+of.String(), func(ctx context.Context, tx *sql.Tx) error {
		var valid int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM share WHERE kind = $1 AND subject = $2 AND revoked IS NULL
			AND expires > $3`, of.Kind, of.ID, micros(now)).Scan(&valid); err != nil {
			return err
		}
		if valid >= MaxShares {
			return fmt.Errorf("it has %d valid links, which is the most; revoke one: %w", valid, ErrInvalid)
		}
		if err := execOne(tx.ExecContext(ctx, `INSERT INTO share (id, hash, kind, subject, video, who, created, expires)
			SELECT $1, $2, $3, id, $4, $5, $6, $7 FROM `+table+` WHERE id = $8`,
			s.ID, hashToken(key), of.Kind, oneIf(video), s.Who, micros(s.Created), micros(s.Expires), of.ID)); err != nil {
			return err
		}
		return l.audit(ctx, tx, shareActions[of.Kind], of.ID)
	})
	return s, secret.New(key), err
}

// shareActions are the entries of the audit log.
var shareActions = map[ShareKind]string{ShareSurvey: ActionShare, ShareFlight: ActionShareFlight, ShareFootage: ActionShareFootage}

// List returns the links to one thing, the newest first, at most limit; also those that have ended.
func (l *Shares) List(ctx context.Context, of Shared, limit int) ([]Share, error) {
	ss, err := list(ctx, l.db.Read(), scanShare, `SELECT `+shareColumns+` FROM share WHERE kind = $1 AND subject = $2
		ORDER BY created DESC, id DESC LIMIT $3`, of.Kind, clean(of.ID), limit)
	if err != nil {
		return nil, fmt.Errorf("links of %.80s: %w", of, err)
	}
	return ss, nil
}

// Revoke ends a link. Its error wraps ErrNotFound for one that is unknown, shows something else or was revoked before.
func (l *Shares) Revoke(ctx context.Context, of Shared, id string) error {
	return l.write(ctx, "revoke link of "+of.String(), func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx,
			`UPDATE share SET revoked = $1 WHERE id = $2 AND kind = $3 AND subject = $4 AND revoked IS NULL`,
			micros(l.now()), id, of.Kind, of.ID)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRevokeShare, of.ID)
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
