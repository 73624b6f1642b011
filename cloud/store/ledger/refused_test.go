package ledger

import (
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// A token that expired or was revoked is refused with the reason, and its use is recorded, at most once a minute. An unknown
// one tells nothing.
func TestRefusedTokens(t *testing.T) {
	now := time.Unix(1e9, 0).UTC()
	l := must.Get(openAt(t.Context(), newPlace(t), Options{Now: func() time.Time { return now }}))(t)
	defer l.Close()
	ctx := t.Context()
	end := now.Add(time.Hour)
	expiring := must.Get(l.Devices.AddWith(ctx, Device{Name: "dock-1", Site: "north", Role: RoleDevice, Expires: &end}))(t)
	revoked := must.Get(l.Devices.Add(ctx, "dock-2", "north", RoleDevice))(t)
	refused := func(name string) *time.Time {
		t.Helper()
		for _, d := range must.Get(l.Devices.List(ctx))(t) {
			if d.Name == name {
				return d.Refused
			}
		}
		t.Fatalf("no device %s", name)
		return nil
	}
	for _, token := range []string{expiring.Reveal(), revoked.Reveal()} {
		must.Get(l.Devices.Authenticate(ctx, token))(t)
	}
	if refused("dock-1") != nil || refused("dock-2") != nil {
		t.Error("a use of a valid token is recorded as refused")
	}
	must.Do(t, l.Devices.Revoke(ctx, "dock-2"))
	now = end.Add(time.Second)
	for _, c := range []struct{ token, want string }{
		{expiring.Reveal(), "the token of dock-1 expired on 2001-09-09 02:46:40 UTC"},
		{revoked.Reveal(), "the token of dock-2 was revoked on 2001-09-09 01:46:40 UTC"},
		{"cc_guess", "authenticate: "},
	} {
		_, err := l.Devices.Authenticate(ctx, c.token)
		must.FailWith(t, err, ErrUnauthorised)
		if !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	first := now
	for _, name := range []string{"dock-1", "dock-2"} {
		if at := refused(name); at == nil || !at.Equal(first) {
			t.Errorf("%s was refused at %v, want %v", name, at, first)
		}
	}
	for _, step := range []struct {
		after time.Duration
		want  time.Time
	}{{59 * time.Second, first}, {time.Second, first.Add(time.Minute)}} {
		now = now.Add(step.after)
		_, err := l.Devices.Authenticate(ctx, expiring.Reveal())
		must.FailWith(t, err, ErrUnauthorised)
		if at := refused("dock-1"); at == nil || !at.Equal(step.want) {
			t.Errorf("refused at %v, want %v", at, step.want)
		}
	}
	must.Get(l.Devices.Add(ctx, "dock-2", "north", RoleDevice))(t)
	if refused("dock-2") != nil {
		t.Error("a station that was added again is still refused")
	}
}
