package ledger

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
)

// factored is a ledger with a person, at a time that the test sets.
type factored struct {
	*Ledger
	t   *testing.T
	now time.Time
	key string // seed of the telephone
}

func newFactored(t *testing.T, role Role) *factored {
	f := &factored{t: t, now: time.Unix(1e9, 0)}
	f.Ledger = must.Get(openAt(t.Context(), newPlace(t), Options{Now: func() time.Time { return f.now }}))(t)
	t.Cleanup(func() { _ = f.Close() })
	must.Do(t, f.People.Add(t.Context(), Person{Name: "anna", Role: role, Sites: SiteSet{AllSites}}, goodPassword))
	return f
}

func (f *factored) anna() Person {
	return must.Get(f.People.CheckPassword(f.t.Context(), "anna", goodPassword))(f.t)
}

// code is the one-time password of the telephone some steps from now.
func (f *factored) code(steps int) string {
	return must.Get(totp.GenerateCode(f.key, f.now.Add(time.Duration(steps)*factorStep)))(f.t)
}

func (f *factored) logIn(code string) error {
	return second(f.People.LogIn(f.t.Context(), f.anna(), SecondStep{Code: secret.New(code)}))
}

// newPhone makes a new key and puts it into use.
func (f *factored) newPhone(current string) (backup []secret.String) {
	f.t.Helper()
	address := must.Get(f.People.NewSecondFactor(f.t.Context(), f.anna(), SecondStep{Code: secret.New(current)}))(f.t)
	f.key = must.Get(url.Parse(address.Reveal()))(f.t).Query().Get("secret")
	_, backup, err := f.People.ConfirmSecondFactor(f.t.Context(), f.anna(), secret.New(f.code(0)))
	must.Do(f.t, err)
	return backup
}

func (f *factored) sessions() int {
	return len(must.Get(f.People.Export(f.t.Context(), "anna"))(f.t).Sessions)
}

// refused fails the test unless an attempt failed with an error and began no session.
func (f *factored) refused(what string, try func() error, want error) {
	f.t.Helper()
	before := f.sessions()
	if err := try(); !errors.Is(err, want) {
		f.t.Errorf("%s: %v, want %v", what, err, want)
	}
	if n := f.sessions(); n != before {
		f.t.Errorf("%s: %d sessions, before %d", what, n, before)
	}
}

// A factor is in use after its first code. Each one-time password and each backup code works once, within its time.
func TestSecondFactor(t *testing.T) {
	f := newFactored(t, RoleAdmin)
	must.Do(t, f.logIn(""))
	f.refused("confirmed without a key", func() error {
		_, _, err := f.People.ConfirmSecondFactor(t.Context(), f.anna(), secret.New("000000"))
		return err
	}, ErrUnauthorised)
	before := must.Get(f.People.LogIn(t.Context(), f.anna(), SecondStep{}))(t)
	backup := f.newPhone("")
	if !f.anna().SecondFactor || len(backup) != backupCodes || f.sessions() != 1 {
		t.Errorf("in use %v, %d backup codes, %d sessions", f.anna().SecondFactor, len(backup), f.sessions())
	}
	if _, err := f.People.Session(t.Context(), before.Reveal()); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("a session without the factor lives on: %v", err)
	}
	refused := func(what, code string, want error) {
		t.Helper()
		f.refused(what, func() error { return f.logIn(code) }, want)
	}
	refused("no code", "", ErrSecondFactor)
	refused("the code that confirmed", f.code(0), ErrUnauthorised)
	f.now = f.now.Add(factorStep)
	must.Do(t, f.logIn(f.code(0)[:3]+" "+f.code(0)[3:]))
	refused("a used code", f.code(0), ErrUnauthorised)
	refused("an earlier code", f.code(-1), ErrUnauthorised)
	f.now = f.now.Add(10 * factorStep)
	refused("an old code", f.code(-2), ErrUnauthorised)
	refused("a code of the future", f.code(2), ErrUnauthorised)
	must.Do(t, f.logIn(f.code(-1))) // a slow clock
	must.Do(t, f.logIn(strings.ToLower(backup[0].Reveal())))
	refused("a used backup code", backup[0].Reveal(), ErrUnauthorised)
	for _, wrong := range []string{" ", "12345", "AAAA-BBBB-CCCC", strings.Repeat("9", 1000)} {
		refused("code "+wrong[:min(len(wrong), 14)], wrong, ErrUnauthorised)
	}
	if d := must.Get(f.People.Export(t.Context(), "anna"))(t); !d.Person.SecondFactor || d.BackupCodes != backupCodes-1 {
		t.Errorf("export %+v", d)
	}
}

// A new telephone needs a code of the old one, which works until the new one is confirmed; then its backup codes end.
func TestNewTelephone(t *testing.T) {
	f := newFactored(t, RoleAdmin)
	backup := f.newPhone("")
	f.refused("without a code of the old one", func() error {
		return second(f.People.NewSecondFactor(t.Context(), f.anna(), SecondStep{}))
	}, ErrSecondFactor)
	f.now = f.now.Add(2 * factorStep)
	must.Get(f.People.NewSecondFactor(t.Context(), f.anna(), SecondStep{Code: secret.New(f.code(-1))}))(t)
	must.Do(t, f.logIn(f.code(0)))
	f.now = f.now.Add(factorStep)
	old := f.key
	f.newPhone(f.code(0))
	f.now = f.now.Add(factorStep)
	f.refused("an earlier backup code", func() error { return f.logIn(backup[1].Reveal()) }, ErrUnauthorised)
	f.refused("the old telephone", func() error {
		return f.logIn(must.Get(totp.GenerateCode(old, f.now))(t))
	}, ErrUnauthorised)
	stale := f.anna()
	must.Do(t, f.People.RemoveSecondFactor(t.Context(), "anna"))
	if f.anna().SecondFactor || f.sessions() != 0 {
		t.Errorf("after a reset: in use %v, %d sessions", f.anna().SecondFactor, f.sessions())
	}
	f.refused("a password that was checked before the reset", func() error {
		return second(f.People.LogIn(t.Context(), stale, SecondStep{}))
	}, ErrUnauthorised)
	must.Do(t, f.logIn(""))
	var did []string
	for _, e := range must.Get(f.Audit.Find(t.Context(), AuditQuery{Subject: "anna", Limit: 20}))(t) {
		if e.Action != ActionLogIn {
			did = append(did, e.Action)
		}
	}
	if text := strings.Join(did, ", "); text != "remove second factor, set second factor, set second factor, add user" {
		t.Errorf("audit %s", text)
	}
}

// A one-time code of the console replaces the password only. It is not used up by a log-in that lacks the factor.
func TestOneTimeCodeNeedsTheFactor(t *testing.T) {
	f := newFactored(t, RoleOperator)
	required := []Role{RoleOperator}
	code := must.Get(f.People.NewCode(t.Context(), CodeLogin, "anna"))(t)
	try := func(s SecondStep) error {
		_, _, err := f.People.LogInWithCode(t.Context(), code.Reveal(), s)
		return err
	}
	f.refused("a role that needs a factor", func() error { return try(SecondStep{Required: required}) }, ErrNoSecondFactor)
	backup := f.newPhone("")
	f.refused("no factor", func() error { return try(SecondStep{}) }, ErrSecondFactor)
	f.refused("a wrong factor", func() error { return try(SecondStep{Code: secret.New("AAAA-BBBB-CCCC")}) }, ErrUnauthorised)
	must.Do(t, try(SecondStep{Code: backup[0], Required: required}))
	f.refused("a used code", func() error { return try(SecondStep{Code: backup[1]}) }, ErrUnauthorised)
	f.refused("an end that the role forbids", func() error {
		return f.People.EndSecondFactor(t.Context(), f.anna(), SecondStep{Code: backup[1], Required: required})
	}, ErrNoSecondFactor)
	f.refused("an end without a code", func() error {
		return f.People.EndSecondFactor(t.Context(), f.anna(), SecondStep{})
	}, ErrSecondFactor)
	must.Do(t, f.People.EndSecondFactor(t.Context(), f.anna(), SecondStep{Code: backup[1]}))
	must.Get(f.People.Remove(t.Context(), "anna"))(t)
}

// Of log-ins at the same time with the same code, one succeeds.
func TestOneCodeAtTheSameTime(t *testing.T) {
	f := newFactored(t, RoleViewer)
	backup := f.newPhone("")
	f.now = f.now.Add(factorStep)
	p := f.anna()
	for _, code := range []string{f.code(0), backup[0].Reveal()} {
		var all sync.WaitGroup
		faults := make(chan error, 8)
		for range cap(faults) {
			all.Go(func() {
				_, err := f.People.LogIn(context.WithoutCancel(t.Context()), p, SecondStep{Code: secret.New(code)})
				faults <- err
			})
		}
		all.Wait()
		close(faults)
		passed := 0
		for err := range faults {
			if err == nil {
				passed++
			} else if !errors.Is(err, ErrUnauthorised) {
				t.Error(err)
			}
		}
		if passed != 1 {
			t.Errorf("%d log-ins with one code", passed)
		}
	}
}
