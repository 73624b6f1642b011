package database

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// leaderSilent is the time after which PostgreSQL ends the session of a leader that is
// silent, such as a frozen process.
const leaderSilent = "15s"

// Leader elects one of the processes that share a database, for work that only one may
// do. It is safe for concurrent use.
type Leader struct {
	db   *DB
	key  int64
	mu   sync.Mutex
	conn *sql.Conn // holds the lock; nil when this process does not lead
}

// Leader returns this process's candidate for the work with the number key. Close it
// before the database.
func (db *DB) Leader(key int64) *Leader { return &Leader{db: db, key: key} }

// Leads reports whether this process leads. It takes the lead when no process has it.
// Call it every few seconds and before each piece of work: when a process is silent for
// 15 s, another may lead. With a SQLite file a process always leads.
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

// drop gives up the lead. It ends the connection instead of returning it to the pool,
// because a connection in the pool must not hold the lock.
func (l *Leader) drop() {
	_ = l.conn.Raw(func(c any) error { return endConnection(c) })
	_ = l.conn.Close()
	l.conn = nil
}

// Close gives up the lead. Another process can take it at once.
func (l *Leader) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leadTime)
	defer cancel()
	// An error does not matter: the lock ends with the connection.
	_, _ = l.conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, l.key)
	l.drop()
}
