package config

import (
	"net/url"

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
	ok := err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") && u.Host != "" && len(u.Path) > 1
	if ok {
		_, given := u.User.Password()
		f.when(l.Identity && given, "ledger.url: has a password, which ledger.identity takes the place of")
	}
	f.when(!ok, "ledger.url: is not an address such as postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full; special characters of the password are written as %%XX")
}
