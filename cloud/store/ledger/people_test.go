package ledger

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

const goodPassword = "correct horse battery"

// Passwords are stored as argon2id with a salt of their own, and compared.
func TestPasswords(t *testing.T) {
	ctx := t.Context()
	one, two := must.Get(hashPassword(ctx, "anna", goodPassword))(t), must.Get(hashPassword(ctx, "anna", goodPassword))(t)
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
		if _, err := hashPassword(ctx, "anna", bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20q: error %v", bad, err)
		}
	}
	if _, err := hashPassword(ctx, "anna", "Password2025!"); !errors.Is(err, ErrLeaked) {
		t.Errorf("a leaked password: error %v", err)
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
	l := must.Get(openAt(t.Context(), newPlace(t), Options{Now: func() time.Time { return now }}))(t)
	defer l.Close()
	ctx := t.Context()
	must.Do(t, l.People.Add(ctx, Person{Name: "anna", Role: RoleViewer, Sites: SiteSet{"north"}}, goodPassword))
	p := must.Get(l.People.CheckPassword(ctx, "anna", goodPassword))(t)
	session := must.Get(l.People.LogIn(ctx, p, SecondStep{}))(t)
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
	if _, _, err := l.People.LogInWithCode(ctx, code.Reveal(), SecondStep{}); !errors.Is(err, ErrUnauthorised) {
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

// What people do, and what sites leave out of the lists, in both databases.
func TestPeopleAndSites(t *testing.T) {
	l := must.Get(openAt(t.Context(), newPlace(t), Options{}))(t)
	defer l.Close()
	ctx := t.Context()
	code := must.Get(l.People.NewCode(ctx, CodeSetup, ""))(t)
	must.Do(t, l.People.AddFirst(ctx, code.Reveal(), Person{Name: "root", Sites: SiteSet{AllSites}}, goodPassword))
	must.FailWith(t, l.People.AddFirst(ctx, code.Reveal(), Person{Name: "evil", Sites: SiteSet{AllSites}}, goodPassword), ErrExists)
	must.Do(t, l.People.Add(ctx, Person{Name: "anna", Role: RoleOperator, Sites: SiteSet{"north"}}, goodPassword))
	must.FailWith(t, l.People.Disable(ctx, "root"), ErrLastAdmin)
	must.Do(t, l.People.SetRole(ctx, "anna", RoleAdmin, SiteSet{"north", "south"}))
	must.FailWith(t, l.People.Disable(ctx, "root"), ErrLastAdmin) // anna is none of all sites
	p := must.Get(l.People.CheckPassword(ctx, "anna", goodPassword))(t)
	session := must.Get(l.People.LogIn(ctx, p, SecondStep{}))(t)
	if got := must.Get(l.People.Session(ctx, session.Reveal()))(t); got.Role != RoleAdmin || got.Sites.String() != "north,south" {
		t.Errorf("session of %+v", got)
	}
	if _, err := l.People.LogIn(ctx, Person{Name: "anna", Generation: 1}, SecondStep{}); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("a log-in with what was granted before: %v", err)
	}
	must.Do(t, l.People.LogOut(ctx, "anna"))
	if _, err := l.People.Session(ctx, session.Reveal()); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("a session after log-out everywhere: %v", err)
	}
	if ps := must.Get(l.People.List(ctx))(t); len(ps) != 2 || ps[0].Name != "anna" || ps[1].Disabled != nil {
		t.Errorf("people %+v", ps)
	}
	found := must.Get(l.Audit.Find(ctx, AuditQuery{Action: ActionAddUser, From: time.Now().Add(-time.Hour), Limit: 10}))(t)
	if len(found) != 2 || found[0].Subject != "anna" {
		t.Errorf("audit %+v", found)
	}
	for id, site := range map[string]string{"one": "north", "two": "south"} {
		must.Get(l.Footage.Record(ctx, Footage{ID: footage.ID(id), Site: site, Device: "dock-" + site, Name: id, Size: 5,
			SHA256: footage.Sum([]byte(id)), BlobKey: "k/" + id}))(t)
	}
	for at, want := range map[string]int{"north": 1, "south": 1, "west": 0, AllSites: 2} {
		sites := SiteSet{at}
		stats := must.Get(l.Totals.StatsAt(ctx, Scope{Sites: sites}))(t)
		list, _, err := l.Footage.List(ctx, Page{Sites: sites})
		must.Do(t, err)
		jobs, _, err := l.Jobs.List(ctx, "", Page{Sites: sites})
		must.Do(t, err)
		if stats.Footage != want || stats.Bytes != int64(5*want) || len(list) != want || len(jobs) != want {
			t.Errorf("%s: totals %+v, %d footage, %d jobs, want %d", at, stats, len(list), len(jobs), want)
		}
	}
	if _, err := l.Footage.GetBySHA256At(ctx, footage.Sum([]byte("one")), SiteSet{"south"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("footage of another site by digest: %v", err)
	}
	if all, own, err := l.Uploads.Reserved(ctx, "dock-north"); all != 0 || own != 0 || err != nil {
		t.Errorf("reserved %d, %d, %v", all, own, err)
	}
	must.Get(l.Uploads.ListUnfinishedAt(ctx, SiteSet{"north"}, "", 5))(t)
}

func timeAt(t time.Time) *time.Time { return &t }
