package orderkey

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/topic"
)

var rotated = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// chain returns keys and the links between them.
func chain(t *testing.T, n int) (keys []Private, links []string) {
	t.Helper()
	keys = []Private{New()}
	for range n {
		next := New()
		links = append(links, must.Get(keys[len(keys)-1].Succeed(next.Public(), rotated))(t))
		keys = append(keys, next)
	}
	return keys, links
}

// A station that comes back late follows every rotation, from whichever key it has.
func TestFollow(t *testing.T) {
	keys, links := chain(t, MaxLinks)
	for i, k := range keys {
		got, err := k.Public().Follow(links)
		if err != nil || got != keys[MaxLinks].Public() {
			t.Errorf("from key %d: %s, %v", i, got.ID(), err)
		}
	}
	if got, err := keys[0].Public().Follow(nil); err != nil || got != keys[0].Public() {
		t.Errorf("without links: %s, %v", got.ID(), err)
	}
	if got, err := New().Public().Follow(links); err == nil && got == keys[MaxLinks].Public() {
		t.Error("a strange key was led to the cloud's")
	}
}

// Nothing but the pinned key leads a station on, and no link back.
func TestForgedLinks(t *testing.T) {
	keys, links := chain(t, 3)
	thief := New()
	own := must.Get(thief.Succeed(New().Public(), rotated))(t)
	part, foreign := strings.Split(links[0], "."), strings.Split(own, ".")
	order := must.Get(keys[0].Sign(order()))(t).Signed
	naming := func(payload any) string { return must.Get(keys[0].sign(succession, payload))(t) }
	for name, c := range map[string]struct {
		links []string
		want  Public
		err   error
	}{
		"of a thief":              {[]string{own}, keys[0].Public(), nil},
		"another payload":         {[]string{part[0] + "." + foreign[1] + "." + part[2]}, keys[0].Public(), ErrForged},
		"the header of the cloud": {[]string{part[0] + "." + foreign[1] + "." + foreign[2]}, keys[0].Public(), ErrForged},
		"an order":                {[]string{order}, keys[0].Public(), ErrForged},
		"without a key":           {[]string{naming(map[string]string{})}, keys[0].Public(), ErrForged},
		"not an object":           {[]string{naming([]int{1})}, keys[0].Public(), ErrForged},
		"noise":                   {[]string{"a.b.c"}, keys[0].Public(), ErrForged},
		"a gap":                   {links[1:], keys[0].Public(), nil},
		"in another order":        {[]string{links[1], links[0]}, keys[1].Public(), nil},
		"an old part":             {links[:1], keys[1].Public(), nil},
		"too many":                {slices.Repeat(links[:1], MaxLinks+1), keys[0].Public(), ErrForged},
	} {
		got, err := keys[0].Public().Follow(c.links)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %s, %v", name, got.ID(), err)
		}
	}
	if got, err := keys[3].Public().Follow(links); err != nil || got != keys[3].Public() {
		t.Errorf("led back to %s, %v", got.ID(), err)
	}
	for _, next := range []Public{{}, keys[0].Public()} {
		if _, err := keys[0].Succeed(next, rotated); err == nil {
			t.Errorf("%q follows", next)
		}
	}
	if _, err := (Private{}).Succeed(keys[0].Public(), rotated); err == nil {
		t.Error("a link without a key")
	}
}

// A link alone pins nothing: the order must be of the cloud that has the next key.
func TestOpenFollowing(t *testing.T) {
	keys, links := chain(t, 2)
	old, now := keys[0], keys[2]
	by := func(k Private) string { return must.Get(k.Sign(order()))(t).Signed }
	for name, c := range map[string]struct {
		pinned     Public
		signed     string
		next       string
		keys       []string
		want       Public
		wantOpened bool
	}{
		"before a rotation":              {old.Public(), by(old), "", nil, old.Public(), true},
		"in the grace period":            {old.Public(), by(old), by(now), links, now.Public(), true},
		"in the grace period, moved":     {now.Public(), by(old), by(now), links, now.Public(), true},
		"after it":                       {old.Public(), by(now), "", links, now.Public(), true},
		"after it, moved":                {now.Public(), by(now), "", links, now.Public(), true},
		"in between":                     {keys[1].Public(), by(now), "", links, now.Public(), true},
		"downgrade":                      {now.Public(), by(old), "", nil, now.Public(), false},
		"downgrade with links":           {now.Public(), by(old), by(old), links, now.Public(), false},
		"links without the new key":      {old.Public(), by(old), "", links, old.Public(), false},
		"links and the key of a thief":   {old.Public(), by(New()), by(New()), links, old.Public(), false},
		"new key without links":          {old.Public(), by(now), "", nil, old.Public(), false},
		"a broken link hides no old key": {old.Public(), by(old), "", []string{links[0] + "A"}, old.Public(), false},
	} {
		got, key, err := c.pinned.OpenFollowing(topic.Command{ID: "other", Signed: c.signed, Next: c.next, Keys: c.keys}, dock)
		if key != c.want || c.wantOpened != (err == nil) || err == nil != reflect.DeepEqual(got, order()) {
			t.Errorf("%s: key %s, %+v, %v", name, key.ID(), got, err)
		}
		if err != nil && !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The largest order of the cloud with two signatures and every link is one that a station reads.
func TestLongestRotatedOrder(t *testing.T) {
	keys, links := chain(t, MaxLinks)
	c := order()
	c.By, c.Args = strings.Repeat("b", 64), map[string]string{}
	for _, name := range []string{"footage", "priority", "now"} {
		c.Args[name] = strings.Repeat("ä", 64)
	}
	next := must.Get(keys[MaxLinks].Sign(c))(t).Signed
	c = must.Get(keys[0].Sign(c))(t)
	c.Next, c.Keys = next, links
	text := must.Get(json.Marshal(c))(t)
	read, err := topic.ParseOrder(text)
	if err != nil {
		t.Fatalf("%d bytes: %v", len(text), err)
	}
	if _, key, err := keys[0].Public().OpenFollowing(read, dock); err != nil || key != keys[MaxLinks].Public() {
		t.Errorf("%d bytes: %s, %v", len(text), key.ID(), err)
	}
}

// Whatever arrives, a station stays at its key or follows the link of the cloud.
func FuzzFollow(f *testing.F) {
	k, next := New(), New()
	text, err := k.Succeed(next.Public(), rotated)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := k.Public().Follow([]string{text})
		if got != k.Public() && got != next.Public() || err != nil && got != k.Public() {
			t.Errorf("%q leads to %s, %v", text, got.ID(), err)
		}
	})
}
