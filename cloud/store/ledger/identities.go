package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

// codeProvider is the purpose of a log-in at a provider that has begun. It is stored, so its text must not change.
const codeProvider = "openid"

const (
	providerLife  = 10 * time.Minute // for the log-in at the provider
	mostProviding = 5000             // log-ins at the provider at once
	nameTries     = 1000
)

// Identity is an account of an OpenID Connect provider, and what the provider gives it.
type Identity struct {
	Issuer, Subject string
	Name            string // as the provider shows it; it does not identify
	Role            Role   // "" for none: the log-in is then refused
	Sites           SiteSet
}

// BeginProvider remembers a log-in that goes to a provider. It returns a secret for the browser. back is where on the page the
// person wants to go. It fails with ErrLimit while too many have begun.
func (l *People) BeginProvider(ctx context.Context, back string) (secret.String, error) {
	key := newToken()
	err := l.write(ctx, "begin log-in at the provider", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM code WHERE purpose = $1 AND expires < $2`, codeProvider,
			micros(l.now())); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM code WHERE purpose = $1`, codeProvider).Scan(&n); err != nil {
			return err
		}
		if n >= mostProviding {
			return fmt.Errorf("%d log-ins at the provider have begun: %w", n, ErrLimit)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO code (hash, purpose, person, expires) VALUES ($1, $2, $3, $4)`, hashToken(key),
			codeProvider, clean(back), micros(l.now().Add(providerLife)))
		return err
	})
	return secret.New(key), err
}

// EndProvider uses the secret of a log-in up and returns where the person wants to go. A wrong, used or old one fails with
// ErrUnauthorised.
func (l *People) EndProvider(ctx context.Context, key string) (back string, err error) {
	err = l.write(ctx, "end log-in at the provider", func(ctx context.Context, tx *sql.Tx) (err error) {
		back, err = l.useCode(ctx, tx, codeProvider, key)
		return err
	})
	return back, err
}

// LogInByProvider begins a session of somebody whom a provider has logged in. The first log-in adds the person; each one gives
// the role and the sites that the provider gives now. Without a role it fails with ErrNoRole, and ends what the person had.
// A disabled person fails with ErrUnauthorised. The second factor is the matter of the provider.
func (l *People) LogInByProvider(ctx context.Context, id Identity) (p Person, session secret.String, err error) {
	if id.Issuer == "" || id.Subject == "" {
		return p, session, fmt.Errorf("log in at the provider: no issuer or subject: %w", ErrInvalid)
	}
	if _, err := ParseSiteSet(id.Sites); id.Role != "" && (err != nil || !id.Role.ForPeople()) {
		return p, session, fmt.Errorf("log in at the provider: role %q at %q: %w", id.Role, id.Sites, errors.Join(err, ErrInvalid))
	}
	token, granted := newToken(), true
	err = l.write(ctx, "log in at the provider", func(ctx context.Context, tx *sql.Tx) error {
		granted = id.Role != ""
		ps, err := list(ctx, tx, scanPerson, `SELECT `+personColumns+` FROM person WHERE issuer = $1 AND subject = $2`, id.Issuer,
			id.Subject)
		if err != nil {
			return err
		}
		switch {
		case len(ps) == 0 && !granted:
			return nil
		case len(ps) == 0:
			p, err = l.addIdentity(ctx, tx, id)
		case !granted:
			p = ps[0]
			return l.endSessions(By(ctx, p.Name), tx, p)
		case ps[0].Disabled != nil:
			return ErrUnauthorised
		default:
			p, err = l.follow(ctx, tx, ps[0], id)
		}
		if err != nil {
			return err
		}
		return l.insertLogin(By(ctx, p.Name), tx, p, token)
	})
	if err == nil && !granted {
		err = fmt.Errorf("log in at the provider: %w", ErrNoRole)
	}
	if err != nil {
		return p, secret.String{}, err
	}
	return p, secret.New(token), nil
}

// follow gives a person the role and the sites of the provider. It may take the role of the last admin away: the provider
// decides, and the command line on the server can add another one.
func (l *People) follow(ctx context.Context, tx *sql.Tx, p Person, id Identity) (Person, error) {
	if p.Role == id.Role && p.Sites.String() == id.Sites.String() {
		return p, nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE person SET role = $1, sites = $2 WHERE name = $3`, id.Role, id.Sites.String(),
		p.Name); err != nil {
		return p, err
	}
	if err := l.endSessions(ctx, tx, p); err != nil {
		return p, err
	}
	p.Role, p.Sites = id.Role, id.Sites
	p.Generation++
	return p, l.audit(By(ctx, p.Name), tx, ActionSetRole, p.Name)
}

func (l *People) endSessions(ctx context.Context, tx *sql.Tx, p Person) error {
	if _, err := tx.ExecContext(ctx, `UPDATE person SET generation = generation + 1 WHERE name = $1`, p.Name); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM login WHERE person = $1`, p.Name)
	return err
}

// addIdentity adds a person under a free name like that of the provider. No password fits its hash.
func (l *People) addIdentity(ctx context.Context, tx *sql.Tx, id Identity) (Person, error) {
	base := personName(id.Name)
	p := Person{Role: id.Role, Sites: id.Sites, Generation: 1, Issuer: id.Issuer, Subject: id.Subject}
	for i := 1; i < nameTries; i++ {
		if p.Name = base; i > 1 {
			p.Name = fmt.Sprintf("%s-%d", base, i)
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM person WHERE name = $1) +
			(SELECT COUNT(*) FROM device WHERE name = $1)`, p.Name).Scan(&n); err != nil {
			return p, err
		}
		if n > 0 {
			continue
		}
		if err := l.insertPerson(By(ctx, p.Name), tx, p, nobodysHash); err != nil {
			return p, err
		}
		_, err := tx.ExecContext(ctx, `UPDATE person SET issuer = $1, subject = $2 WHERE name = $3`, id.Issuer, id.Subject, p.Name)
		return p, err
	}
	return p, fmt.Errorf("no free name like %s: %w", base, ErrExists)
}

// personName makes a name of this service from one of a provider: anna@cattle.example becomes anna.
func personName(given string) string {
	const longest = 48
	given, _, _ = strings.Cut(given, "@")
	name := strings.Map(func(r rune) rune {
		if _, err := topic.ParseDevice("x", string(r)); err != nil && r != '.' {
			return '-'
		}
		return r
	}, given)
	name = strings.Trim(name, "-.")
	if len(name) > longest {
		name = name[:longest]
	}
	if _, err := topic.ParseDevice("x", name); err != nil {
		return "person"
	}
	return name
}
