package ledger

import (
	"database/sql"
	"errors"

	"cattlecounter/cloud/store/database"
)

// Classes of errors; compare with errors.Is. A change that a job's state does not allow
// wraps job.ErrTransition.
var (
	ErrNotFound     = errors.New("not in the ledger")
	ErrFenced       = errors.New("lease lost: another worker has the job, or it has ended")
	ErrExists       = errors.New("already in the ledger")
	ErrOwned        = errors.New("the footage id belongs to another device")
	ErrUnauthorised = errors.New("token unknown or revoked")
	ErrLastAdmin    = errors.New("the last admin must stay one; make another one first")
	ErrCursor       = errors.New("invalid page cursor")
	ErrLimit        = errors.New("limit reached")
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

// notFound replaces sql.ErrNoRows by ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
