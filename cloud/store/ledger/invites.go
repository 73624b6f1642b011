package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"cattlecounter/shared/secret"
)

// codePassword is the purpose of a code that sets a password. It is stored, so its text must not change.
const codePassword = "password"

// InviteLife is how long a code that sets a password works: a person may read it after a weekend.
const InviteLife = 3 * 24 * time.Hour

// Invite adds a person without a password, and returns a code with which the person sets one, once, and when it ends. Errors
// are those of Add.
func (l *People) Invite(ctx context.Context, p Person) (code secret.String, end time.Time, err error) {
	action := "invite user " + p.Name
	if err := checkPerson(p); err != nil {
		return code, end, fmt.Errorf("%s: %w", action, err)
	}
	err = l.write(ctx, action, func(ctx context.Context, tx *sql.Tx) (err error) {
		if err := l.insertPerson(ctx, tx, p, nobodysHash); err != nil {
			return err
		}
		code, end, err = l.newInvite(ctx, tx, p.Name)
		return err
	})
	return code, end, err
}

// ResetPassword ends the password and the sessions of a person, and returns a code like that of Invite. Somebody who logs in at
// a provider has none: it fails with ErrInvalid.
func (l *People) ResetPassword(ctx context.Context, name string) (code secret.String, end time.Time, err error) {
	err = l.changeWith(ctx, name, ActionResetPassword, `password = $2`, []any{nobodysHash}, func(ctx context.Context, tx *sql.Tx) (err error) {
		if err := hasPassword(ctx, tx, name); err != nil {
			return err
		}
		code, end, err = l.newInvite(ctx, tx, name)
		return err
	})
	return code, end, err
}

func (l *People) newInvite(ctx context.Context, tx *sql.Tx, name string) (secret.String, time.Time, error) {
	code, end := newToken(), l.now().Add(InviteLife).UTC()
	if _, err := tx.ExecContext(ctx, `DELETE FROM code WHERE purpose = $1 AND person = $2 OR expires < $3`, codePassword, name,
		micros(l.now())); err != nil {
		return secret.String{}, end, err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO code (hash, purpose, person, expires) VALUES ($1, $2, $3, $4)`, hashToken(code),
		codePassword, name, micros(end))
	return secret.New(code), end, err
}

// SetFirstPassword uses a code of Invite or ResetPassword up and sets the password. It returns the name of the person. A wrong,
// used or old code, and that of a disabled person, fail with ErrUnauthorised. A password that is too short or too long fails
// with ErrInvalid, one that attackers try first with ErrLeaked, and both leave the code.
func (l *People) SetFirstPassword(ctx context.Context, code, password string) (name string, err error) {
	const action = "set first password"
	of, err := l.checkCode(ctx, codePassword, code)
	if err != nil { // before the hash: a stranger must not make the server compute it
		return "", fmt.Errorf("%s: %w", action, err)
	}
	hash, err := hashPassword(ctx, of, password)
	if err != nil {
		return "", fmt.Errorf("%s: %w", action, err)
	}
	err = l.write(ctx, action, func(ctx context.Context, tx *sql.Tx) error {
		if name, err = l.useCode(ctx, tx, codePassword, code); err != nil {
			return err
		}
		if err := oneOrUnauthorised(tx.ExecContext(ctx, `UPDATE person SET password = $1, generation = generation + 1
			WHERE name = $2 AND disabled IS NULL AND issuer = ''`, hash, name)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM login WHERE person = $1`, name); err != nil {
			return err
		}
		return l.audit(By(ctx, name), tx, ActionSetPassword, name)
	})
	return name, err
}

// hasPassword fails with ErrInvalid when a person logs in at a provider.
func hasPassword(ctx context.Context, tx *sql.Tx, name string) error {
	var issuer string
	err := tx.QueryRowContext(ctx, `SELECT issuer FROM person WHERE name = $1`, name).Scan(&issuer)
	if err == nil && issuer != "" {
		err = fmt.Errorf("%s logs in at %s and has no password here: %w", name, issuer, ErrInvalid)
	}
	return err
}

// Get returns a person, or ErrNotFound.
func (l *People) Get(ctx context.Context, name string) (Person, error) {
	ps, err := list(ctx, l.db.Read(), scanPerson, `SELECT `+personColumns+` FROM person WHERE name = $1`, clean(name))
	if err == nil && len(ps) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Person{}, fmt.Errorf("user %.64s: %w", clean(name), err)
	}
	return ps[0], nil
}

// admins are how many admins may log in: at any sites, and at all.
type admins struct{ any, all int }

// lost reports whether there was an admin before and there is none now.
func (before admins) lost(now admins) error {
	if before.any > 0 && now.any == 0 || before.all > 0 && now.all == 0 {
		return ErrLastAdmin
	}
	return nil
}

func countAdmins(ctx context.Context, tx *sql.Tx) (n admins, err error) {
	rows, err := list(ctx, tx, func(rows *sql.Rows) (sites string, err error) { return sites, rows.Scan(&sites) },
		`SELECT sites FROM person WHERE role = $1 AND disabled IS NULL`, RoleAdmin)
	for _, sites := range rows {
		n.any++
		if readSiteSet(sites).All() {
			n.all++
		}
	}
	return n, err
}
