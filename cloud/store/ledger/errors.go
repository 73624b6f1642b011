package ledger

import (
	"database/sql"
	"errors"

	"cattlecounter/cloud/store/database"
)

// Classes of errors; compare with errors.Is. A move that a job's state does not
// allow wraps job.ErrTransition.
var (
	ErrNotFound     = errors.New("not in the ledger")
	ErrFenced       = errors.New("lease lost: the job has moved on")
	ErrExists       = errors.New("already in the ledger")
	ErrUnauthorised = errors.New("token unknown or revoked")
	ErrCursor       = errors.New("page cursor not understood")
)

// Classes of the database's errors.
var (
	ErrInvalid     = database.ErrInvalid
	ErrBusy        = database.ErrBusy
	ErrCorrupt     = database.ErrCorrupt
	ErrUnwritable  = database.ErrUnwritable
	ErrNoSpace     = database.ErrNoSpace
	ErrUnreachable = database.ErrUnreachable
)

// missing turns "no rows" into ErrNotFound.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
