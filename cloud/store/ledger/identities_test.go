package ledger

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

func TestLogInByProvider(t *testing.T) {
	ctx, now := t.Context(), time.Unix(1e9, 0)
	l := must.Get(openAt(ctx, newPlace(t), Options{Now: func() time.Time { return now }}))(t)
	t.Cleanup(func() { _ = l.Close() })
	must.Do(t, l.People.Add(ctx, Person{Name: "anna", Role: RoleAdmin, Sites: SiteSet{AllSites}}, goodPassword))
	logIn := func(id Identity) (Person, secret.String, error) { return l.People.LogInByProvider(ctx, id) }
	lives := func(session secret.String) bool {
		_, err := l.People.Session(ctx, session.Reveal())
		if err != nil && !errors.Is(err, ErrUnauthorised) {
			t.Error(err)
		}
		return err == nil
	}
	id := Identity{Issuer: "https://id.example", Subject: "1", Name: "anna@cattle.example", Role: RoleViewer, Sites: SiteSet{"north"}}
	if _, _, err := logIn(Identity{Issuer: id.Issuer, Subject: "9", Name: "x"}); !errors.Is(err, ErrNoRole) {
		t.Errorf("a stranger without a group: %v", err)
	}
	p, first, err := logIn(id)
	if err != nil || p.Name != "anna-2" || p.Role != RoleViewer || !lives(first) {
		t.Fatalf("%+v, %v: the provider's anna must not become the anna of this ledger", p, err)
	}
	again, second, err := logIn(Identity{Issuer: id.Issuer, Subject: "1", Name: "root", Role: RoleViewer, Sites: SiteSet{"north"}})
	if err != nil || again.Name != "anna-2" || !lives(first) || !lives(second) {
		t.Errorf("%+v, %v", again, err)
	}
	other, _, err := logIn(Identity{Issuer: "https://other.example", Subject: "1", Name: "anna-2", Role: RoleViewer, Sites: id.Sites})
	if err != nil || other.Name == "anna-2" {
		t.Errorf("the same subject of another issuer is %+v, %v", other, err)
	}
	id.Role = RoleOperator
	promoted, third, err := logIn(id)
	if err != nil || promoted.Role != RoleOperator || lives(first) || lives(second) || !lives(third) {
		t.Errorf("a new role: %+v, %v", promoted, err)
	}
	got := must.Get(l.People.Session(ctx, third.Reveal()))(t)
	if got.Role != RoleOperator || got.Issuer != id.Issuer {
		t.Errorf("session %+v", got)
	}
	if err := l.People.SetPassword(ctx, "anna-2", goodPassword); !errors.Is(err, ErrInvalid) {
		t.Errorf("a password beside the provider: %v", err)
	}
	if _, err := l.People.CheckPassword(ctx, "anna-2", ""); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("a log-in with no password: %v", err)
	}
	id.Role = ""
	if _, _, err := logIn(id); !errors.Is(err, ErrNoRole) || lives(third) {
		t.Errorf("a role that was taken away: %v", err)
	}
	id.Role = RoleOperator
	_, fourth, err := logIn(id)
	must.Do(t, err)
	must.Do(t, l.People.Disable(ctx, "anna-2"))
	if _, _, err := logIn(id); !errors.Is(err, ErrUnauthorised) || lives(fourth) {
		t.Errorf("a disabled person: %v", err)
	}
	must.Do(t, l.People.Enable(ctx, "anna-2"))
	_, fifth, err := logIn(id)
	must.Do(t, err)
	for range 3 { // in use all the time
		now = now.Add(providerMost/3 + time.Minute)
		if live := must.Get(l.People.Live(ctx, []string{fifth.Reveal()}))(t)[fifth.Reveal()]; live != lives(fifth) {
			t.Error("Live and Session differ")
		}
	}
	if lives(fifth) {
		t.Error("a session of the provider goes on for longer than 12 hours")
	}
	must.Get(l.People.Remove(ctx, "anna-2"))(t)
	if p, _, err := logIn(id); err != nil || p.Name != "anna-2" || p.Generation != 1 {
		t.Errorf("a removed person comes back as %+v, %v", p, err)
	}
}

// The secret of a log-in works once, for ten minutes, and there is an end to how many there are.
func TestBegunLogIns(t *testing.T) {
	ctx, now := t.Context(), time.Unix(1e9, 0)
	l := must.Get(openAt(ctx, newPlace(t), Options{Now: func() time.Time { return now }}))(t)
	t.Cleanup(func() { _ = l.Close() })
	key := must.Get(l.People.BeginProvider(ctx, "/flights"))(t).Reveal()
	if back := must.Get(l.People.EndProvider(ctx, key))(t); back != "/flights" {
		t.Errorf("back to %q", back)
	}
	old := must.Get(l.People.BeginProvider(ctx, "/"))(t).Reveal()
	code := must.Get(l.People.NewCode(ctx, CodeSetup, ""))(t).Reveal()
	now = now.Add(providerLife + time.Second)
	for name, key := range map[string]string{"used": key, "old": old, "another code": code, "none": ""} {
		if _, err := l.People.EndProvider(ctx, key); !errors.Is(err, ErrUnauthorised) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must.Do(t, l.tables.write(ctx, "fill", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO code (hash, purpose, person, expires) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL
			SELECT i + 1 FROM n WHERE i < $1) SELECT CAST(i AS TEXT), $2, '/', $3 FROM n`, mostProviding, codeProvider,
			micros(now.Add(time.Minute)))
		return err
	}))
	if _, err := l.People.BeginProvider(ctx, "/"); !errors.Is(err, ErrLimit) {
		t.Errorf("one too many: %v", err)
	}
	now = now.Add(2 * time.Minute)
	must.Get(l.People.BeginProvider(ctx, "/"))(t)
}

func TestPersonName(t *testing.T) {
	for given, want := range map[string]string{"anna@cattle.example": "anna", "Anna Müller": "Anna-M-ller", "": "person", "..": "person",
		"counts": "person", "a/b+c#": "a-b-c", "José": "Jos"} {
		if got := personName(given); got != want {
			t.Errorf("%q becomes %q, want %q", given, got, want)
		}
	}
}

func FuzzPersonName(f *testing.F) {
	f.Add("anna@cattle.example")
	f.Add("\xff/..\u202e")
	f.Fuzz(func(t *testing.T, given string) {
		if _, err := topic.ParseDevice("x", personName(given)+"-999"); err != nil {
			t.Fatal(err)
		}
	})
}
