package ledger

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"cattlecounter/shared/secret"
)

// One-time passwords of RFC 6238, with the parameters that every authenticator app knows.
const (
	factorIssuer = "CattleCounter"
	factorStep   = 30 * time.Second
	factorSkew   = 1 // steps that the clock of a telephone may be wrong by
	backupCodes  = 10
	backupLength = 12 // characters of 5 bits
)

var factorOptions = totp.ValidateOpts{Period: uint(factorStep / time.Second), Digits: otp.DigitsSix,
	Algorithm: otp.AlgorithmSHA1}

// SecondStep is what a log-in has besides the password or the one-time code.
type SecondStep struct {
	Code     secret.String // a one-time password or a backup code; the zero value for none
	Required []Role        // roles that may not log in without a second factor
}

// checkSecond fails with ErrSecondFactor when the person has a second factor and the log-in has no code, with
// ErrUnauthorised when the code is wrong or used, and with ErrNoSecondFactor when the role needs a factor and the person has
// none. It uses the code up.
func (l *People) checkSecond(ctx context.Context, tx *sql.Tx, p Person, s SecondStep) error {
	var seed string
	var used int64
	err := tx.QueryRowContext(ctx, `SELECT secret, step FROM second_factor WHERE person = $1 AND secret <> ''`, p.Name).
		Scan(&seed, &used)
	switch {
	case errors.Is(err, sql.ErrNoRows) && slices.Contains(s.Required, p.Role):
		return ErrNoSecondFactor
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case s.Code.IsZero():
		return ErrSecondFactor
	}
	if seed, err = l.keys.Open(sealFactor, p.Name, seed); err != nil {
		return err
	}
	step, err := l.stepOf(seed, s.Code.Reveal(), used)
	if err == nil { // another transaction may have used the step since it was read
		return oneOrUnauthorised(tx.ExecContext(ctx, `UPDATE second_factor SET step = $1 WHERE person = $2 AND step < $1`, step, p.Name))
	}
	if !errors.Is(err, ErrUnauthorised) {
		return err
	}
	if err := oneOrUnauthorised(tx.ExecContext(ctx, `DELETE FROM backup_code WHERE hash = $1 AND person = $2`,
		hashToken(plainCode(s.Code.Reveal())), p.Name)); err != nil {
		return err
	}
	return l.audit(By(ctx, p.Name), tx, ActionBackupCode, p.Name)
}

// oneOrUnauthorised fails with ErrUnauthorised unless one row was changed.
func oneOrUnauthorised(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, ErrUnauthorised)
	}
	return nil
}

// stepOf returns the step of time of a one-time password. It fails with ErrUnauthorised for a wrong one, and for one that
// is not newer than the step used.
func (l *People) stepOf(seed, code string, used int64) (int64, error) {
	code = strings.ReplaceAll(code, " ", "")
	if len(code) != factorOptions.Digits.Length() {
		return 0, ErrUnauthorised
	}
	now := l.now()
	for skew := -factorSkew; skew <= factorSkew; skew++ {
		at := now.Add(time.Duration(skew) * factorStep)
		want, err := totp.GenerateCodeCustom(seed, at, factorOptions)
		if err != nil { // its text could show a part of the seed
			return 0, fmt.Errorf("stored second factor has no known form: %w", ErrCorrupt)
		}
		step := at.Unix() / int64(factorStep/time.Second)
		if step > used && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return step, nil
		}
	}
	return 0, ErrUnauthorised
}

// NewSecondFactor returns a key of one-time passwords for an authenticator app, as an address of the form
// otpauth://totp/. The person has shown the password, and step has the code of an earlier factor. The key is in use after
// ConfirmSecondFactor; an earlier factor stays in use until then. Errors are those of LogIn.
func (l *People) NewSecondFactor(ctx context.Context, p Person, step SecondStep) (secret.String, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: factorIssuer, AccountName: p.Name, Rand: rand.Reader})
	if err != nil {
		return secret.String{}, fmt.Errorf("second factor of %s: %w", p.Name, err)
	}
	sealed, err := l.keys.Seal(sealFactor, p.Name, key.Secret())
	if err != nil {
		return secret.String{}, fmt.Errorf("second factor of %s: %w", p.Name, err)
	}
	step.Required = nil // this is how the person gets one
	err = l.write(By(ctx, p.Name), "second factor of "+p.Name, func(ctx context.Context, tx *sql.Tx) error {
		if err := l.checkSecond(ctx, tx, p, step); err != nil {
			return err
		}
		return oneOrUnauthorised(tx.ExecContext(ctx, `INSERT INTO second_factor (person, secret, next, step)
			SELECT name, '', CAST($1 AS TEXT), 0 FROM person WHERE name = $2 AND generation = $3 AND disabled IS NULL
			ON CONFLICT (person) DO UPDATE SET next = excluded.next`, sealed, p.Name, p.Generation))
	})
	return secret.New(key.URL()), err
}

// ConfirmSecondFactor puts the key of NewSecondFactor into use with its first one-time password. It ends all sessions of the
// person, begins a new one and returns its secret, and backup codes that replace a one-time password once each. Earlier
// backup codes end. A wrong code, or one without a key, fails with ErrUnauthorised.
func (l *People) ConfirmSecondFactor(ctx context.Context, p Person, code secret.String) (session secret.String,
	backup []secret.String, err error) {
	token := newToken()
	err = l.write(By(ctx, p.Name), "confirm second factor of "+p.Name, func(ctx context.Context, tx *sql.Tx) error {
		backup = nil // of an earlier attempt of the transaction
		if err := l.useNext(ctx, tx, p, code); err != nil {
			return err
		}
		for range backupCodes {
			text := rand.Text()[:backupLength]
			backup = append(backup, secret.New(text[:4]+"-"+text[4:8]+"-"+text[8:]))
			if _, err := tx.ExecContext(ctx, `INSERT INTO backup_code (hash, person) VALUES ($1, $2)`, hashToken(text),
				p.Name); err != nil {
				return err
			}
		}
		if err := l.audit(ctx, tx, ActionSetFactor, p.Name); err != nil {
			return err
		}
		after := p
		after.Generation++
		return l.insertLogin(ctx, tx, after, token)
	})
	if err != nil {
		return secret.String{}, nil, err
	}
	return secret.New(token), backup, nil
}

// useNext makes the key that waits the one in use, and ends sessions and backup codes.
func (l *People) useNext(ctx context.Context, tx *sql.Tx, p Person, code secret.String) error {
	var next string
	err := tx.QueryRowContext(ctx, `SELECT next FROM second_factor WHERE person = $1 AND next <> ''`, p.Name).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrUnauthorised
	}
	if err != nil {
		return err
	}
	seed, err := l.keys.Open(sealFactor, p.Name, next)
	if err != nil {
		return err
	}
	step, err := l.stepOf(seed, code.Reveal(), 0)
	if err != nil {
		return err
	}
	if err := oneOrUnauthorised(tx.ExecContext(ctx, `UPDATE second_factor SET secret = next, next = '', step = $1
		WHERE person = $2 AND next = $3`, step, p.Name, next)); err != nil {
		return err
	}
	if err := oneOrUnauthorised(tx.ExecContext(ctx, `UPDATE person SET generation = generation + 1
		WHERE name = $1 AND generation = $2 AND disabled IS NULL`, p.Name, p.Generation)); err != nil {
		return err
	}
	for _, q := range []string{`DELETE FROM login WHERE person = $1`, `DELETE FROM backup_code WHERE person = $1`} {
		if _, err := tx.ExecContext(ctx, q, p.Name); err != nil {
			return err
		}
	}
	return nil
}

// EndSecondFactor removes the person's own factor, which step shows, and ends the sessions. A role that needs a factor fails
// with ErrNoSecondFactor.
func (l *People) EndSecondFactor(ctx context.Context, p Person, step SecondStep) error {
	if slices.Contains(step.Required, p.Role) {
		return fmt.Errorf("remove second factor of %s: %w", p.Name, ErrNoSecondFactor)
	}
	return l.changeWith(By(ctx, p.Name), p.Name, ActionRemoveFactor, `name = name`, nil, func(ctx context.Context, tx *sql.Tx) error {
		if err := l.checkSecond(ctx, tx, p, step); err != nil {
			return err
		}
		return removeFactor(ctx, tx, p.Name)
	})
}

// RemoveSecondFactor removes the factor and the backup codes of a person, such as after the loss of a telephone, and ends
// the sessions.
func (l *People) RemoveSecondFactor(ctx context.Context, name string) error {
	return l.changeWith(ctx, name, ActionRemoveFactor, `name = name`, nil, func(ctx context.Context, tx *sql.Tx) error {
		return removeFactor(ctx, tx, name)
	})
}

func removeFactor(ctx context.Context, tx *sql.Tx, name string) error {
	for _, q := range []string{`DELETE FROM backup_code WHERE person = $1`, `DELETE FROM second_factor WHERE person = $1`} {
		if _, err := tx.ExecContext(ctx, q, name); err != nil {
			return err
		}
	}
	return nil
}
