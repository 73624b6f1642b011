package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"cattlecounter/shared/secret"
)

// Life of what a person holds.
const (
	loginLife = 12 * time.Hour      // without a request
	loginMost = 30 * 24 * time.Hour // since the log-in
	// providerMost is how long a session goes on that a provider began: so long somebody keeps a role after the provider
	// has taken it away.
	providerMost = 12 * time.Hour
	codeLife     = 15 * time.Minute
	touchLate    = time.Minute // a session records its use this often
)

// Purposes of a code. They are stored, so their text must not change.
const (
	CodeSetup = "setup" // the first admin
	CodeLogin = "login" // logs a person in without a password, once
)

// LogIn begins a session of a person who has shown the password, and returns its secret. The ledger stores only the digest. It
// fails with ErrSecondFactor when step lacks the code of the second factor, with ErrUnauthorised when the code is wrong
// or used, or the person was changed meanwhile, and with ErrNoSecondFactor when the role needs a factor first.
func (l *People) LogIn(ctx context.Context, p Person, step SecondStep) (secret.String, error) {
	token := newToken()
	err := l.write(By(ctx, p.Name), "log in", func(ctx context.Context, tx *sql.Tx) error { return l.begin(ctx, tx, p, token, step) })
	return secret.New(token), err
}

// begin is the one way to a session: it checks the second factor first.
func (l *People) begin(ctx context.Context, tx *sql.Tx, p Person, token string, step SecondStep) error {
	if err := l.checkSecond(ctx, tx, p, step); err != nil {
		return err
	}
	return l.insertLogin(ctx, tx, p, token)
}

func (l *People) insertLogin(ctx context.Context, tx *sql.Tx, p Person, token string) error {
	now := micros(l.now())
	if _, err := tx.ExecContext(ctx, `DELETE FROM login WHERE used < $1 OR created < $2`,
		micros(l.now().Add(-loginLife)), micros(l.now().Add(-loginMost))); err != nil {
		return err
	}
	if err := execOne(tx.ExecContext(ctx, `INSERT INTO login (hash, person, generation, created, used)
		SELECT CAST($1 AS TEXT), name, generation, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM person
		WHERE name = $4 AND generation = $5 AND disabled IS NULL`,
		hashToken(token), now, now, p.Name, p.Generation)); err != nil {
		return errors.Join(ErrUnauthorised, err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE person SET last_seen = $1 WHERE name = $2`, now, p.Name); err != nil {
		return err
	}
	return l.audit(ctx, tx, ActionLogIn, p.Name)
}

// LogInWithCode begins a session with a code of CodeLogin in place of the password. The code is then used up; it is not when
// the log-in fails. Errors are those of LogIn.
func (l *People) LogInWithCode(ctx context.Context, code string, step SecondStep) (p Person, session secret.String, err error) {
	token := newToken()
	err = l.write(ctx, "log in with a code", func(ctx context.Context, tx *sql.Tx) error {
		name, err := l.useCode(ctx, tx, CodeLogin, code)
		if err != nil {
			return err
		}
		ps, err := list(ctx, tx, scanPerson, `SELECT `+personColumns+` FROM person WHERE name = $1 AND disabled IS NULL`, name)
		if err != nil || len(ps) == 0 {
			return errors.Join(err, ErrUnauthorised)
		}
		p = ps[0]
		return l.begin(By(ctx, p.Name), tx, p, token, step)
	})
	return p, secret.New(token), err
}

// Session returns the person of a session. It fails with ErrUnauthorised when the session has ended.
func (l *People) Session(ctx context.Context, token string) (Person, error) {
	type used struct {
		Person
		at time.Time
	}
	now, hash := l.now(), hashToken(token)
	ps, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (u used, err error) {
		var sites string
		var at sql.NullInt64
		err = rows.Scan(&u.Name, &u.Role, &sites, &u.Generation, &at, &u.Issuer, &u.SecondFactor)
		u.Sites, u.at = readSiteSet(sites), fromMicros(at)
		return u, err
	}, `SELECT person.name, role, sites, person.generation, s.used, issuer, `+hasFactor+` FROM login s JOIN person ON person.name = s.person
		WHERE s.hash = $1 AND s.generation = person.generation AND disabled IS NULL AND s.used > $2 AND s.created > $3
		AND (issuer = '' OR s.created > $4)`, hash, micros(now.Add(-loginLife)), micros(now.Add(-loginMost)),
		micros(now.Add(-providerMost)))
	if err == nil && len(ps) == 0 {
		err = ErrUnauthorised
	}
	if err != nil {
		return Person{}, fmt.Errorf("session: %w", err)
	}
	if now.Sub(ps[0].at) > touchLate {
		err = l.write(ctx, "use session", func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE login SET used = $1 WHERE hash = $2`, micros(now), hash)
			if err == nil {
				_, err = tx.ExecContext(ctx, `UPDATE person SET last_seen = $1 WHERE name = $2`, micros(now), ps[0].Name)
			}
			return err
		})
	}
	return ps[0].Person, err
}

// Live returns which of the sessions with these secrets go on. It is no use of them.
func (l *People) Live(ctx context.Context, tokens []string) (map[string]bool, error) {
	live := map[string]bool{}
	if len(tokens) == 0 {
		return live, nil
	}
	hashes, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (hash string, err error) {
		return hash, rows.Scan(&hash)
	}, `SELECT s.hash FROM login s JOIN person p ON p.name = s.person
		WHERE s.generation = p.generation AND p.disabled IS NULL AND s.used > $1 AND s.created > $2
		AND (p.issuer = '' OR s.created > $3)`,
		micros(l.now().Add(-loginLife)), micros(l.now().Add(-loginMost)), micros(l.now().Add(-providerMost)))
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	for _, token := range tokens {
		if slices.Contains(hashes, hashToken(token)) {
			live[token] = true
		}
	}
	return live, nil
}

// EndSession ends one session. An unknown one is no error.
func (l *People) EndSession(ctx context.Context, token string) error {
	return l.write(ctx, "log out", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM login WHERE hash = $1`, hashToken(token))
		return err
	})
}

// NewCode returns a code that works once within codeLife. It replaces earlier ones of the same purpose and person.
func (l *People) NewCode(ctx context.Context, purpose, person string) (secret.String, error) {
	code := newToken()
	err := l.write(ctx, "new code", func(ctx context.Context, tx *sql.Tx) error {
		if purpose == CodeLogin {
			var n int
			if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM person WHERE name = $1 AND disabled IS NULL`, person).
				Scan(&n); err != nil || n == 0 {
				return errors.Join(err, ErrNotFound)
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM code WHERE purpose = $1 AND person = $2 OR expires < $3`, purpose, person,
			micros(l.now())); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO code (hash, purpose, person, expires) VALUES ($1, $2, $3, $4)`,
			hashToken(code), purpose, person, micros(l.now().Add(codeLife)))
		return err
	})
	return secret.New(code), err
}

// checkCode fails with ErrUnauthorised unless a code is valid. It does not use it up.
func (l *People) checkCode(ctx context.Context, purpose, code string) (person string, err error) {
	err = l.db.Read().QueryRowContext(ctx, `SELECT person FROM code WHERE hash = $1 AND purpose = $2 AND expires > $3`,
		hashToken(code), purpose, micros(l.now())).Scan(&person)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrUnauthorised
	}
	return person, err
}

// useCode uses a code up and returns its person.
func (l *People) useCode(ctx context.Context, tx *sql.Tx, purpose, code string) (person string, err error) {
	err = tx.QueryRowContext(ctx, `DELETE FROM code WHERE hash = $1 AND purpose = $2 AND expires > $3 RETURNING person`,
		hashToken(code), purpose, micros(l.now())).Scan(&person)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrUnauthorised
	}
	return person, err
}

// Generations returns who may act now: for each device, token and person the generation of what was granted. Revoked,
// expired and disabled ones are missing.
func (l *People) Generations(ctx context.Context) (map[string]int64, error) {
	type row struct {
		name string
		n    int64
	}
	rows, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.name, &r.n)
		return r, err
	},
		`SELECT name, generation FROM device WHERE revoked IS NULL AND (expires IS NULL OR expires > $1)
		UNION ALL SELECT name, generation FROM person WHERE disabled IS NULL`, micros(l.now()))
	if err != nil {
		return nil, fmt.Errorf("generations: %w", err)
	}
	out := make(map[string]int64, len(rows))
	for _, r := range rows {
		out[r.name] = r.n
	}
	return out, nil
}
