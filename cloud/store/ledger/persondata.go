package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// namedBy are the columns, other than those of the audit log, that name the person who did something.
var namedBy = []struct{ table, column, what string }{
	{"review", "reviewer", "reviews"},
	{"border_version", "who", "versions of paddocks"},
	{"book", "who", "entries of the book"},
	{"survey", "who", "surveys"},
	{"notification_rule", "who", "notification rules"},
	{"share", "who", "shared surveys"},
	{"model_choice", "who", "choices of models"},
}

// PersonData is what the ledger has of a person.
type PersonData struct {
	Person   Person
	Sessions []PersonSession
	Audit    []AuditEntry   // what the person did, and what was done to the person; newest first
	Named    map[string]int // how many rows of each kind name the person
	Uploads  int            // pieces of footage that the person uploaded

	BackupCodes int // unused backup codes of the second factor
}

// PersonSession is a session of a browser.
type PersonSession struct{ Created, Used time.Time }

// Export returns what the ledger has of a person, without the digests of secrets. An unknown name fails with
// ErrNotFound.
func (l *People) Export(ctx context.Context, name string) (d PersonData, err error) {
	fail := func(err error) (PersonData, error) { return PersonData{}, fmt.Errorf("export of %s: %w", name, err) }
	q := l.db.Read()
	ps, err := list(ctx, q, scanPerson, `SELECT `+personColumns+` FROM person WHERE name = $1`, name)
	if err == nil && len(ps) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fail(err)
	}
	d.Person = ps[0]
	if d.Sessions, err = list(ctx, q, scanSession, `SELECT created, used FROM login WHERE person = $1 ORDER BY created`,
		name); err != nil {
		return fail(err)
	}
	if d.Audit, err = list(ctx, q, scanAudit, `SELECT n, at, who, action, subject FROM audit WHERE who = $1 OR subject = $1
		ORDER BY n DESC`, name); err != nil {
		return fail(err)
	}
	if err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM backup_code WHERE person = $1`, name).Scan(&d.BackupCodes); err != nil {
		return fail(err)
	}
	d.Named = map[string]int{}
	for _, t := range namedBy {
		var n int
		err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+t.table+` WHERE `+t.column+` = $1`, name).Scan(&n)
		if err != nil {
			return fail(err)
		}
		d.Named[t.what] = n
	}
	if err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM footage WHERE device = $1`, name).Scan(&d.Uploads); err != nil {
		return fail(err)
	}
	return d, nil
}

func scanSession(rows *sql.Rows) (s PersonSession, err error) {
	var created, used sql.NullInt64
	err = rows.Scan(&created, &used)
	s.Created, s.Used = fromMicros(created), fromMicros(used)
	return s, err
}

// Remove deletes a person with sessions and codes, and returns the pseudonym that replaces the name wherever it says who
// did what: the actions stay. Footage that the person uploaded keeps the name as that of its device, because its
// topics and blobs have it. The last admin fails with ErrLastAdmin, an unknown name with ErrNotFound.
func (l *People) Remove(ctx context.Context, name string) (pseudonym string, err error) {
	pseudonym = "removed-" + strings.ToLower(rand.Text()[:8])
	err = l.write(ctx, "remove user "+name, func(ctx context.Context, tx *sql.Tx) error {
		before, err := countAdmins(ctx, tx)
		if err != nil {
			return err
		}
		if err := removeFactor(ctx, tx, name); err != nil {
			return err
		}
		for _, q := range []string{`DELETE FROM login WHERE person = $1`, `DELETE FROM code WHERE person = $1`} {
			if _, err := tx.ExecContext(ctx, q, name); err != nil {
				return err
			}
		}
		if err := execOne(tx.ExecContext(ctx, `DELETE FROM person WHERE name = $1`, name)); err != nil {
			return err
		}
		after, err := countAdmins(ctx, tx)
		if err == nil {
			err = before.lost(after)
		}
		if err != nil {
			return err
		}
		if err := rename(ctx, tx, name, pseudonym); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRemoveUser, pseudonym)
	})
	return pseudonym, err
}

// rename replaces a name wherever it says who did something, or to whom it was done.
func rename(ctx context.Context, tx *sql.Tx, name, by string) error {
	var faults []error
	for _, t := range append(namedBy[:len(namedBy):len(namedBy)], struct{ table, column, what string }{"audit", "who", ""},
		struct{ table, column, what string }{"audit", "subject", ""}) {
		_, err := tx.ExecContext(ctx, `UPDATE `+t.table+` SET `+t.column+` = $1 WHERE `+t.column+` = $2`, by, name) //nolint:gosec // names of this program
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// Expire deletes the entries before a time, and returns how many. The newest entry stays, so that numbers go on.
func (l *AuditLog) Expire(ctx context.Context, before time.Time) (n int64, err error) {
	err = l.write(ctx, "expire audit", func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM audit WHERE at < $1 AND n < (SELECT MAX(n) FROM audit)`, micros(before))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}
