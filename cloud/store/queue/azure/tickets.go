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

// overdue is how much later a message may be delivered than messages that were sent
// after it: the service promises no order.
const overdue = 10 * time.Minute

// tickets is the table of valid messages, one a job.
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

// lost is a condition on a ticket t: its message does not exist any more. No process
// holds the message, and either the queue is empty ($2) or the message is overdue (since
// before $3) and a message was delivered that was sent after it. A released message is
// behind all messages that were visible at its release.
const lost = `t.hidden < $1 AND (t.message = '' OR $2 OR t.hidden < $3 AND t.sent < $3
	AND EXISTS (SELECT 1 FROM queue_mark WHERE queue_mark.n > t.n AND queue_mark.sent > t.hidden))`

func (ts *tickets) lostArgs(now time.Time, empty bool) []any {
	return []any{now.UnixMicro(), empty, now.Add(-overdue).UnixMicro()}
}

// ticketJobs are tickets with their jobs and footage, which are NULL where the ledger does not know the job.
const ticketJobs = `queue_ticket t LEFT JOIN job j ON j.id = t.job LEFT JOIN footage f ON f.id = j.footage`

// due is a condition on a ticket t: its job waits at $1, and it has a message that another job can get.
const due = `t.hidden <= $1 AND t.message <> ''`

// waits reports whether a job waits that a receiver can do. A job without a known message does not count: it is served when
// its message comes, or when it is enqueued again.
func (ts *tickets) waits(ctx context.Context, now time.Time, able queue.Able) (waits bool, err error) {
	where, args := able.Where([]any{now.UnixMicro()})
	if where != "" {
		where = ` AND ` + where
	}
	err = ts.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+ticketJobs+` WHERE `+due+where+`)`,
		args...).Scan(&waits)
	if err != nil {
		return false, fmt.Errorf("queue tickets: %w", database.Classify(err))
	}
	return waits, nil
}

// issue creates a ticket, or renews one whose message is lost. needed is false when the
// job has a valid message. Otherwise n is the number of the message. A job keeps its place.
func (ts *tickets) issue(ctx context.Context, job string, now time.Time, empty bool) (n int64, needed bool, err error) {
	err = ts.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `INSERT INTO queue_ticket AS t (job, message, n, sent, lease, hidden, waits, place, owner)
			SELECT CAST($4 AS TEXT), '', next.n, CAST($1 AS BIGINT), '', 0, CAST($1 AS BIGINT), next.n, COALESCE((SELECT f.device FROM job j JOIN footage f ON f.id = j.footage
				WHERE j.id = $4), '')
			FROM (SELECT MAX(n) + 1 AS n FROM (SELECT n FROM queue_ticket UNION ALL SELECT n FROM queue_mark) AS given) AS next
			WHERE 1 = 1
			ON CONFLICT (job) DO UPDATE SET message = '', n = excluded.n, sent = excluded.sent, lease = '', hidden = 0 WHERE `+
			lost+`
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

// setSent stores the message of a ticket, unless the message was delivered before that.
func (ts *tickets) setSent(ctx context.Context, job string, n int64, message string) error {
	if _, err := ts.db.Exec(ctx, `UPDATE queue_ticket SET message = $1 WHERE job = $2 AND n = $3 AND message = ''`,
		message, job, n); err != nil {
		return fmt.Errorf("ticket of job %s: %w", job, database.Classify(err))
	}
	return nil
}

// exists reports whether the job has a message that is not lost.
func (ts *tickets) exists(ctx context.Context, job string, now time.Time, empty bool) (bool, error) {
	var good bool
	err := ts.db.Read().QueryRowContext(ctx,
		`SELECT EXISTS (SELECT 1 FROM queue_ticket t WHERE job = $4 AND NOT (`+lost+`))`,
		append(ts.lostArgs(now, empty), job)...).Scan(&good)
	if err != nil {
		return false, fmt.Errorf("ticket of job %s: %w", job, database.Classify(err))
	}
	return good, nil
}

// forgetMessages records that the queue lost all messages. When it is called too late,
// some jobs get a second message, and one of the two is a stray.
func (ts *tickets) forgetMessages(ctx context.Context) error {
	if _, err := ts.db.Exec(ctx, `UPDATE queue_ticket SET message = ''`); err != nil {
		return fmt.Errorf("queue tickets: %w", err)
	}
	return nil
}

// setHolder records who holds the message from now on and until when it is hidden. The
// holder "" means that no process holds it.
func (ts *tickets) setHolder(ctx context.Context, l *lease, holder string, hidden time.Time) error {
	return ts.execOne(ctx, `UPDATE queue_ticket SET lease = $1, hidden = $2, waits = $2 WHERE job = $3 AND lease = $4`, holder,
		hidden.UnixMicro(), l.job, l.id)
}

// uncount takes back the delivery of a lease.
func (ts *tickets) uncount(ctx context.Context, l *lease) error {
	return ts.execOne(ctx, `UPDATE queue_ticket SET deliveries = deliveries - 1 WHERE job = $1 AND lease = $2`, l.job, l.id)
}

// forgetMessage makes any message of the job valid if holder still holds the ticket.
func (ts *tickets) forgetMessage(ctx context.Context, l *lease, holder string) error {
	return ts.execOne(ctx, `UPDATE queue_ticket SET message = '' WHERE job = $1 AND lease = $2`, l.job, holder)
}

// setMessage stores the message that was sent after forgetMessage, if holder still holds the ticket and it has got no
// message since: another job may have changed messages with it.
func (ts *tickets) setMessage(ctx context.Context, l *lease, holder, message string) error {
	return ts.execOne(ctx, `UPDATE queue_ticket SET message = $1 WHERE job = $2 AND lease = $3 AND message = ''`, message,
		l.job, holder)
}

// delete deletes the ticket of a lease.
func (ts *tickets) delete(ctx context.Context, l *lease) error {
	return ts.execOne(ctx, `DELETE FROM queue_ticket WHERE job = $1 AND lease = $2`, l.job, l.id)
}

// execOne runs a statement that must change one ticket. Otherwise the lease is lost.
func (ts *tickets) execOne(ctx context.Context, query string, args ...any) error {
	n, err := ts.db.Exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = queue.ErrLeaseLost
	}
	return err
}
