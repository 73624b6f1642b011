package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/topic"
)

// A code gives its station a token once, within its life, and again only to the same station.
func TestEnrolment(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := must.Get(openAt(t.Context(), newPlace(t), Options{Now: func() time.Time { return now }}))(t)
	defer l.Close()
	ctx := t.Context()
	code := func(name, site string) string {
		c, end, err := l.Devices.NewEnrolment(By(ctx, "root"), name, site, 0)
		must.Do(t, err)
		if !end.Equal(now.Add(time.Hour)) {
			t.Errorf("the code ends at %s", end)
		}
		return c.Reveal()
	}
	typed := strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(code("dock-1", "north"), "-", " "), "O", "0"))
	first, second := newToken(), newToken()
	d := must.Get(l.Devices.Enrol(ctx, typed, first))(t)
	if d.Name != "dock-1" || d.Site != "north" || d.Role != RoleDevice {
		t.Errorf("enrolled %+v", d)
	}
	must.Get(l.Devices.Enrol(ctx, typed, first))(t) // the answer was lost
	if _, err := l.Devices.Enrol(ctx, typed, second); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("a used code for another station: %v", err)
	}
	if h := must.Get(l.Devices.Authenticate(ctx, first))(t); h.Name != "dock-1" || h.Site != "north" {
		t.Errorf("the token belongs to %+v", h)
	}
	// Enrolled again: the old token works until the new one is used.
	must.Get(l.Devices.Enrol(ctx, code("dock-1", "north"), second))(t)
	must.Get(l.Devices.Authenticate(ctx, first))(t)
	must.Get(l.Devices.Authenticate(ctx, second))(t)
	if _, err := l.Devices.Authenticate(ctx, first); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("the old token after the new one: %v", err)
	}
	late, replaced := code("dock-2", "north"), code("dock-3", "north")
	kept := code("dock-3", "north")
	if _, err := l.Devices.Enrol(ctx, replaced, newToken()); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("a replaced code: %v", err)
	}
	must.Get(l.Devices.Enrol(ctx, kept, newToken()))(t)
	now = now.Add(time.Hour)
	for _, c := range []string{late, typed, "", "ABCD", strings.Repeat("A", 1000)} {
		if _, err := l.Devices.Enrol(ctx, c, first); !errors.Is(err, ErrUnauthorised) {
			t.Errorf("code %.20q: %v", c, err)
		}
	}
	es := must.Get(l.Audit.Find(ctx, AuditQuery{Subject: "dock-1", Limit: 9}))(t)
	if len(es) != 4 || es[3].Action != ActionEnrolCode || es[3].Who != "root" || es[2].Action != ActionEnrol ||
		es[2].Who != "dock-1" {
		t.Errorf("audit %+v", es)
	}
}

// A code is for a name that is free or that of the same station.
func TestEnrolmentOfATakenName(t *testing.T) {
	l := must.Get(openAt(t.Context(), newPlace(t), Options{}))(t)
	defer l.Close()
	ctx := t.Context()
	must.Do(t, l.People.Add(ctx, Person{Name: "anna", Role: RoleViewer, Sites: SiteSet{"north"}}, goodPassword))
	must.Get(l.Devices.Add(ctx, "dock-1", "north", RoleDevice))(t)
	must.Get(l.Devices.Add(ctx, "display", "north", RoleViewer))(t)
	must.Get(l.Devices.Add(ctx, "old", "north", RoleDevice))(t)
	must.Do(t, l.Devices.Revoke(ctx, "old"))
	for _, c := range []struct {
		name, site string
		life       time.Duration
		want       error
	}{
		{"dock-1", "north", 0, nil}, {"dock-1", "south", 0, ErrExists}, {"anna", "north", 0, ErrExists},
		{"display", "north", 0, ErrExists}, {"old", "south", 0, nil}, {"a/b", "north", 0, ErrInvalid},
		{"dock-9", "", 0, ErrInvalid}, {"dock-9", "north", time.Second, ErrInvalid},
		{"dock-9", "north", 25 * time.Hour, ErrInvalid},
		{"dock-9", "north", 24 * time.Hour, nil},
	} {
		if _, _, err := l.Devices.NewEnrolment(ctx, c.name, c.site, c.life); !errors.Is(err, c.want) {
			t.Errorf("%s of %s for %s: %v, want %v", c.name, c.site, c.life, err, c.want)
		}
	}
	// The name was taken after the code was made.
	code, _, err := l.Devices.NewEnrolment(ctx, "dock-7", "north", 0)
	must.Do(t, err)
	must.Do(t, l.People.Add(ctx, Person{Name: "dock-7", Role: RoleViewer, Sites: SiteSet{"north"}}, goodPassword))
	if _, err := l.Devices.Enrol(ctx, code.Reveal(), newToken()); !errors.Is(err, ErrExists) {
		t.Errorf("a name that was taken meanwhile: %v", err)
	}
	for _, token := range []string{"", "cc_", "cc_short", newToken() + "A", strings.TrimPrefix(newToken(), TokenPrefix)} {
		if _, err := l.Devices.Enrol(ctx, code.Reveal(), token); !errors.Is(err, ErrInvalid) {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func FuzzPlainCode(f *testing.F) {
	f.Add(newEnrolCode())
	f.Add("o0i1b8\xff")
	f.Fuzz(func(t *testing.T, typed string) {
		code := plainCode(typed)
		if plainCode(code) != code {
			t.Errorf("%q is read as %q and then as %q", typed, code, plainCode(code))
		}
		if _, err := topic.ParseDevice("s", "d"+code); len(code) < 60 && err != nil {
			t.Errorf("%q is read as %q", typed, code)
		}
	})
}
