package openid

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/provider"
	"cattlecounter/shared/secret"
)

const back = "https://cattle.example/api/v1/openid/callback"

type flow struct {
	t        *testing.T
	provider *provider.Provider
	of       *Provider
	client   *http.Client
}

func newFlow(t *testing.T) *flow {
	f := &flow{t: t, provider: provider.Start(t, back)}
	f.provider.Claims = map[string]any{"sub": "u-1", "preferred_username": "anna", "groups": []string{"g-north", "other"}}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	f.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	f.of = New(f.options())
	return f
}

func (f *flow) options() Options {
	return Options{Issuer: f.provider.URL, ClientID: provider.ClientID, ClientSecret: secret.New(provider.ClientSecret), Redirect: back,
		Claim: "groups", Client: f.client, Grants: []Grant{{"g-north", "operator", []string{"north"}}, {"g-all", "admin", []string{"*"}}}}
}

// visit goes to the provider and returns what the browser brings back.
func (f *flow) visit(address string) Answer {
	f.t.Helper()
	r := must.Get(f.client.Get(address))(f.t)
	must.Do(f.t, r.Body.Close())
	at, err := r.Location()
	if err != nil {
		f.t.Fatalf("the provider answers %s to %s", r.Status, address)
	}
	q := at.Query()
	return Answer{Code: q.Get("code"), State: q.Get("state"), Issuer: q.Get("iss"), Error: q.Get("error")}
}

func newKey() secret.String { return secret.New(rand.Text()) }

// logIn goes through a whole log-in. change changes the answer that the browser brings back.
func (f *flow) logIn(change func(*Answer)) (Identity, error) {
	f.t.Helper()
	key := newKey()
	a := f.visit(must.Get(f.of.Begin(f.t.Context(), key))(f.t))
	if change != nil {
		change(&a)
	}
	return f.of.Finish(f.t.Context(), key, a)
}

func TestLogIn(t *testing.T) {
	f := newFlow(t)
	id := must.Get(f.logIn(nil))(t)
	if id.Issuer != f.provider.URL || id.Subject != "u-1" || id.Name != "anna" || id.Grant.Role != "operator" ||
		!slices.Equal(id.Grant.Sites, []string{"north"}) {
		t.Errorf("%+v", id)
	}
	f.provider.Claims = map[string]any{"sub": "u-2", "groups": []string{"other"}}
	if id = must.Get(f.logIn(nil))(t); id.Name != "u-2" || id.Grant.Role != "" {
		t.Errorf("without a group: %+v", id)
	}
	f.provider.Claims = map[string]any{"sub": "u-3", "aud": []string{provider.ClientID, "other"}, "azp": provider.ClientID}
	must.Get(f.logIn(nil))(t)
}

func TestAttacks(t *testing.T) {
	stranger := must.Get(rsa.GenerateKey(rand.Reader, 2048))(t)
	claim := func(name string, v any) func(*provider.Provider) {
		return func(p *provider.Provider) { p.Forge = func(c map[string]any) { c[name] = v } }
	}
	sign := func(s func(*provider.Provider, []byte) string) func(*provider.Provider) {
		return func(p *provider.Provider) { p.Sign = func(b []byte) string { return s(p, b) } }
	}
	for name, c := range map[string]struct {
		lie    func(*provider.Provider)
		change func(*Answer)
		want   error
	}{
		"wrong state":        {change: func(a *Answer) { a.State += "x" }, want: ErrRefused},
		"no state":           {change: func(a *Answer) { a.State = "" }, want: ErrRefused},
		"no code":            {change: func(a *Answer) { a.Code = "" }, want: ErrRefused},
		"wrong code":         {change: func(a *Answer) { a.Code = "x" }, want: ErrRefused},
		"mix-up":             {change: func(a *Answer) { a.Issuer = "https://evil.example" }, want: ErrRefused},
		"answer of no name":  {lie: func(p *provider.Provider) { p.NoName = true }, want: ErrRefused},
		"declined":           {lie: func(p *provider.Provider) { p.Deny = "access_denied" }, want: ErrDeclined},
		"wrong nonce":        {lie: claim("nonce", "another"), want: ErrRefused},
		"no nonce":           {lie: claim("nonce", ""), want: ErrRefused},
		"wrong issuer":       {lie: claim("iss", "https://evil.example"), want: ErrRefused},
		"wrong audience":     {lie: claim("aud", "other"), want: ErrRefused},
		"shared audience":    {lie: claim("aud", []string{provider.ClientID, "other"}), want: ErrRefused},
		"for another client": {lie: claim("azp", "other"), want: ErrRefused},
		"expired":            {lie: claim("exp", time.Now().Add(-time.Minute).Unix()), want: ErrRefused},
		"from the future":    {lie: claim("nbf", time.Now().Add(time.Hour).Unix()), want: ErrRefused},
		"no subject":         {lie: claim("sub", ""), want: ErrRefused},
		"alg none":           {lie: sign(func(_ *provider.Provider, b []byte) string { return provider.Unsigned(b) }), want: ErrRefused},
		"key of a stranger": {lie: sign(func(p *provider.Provider, b []byte) string {
			return provider.Sign(t, jose.RS256, jose.JSONWebKey{Key: stranger, KeyID: "1"}, b)
		}), want: ErrRefused},
		"public key as a shared secret": {lie: sign(func(p *provider.Provider, b []byte) string {
			return provider.Sign(t, jose.HS256, p.PublicKey(), b)
		}), want: ErrRefused},
		"no token at all": {lie: sign(func(*provider.Provider, []byte) string { return "" }), want: ErrRefused},
	} {
		f := newFlow(t)
		if c.lie != nil {
			c.lie(f.provider)
		}
		id, err := f.logIn(c.change)
		if !errors.Is(err, c.want) || id.Subject != "" {
			t.Errorf("%s: %+v, error %v, want %v", name, id, err, c.want)
		}
	}
}

// A code that was used, and one of another browser, are of no use.
func TestStolenCodes(t *testing.T) {
	f := newFlow(t)
	mine, theirs := newKey(), newKey()
	a := f.visit(must.Get(f.of.Begin(t.Context(), mine))(t))
	b := f.visit(must.Get(f.of.Begin(t.Context(), theirs))(t))
	must.Get(f.of.Finish(t.Context(), mine, a))(t)
	if _, err := f.of.Finish(t.Context(), mine, a); !errors.Is(err, ErrRefused) {
		t.Errorf("a code twice: %v", err)
	}
	b.State = a.State
	if _, err := f.of.Finish(t.Context(), mine, b); !errors.Is(err, ErrRefused) { // PKCE
		t.Errorf("the code of another browser: %v", err)
	}
}

func TestProviderThatIsDown(t *testing.T) {
	f := newFlow(t)
	now := time.Now()
	o := f.options()
	o.Now = func() time.Time { return now }
	f.of = New(o)
	f.provider.Down = true
	if _, err := f.of.Begin(t.Context(), newKey()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("discovery: %v", err)
	}
	f.provider.Down = false
	if _, err := f.of.Begin(t.Context(), newKey()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a provider that was down a moment ago was asked again: %v", err)
	}
	now = now.Add(restAfter)
	_, err := f.logIn(func(*Answer) { f.provider.Down = true })
	if !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), provider.ClientSecret) {
		t.Errorf("token endpoint: %v", err)
	}
	o.Issuer += "/other"
	if _, err := New(o).Begin(t.Context(), newKey()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("another issuer: %v", err)
	}
}

func TestStrongestGrant(t *testing.T) {
	grants := []Grant{{"a", "viewer", []string{"*"}}, {"b", "operator", []string{"north"}}, {"c", "operator", []string{"south", "north"}}}
	for groups, want := range map[string]string{"": "", "x": "", "a": "viewer *", "a b": "operator north", "c b a": "operator north,south"} {
		g := strongest(grants, strings.Fields(groups))
		if got := strings.TrimSpace(g.Role + " " + strings.Join(g.Sites, ",")); got != want {
			t.Errorf("groups %q give %q, want %q", groups, got, want)
		}
	}
	if !slices.Equal(grants[1].Sites, []string{"north"}) {
		t.Error("the grants changed")
	}
}

func FuzzValues(f *testing.F) {
	f.Add([]byte(`{"groups":["a","b",1,null]}`), "groups")
	f.Add([]byte(`{"realm_access":{"roles":"a"}}`), "realm_access.roles")
	f.Add([]byte(`{"a.b":{"c.d":["x"]}}`), "a.b.c.d")
	f.Fuzz(func(t *testing.T, token []byte, claim string) {
		var c map[string]json.RawMessage
		if json.Unmarshal(token, &c) != nil {
			return
		}
		for _, v := range values(c, claim) {
			if v == "" || len(v) > maxText {
				t.Fatalf("value %q", v)
			}
		}
	})
}

func TestNestedClaims(t *testing.T) {
	var c map[string]json.RawMessage
	must.Do(t, json.Unmarshal([]byte(`{"realm_access":{"roles":["a","b"]},"https://x.example/r":"c","n":{"m":1}}`), &c))
	for claim, want := range map[string]string{"realm_access.roles": "a b", "https://x.example/r": "c", "n.m": "", "none": "", "realm_access": ""} {
		if got := strings.Join(values(c, claim), " "); got != want {
			t.Errorf("%s is %q, want %q", claim, got, want)
		}
	}
}
