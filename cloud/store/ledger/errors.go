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
	// ErrSecondFactor says that a person must show a code of the second factor besides the password.
	ErrSecondFactor = errors.New("the second factor is missing")
	// ErrNoSecondFactor says that a person has no second factor, and that the role needs one.
	ErrNoSecondFactor = errors.New("the role needs a second factor")
	// ErrNoRole says that the provider gives a person nothing here.
	ErrNoRole    = errors.New("no group of the provider gives a role")
	ErrLastAdmin = errors.New("the last admin must stay one; make another one first")
	// ErrLeaked says that a password is one of those that attackers try first.
	ErrLeaked = errors.New("the password is easy to guess or known from leaks; choose another one, such as four words that do not belong together")
	ErrCursor = errors.New("invalid page cursor")
	ErrLimit  = errors.New("limit reached")
	// ErrChanged says that what a change replaces is not what its author has read.
	ErrChanged = errors.New("changed meanwhile; read it again")
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
