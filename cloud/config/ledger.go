package config

import (
	"net/url"
	"slices"
	"strings"

	"cattlecounter/shared/secret"
)

// Ledger is where the ledger is. Without a URL it is a SQLite file in Data.
type Ledger struct {
	URL      secret.String `yaml:"url"`      // postgres://user:password@host:port/database
	Identity bool          `yaml:"identity"` // a token of the managed identity is the password
}

func (l Ledger) validate(f *faults) {
	if l.URL.IsZero() {
		f.when(l.Identity, "ledger.identity: is for a ledger with ledger.url")
		return
	}
	u, err := url.Parse(l.URL.Reveal())
	_, rest, _ := strings.Cut(l.URL.Reveal(), "://")
	authority, _, _ := strings.Cut(rest, "/")
	// With more than one @ programs differ in where the password ends.
	ok := err == nil && strings.Count(authority, "@") <= 1 && (u.Scheme == "postgres" || u.Scheme == "postgresql") && u.Host != "" && len(u.Path) > 1
	if ok {
		_, given := u.User.Password()
		secure := slices.Contains([]string{"require", "verify-ca", "verify-full"}, u.Query().Get("sslmode"))
		f.when(l.Identity && !secure, "ledger.url: needs sslmode=verify-full with ledger.identity: a token must not go in the clear")
		f.when(l.Identity && given, "ledger.url: has a password, which ledger.identity takes the place of")
	}
	f.when(!ok, "ledger.url: is not an address such as postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full; special characters of the password are written as %%XX")
}
