package azure

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/cloud/store/queue"
)

//go:embed migrations/*.sql
var migrations embed.FS

const versionTable = "azure_queue_version"

// overdue is how long a message may be later than those sent after it: the service
// promises no order.
const overdue = 10 * time.Minute

// tickets is the book of messages that count.
type tickets struct{ db *database.DB }

func openTickets(ctx context.Context, db *database.DB) (*tickets, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, sub, versionTable); err != nil {
		return nil, fmt.Errorf("queue tickets: %w", err)
	}
	return &tickets{db}, nil
}

// there reports why tickets cannot be read, nil when they can.
func (ts *tickets) there(ctx context.Context) error {
	var n int64
	if err := ts.db.Read().QueryRowContext(ctx, `SELECT n FROM queue_mark`).Scan(&n); err != nil {
		return fmt.Errorf("queue tickets: %w", database.Classify(err))
	}
	return nil
}

// lost is a condition on a ticket t: its message does not exist any more. Nobody
// holds it, and either nothing at all is in the queue (?2) or it should have been
// seen long ago (before ?3) and one came that was sent after that: a message that was
// given back stands behind all that were visible then.
const lost = `t.hidden < $1 AND (t.message = '' OR $2 OR t.hidden < $3 AND t.sent < $3 AND EXISTS (SELECT 1 FROM queue_mark WHERE queue_mark.n > t.n AND queue_mark.sent > t.hidden))`

func (ts *tickets) lostArgs(now time.Time, empty bool) []any {
	return []any{now.UnixMicro(), empty, now.Add(-overdue).UnixMicro()}
}

// issue makes a ticket, or makes one anew whose message is lost. needed is false
// when the message that counts is on its way; else n is this ticket's number.
func (ts *tickets) issue(ctx context.Context, job string, now time.Time, empty bool) (n int64, needed bool, err error) {
	err = ts.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `INSERT INTO queue_ticket AS t (job, message, n, sent, lease, hidden)
			VALUES ($4, '', (SELECT MAX(n) + 1 FROM (SELECT n FROM queue_ticket UNION ALL SELECT n FROM queue_mark) AS given), $1, '', 0)
			ON CONFLICT (job) DO UPDATE SET message = '', n = excluded.n, sent = excluded.sent, lease = '', hidden = 0 WHERE `+lost+`
			RETURNING n`, append(ts.lostArgs(now, empty), job)...).Scan(&n)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("ticket of job %s: %w", job, database.Classify(err))
	}
	return n, true, nil
}

// sent notes which message the ticket is for, unless it came faster than the note.
func (ts *tickets) sent(ctx context.Context, job string, n int64, message string) error {
	if _, err := ts.db.Exec(ctx, `UPDATE queue_ticket SET message = $1 WHERE job = $2 AND n = $3 AND message = ''`, message, job, n); err != nil {
		return fmt.Errorf("ticket of job %s: %w", job, database.Classify(err))
	}
	return nil
}

// good reports whether the job has a message that is not lost.
func (ts *tickets) good(ctx context.Context, job string, now time.Time, empty bool) (bool, error) {
	var good bool
	err := ts.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM queue_ticket t WHERE job = $4 AND NOT (`+lost+`))`,
		append(ts.lostArgs(now, empty), job)...).Scan(&good)
	if err != nil {
		return false, fmt.Errorf("ticket of job %s: %w", job, database.Classify(err))
	}
	return good, nil
}

// take notes that a message was received and counts the delivery in the lease. It
// reports whether the message is the one that counts and nobody holds it.
func (ts *tickets) take(ctx context.Context, l *lease, now time.Time, visibility time.Duration) (bool, error) {
	var n, sent int64
	err := ts.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `UPDATE queue_ticket SET message = $1, lease = $2, hidden = $3, deliveries = deliveries + 1
			WHERE job = $4 AND (message = $1 OR message = '') AND (lease = '' OR hidden <= $5) RETURNING n, sent, deliveries`,
			l.message, l.id, now.Add(visibility).UnixMicro(), l.job, now.UnixMicro()).Scan(&n, &sent, &l.deliveries)
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE queue_mark SET n = $1, sent = $2 WHERE n < $1`, n, sent)
		}
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ticket of job %s: %w", l.job, database.Classify(err))
	}
	return true, nil
}

// held reports whether the message is the one that counts, and until when it is
// hidden.
func (ts *tickets) held(ctx context.Context, l *lease) (counts bool, until time.Time, err error) {
	var hidden int64
	err = ts.db.Read().QueryRowContext(ctx, `SELECT hidden FROM queue_ticket WHERE job = $1 AND message = $2`, l.job, l.message).Scan(&hidden)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, time.Time{}, nil
	case err != nil:
		return false, time.Time{}, fmt.Errorf("ticket of job %s: %w", l.job, database.Classify(err))
	}
	return true, time.UnixMicro(hidden), nil
}

// forget notes that no message exists any more. Said too late it costs a second message
// of a job, one of which is a stray then.
func (ts *tickets) forget(ctx context.Context) error {
	if _, err := ts.db.Exec(ctx, `UPDATE queue_ticket SET message = ''`); err != nil {
		return fmt.Errorf("queue tickets: %w", err)
	}
	return nil
}

// hold notes who holds the message from now on, "" for nobody, and until when it is
// hidden.
func (ts *tickets) hold(ctx context.Context, l *lease, holder string, hidden time.Time) error {
	return ts.changed(ctx, `UPDATE queue_ticket SET lease = $1, hidden = $2 WHERE job = $3 AND lease = $4`, holder, hidden.UnixMicro(), l.job, l.id)
}

// move gives the ticket another message, for as long as holder has it.
func (ts *tickets) move(ctx context.Context, l *lease, holder, message string) error {
	return ts.changed(ctx, `UPDATE queue_ticket SET message = $1 WHERE job = $2 AND lease = $3`, message, l.job, holder)
}

// drop ends the ticket of a message that is done.
func (ts *tickets) drop(ctx context.Context, l *lease) error {
	return ts.changed(ctx, `DELETE FROM queue_ticket WHERE job = $1 AND lease = $2`, l.job, l.id)
}

// changed demands that a statement has met the ticket.
func (ts *tickets) changed(ctx context.Context, query string, args ...any) error {
	n, err := ts.db.Exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = queue.ErrLeaseLost
	}
	return err
}
