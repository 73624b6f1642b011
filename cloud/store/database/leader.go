package database

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// leaderSilent is after how long PostgreSQL takes the lead from a process that says
// nothing, such as a frozen one.
const leaderSilent = "15s"

// Leader says which of the processes that share a database does what only one may do.
type Leader struct {
	db   *DB
	key  int64
	mu   sync.Mutex
	conn *sql.Conn // has the lock while it is there
}

// Leader returns the candidate of this process for a duty, named by a number. Close it
// before the database.
func (db *DB) Leader(key int64) *Leader { return &Leader{db: db, key: key} }

// Leads reports whether this process has the lead, and takes it when nobody has. Ask
// it more often than every few seconds, and before each piece of work: a process that
// is silent for 15 s may find that another leads. With a SQLite file it always leads.
func (l *Leader) Leads(ctx context.Context) (bool, error) {
	if !l.db.postgres {
		return true, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, leadTime)
	defer cancel()
	if l.conn != nil {
		var one int
		err := l.conn.QueryRowContext(ctx, `SELECT 1`).Scan(&one)
		if err == nil {
			return true, nil
		}
		l.drop()
		return false, Classify(err)
	}
	conn, err := l.db.r.Conn(ctx)
	if err != nil {
		return false, Classify(err)
	}
	var got bool
	if err = conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, l.key).Scan(&got); err == nil && got {
		l.conn = conn
		_, err = conn.ExecContext(ctx, `SET idle_session_timeout = '`+leaderSilent+`'`)
	}
	switch {
	case err != nil && got:
		l.drop()
	case !got:
		_ = conn.Close()
	}
	return got && err == nil, Classify(err)
}

const leadTime = 5 * time.Second

// drop gives the lead back, or notes that it is lost: the connection is ended, not
// given back to the pool, so that nobody gets one that holds the lock.
func (l *Leader) drop() {
	_ = l.conn.Raw(func(c any) error { return endConnection(c) })
	_ = l.conn.Close()
	l.conn = nil
}

// Close gives the lead back: another process can have it at once.
func (l *Leader) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leadTime)
	defer cancel()
	_, _ = l.conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, l.key) // else with the connection
	l.drop()
}
