package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cattlecounter/shared/topic"
)

// Person is somebody who logs in: with a password, or at an OpenID Connect provider.
type Person struct {
	Name       string // unique among people and devices
	Role       Role   // viewer, reviewer, operator or admin
	Sites      SiteSet
	Created    time.Time
	Disabled   *time.Time
	LastSeen   *time.Time
	Generation int64 // grows with every change that ends sessions
	// SecondFactor says whether a log-in needs a code of an authenticator app.
	SecondFactor bool
	// Issuer and Subject bind a person to an account of an OpenID Connect provider; both are "" for one with a password.
	Issuer, Subject string
}

// People are those who log in.
type People struct{ *tables }

const personColumns = `name, role, sites, created, disabled, last_seen, generation, issuer, subject, ` + hasFactor

// hasFactor reports whether a person has a second factor in use.
const hasFactor = `EXISTS (SELECT 1 FROM second_factor f WHERE f.person = person.name AND f.secret <> '')`

func scanPerson(rows *sql.Rows) (Person, error) {
	var p Person
	var sites string
	var created, disabled, seen sql.NullInt64
	err := rows.Scan(&p.Name, &p.Role, &sites, &created, &disabled, &seen, &p.Generation, &p.Issuer, &p.Subject, &p.SecondFactor)
	p.Sites, p.Created, p.Disabled, p.LastSeen = readSiteSet(sites), fromMicros(created), timePointer(disabled), timePointer(seen)
	return p, err
}

// Add adds a person. A name that a person or a device has fails with ErrExists.
func (l *People) Add(ctx context.Context, p Person, password string) error {
	action := "add user " + p.Name
	hash, err := l.checked(ctx, p, password)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return l.write(ctx, action, func(ctx context.Context, tx *sql.Tx) error { return l.insertPerson(ctx, tx, p, hash) })
}

// AddFirst adds the first admin with a code that NewCode returned. It fails with ErrExists when there are people, and
// with ErrUnauthorised when the code is not valid.
func (l *People) AddFirst(ctx context.Context, code string, p Person, password string) error {
	p.Role = RoleAdmin
	n, err := l.Count(ctx)
	if err == nil && n > 0 {
		err = ErrExists
	}
	if err == nil {
		_, err = l.checkCode(ctx, CodeSetup, code)
	}
	if err != nil { // before the hash: a stranger must not make the server compute it
		return fmt.Errorf("set up: %w", err)
	}
	hash, err := l.checked(ctx, p, password)
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	return l.write(By(ctx, p.Name), "set up", func(ctx context.Context, tx *sql.Tx) error {
		if n, err := countPeople(ctx, tx); err != nil || n > 0 {
			return errors.Join(err, ErrExists)
		}
		if _, err := l.useCode(ctx, tx, CodeSetup, code); err != nil {
			return err
		}
		return l.insertPerson(ctx, tx, p, hash)
	})
}

func countPeople(ctx context.Context, q querier) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT COUNT(*) FROM person`).Scan(&n)
	return n, err
}

// Count returns the number of people, disabled ones included.
func (l *People) Count(ctx context.Context) (int, error) {
	n, err := countPeople(ctx, l.db.Read())
	if err != nil {
		return 0, fmt.Errorf("count users: %w", err)
	}
	return n, nil
}

func (l *People) checked(ctx context.Context, p Person, password string) (string, error) {
	if err := checkPerson(p); err != nil {
		return "", err
	}
	return hashPassword(ctx, p.Name, password)
}

// checkPerson checks name, role and sites. The error wraps ErrInvalid.
func checkPerson(p Person) error {
	if _, err := topic.ParseDevice("x", p.Name); err != nil {
		return fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	if !p.Role.ForPeople() {
		return fmt.Errorf("role %q, want one of %v: %w", p.Role, PeopleRoles(), ErrInvalid)
	}
	_, err := ParseSiteSet(p.Sites)
	return err
}

func (l *People) insertPerson(ctx context.Context, tx *sql.Tx, p Person, hash string) error {
	var devices int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM device WHERE name = $1`, p.Name).Scan(&devices); err != nil {
		return err
	}
	if devices > 0 {
		return fmt.Errorf("a device or token has this name: %w", ErrExists)
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO person (name, password, role, sites, created, generation)
		VALUES ($1, $2, $3, $4, $5, 1) ON CONFLICT (name) DO NOTHING`, p.Name, hash, p.Role, p.Sites.String(), micros(l.now()))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, ErrExists)
	}
	return l.audit(ctx, tx, ActionAddUser, p.Name)
}

// List returns all people in the order of their names.
func (l *People) List(ctx context.Context) ([]Person, error) {
	ps, err := list(ctx, l.db.Read(), scanPerson, `SELECT `+personColumns+` FROM person ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return ps, nil
}

// SetPassword changes a password and ends the person's sessions. Somebody who logs in at a provider gets none: it fails with
// ErrInvalid. A password that attackers try first fails with ErrLeaked.
func (l *People) SetPassword(ctx context.Context, name, password string) error {
	hash, err := hashPassword(ctx, name, password)
	if err != nil {
		return fmt.Errorf("password of %s: %w", name, err)
	}
	return l.changeWith(ctx, name, ActionSetPassword, `password = $2`, []any{hash}, func(ctx context.Context, tx *sql.Tx) error {
		return hasPassword(ctx, tx, name)
	})
}

// SetRole changes role and sites and ends the person's sessions. The last admin stays one: it fails with ErrLastAdmin.
func (l *People) SetRole(ctx context.Context, name string, role Role, sites SiteSet) error {
	if _, err := ParseSiteSet(sites); err != nil || !role.ForPeople() {
		return fmt.Errorf("role %q at %q of %s: %w", role, sites, name, errors.Join(err, ErrInvalid))
	}
	return l.change(ctx, name, ActionSetRole, `role = $2, sites = $3`, role, sites.String())
}

// Disable ends the person's sessions and refuses new ones. A new password does not change that. The last admin cannot be
// disabled: it fails with ErrLastAdmin.
func (l *People) Disable(ctx context.Context, name string) error {
	return l.change(ctx, name, ActionDisableUser, `disabled = COALESCE(disabled, $2)`, micros(l.now()))
}

// Enable lets a disabled person log in again.
func (l *People) Enable(ctx context.Context, name string) error {
	return l.change(ctx, name, ActionEnableUser, `disabled = NULL`)
}

// LogOut ends every session of a person.
func (l *People) LogOut(ctx context.Context, name string) error {
	return l.change(ctx, name, ActionLogOut, `name = name`)
}

// change changes a person and ends the sessions. The parameters of set begin with $2.
func (l *People) change(ctx context.Context, name, action, set string, args ...any) error {
	return l.changeWith(ctx, name, action, set, args, func(context.Context, *sql.Tx) error { return nil })
}

// changeWith is change, and does more in the same transaction.
func (l *People) changeWith(ctx context.Context, name, action, set string, args []any,
	also func(context.Context, *sql.Tx) error) error {
	return l.write(ctx, action+" "+name, func(ctx context.Context, tx *sql.Tx) error {
		before, err := countAdmins(ctx, tx)
		if err != nil {
			return err
		}
		if err := execOne(tx.ExecContext(ctx, `UPDATE person SET generation = generation + 1, `+set+` WHERE name = $1`,
			append([]any{name}, args...)...)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM login WHERE person = $1`, name); err != nil {
			return err
		}
		if err := also(ctx, tx); err != nil {
			return err
		}
		after, err := countAdmins(ctx, tx)
		if err == nil {
			err = before.lost(after)
		}
		if err != nil {
			return err
		}
		return l.audit(ctx, tx, action, name)
	})
}

// CheckPassword returns the person with a name and a password. A name, a password and a person that may not log in all
// fail with ErrUnauthorised, after the same time.
func (l *People) CheckPassword(ctx context.Context, name, password string) (Person, error) {
	type known struct {
		Person
		hash string
	}
	ps, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (k known, err error) {
		var disabled sql.NullInt64
		var sites string
		err = rows.Scan(&k.Name, &k.Role, &sites, &k.Generation, &disabled, &k.hash, &k.SecondFactor)
		k.Sites, k.Disabled = readSiteSet(sites), timePointer(disabled)
		return k, err
	}, `SELECT name, role, sites, generation, disabled, password, `+hasFactor+` FROM person WHERE name = $1`, clean(name))
	if err != nil {
		return Person{}, fmt.Errorf("log in: %w", err)
	}
	k := known{hash: nobodysHash}
	if len(ps) > 0 {
		k = ps[0]
	}
	same, err := samePassword(ctx, k.hash, password)
	switch {
	case err != nil:
		return Person{}, fmt.Errorf("log in: %w", err)
	case !same || len(ps) == 0 || k.Disabled != nil:
		return Person{}, fmt.Errorf("log in: %w", ErrUnauthorised)
	}
	return k.Person, nil
}
