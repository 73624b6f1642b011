// Package embedded is a queue in the ledger's database. It needs no service, and all
// processes that open the database share it. It holds one message per job. Jobs of the highest
// priority in the ledger come first. Among them devices take turns: the next message is the oldest one of the device that
// was served longest ago.
package embedded

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/cloud/store/queue"
)

//go:embed migrations/*.sql
var migrations embed.FS

const versionTable = "queue_version"

// Queue implements queue.Queue.
type Queue struct {
	db  *database.DB
	now func() time.Time
}

var _ queue.Queue = (*Queue)(nil)

// New opens the queue and migrates its table. db is the ledger's database, which the
// ledger closes. now is the clock of visibility times; nil means time.Now. The clocks of
// all processes that share the database must differ by much less than a visibility time.
func New(ctx context.Context, db *database.DB, now func() time.Time) (*Queue, error) {
	if now == nil {
		now = time.Now
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, sub, versionTable); err != nil {
		return nil, fmt.Errorf("embedded queue: %w", err)
	}
	return &Queue{db: db, now: now}, nil
}

// Enqueue implements queue.Queue.
func (q *Queue) Enqueue(ctx context.Context, jobID string) error {
	if jobID == "" {
		return errors.New("enqueue: no job id")
	}
	_, err := q.db.Exec(ctx, `INSERT INTO queue_message (job, visible, n, receipt, deliveries, owner)
		VALUES ($1, $2, (SELECT COALESCE(MAX(n), 0) + 1 FROM queue_message), '', 0, COALESCE((SELECT f.device FROM job j
			JOIN footage f ON f.id = j.footage WHERE j.id = $1), '')) ON CONFLICT (job) DO NOTHING`,
		jobID, q.now().UnixMicro())
	if err != nil {
		return fmt.Errorf("enqueue job %s: %w", jobID, err)
	}
	return nil
}

// Receive implements queue.Queue.
func (q *Queue) Receive(ctx context.Context, visibility time.Duration) (queue.Lease, error) {
	return q.ReceiveAble(ctx, visibility, queue.Able{})
}

// ReceiveAble implements queue.Queue.
func (q *Queue) ReceiveAble(ctx context.Context, visibility time.Duration, able queue.Able) (queue.Lease, error) {
	if err := queue.CheckVisibility(visibility); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	now := q.now()
	// An idle worker asks every second. This read saves it the write lock, also while messages wait that it cannot do.
	from, args := candidates(able, now.UnixMicro())
	var waiting bool
	err := q.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1`+from+`)`, args...).Scan(&waiting)
	if err == nil && !waiting {
		return nil, queue.ErrEmpty
	}
	l := &lease{q: q, receipt: rand.Text()}
	from, args = candidates(able, now.UnixMicro(), now.Add(visibility).UnixMicro(), l.receipt)
	if err == nil {
		err = q.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
			var owner string
			err := tx.QueryRowContext(ctx, `UPDATE queue_message SET visible = $2, receipt = $3, deliveries = deliveries + 1
				WHERE job = (SELECT m.job`+from+`
					ORDER BY COALESCE(j.priority, 0) DESC, COALESCE(t.turn, 0), m.visible, m.n LIMIT 1)
				RETURNING job, deliveries, owner`, args...).Scan(&l.job, &l.deliveries, &owner)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO queue_turn (owner, turn)
				VALUES ($1, (SELECT COALESCE(MAX(turn), 0) + 1 FROM queue_turn))
				ON CONFLICT (owner) DO UPDATE SET turn = excluded.turn`, owner)
			return err
		})
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, queue.ErrEmpty // another receiver leased the message, or this one can do none
	case err != nil:
		return nil, fmt.Errorf("receive: %w", database.Classify(err))
	}
	return l, nil
}

// candidates returns the FROM and the WHERE of the messages m that are visible at now and that able can do, with their jobs
// j and turns t, and the arguments of the statement: now is $1, next are those of the caller, then those of able.
func candidates(able queue.Able, now int64, more ...any) (from string, args []any) {
	from = ` FROM queue_message m LEFT JOIN queue_turn t ON t.owner = m.owner LEFT JOIN job j ON j.id = m.job`
	where, args := able.Where(append([]any{now}, more...))
	if where == "" {
		return from + ` WHERE m.visible <= $1`, args
	}
	return from + ` LEFT JOIN footage f ON f.id = j.footage WHERE m.visible <= $1 AND ` + where, args
}

// Has implements queue.Queue.
func (q *Queue) Has(ctx context.Context, jobID string) (bool, error) {
	var has bool
	err := q.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM queue_message WHERE job = $1)`, jobID).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("find message of job %s: %w", jobID, database.Classify(err))
	}
	return has, nil
}

// Len implements queue.Queue. The number is exact.
func (q *Queue) Len(ctx context.Context) (int, error) {
	var n int
	if err := q.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM queue_message`).Scan(&n); err != nil {
		return 0, fmt.Errorf("length of queue: %w", database.Classify(err))
	}
	return n, nil
}

// lease is bound to its message by a receipt. Every Receive makes a new receipt.
type lease struct {
	q          *Queue
	job        string
	deliveries int
	receipt    string

	mu      sync.Mutex
	deleted bool
}

func (l *lease) Job() string { return l.job }

func (l *lease) Deliveries() int { return l.deliveries }

func (l *lease) Renew(ctx context.Context, visibility time.Duration) error {
	if err := queue.CheckVisibility(visibility); err != nil {
		return fmt.Errorf("renew lease of job %s: %w", l.job, err)
	}
	return l.execOne(ctx, "renew", `UPDATE queue_message SET visible = $1 WHERE job = $2 AND receipt = $3`,
		l.q.now().Add(visibility).UnixMicro(), l.job, l.receipt)
}

// Delete implements queue.Lease. The lease remembers that it has deleted its message: a
// repeated Delete may find no message, or a new message of the same job, and succeeds.
func (l *lease) Delete(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deleted {
		return nil
	}
	err := l.execOne(ctx, "delete", `DELETE FROM queue_message WHERE job = $1 AND receipt = $2`, l.job, l.receipt)
	l.deleted = err == nil
	return err
}

func (l *lease) Release(ctx context.Context, delay time.Duration) error {
	if err := queue.CheckDelay(delay); err != nil {
		return fmt.Errorf("release lease of job %s: %w", l.job, err)
	}
	return l.giveBack(ctx, "release", delay, 0)
}

// Decline implements queue.Lease.
func (l *lease) Decline(ctx context.Context, delay time.Duration) error {
	if err := queue.CheckDelay(delay); err != nil {
		return fmt.Errorf("decline job %s: %w", l.job, err)
	}
	return l.giveBack(ctx, "decline", delay, 1)
}

// giveBack makes the message visible after a delay, with some deliveries that do not count.
func (l *lease) giveBack(ctx context.Context, action string, delay time.Duration, uncounted int) error {
	return l.execOne(ctx, action, `UPDATE queue_message SET visible = $1, receipt = '', deliveries = deliveries - $2
		WHERE job = $3 AND receipt = $4`, l.q.now().Add(delay).UnixMicro(), uncounted, l.job, l.receipt)
}

// execOne runs a statement that must change the message. Otherwise the lease is lost.
func (l *lease) execOne(ctx context.Context, action, query string, args ...any) error {
	n, err := l.q.db.Exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = queue.ErrLeaseLost
	}
	if err != nil {
		return fmt.Errorf("%s lease of job %s: %w", action, l.job, err)
	}
	return nil
}
