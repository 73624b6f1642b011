package orderkey

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cattlecounter/shared/topic"
)

var dock = topic.Device{Site: "north", Name: "dock-1"}

func order() topic.Command {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	return topic.Command{ID: "web-1", Name: "retry", Args: map[string]string{"footage": "all"}, Expires: at.Add(time.Minute),
		Station: dock.Path(), Issued: at, By: "anna"}
}

func TestSignedOrder(t *testing.T) {
	k := New()
	signed, err := k.Sign(order())
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Public().Open(signed.Signed, dock)
	if err != nil || !reflect.DeepEqual(got, order()) {
		t.Errorf("got %+v, %v", got, err)
	}
	again, err := ParsePrivate(k.Reveal())
	if err != nil || again.Public().String() != k.Public().String() {
		t.Errorf("the stored key is another one: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v", k, k, k); strings.Contains(text, k.Reveal()) {
		t.Error("the key prints itself")
	}
}

// Nothing but an order that the pinned key signed for this station is opened.
func TestForgedOrders(t *testing.T) {
	k, other := New(), New()
	sign := func(k Private, change func(*topic.Command)) string {
		c := order()
		change(&c)
		c, err := k.Sign(c)
		if err != nil {
			t.Fatal(err)
		}
		return c.Signed
	}
	good := sign(k, func(*topic.Command) {})
	part := strings.Split(good, ".")
	swapped := strings.Split(sign(k, func(c *topic.Command) { c.Name = "pause" }), ".")
	raw := func(kind string, alg jose.SignatureAlgorithm, key, payload any) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key},
			(&jose.SignerOptions{}).WithType(jose.ContentType(kind)).WithHeader("kid", k.Public().ID()))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign(b)
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	private, err := k.key()
	if err != nil {
		t.Fatal(err)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + k.Public().ID() + `","typ":"cattle-order"}`))
	public, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(k.Public().String(), prefix))
	for name, c := range map[string]struct {
		signed string
		want   error
		text   string
	}{
		"unsigned":                      {"", ErrUnsigned, "not signed"},
		"another key":                   {sign(other, func(*topic.Command) {}), ErrForged, "enrol the station again"},
		"another station":               {sign(k, func(c *topic.Command) { c.Station = "north/dock-2" }), ErrForged, "north/dock-2"},
		"another payload":               {part[0] + "." + swapped[1] + "." + part[2], ErrForged, "signature is wrong"},
		"no signature":                  {part[0] + "." + part[1] + ".", ErrForged, ""},
		"algorithm none":                {none + "." + part[1] + ".", ErrForged, ""},
		"the public key as HMAC secret": {raw(kind, jose.HS256, public, order()), ErrForged, ""},
		"another kind":                  {raw("JWT", jose.EdDSA, private, order()), ErrForged, "has the type"},
		"not an order":                  {raw(kind, jose.EdDSA, private, []int{1}), ErrForged, ""},
		"no time":                       {raw(kind, jose.EdDSA, private, topic.Command{Station: dock.Path()}), ErrForged, ""},
		"noise":                         {"a.b.c", ErrForged, ""},
		"too long":                      {strings.Repeat("a", maxSigned+1), ErrForged, "at most"},
	} {
		got, err := k.Public().Open(c.signed, dock)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || !reflect.DeepEqual(got, topic.Command{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestSignNeedsStationAndTime(t *testing.T) {
	for name, change := range map[string]func(*topic.Command){
		"station": func(c *topic.Command) { c.Station = "" }, "time": func(c *topic.Command) { c.Issued = time.Time{} },
	} {
		c := order()
		change(&c)
		if _, err := New().Sign(c); err == nil {
			t.Errorf("signed without %s", name)
		}
	}
	if _, err := (Private{}).Sign(order()); err == nil {
		t.Error("signed without a key")
	}
}

func TestPublicKeyText(t *testing.T) {
	k := New().Public()
	var read, none Public
	if err := read.UnmarshalText([]byte(k.String())); err != nil || read.String() != k.String() {
		t.Errorf("%v %v", read, err)
	}
	if err := none.UnmarshalText(nil); err != nil || !none.IsZero() || none.String() != "" {
		t.Errorf("%v %v", none, err)
	}
	for _, text := range []string{"ed25519:", k.String() + "A", strings.TrimPrefix(k.String(), prefix), "rsa:AAAA", k.String()[:20]} {
		if err := read.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if _, err := ParsePrivate("AAAA"); err == nil {
		t.Error("a short key was read")
	}
}

// Whatever arrives, only what the key has signed is opened.
func FuzzOpen(f *testing.F) {
	k := New()
	c, err := k.Sign(order())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Signed)
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, signed string) {
		got, err := k.Public().Open(signed, dock)
		if err == nil && !reflect.DeepEqual(got, order()) {
			t.Errorf("opened %+v from %q", got, signed)
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	f.Add(New().Public().String())
	f.Add("ed25519:AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		var k Public
		if err := k.UnmarshalText([]byte(text)); err == nil && k.String() != text {
			t.Errorf("%q became %q", text, k.String())
		}
	})
}
