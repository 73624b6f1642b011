package ledger

import (
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// Classes of errors; compare with errors.Is. A move that a job's state does not
// allow wraps job.ErrTransition.
var (
	ErrNotFound     = errors.New("not in the ledger")
	ErrFenced       = errors.New("lease lost: the job has moved on")
	ErrExists       = errors.New("already in the ledger")
	ErrUnauthorised = errors.New("token unknown or revoked")
	ErrInvalid      = errors.New("not acceptable to the ledger")
	ErrCursor       = errors.New("page cursor not understood")

	ErrBusy       = errors.New("another process holds the ledger: stop it, or try again")
	ErrCorrupt    = errors.New("ledger file is damaged or no ledger: restore it from a backup, or move it away to begin anew")
	ErrUnwritable = errors.New("ledger file cannot be written: check that its folder exists and belongs to this user")
	ErrNoSpace    = errors.New("no space left for the ledger: free some on its disk")
)

// classes maps SQLite's primary result codes (sqlite.org/rescode.html).
var classes = map[int]error{
	5:  ErrBusy,       // SQLITE_BUSY
	6:  ErrBusy,       // SQLITE_LOCKED
	8:  ErrUnwritable, // SQLITE_READONLY
	11: ErrCorrupt,    // SQLITE_CORRUPT
	13: ErrNoSpace,    // SQLITE_FULL
	14: ErrUnwritable, // SQLITE_CANTOPEN
	26: ErrCorrupt,    // SQLITE_NOTADB
}

const primary = 0xff // extended result codes carry the primary one in the low byte

// Classify gives an error of the database its class, for those who share the
// ledger's file. Other errors come back as they are.
func Classify(err error) error { return translate(err) }

// translate gives an error of the driver its class. It keeps what has one.
func translate(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	class, ok := classes[e.Code()&primary]
	if !ok || errors.Is(err, class) {
		return err
	}
	return fmt.Errorf("%w: %w", class, err)
}

// missing turns "no rows" into ErrNotFound.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// duplicateKey reports a broken PRIMARY KEY or UNIQUE.
func duplicateKey(err error) bool {
	const primaryKey, unique = 1555, 2067 // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == primaryKey || e.Code() == unique)
}
