package ledger

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

const goodPassword = "correct horse battery"

// Passwords are stored as argon2id with a salt of their own, and compared.
func TestPasswords(t *testing.T) {
	ctx := t.Context()
	one, two := must.Get(hashPassword(ctx, goodPassword))(t), must.Get(hashPassword(ctx, goodPassword))(t)
	if one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(one, goodPassword) {
		t.Errorf("stored as %q and %q", one, two)
	}
	for password, want := range map[string]bool{goodPassword: true, goodPassword + "x": false, "": false,
		strings.Repeat("x", 300): false} {
		if got := must.Get(samePassword(ctx, one, password))(t); got != want {
			t.Errorf("%.30q: same %v, want %v", password, got, want)
		}
	}
	for _, bad := range []string{"elevenchars", strings.Repeat("x", 257), ""} {
		if _, err := hashPassword(ctx, bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20q: error %v", bad, err)
		}
	}
	if same, err := samePassword(ctx, nobodysHash, goodPassword); same || err != nil {
		t.Errorf("the hash of a stranger: same %v, error %v", same, err)
	}
}

func FuzzStoredPassword(f *testing.F) {
	f.Add(nobodysHash)
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$!$x")
	f.Add("$argon2i$v=19$m=8,t=1,p=1$AAAA$AAAA")
	f.Fuzz(func(t *testing.T, stored string) {
		if strings.Contains(stored, "m=") && !strings.Contains(stored, "m=8,t=1,p=1") && stored != nobodysHash {
			return // a valid form with large parameters only costs time
		}
		if same, _ := samePassword(context.Background(), stored, goodPassword); same {
			t.Fatal("a password fits a hash that was not made of it")
		}
	})
}

// Sessions end by idleness and age, codes by time and use.
func TestEndsByTime(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := must.Get(Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), Options{Now: func() time.Time { return now }}))(t)
	defer l.Close()
	ctx := t.Context()
	must.Do(t, l.People.Add(ctx, Person{Name: "anna", Role: RoleViewer, Sites: SiteSet{"north"}}, goodPassword))
	p := must.Get(l.People.CheckPassword(ctx, "anna", goodPassword))(t)
	session := must.Get(l.People.LogIn(ctx, p))(t)
	code := must.Get(l.People.NewCode(ctx, CodeLogin, "anna"))(t)
	alive := func() bool {
		_, err := l.People.Session(ctx, session.Reveal())
		return err == nil
	}
	for range 4 {
		now = now.Add(11 * time.Hour)
		if !alive() {
			t.Fatal("a session in use has ended")
		}
	}
	if _, _, err := l.People.LogInWithCode(ctx, code.Reveal()); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("an old code: %v", err)
	}
	now = now.Add(13 * time.Hour)
	if alive() {
		t.Error("an idle session lives on")
	}
	token := must.Get(l.Devices.AddWith(ctx, Device{Name: "display", Site: "north", Role: RoleViewer, Expires: timeAt(now.Add(time.Hour))}))(t)
	if _, err := l.Devices.Authenticate(ctx, token.Reveal()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := l.Devices.Authenticate(ctx, token.Reveal()); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("an expired token: %v", err)
	}
	if gens := must.Get(l.People.Generations(ctx))(t); gens["display"] != 0 || gens["anna"] == 0 {
		t.Errorf("generations %v", gens)
	}
}

func timeAt(t time.Time) *time.Time { return &t }
