package ledger

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/vault"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
)

// stored are the sealed columns as they are in the database.
func (f *factored) stored() (all []string) {
	for _, s := range must.Get(sealedTexts(f.t.Context(), f.DB().Read()))(f.t) {
		all = append(all, s.text)
	}
	return all
}

// again opens the ledger of the same place with other keys.
func (f *factored) again(place string, keys *vault.Keys) *factored {
	other := *f
	other.Ledger = must.Get(openAt(f.t.Context(), place, Options{Keys: keys, Now: func() time.Time { return other.now }}))(f.t)
	f.t.Cleanup(func() { _ = other.Close() })
	return &other
}

// What an earlier version stored in the clear is encrypted, works as before, and survives new keys. Without its keys nothing
// is read, and no log-in passes without the second factor.
func TestSecretsAreEncrypted(t *testing.T) {
	ctx, place := t.Context(), newPlace(t)
	f := &factored{t: t, now: time.Unix(1e9, 0)}
	f = f.again(place, nil)
	must.Do(t, f.People.Add(ctx, Person{Name: "anna", Role: RoleOperator, Sites: SiteSet{AllSites}}, goodPassword))
	f.newPhone("")
	order := must.Get(f.OrderKey.Current(ctx))(t).Reveal()
	rule := must.Get(f.Notifications.AddRule(ctx, NotificationRule{Site: "farm", Kinds: []string{"count_ready"}, Secret: secret.New("whsec_1")}))(t)
	plain := f.stored()
	if len(plain) != 3 || !slices.Contains(plain, f.key) || !slices.Contains(plain, order) || !slices.Contains(plain, "whsec_1") {
		t.Fatalf("without keys the ledger has %v", plain)
	}
	path := filepath.Join(t.TempDir(), "secrets.key")
	keys := must.Get(vault.Create(path))(t)
	f = f.again(place, keys)
	works := func() {
		t.Helper()
		f.now = f.now.Add(time.Minute)
		must.Do(t, f.logIn(f.code(0)))
		if err := f.logIn(f.code(0)); !errors.Is(err, ErrUnauthorised) {
			t.Errorf("a used code: %v", err)
		}
		if got := must.Get(f.OrderKey.Current(ctx))(t).Reveal(); got != order {
			t.Error("another key of orders")
		}
		if got := must.Get(f.Notifications.Rule(ctx, rule.ID))(t).Secret.Reveal(); got != "whsec_1" {
			t.Errorf("secret of the webhook: %q", got)
		}
	}
	works() // in the clear still
	for round, want := range []int{3, 0, 3} {
		if round == 2 {
			must.Do(t, keys.Add())
		}
		n, by, err := f.Secrets.Seal(ctx)
		current := must.Get(keys.Current())(t)
		if err != nil || n != want || by[current] != 3 {
			t.Errorf("round %d: %d secrets encrypted, %v, error %v; want %d", round, n, by, err, want)
		}
		works()
	}
	for _, text := range f.stored() {
		if _, sealed := vault.KeyOf(text); !sealed || strings.Contains(text, f.key) {
			t.Errorf("in the clear: %s", text)
		}
	}
	f.newPhone(f.code(1))
	if _, clear, err := f.Secrets.Unreadable(ctx); err != nil || clear != 0 {
		t.Errorf("a new factor: %d in the clear, error %v", clear, err)
	}
	f.withoutKeys(place)
}

// withoutKeys has lost the file of keys.
func (f *factored) withoutKeys(place string) {
	t, ctx := f.t, f.t.Context()
	other := must.Get(vault.Create(filepath.Join(t.TempDir(), "other.key")))(t)
	for name, keys := range map[string]*vault.Keys{"no keys": nil, "other keys": other} {
		f := f.again(place, keys)
		f.now = f.now.Add(time.Hour)
		if err := f.logIn(f.code(0)); !errors.Is(err, vault.ErrNoKey) {
			t.Errorf("%s: a log-in: %v", name, err)
		}
		if _, err := f.OrderKey.Current(ctx); !errors.Is(err, vault.ErrNoKey) {
			t.Errorf("%s: key of orders: %v", name, err)
		}
		if _, _, err := f.Secrets.Seal(ctx); !errors.Is(err, vault.ErrNoKey) {
			t.Errorf("%s: seal: %v", name, err)
		}
		if lost, _, err := f.Secrets.Unreadable(ctx); err != nil || len(lost) != 3 {
			t.Errorf("%s: unreadable %v, error %v", name, lost, err)
		}
	}
	f = f.again(place, other)
	if dropped := must.Get(f.Secrets.Drop(ctx))(t); len(dropped) != 3 {
		t.Errorf("removed %v", dropped)
	}
	must.Do(t, f.logIn(""))
	if rules := must.Get(f.Notifications.Rules(ctx))(t); len(rules) != 0 {
		t.Errorf("rules without their secret: %v", rules)
	}
	must.Get(f.OrderKey.Current(ctx))(t)
	if lost, clear, err := f.Secrets.Unreadable(ctx); err != nil || len(lost)+clear != 0 {
		t.Errorf("afterwards %v unreadable, %d in the clear, error %v", lost, clear, err)
	}
}
