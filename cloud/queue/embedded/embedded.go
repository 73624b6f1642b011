// Package embedded is a queue in the ledger's SQLite file: no service to run,
// shared by every process that opens the file. It holds one message per job.
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

	"cattlecounter/cloud/ledger"
	"cattlecounter/cloud/ledger/schema"
	"cattlecounter/cloud/queue"
)

//go:embed migrations/*.sql
var migrations embed.FS

const versionTable = "queue_version"

// Queue implements queue.Queue.
type Queue struct {
	db  *sql.DB
	now func() time.Time
}

var _ queue.Queue = (*Queue)(nil)

// New brings the queue's table up to date. db is the ledger's writing
// connection, which stays the ledger's to close; now is the clock of
// visibility, nil for time.Now. Processes that share the file need clocks that
// agree to well within a visibility time, as on one machine they do.
func New(ctx context.Context, db *sql.DB, now func() time.Time) (*Queue, error) {
	if now == nil {
		now = time.Now
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := schema.Migrate(ctx, db, sub, versionTable); err != nil {
		return nil, fmt.Errorf("embedded queue: %w", ledger.Classify(err))
	}
	return &Queue{db: db, now: now}, nil
}

// Enqueue implements queue.Queue.
func (q *Queue) Enqueue(ctx context.Context, jobID string) error {
	if jobID == "" {
		return errors.New("enqueue: no job id")
	}
	_, err := q.db.ExecContext(ctx, `INSERT INTO queue_message (job, visible, n, receipt, deliveries)
		VALUES (?, ?, (SELECT COALESCE(MAX(n), 0) + 1 FROM queue_message), '', 0) ON CONFLICT (job) DO NOTHING`,
		jobID, q.now().UnixMicro())
	if err != nil {
		return fmt.Errorf("enqueue job %s: %w", jobID, ledger.Classify(err))
	}
	return nil
}

// Receive implements queue.Queue.
func (q *Queue) Receive(ctx context.Context, visibility time.Duration) (queue.Lease, error) {
	if err := queue.CheckVisibility(visibility); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	now := q.now()
	// An idle worker asks every second: without this look it would take the
	// file's write lock each time.
	var waiting bool
	err := q.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM queue_message WHERE visible <= ?)`, now.UnixMicro()).Scan(&waiting)
	if err == nil && !waiting {
		return nil, queue.ErrEmpty
	}
	l := &lease{q: q, receipt: rand.Text()}
	if err == nil {
		err = q.db.QueryRowContext(ctx, `UPDATE queue_message SET visible = ?, receipt = ?, deliveries = deliveries + 1
			WHERE job = (SELECT job FROM queue_message WHERE visible <= ? ORDER BY visible, n LIMIT 1)
			RETURNING job, deliveries`,
			now.Add(visibility).UnixMicro(), l.receipt, now.UnixMicro()).Scan(&l.job, &l.deliveries)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, queue.ErrEmpty // another receiver was faster
	case err != nil:
		return nil, fmt.Errorf("receive: %w", ledger.Classify(err))
	}
	return l, nil
}

// Has implements queue.Queue.
func (q *Queue) Has(ctx context.Context, jobID string) (bool, error) {
	var has bool
	err := q.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM queue_message WHERE job = ?)`, jobID).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("look for message of job %s: %w", jobID, ledger.Classify(err))
	}
	return has, nil
}

// Len implements queue.Queue; it is exact.
func (q *Queue) Len(ctx context.Context) (int, error) {
	var n int
	if err := q.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM queue_message`).Scan(&n); err != nil {
		return 0, fmt.Errorf("length of queue: %w", ledger.Classify(err))
	}
	return n, nil
}

// lease is bound to the message by a receipt that every Receive makes anew.
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
	return l.change(ctx, "renew", `UPDATE queue_message SET visible = ?1 WHERE job = ?2 AND receipt = ?3`, l.q.now().Add(visibility))
}

// Delete implements queue.Lease. A repeat finds no message, or a new one of the
// same job, and must not fail: the lease remembers that it deleted its own.
func (l *lease) Delete(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deleted {
		return nil
	}
	err := l.changed("delete", func() (sql.Result, error) {
		return l.q.db.ExecContext(ctx, `DELETE FROM queue_message WHERE job = ? AND receipt = ?`, l.job, l.receipt)
	})
	l.deleted = err == nil
	return err
}

func (l *lease) Release(ctx context.Context, delay time.Duration) error {
	if err := queue.CheckDelay(delay); err != nil {
		return fmt.Errorf("release lease of job %s: %w", l.job, err)
	}
	return l.change(ctx, "release", `UPDATE queue_message SET visible = ?1, receipt = '' WHERE job = ?2 AND receipt = ?3`, l.q.now().Add(delay))
}

func (l *lease) change(ctx context.Context, deed, query string, visible time.Time) error {
	return l.changed(deed, func() (sql.Result, error) {
		return l.q.db.ExecContext(ctx, query, visible.UnixMicro(), l.job, l.receipt)
	})
}

// changed demands that a statement has met the message.
func (l *lease) changed(deed string, exec func() (sql.Result, error)) error {
	res, err := exec()
	if err == nil {
		var n int64
		if n, err = res.RowsAffected(); err == nil && n == 0 {
			err = queue.ErrLeaseLost
		}
	}
	if err != nil {
		return fmt.Errorf("%s lease of job %s: %w", deed, l.job, ledger.Classify(err))
	}
	return nil
}
