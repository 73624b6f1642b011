package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

// NotificationRule says who hears of which events of a site.
type NotificationRule struct {
	ID       string
	Site     string   // AllSites for every site, and for what belongs to none
	Kinds    []string // of events; see cloud/server/notify
	Channel  string   // how a message travels
	Target   string   // where to: an address of the channel
	Secret   secret.String
	Language string
	// QuietFrom and QuietTo are the begin and the end of the quiet hours in minutes of the day in Zone (an IANA name).
	// Both the same: no quiet hours.
	QuietFrom, QuietTo int
	Zone               string
	Paused             bool
	Who                string // made it
	Created            time.Time
}

// MaxNotificationRules is how many rules there may be.
const MaxNotificationRules = 500

// Notifications are the rules of who hears of what, the events that they found, and the messages to their targets.
type Notifications struct{ *tables }

const ruleColumns = `id, site, kinds, channel, target, secret, language, quiet_from, quiet_to, zone, paused, ` +
	`who, created`

func (l *Notifications) scanRule(rows *sql.Rows) (r NotificationRule, err error) {
	var kinds, key string
	var paused int
	var created sql.NullInt64
	err = rows.Scan(&r.ID, &r.Site, &kinds, &r.Channel, &r.Target, &key, &r.Language, &r.QuietFrom, &r.QuietTo, &r.Zone,
		&paused, &r.Who, &created)
	if err == nil {
		key, err = l.keys.Open(sealWebhook, r.ID, key)
	}
	r.Kinds, r.Secret, r.Paused, r.Created = strings.Split(kinds, ","), secret.New(key), paused == 1, fromMicros(created)
	return r, err
}

// AddRule stores a rule and sets ID, Who and Created. Its error wraps ErrInvalid when there are too many.
func (l *Notifications) AddRule(ctx context.Context, r NotificationRule) (NotificationRule, error) {
	r.Created, r.Who = l.now().UTC(), Actor(ctx)
	r.ID = string(footage.NewID(r.Created))
	sealed, err := l.keys.Seal(sealWebhook, r.ID, r.Secret.Reveal())
	if err != nil {
		return r, fmt.Errorf("add notification rule: %w", err)
	}
	err = l.write(ctx, "add notification rule", func(ctx context.Context, tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM notification_rule`).Scan(&n); err != nil {
			return err
		}
		if n >= MaxNotificationRules {
			return fmt.Errorf("there are %d rules, which is the most; remove one: %w", n, ErrInvalid)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO notification_rule (`+ruleColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`, r.ID, r.Site, strings.Join(r.Kinds, ","),
			r.Channel, clean(r.Target), sealed, r.Language, r.QuietFrom, r.QuietTo, r.Zone, oneIf(r.Paused), r.Who,
			micros(r.Created)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionAddNotificationRule, r.ID)
	})
	return r, err
}

// SetRule changes kinds, language, quiet hours and Paused of a rule. Site and target stay: who may change them is
// decided when a rule is added. What waits for a paused rule is dropped. Its error wraps ErrNotFound.
func (l *Notifications) SetRule(ctx context.Context, r NotificationRule) error {
	return l.write(ctx, "set notification rule "+r.ID, func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx,
			`UPDATE notification_rule SET kinds = $1, language = $2, quiet_from = $3, quiet_to = $4,
			zone = $5, paused = $6 WHERE id = $7`, strings.Join(r.Kinds, ","), r.Language, r.QuietFrom, r.QuietTo, r.Zone,
			oneIf(r.Paused), r.ID)); err != nil {
			return err
		}
		if r.Paused {
			if _, err := tx.ExecContext(ctx, `DELETE FROM notification_event WHERE rule = $1 AND message = ''`,
				r.ID); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE notification SET state = $1, ended = $2, fault = $3 WHERE rule = $4
				AND state = $5`, NotificationDead, micros(l.now()), "the rule was paused", r.ID, NotificationWaiting); err != nil {
				return err
			}
		}
		return l.audit(ctx, tx, ActionSetNotificationRule, r.ID)
	})
}

// RemoveRule removes a rule with its events and messages. Its error wraps ErrNotFound.
func (l *Notifications) RemoveRule(ctx context.Context, id string) error {
	return l.write(ctx, "remove notification rule "+id, func(ctx context.Context, tx *sql.Tx) error {
		if err := removeRule(ctx, tx, id); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRemoveNotificationRule, id)
	})
}

func removeRule(ctx context.Context, tx *sql.Tx, id string) error {
	for _, table := range []string{"notification_event", "notification"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE rule = $1`, id); err != nil { //nolint:gosec // table is one of two constants
			return err
		}
	}
	return execOne(tx.ExecContext(ctx, `DELETE FROM notification_rule WHERE id = $1`, id))
}

// Rules returns every rule, the oldest first.
func (l *Notifications) Rules(ctx context.Context) ([]NotificationRule, error) {
	rs, err := list(ctx, l.db.Read(), l.scanRule, `SELECT `+ruleColumns+` FROM notification_rule ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("notification rules: %w", err)
	}
	return rs, nil
}

// Rule returns a rule, or ErrNotFound.
func (l *Notifications) Rule(ctx context.Context, id string) (NotificationRule, error) {
	rs, err := list(ctx, l.db.Read(), l.scanRule, `SELECT `+ruleColumns+` FROM notification_rule WHERE id = $1`, clean(id))
	if err == nil && len(rs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return NotificationRule{}, fmt.Errorf("notification rule %.64s: %w", id, database.Classify(err))
	}
	return rs[0], nil
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}
