package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
)

// Classes of errors; compare with errors.Is.
var (
	ErrInvalid     = errors.New("not acceptable to the ledger")
	ErrBusy        = errors.New("another process holds the ledger: stop it, or try again")
	ErrCorrupt     = errors.New("ledger file is damaged or no ledger: restore it from a backup, or move it away to begin anew")
	ErrUnwritable  = errors.New("ledger cannot be written: check that its folder or database exists and that this user may write there")
	ErrNoSpace     = errors.New("no space left for the ledger: free some on its disk")
	ErrUnreachable = errors.New("the ledger's database does not answer: check that it runs, its address and its password")
)

// sqliteClasses maps SQLite's primary result codes (sqlite.org/rescode.html).
var sqliteClasses = map[int]error{
	5:  ErrBusy,       // SQLITE_BUSY
	6:  ErrBusy,       // SQLITE_LOCKED
	8:  ErrUnwritable, // SQLITE_READONLY
	11: ErrCorrupt,    // SQLITE_CORRUPT
	13: ErrNoSpace,    // SQLITE_FULL
	14: ErrUnwritable, // SQLITE_CANTOPEN
	26: ErrCorrupt,    // SQLITE_NOTADB
}

const primary = 0xff // extended result codes carry the primary one in the low byte

// postgresClasses maps SQLSTATEs, whole or by their first two characters
// (postgresql.org/docs/current/errcodes-appendix.html).
var postgresClasses = map[string]error{
	"08":    ErrUnreachable, // connection exception
	"22021": ErrInvalid,     // character not in repertoire
	"25006": ErrUnwritable,  // read-only transaction: a replica
	"25P03": ErrBusy,        // idle in transaction session timeout
	"28":    ErrUnreachable, // invalid authorization
	"3D":    ErrUnwritable,  // invalid catalog name
	"40":    ErrBusy,        // deadlock, serialization failure
	"42501": ErrUnwritable,  // insufficient privilege
	"53100": ErrNoSpace,     // disk full
	"53":    ErrUnreachable, // too many connections, out of memory
	"55P03": ErrBusy,        // lock not available
	"57P":   ErrUnreachable, // shutting down, starting up
	"58":    ErrUnwritable,  // system error
	"XX":    ErrCorrupt,     // internal error, data corrupted
}

// Classify gives an error of a driver its class. It keeps what has one, and others
// as they are.
func Classify(err error) error {
	class := classOf(err)
	if class == nil || errors.Is(err, class) {
		return err
	}
	return fmt.Errorf("%w: %w", class, err)
}

func classOf(err error) error {
	var lite *sqlitedriver.Error
	var state *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &lite):
		return sqliteClasses[lite.Code()&primary]
	case errors.As(err, &state):
		for n := len(state.Code); n >= 2; n-- {
			if class, ok := postgresClasses[state.Code[:n]]; ok {
				return class
			}
		}
		return nil
	case errors.As(err, &connect):
		return ErrUnreachable
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil // the caller's doing
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, pgconn.ErrConnClosed), pgconn.SafeToRetry(err):
		return ErrUnreachable
	}
	return nil
}

// DuplicateKey reports a broken PRIMARY KEY or UNIQUE.
func DuplicateKey(err error) bool {
	const primaryKey, unique = 1555, 2067 // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
	var lite *sqlitedriver.Error
	var state *pgconn.PgError
	return errors.As(err, &lite) && (lite.Code() == primaryKey || lite.Code() == unique) ||
		errors.As(err, &state) && state.Code == "23505" // unique_violation
}
