package ledger

import (
	"errors"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// A code that sets a password works once, for three days, and not for a disabled person; a new one replaces it.
func TestInvites(t *testing.T) {
	ctx, now := t.Context(), time.Unix(1e9, 0)
	l := must.Get(openAt(ctx, newPlace(t), Options{Now: func() time.Time { return now }}))(t)
	t.Cleanup(func() { _ = l.Close() })
	anna := Person{Name: "anna", Role: RoleViewer, Sites: SiteSet{"north"}}
	old, end, err := l.People.Invite(ctx, anna)
	if err != nil || !end.Equal(now.Add(InviteLife)) {
		t.Fatalf("end %v, error %v", end, err)
	}
	for name, p := range map[string]Person{"again": anna, "no role": {Name: "b", Sites: anna.Sites}, "no site": {Name: "b", Role: RoleViewer},
		"no name": {Role: RoleViewer, Sites: anna.Sites}} {
		if _, _, err := l.People.Invite(ctx, p); !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	code, _, err := l.People.ResetPassword(ctx, "anna")
	must.Do(t, err)
	refused := func(what, code, password string, want error) {
		t.Helper()
		if _, err := l.People.SetFirstPassword(ctx, code, password); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	refused("a replaced code", old.Reveal(), goodPassword, ErrUnauthorised)
	refused("a short password", code.Reveal(), "short", ErrInvalid)
	refused("a leaked password", code.Reveal(), "Password2025!", ErrLeaked)
	refused("the own name", code.Reveal(), "anna-20252026", ErrLeaked)
	refused("a code of another purpose", must.Get(l.People.NewCode(ctx, CodeLogin, "anna"))(t).Reveal(), goodPassword, ErrUnauthorised)
	must.Do(t, l.People.Disable(ctx, "anna"))
	refused("a disabled person", code.Reveal(), goodPassword, ErrUnauthorised)
	must.Do(t, l.People.Enable(ctx, "anna"))
	if name := must.Get(l.People.SetFirstPassword(ctx, code.Reveal(), goodPassword))(t); name != "anna" {
		t.Errorf("the password of %s", name)
	}
	must.Get(l.People.CheckPassword(ctx, "anna", goodPassword))(t)
	code, _, err = l.People.ResetPassword(ctx, "anna")
	must.Do(t, err)
	if _, err := l.People.CheckPassword(ctx, "anna", goodPassword); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("the old password: %v", err)
	}
	now = now.Add(InviteLife + time.Second)
	refused("an old code", code.Reveal(), goodPassword, ErrUnauthorised)
	if _, _, err := l.People.ResetPassword(ctx, "unknown"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown person: %v", err)
	}
}

// The last admin of all sites stays, also when there are admins of some sites.
func TestLastAdminOfAllSites(t *testing.T) {
	ctx := t.Context()
	l := must.Get(openAt(ctx, newPlace(t), Options{}))(t)
	t.Cleanup(func() { _ = l.Close() })
	for name, sites := range map[string]SiteSet{"root": {AllSites}, "north": {"north"}} {
		must.Do(t, l.People.Add(ctx, Person{Name: name, Role: RoleAdmin, Sites: sites}, goodPassword))
	}
	for what, err := range map[string]error{"disable": l.People.Disable(ctx, "root"), "sites": l.People.SetRole(ctx, "root", RoleAdmin, SiteSet{"north"}),
		"role": l.People.SetRole(ctx, "root", RoleViewer, SiteSet{AllSites}), "remove": second(l.People.Remove(ctx, "root"))} {
		if !errors.Is(err, ErrLastAdmin) {
			t.Errorf("%s: %v", what, err)
		}
	}
	must.Do(t, l.People.SetRole(ctx, "north", RoleAdmin, SiteSet{AllSites}))
	must.Do(t, l.People.Disable(ctx, "root"))
}
