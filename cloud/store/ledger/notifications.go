package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
)

// NotificationState is the state of a message. A message waits until its target has it or every attempt has failed; a
// dead one waits again when a person asks for it.
type NotificationState string

// States of a message. They are stored, so their text must not change.
const (
	NotificationWaiting NotificationState = "waiting"
	NotificationSent    NotificationState = "sent"
	NotificationDead    NotificationState = "dead"
)

// NotificationEvent is something that a rule found.
type NotificationEvent struct {
	Key      string // the same event has the same key, so that a rule reports it once
	Document string // what a message says of it
	Lasting  bool   // a condition, which holds until it is not found any more
}

// Notification is a message to the target of a rule.
type Notification struct {
	ID       string
	Rule     string
	Site     string // of the rule
	Channel  string
	Target   string
	State    NotificationState
	Attempts int       // that failed
	Due      time.Time // of the next attempt
	Created  time.Time
	Ended    time.Time // zero while it waits
	Fault    string    // of the last attempt, for a person
	Document string
	born     int64
}

// flapping is how long a condition is remembered after its end: one that comes back within it is no new event.
const flapping = 15 * time.Minute

// lastingEvent is what is recorded of a condition.
type lastingEvent struct {
	key     string
	waiting bool      // for a message
	ended   time.Time // zero while it holds
}

// Observe records what a rule sees now: every condition that holds, and what has happened. What the rule has recorded
// before is no new event. A condition that ends before a message tells of it is forgotten.
func (l *Notifications) Observe(ctx context.Context, rule string, seen []NotificationEvent) error {
	recorded, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (e lastingEvent, err error) {
		var ended sql.NullInt64
		var message string
		err = rows.Scan(&e.key, &message, &ended)
		e.waiting, e.ended = message == "", fromMicros(ended)
		return e, err
	}, `SELECT event, message, ended FROM notification_event WHERE rule = $1 AND lasting = 1`, rule)
	if err != nil {
		return fmt.Errorf("events of notification rule %s: %w", rule, err)
	}
	now := l.now()
	fresh := map[string]NotificationEvent{}
	for _, e := range seen {
		fresh[e.Key] = e
	}
	var back, ended, gone []string
	for _, o := range recorded {
		_, holds := fresh[o.key]
		delete(fresh, o.key)
		switch {
		case holds && !o.ended.IsZero():
			back = append(back, o.key)
		case holds:
		case o.waiting, !o.ended.IsZero() && now.Sub(o.ended) >= flapping:
			gone = append(gone, o.key)
		case o.ended.IsZero():
			ended = append(ended, o.key)
		}
	}
	if len(fresh)+len(back)+len(ended)+len(gone) == 0 {
		return nil
	}
	return l.write(ctx, "events of notification rule "+rule, func(ctx context.Context, tx *sql.Tx) error {
		for _, e := range seen {
			if _, isNew := fresh[e.Key]; !isNew {
				continue
			}
			// A rule that was removed meanwhile has no events.
			if _, err := tx.ExecContext(ctx, `INSERT INTO notification_event (rule, event, document, message, lasting, created)
				SELECT id, $1, $2, '', $3, $4 FROM notification_rule WHERE id = $5 ON CONFLICT (rule, event) DO NOTHING`,
				e.Key, clean(e.Document), oneIf(e.Lasting), micros(now), rule); err != nil {
				return err
			}
		}
		each := func(keys []string, statement string, args ...any) error {
			for _, key := range keys {
				if _, err := tx.ExecContext(ctx, statement, append([]any{rule, key}, args...)...); err != nil {
					return err
				}
			}
			return nil
		}
		return errors.Join(
			each(back, `UPDATE notification_event SET ended = NULL WHERE rule = $1 AND event = $2`),
			each(ended, `UPDATE notification_event SET ended = $3 WHERE rule = $1 AND event = $2`, micros(now)),
			each(gone, `DELETE FROM notification_event WHERE rule = $1 AND event = $2`))
	})
}

// WaitingEvents are events that no message tells of.
type WaitingEvents struct {
	Events       []NotificationEvent // the oldest first
	All          int                 // how many there are, also beyond Events
	Since, Until time.Time           // when the oldest and the newest were recorded
}

// Waiting returns the events of a rule that no message tells of, the oldest first and at most limit.
func (l *Notifications) Waiting(ctx context.Context, rule string, limit int) (w WaitingEvents, err error) {
	const where = ` FROM notification_event WHERE rule = $1 AND message = ''`
	var oldest, newest sql.NullInt64
	err = database.Classify(l.db.Read().QueryRowContext(ctx, `SELECT COUNT(*), MIN(created), MAX(created)`+where, rule).
		Scan(&w.All, &oldest, &newest))
	if err == nil && w.All > 0 {
		w.Events, err = list(ctx, l.db.Read(), func(rows *sql.Rows) (e NotificationEvent, err error) {
			var lasting int
			err = rows.Scan(&e.Key, &e.Document, &lasting)
			e.Lasting = lasting == 1
			return e, err
		}, `SELECT event, document, lasting`+where+` ORDER BY created, event LIMIT $2`, rule, limit)
	}
	if err != nil {
		return w, fmt.Errorf("waiting events of notification rule %s: %w", rule, err)
	}
	w.Since, w.Until = fromMicros(oldest), fromMicros(newest)
	return w, nil
}

// Last returns when the last message of a rule was made, zero when there is none.
func (l *Notifications) Last(ctx context.Context, rule string) (time.Time, error) {
	var at sql.NullInt64
	if err := l.db.Read().QueryRowContext(ctx, `SELECT MAX(created) FROM notification WHERE rule = $1`,
		rule).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("messages of notification rule %s: %w", rule, database.Classify(err))
	}
	return fromMicros(at), nil
}

// Add stores a message and sets its ID. Without Due it is due at once. The events of its rule that were recorded until
// a time and wait belong to it from then on; none with the zero time. The error wraps ErrNotFound when the rule was
// removed.
func (l *Notifications) Add(ctx context.Context, n Notification, until time.Time) (Notification, error) {
	n.Created = l.now().UTC()
	n.ID = string(footage.NewID(n.Created))
	if n.Due.IsZero() {
		n.Due = n.Created
	}
	err := l.write(ctx, "add notification", func(ctx context.Context, tx *sql.Tx) error {
		born, err := nextSeq(ctx, tx)
		if err != nil {
			return err
		}
		if err := execOne(tx.ExecContext(ctx,
			`INSERT INTO notification (id, rule, state, attempts, due, created, ended, fault, document, born)
			SELECT $1, id, $2, 0, $3, $4, $5, $6, $7, $8 FROM notification_rule WHERE id = $9`, n.ID, n.State, micros(n.Due),
			micros(n.Created), micros(n.Ended), clean(n.Fault), clean(n.Document), born, n.Rule)); err != nil {
			return err
		}
		if until.IsZero() {
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE notification_event SET message = $1 WHERE rule = $2 AND message = ''
			AND created <= $3`, n.ID, n.Rule, micros(until))
		return err
	})
	return n, err
}

const notificationColumns = `n.id, n.rule, r.site, r.channel, r.target, n.state, n.attempts, n.due, n.created, n.ended, ` +
	`n.fault, n.document, n.born FROM notification n JOIN notification_rule r ON r.id = n.rule`

func scanNotification(rows *sql.Rows) (n Notification, err error) {
	var due, created, ended sql.NullInt64
	err = rows.Scan(&n.ID, &n.Rule, &n.Site, &n.Channel, &n.Target, &n.State, &n.Attempts, &due, &created, &ended,
		&n.Fault,
		&n.Document, &n.born)
	n.Due, n.Created, n.Ended = fromMicros(due), fromMicros(created), fromMicros(ended)
	return n, err
}

// Due returns the messages whose next attempt is due, the longest due first, at most limit.
func (l *Notifications) Due(ctx context.Context, limit int) ([]Notification, error) {
	ns, err := list(ctx, l.db.Read(), scanNotification, `SELECT `+notificationColumns+` WHERE n.state = $1 AND n.due <= $2
		ORDER BY n.due, n.born LIMIT $3`, NotificationWaiting, l.now().UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("due notifications: %w", err)
	}
	return ns, nil
}

// Attempted records an attempt to deliver a message: its State, Attempts, Due and Fault. A message that no longer
// waits, such as one of a rule that was paused meanwhile, stays as it is.
func (l *Notifications) Attempted(ctx context.Context, n Notification) error {
	return l.write(ctx, "attempt of notification "+n.ID, func(ctx context.Context, tx *sql.Tx) error {
		var ended any
		if n.State != NotificationWaiting {
			ended = micros(l.now())
		}
		_, err := tx.ExecContext(ctx, `UPDATE notification SET state = $1, attempts = $2, due = $3, fault = $4, ended = $5
			WHERE id = $6 AND state = $7`, n.State, n.Attempts, micros(n.Due), clean(n.Fault), ended, n.ID, NotificationWaiting)
		return err
	})
}

// Get returns a message, or ErrNotFound.
func (l *Notifications) Get(ctx context.Context, id string) (Notification, error) {
	ns, err := list(ctx, l.db.Read(), scanNotification, `SELECT `+notificationColumns+` WHERE n.id = $1`, clean(id))
	if err == nil && len(ns) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Notification{}, fmt.Errorf("notification %.64s: %w", id, database.Classify(err))
	}
	return ns[0], nil
}

// List returns a page of the messages, newest first, and the start of the next page. The page may restrict sites: it is
// the site of the rule.
func (l *Notifications) List(ctx context.Context, p Page) ([]Notification, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	args := []any{after, limit + 1, p.State}
	at, args := p.Sites.where("r.site", args)
	ns, err := list(ctx, l.db.Read(), scanNotification, `SELECT `+notificationColumns+` WHERE n.born < $1
		AND ($3 = '' OR n.state = $3)`+at+` ORDER BY n.born DESC LIMIT $2`, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list notifications: %w", err)
	}
	ns, next := cutPage(ns, limit, func(n Notification) int64 { return n.born })
	return ns, next, nil
}

// Retry has a dead message delivered again. Its error wraps ErrNotFound when there is no dead message with the id.
func (l *Notifications) Retry(ctx context.Context, id string) error {
	return l.write(ctx, "retry notification "+id, func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx, `UPDATE notification SET state = $1, attempts = 0, due = $2, ended = NULL
			WHERE id = $3 AND state = $4`, NotificationWaiting, micros(l.now()), id, NotificationDead)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRetryNotification, id)
	})
}

// Prune deletes messages that ended before a time, and events that happened before it.
func (l *Notifications) Prune(ctx context.Context, before time.Time) error {
	return l.write(ctx, "prune notifications", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM notification WHERE ended < $1`, micros(before))
		if err == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM notification_event WHERE lasting = 0 AND message <> '' AND created < $1`,
				micros(before))
		}
		return err
	})
}
