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
	ErrInvalid = errors.New("invalid value for the ledger")
	ErrBusy    = errors.New("another process has locked the ledger; stop that process or try again")
	ErrCorrupt = errors.New("the ledger file is damaged or not a ledger; " +
		"restore a backup, or move the file away to start with an empty ledger")
	ErrUnwritable = errors.New("cannot write to the ledger; " +
		"check that its folder or database exists and that this user may write to it")
	ErrNoSpace     = errors.New("no space left for the ledger; free space on its disk")
	ErrUnreachable = errors.New("the ledger's database does not answer; check that it runs, its address and its password")
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

const primary = 0xff // the low byte of an extended result code is the primary code

// postgresClasses maps SQLSTATEs, or their first characters, to classes
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

// Classify adds its class to an error of a driver. It returns an error that has a class,
// and any other error, unchanged.
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
		return nil // the caller canceled
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, pgconn.ErrConnClosed), pgconn.SafeToRetry(err):
		return ErrUnreachable
	}
	return nil
}

// DuplicateKey reports whether err is a violation of PRIMARY KEY or UNIQUE.
func DuplicateKey(err error) bool {
	const primaryKey, unique = 1555, 2067 // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
	var lite *sqlitedriver.Error
	var state *pgconn.PgError
	return errors.As(err, &lite) && (lite.Code() == primaryKey || lite.Code() == unique) ||
		errors.As(err, &state) && state.Code == "23505" // unique_violation
}
