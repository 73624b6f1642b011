package config

import (
	"strings"
	"testing"

	"cattlecounter/shared/secret"
)

func TestOpenID(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*HTTP)
		want   string // key of the fault, "" for a valid configuration
	}{
		"valid":                 {func(*HTTP) {}, ""},
		"on this machine":       {func(h *HTTP) { h.OpenID.Issuer = "http://127.0.0.1:8081/dex" }, ""},
		"in the clear":          {func(h *HTTP) { h.OpenID.Issuer = "http://id.example" }, "http.openid.issuer"},
		"no address":            {func(h *HTTP) { h.OpenID.Issuer = "id.example" }, "http.openid.issuer"},
		"no client":             {func(h *HTTP) { h.OpenID.ClientID = "" }, "http.openid.client_id"},
		"no secret":             {func(h *HTTP) { h.OpenID.ClientSecret = secret.String{} }, "http.openid.client_secret"},
		"no public address":     {func(h *HTTP) { h.PublicURL = "" }, "http.public_url"},
		"no claim":              {func(h *HTTP) { h.OpenID.Claim = "" }, "http.openid.claim"},
		"no grants":             {func(h *HTTP) { h.OpenID.Grants = nil }, "http.openid.grants"},
		"unknown role":          {func(h *HTTP) { h.OpenID.Grants = []string{"a=king@*"} }, "http.openid.grants"},
		"a grant without site":  {func(h *HTTP) { h.OpenID.Grants = []string{"a=admin"} }, "http.openid.grants"},
		"a grant for no group":  {func(h *HTTP) { h.OpenID.Grants = []string{"=admin@*"} }, "http.openid.grants"},
		"passwords off":         {func(h *HTTP) { h.Passwords = false }, ""},
		"no way to log in":      {func(h *HTTP) { h.Passwords, h.OpenID = false, OpenID{} }, "http.passwords"},
		"grants without issuer": {func(h *HTTP) { h.OpenID.Issuer = "" }, "http.openid.issuer"},
	} {
		cfg := Default()
		cfg.HTTP.PublicURL = "https://cattle.example"
		cfg.HTTP.OpenID = OpenID{Issuer: "https://id.example/realms/farm", ClientID: "cattle", ClientSecret: secret.New("s"), Claim: "groups",
			Grants: []string{"cn=crew,dc=x=operator@north+south"}}
		c.change(&cfg.HTTP)
		err := cfg.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want+":") {
			t.Errorf("%s: error %v, want one of %q", name, err, c.want)
		}
	}
	grants, err := OpenID{Grants: []string{"cn=crew,dc=x=operator@north+south"}}.ParseGrants()
	if err != nil || len(grants) != 1 || grants[0].Group != "cn=crew,dc=x" || grants[0].Role != "operator" || len(grants[0].Sites) != 2 {
		t.Errorf("%+v, %v", grants, err)
	}
}

func FuzzGrants(f *testing.F) {
	f.Add("cattle-admins=admin@*")
	f.Add("==@")
	f.Fuzz(func(t *testing.T, line string) {
		grants, err := OpenID{Grants: []string{line}}.ParseGrants()
		if err == nil && (len(grants) != 1 || grants[0].Group == "" || len(grants[0].Sites) == 0) {
			t.Fatalf("%q gives %+v", line, grants)
		}
	})
}
