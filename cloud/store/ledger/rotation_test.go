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
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/topic"
)

var dockOne = topic.Device{Site: "north", Name: "dock-1"}

func orderTo(at time.Time) topic.Command {
	return topic.Command{ID: "a", Name: "pause", Station: dockOne.Path(), Issued: at, Expires: at.Add(time.Minute)}
}

// In the grace period the stations of before and the new ones open an order, whatever they follow; after it only the new key
// signs, and the ledger has lost the old one.
func TestRotationOfTheOrderKey(t *testing.T) {
	ctx, place, now := By(t.Context(), "root"), newPlace(t), time.Unix(1e9, 0).UTC()
	l := must.Get(openAt(ctx, place, Options{Now: func() time.Time { return now }}))(t)
	defer l.Close()
	other := must.Get(openAt(ctx, place, Options{Now: func() time.Time { return now }}))(t)
	defer other.Close()
	first := must.Get(l.OrderKey.Current(ctx))(t)
	early := now
	now = now.Add(time.Hour)
	rotated := must.Get(l.OrderKey.Rotate(ctx, time.Hour))(t)
	if rotated.Current.Public() == first.Public() || rotated.Before != first || len(rotated.Links) != 1 || !rotated.Since.Equal(now) {
		t.Fatalf("rotated: %+v", rotated)
	}
	now = now.Add(time.Minute)
	late := now
	sign := func(l *Ledger, pinned time.Time) topic.Command {
		return must.Get(must.Get(l.OrderKey.Keys(ctx))(t).Sign(orderTo(now), pinned))(t)
	}
	opens := func(k orderkey.Private, signed string) bool {
		_, err := k.Public().Open(signed, dockOne)
		return err == nil
	}
	for _, l := range []*Ledger{l, other} {
		for name, c := range map[string]struct {
			pinned time.Time
			first  orderkey.Private // opens Signed, as a station of an earlier version does
		}{"before": {early, first}, "since": {late, rotated.Current}} {
			o := sign(l, c.pinned)
			if !opens(c.first, o.Signed) {
				t.Errorf("a station enrolled %s the rotation cannot open its order", name)
			}
			for _, k := range []orderkey.Private{c.first, rotated.Current} {
				if _, at, err := k.Public().OpenFollowing(o, dockOne); err != nil || at != rotated.Current.Public() {
					t.Errorf("%s: a station that follows from %s is at %s, %v", name, k.Public().ID(), at.ID(), err)
				}
			}
		}
	}
	if _, err := l.OrderKey.Rotate(ctx, time.Hour); !errors.Is(err, ErrInvalid) {
		t.Errorf("a rotation in the grace period: %v", err)
	}
	now = now.Add(time.Hour)
	o := sign(l, early)
	if opens(first, o.Signed) || o.Next != "" || !opens(rotated.Current, o.Signed) {
		t.Errorf("after the grace period: %+v", o)
	}
	for _, text := range must.Get(sealedTexts(ctx, other.DB().Read()))(t) {
		if text.text == first.Reveal() {
			t.Error("the ledger still has the old key")
		}
	}
	again := must.Get(other.OrderKey.Rotate(ctx, 0))(t)
	o = sign(l, early)
	if opens(rotated.Current, o.Signed) || o.Next != "" || len(o.Keys) != 2 {
		t.Errorf("without a grace period: %+v", o)
	}
	if _, at, err := first.Public().OpenFollowing(o, dockOne); err != nil || at != again.Current.Public() {
		t.Errorf("a late station is at %s, %v", at.ID(), err)
	}
	past := must.Get(l.OrderKey.Past(ctx))(t)
	if len(past) != 2 || past[0].ID != rotated.Current.Public().ID() || past[1].ID != first.Public().ID() ||
		!past[0].Ends.Equal(past[0].Replaced) || past[1].Ends.Sub(past[1].Replaced) != time.Hour {
		t.Errorf("past keys %+v", past)
	}
	es := must.Get(l.Audit.Find(ctx, AuditQuery{Action: ActionRotateOrderKey, Limit: 9}))(t)
	if len(es) != 2 || es[0].Who != "root" || es[0].Subject != again.Current.Public().ID() {
		t.Errorf("audit %+v", es)
	}
}

// A second rotation at once ends the grace period of the first.
func TestRotationWithoutGrace(t *testing.T) {
	ctx := t.Context()
	l := must.Get(openAt(ctx, newPlace(t), Options{}))(t)
	defer l.Close()
	must.Get(l.OrderKey.Rotate(ctx, time.Hour))(t) // of a ledger without a key: it makes the first one
	k := must.Get(l.OrderKey.Rotate(ctx, 0))(t)
	if k.Before != (orderkey.Private{}) || len(k.Links) != 2 {
		t.Errorf("keys %+v", k)
	}
	if past := must.Get(l.OrderKey.Past(ctx))(t); past[1].Ends.After(past[0].Replaced) {
		t.Errorf("the first grace period ends at %s, after %s", past[1].Ends, past[0].Replaced)
	}
	for _, grace := range []time.Duration{-1, MostGrace + 1} {
		if _, err := l.OrderKey.Rotate(ctx, grace); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", grace, err)
		}
	}
	for range orderkey.MaxLinks {
		k = must.Get(l.OrderKey.Rotate(ctx, 0))(t)
	}
	if len(k.Links) != orderkey.MaxLinks {
		t.Errorf("%d links", len(k.Links))
	}
	// After a theft nothing leads to the new key: the thief could have led stations elsewhere.
	must.Get(l.OrderKey.Renew(ctx))(t)
	if k := must.Get(l.OrderKey.Keys(ctx))(t); len(k.Links) != 0 || k.Before != (orderkey.Private{}) {
		t.Errorf("renewed: %+v", k)
	}
}

// Rotations at the same time make one chain.
func TestRotationsAtTheSameTime(t *testing.T) {
	ctx, place := t.Context(), newPlace(t)
	l := must.Get(openAt(ctx, place, Options{}))(t)
	defer l.Close()
	first := must.Get(l.OrderKey.Current(ctx))(t)
	const many = 4
	done := make(chan error, many)
	for range many {
		go func() {
			_, err := l.OrderKey.Rotate(ctx, 0)
			done <- err
		}()
	}
	for range many {
		must.Do(t, <-done)
	}
	k := must.Get(l.OrderKey.Keys(ctx))(t)
	if got, err := first.Public().Follow(k.Links); err != nil || got != k.Current.Public() || len(k.Links) != many {
		t.Errorf("%d links lead to %s, want %s: %v", len(k.Links), got.ID(), k.Current.Public().ID(), err)
	}
}

// The key of the grace period is encrypted like the current one, and survives new keys of the ledger.
func TestKeyOfTheGracePeriodIsEncrypted(t *testing.T) {
	ctx, place := t.Context(), newPlace(t)
	keys := must.Get(vault.Create(filepath.Join(t.TempDir(), "secrets.key")))(t)
	l := must.Get(openAt(ctx, place, Options{Keys: keys}))(t)
	defer l.Close()
	before := must.Get(l.OrderKey.Current(ctx))(t)
	must.Get(l.OrderKey.Rotate(ctx, time.Hour))(t)
	must.Do(t, keys.Add())
	if n, _, err := l.Secrets.Seal(ctx); err != nil || n != 2 {
		t.Errorf("%d secrets encrypted, %v", n, err)
	}
	if k := must.Get(l.OrderKey.Keys(ctx))(t); k.Before != before {
		t.Error("another key of the grace period")
	}
	for _, s := range must.Get(sealedTexts(ctx, l.DB().Read()))(t) {
		if _, sealed := vault.KeyOf(s.text); !sealed || strings.Contains(s.text, before.Reveal()) {
			t.Errorf("in the clear: %s", s.purpose)
		}
	}
	lost := must.Get(openAt(ctx, place, Options{Keys: must.Get(vault.Create(filepath.Join(t.TempDir(), "other.key")))(t)}))(t)
	defer lost.Close()
	dropped := must.Get(lost.Secrets.Drop(ctx))(t)
	if !slices.Contains(dropped, "order key of 1") {
		t.Errorf("removed %v", dropped)
	}
	if k := must.Get(lost.OrderKey.Keys(ctx))(t); len(k.Links) != 0 {
		t.Error("links lead to a key that nothing announced")
	}
}

// A station that is enrolled, or enrolled again, has the key of that time.
func TestWhenAStationGotTheKey(t *testing.T) {
	ctx, now := t.Context(), time.Unix(1e9, 0).UTC()
	l := must.Get(openAt(ctx, newPlace(t), Options{Now: func() time.Time { return now }}))(t)
	defer l.Close()
	pinned := func() time.Time { return must.Get(l.Devices.List(ctx))(t)[0].Pinned }
	must.Get(l.Devices.Add(ctx, dockOne.Name, dockOne.Site, RoleDevice))(t)
	if !pinned().Equal(now) {
		t.Errorf("added: %s", pinned())
	}
	code, _, err := l.Devices.NewEnrolment(ctx, dockOne.Name, dockOne.Site, 0)
	must.Do(t, err)
	token := newToken()
	for range 2 { // the second time with the same code
		now = now.Add(time.Minute)
		must.Get(l.Devices.Enrol(ctx, code.Reveal(), token))(t)
		if !pinned().Equal(now) {
			t.Errorf("enrolled at %s, and the key is of %s", now, pinned())
		}
	}
	before := now
	now = now.Add(time.Minute)
	must.Get(l.Devices.Renew(ctx, dockOne.Name))(t)
	if !pinned().Equal(before) {
		t.Error("another token is no other key")
	}
}
