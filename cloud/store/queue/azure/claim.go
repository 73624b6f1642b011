package azure

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/cloud/store/queue"
)

// use is what a received message is good for.
type use int

const (
	useStray use = iota // no ticket names it: it is deleted
	useHeld             // its job is leased: it is hidden again
	useSpare            // the receiver can do none of the jobs that wait: it is put back
	useLease            // it stands for a job that the receiver has now
)

// claim decides in one transaction which job the received message l.message stands for, and leases that job to l. It is
// the next job in turn among those that the receiver can do. If the message belonged to another job, the two jobs change
// their messages, so each still has one. text is the job in the text of the message: it counts only while the ticket of
// that job knows no message. claim sets l.job and, for useLease, l.deliveries. until is the end of the lease of useHeld.
func (ts *tickets) claim(ctx context.Context, l *lease, text string, now time.Time, visibility time.Duration,
	able queue.Able) (u use, until time.Time, err error) {
	err = ts.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		own, err := ticketOf(ctx, tx, l.message, text)
		if errors.Is(err, sql.ErrNoRows) {
			u, l.job = useStray, text
			return nil
		}
		if err != nil {
			return err
		}
		if l.job = own.job; own.lease != "" && own.hidden > now.UnixMicro() {
			u, until = useHeld, time.UnixMicro(own.hidden)
			return nil
		}
		next, err := nextTicket(ctx, tx, own.job, now, able)
		if errors.Is(err, sql.ErrNoRows) {
			u = useSpare
			return nil
		}
		if err != nil {
			return err
		}
		u = useLease
		return take(ctx, tx, l, own, next, now.Add(visibility))
	})
	if err != nil {
		return useStray, time.Time{}, fmt.Errorf("ticket of job %s: %w", text, database.Classify(err))
	}
	return u, until, nil
}

// ticket is a row of the table.
type ticket struct {
	job, message    string
	n, sent, hidden int64 // of the message
	lease, owner    string
}

const ticketColumns = `t.job, t.message, t.n, t.sent, t.hidden, t.lease, t.owner`

func scanTicket(row *sql.Row) (t ticket, err error) {
	err = row.Scan(&t.job, &t.message, &t.n, &t.sent, &t.hidden, &t.lease, &t.owner)
	return t, err
}

// ticketOf returns the ticket that a message belongs to. It returns sql.ErrNoRows for a stray.
func ticketOf(ctx context.Context, tx *sql.Tx, message, text string) (ticket, error) {
	return scanTicket(tx.QueryRowContext(ctx, `SELECT `+ticketColumns+` FROM queue_ticket t
		WHERE t.message = $1 OR t.message = '' AND t.job = $2 ORDER BY t.message DESC LIMIT 1`, message, text))
}

// nextTicket returns the ticket of the next job in turn that a receiver can do: of the highest priority, then of the device
// that was served longest ago, then the one that waits the longest. A job without a known message has none to change.
// The job own has the received message, so it waits although its ticket may say that it is hidden for a moment more. It
// returns sql.ErrNoRows without such a job.
func nextTicket(ctx context.Context, tx *sql.Tx, own string, now time.Time, able queue.Able) (ticket, error) {
	where, args := able.Where([]any{now.UnixMicro(), own})
	if where != "" {
		where = ` AND ` + where
	}
	return scanTicket(tx.QueryRowContext(ctx, `SELECT `+ticketColumns+` FROM `+ticketJobs+`
		LEFT JOIN queue_ticket_turn u ON u.owner = t.owner
		WHERE (t.job = $2 OR `+due+`)`+where+`
		ORDER BY COALESCE(j.priority, 0) DESC, COALESCE(u.turn, 0), t.waits, t.place LIMIT 1`, args...))
}

// take leases the job of next to l until a time. own is the ticket that has had the message.
func take(ctx context.Context, tx *sql.Tx, l *lease, own, next ticket, until time.Time) error {
	if own.job != next.job {
		// A lease of own has ended, and its holder may know the receipt of the message that is no longer its own.
		if _, err := tx.ExecContext(ctx, `UPDATE queue_ticket SET message = $1, n = $2, sent = $3, hidden = $4, lease = ''
			WHERE job = $5`, next.message, next.n, next.sent, next.hidden, own.job); err != nil {
			return err
		}
	}
	l.job = next.job
	if err := tx.QueryRowContext(ctx, `UPDATE queue_ticket SET message = $1, n = $2, sent = $3, lease = $4, hidden = $5,
		waits = $5, deliveries = deliveries + 1 WHERE job = $6 RETURNING deliveries`,
		l.message, own.n, own.sent, l.id, until.UnixMicro(), l.job).Scan(&l.deliveries); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO queue_ticket_turn (owner, turn)
		VALUES ($1, (SELECT COALESCE(MAX(turn), 0) + 1 FROM queue_ticket_turn))
		ON CONFLICT (owner) DO UPDATE SET turn = excluded.turn`, next.owner); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE queue_mark SET n = $1, sent = $2 WHERE n < $1`, own.n, own.sent)
	return err
}
