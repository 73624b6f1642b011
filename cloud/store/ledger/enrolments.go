package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

// Life of a code that enrols a station.
const (
	EnrolLife     = time.Hour      // when no other one is asked for
	MostEnrolLife = 24 * time.Hour // a station may be a day's drive away
	leastEnrol    = time.Minute
)

// Purposes of a code that enrols a station. They are stored, so their text must not change.
const (
	codeEnrol    = "enrol"
	codeEnrolled = "enrolled" // used; the same station may ask again until it expires
)

// codeLength is how many characters of 5 bits a code has. Guesses are slowed down, and a code lives a day at most.
const codeLength = 12

// NewEnrolment returns a code with which one station gets its token, and when the code ends. life is 0 for EnrolLife,
// and at most MostEnrolLife. A new code replaces an earlier one for the name. A name that a person, a token of a
// program or a station of another site has fails with ErrExists; a station that is enrolled again gets a new token.
func (l *Devices) NewEnrolment(ctx context.Context, name, site string, life time.Duration) (secret.String, time.Time,
	error) {
	action := "enrol " + name
	if _, err := topic.ParseDevice(site, name); err != nil {
		return secret.String{}, time.Time{}, fmt.Errorf("%s: %w: %w", action, err, ErrInvalid)
	}
	if life == 0 {
		life = EnrolLife
	}
	if life < leastEnrol || life > MostEnrolLife {
		return secret.String{}, time.Time{}, fmt.Errorf("%s: a code for %s; want %s to %s: %w", action, life, leastEnrol,
			MostEnrolLife, ErrInvalid)
	}
	code, end, subject := newEnrolCode(), l.now().Add(life).UTC(), site+"/"+name
	err := l.write(ctx, action, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := enrolled(ctx, tx, name, site); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM code WHERE purpose IN ($1, $2) AND person = $3 OR expires < $4`,
			codeEnrol, codeEnrolled, subject, micros(l.now())); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO code (hash, purpose, person, expires) VALUES ($1, $2, $3, $4)`,
			hashToken(plainCode(code)), codeEnrol, subject, micros(end)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionEnrolCode, name)
	})
	return secret.New(code), end, err
}

// Enrol uses a code of NewEnrolment up and gives its station the token that the station made itself. A wrong, used or
// expired code fails with ErrUnauthorised. A station whose link broke before the answer may ask again with the same
// code and the same token. A token of another form fails with ErrInvalid.
func (l *Devices) Enrol(ctx context.Context, code, token string) (d Device, err error) {
	if err := checkToken(token); err != nil {
		return Device{}, fmt.Errorf("enrol: %w", err)
	}
	err = l.write(ctx, "enrol", func(ctx context.Context, tx *sql.Tx) error {
		hash := hashToken(plainCode(code))
		var purpose, subject string
		err := tx.QueryRowContext(ctx, `SELECT purpose, person FROM code
			WHERE hash = $1 AND purpose IN ($2, $3) AND expires > $4`,
			hash, codeEnrol, codeEnrolled, micros(l.now())).Scan(&purpose, &subject)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrUnauthorised
		}
		if err != nil {
			return err
		}
		site, name, _ := strings.Cut(subject, "/")
		d = Device{Name: name, Site: site, Role: RoleDevice}
		if purpose == codeEnrolled {
			if err := holdsToken(ctx, tx, name, token); err != nil {
				return err
			}
			return execOne(tx.ExecContext(ctx, `UPDATE device SET pinned = $1 WHERE name = $2`, micros(l.now()), name))
		}
		if _, err := tx.ExecContext(ctx, `UPDATE code SET purpose = $1 WHERE hash = $2`, codeEnrolled, hash); err != nil {
			return err
		}
		return l.giveToken(By(ctx, name), tx, d, token)
	})
	return d, err
}

// giveToken adds the station, or gives it a new token beside the one that it has.
func (l *Devices) giveToken(ctx context.Context, tx *sql.Tx, d Device, token string) error {
	active, err := enrolled(ctx, tx, d.Name, d.Site)
	if err != nil {
		return err
	}
	if active {
		err = execOne(tx.ExecContext(ctx, `UPDATE device SET next_hash = $1, pinned = $3 WHERE name = $2`, hashToken(token),
			d.Name, micros(l.now())))
	} else {
		err = l.insertDevice(ctx, tx, d, token)
	}
	if err != nil {
		return err
	}
	return l.audit(ctx, tx, ActionEnrol, d.Name)
}

// enrolled reports whether the station has a token. It fails with ErrExists when its name belongs to something else.
func enrolled(ctx context.Context, tx *sql.Tx, name, site string) (bool, error) {
	var people int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM person WHERE name = $1`, name).Scan(&people); err != nil {
		return false, err
	}
	if people > 0 {
		return false, fmt.Errorf("a user has this name: %w", ErrExists)
	}
	var at string
	var role Role
	err := tx.QueryRowContext(ctx, `SELECT site, role FROM device WHERE name = $1 AND revoked IS NULL`, name).
		Scan(&at, &role)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case role != RoleDevice:
		return false, fmt.Errorf("a token with the role %s has this name: %w", role, ErrExists)
	case at != site:
		return false, fmt.Errorf("a station of site %s has this name; revoke it first: %w", at, ErrExists)
	}
	return true, nil
}

// holdsToken fails with ErrUnauthorised unless the station has the token.
func holdsToken(ctx context.Context, tx *sql.Tx, name, token string) error {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM device WHERE name = $1 AND revoked IS NULL AND (token_hash = $2 OR
		next_hash = $2)`, name, hashToken(token)).Scan(&n)
	if err == nil && n == 0 {
		err = ErrUnauthorised
	}
	return err
}

// checkToken checks the form of a token that a station made.
func checkToken(token string) error {
	text, ok := strings.CutPrefix(token, TokenPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(b) != tokenBytes {
		return fmt.Errorf("the token is not %s and %d bytes in base64url: %w", TokenPrefix, tokenBytes, ErrInvalid)
	}
	return nil
}

// newEnrolCode returns a code that a person can read out, such as ABCD-EFGH-2345.
func newEnrolCode() string {
	text := rand.Text()[:codeLength]
	return text[:4] + "-" + text[4:8] + "-" + text[8:]
}

// plainCode is a code as it is compared: without what people add, and with the letters that they mistake for digits.
func plainCode(typed string) string {
	if len(typed) > 4*codeLength {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r == '8':
			return 'B'
		case r >= 'A' && r <= 'Z', r >= '2' && r <= '7':
			return r
		}
		return -1
	}, strings.ToUpper(typed))
}
