package config

import (
	"net/url"
	"slices"
	"strings"

	"cattlecounter/shared/secret"
)

// Ledger is the database of the ledger. With an empty URL the ledger is the SQLite file LedgerPath.
type Ledger struct {
	URL      secret.String `yaml:"url"`      // postgres://user:password@host:port/database
	Identity bool          `yaml:"identity"` // a token of the managed identity replaces the password
	// KeyFile has the keys that encrypt secrets of the ledger; see Config.KeyPath.
	KeyFile string `yaml:"key_file"`
	// Keys is the text of such a file, for platforms that give secrets as variables. It replaces KeyFile.
	Keys secret.String `yaml:"keys"`
}

func (l Ledger) validate(f *faults) {
	f.addIf(!l.Keys.IsZero() && l.KeyFile != "", "ledger: set key_file or keys, not both")
	if l.URL.IsZero() {
		f.addIf(l.Identity, "ledger.identity: needs ledger.url, the address of a PostgreSQL database")
		return
	}
	u, err := url.Parse(l.URL.Reveal())
	_, rest, _ := strings.Cut(l.URL.Reveal(), "://")
	authority, _, _ := strings.Cut(rest, "/")
	// With more than one @ programs disagree on where the password ends.
	ok := err == nil && strings.Count(authority, "@") <= 1 && (u.Scheme == "postgres" || u.Scheme == "postgresql") &&
		u.Host != "" && len(u.Path) > 1
	if ok {
		_, given := u.User.Password()
		secure := slices.Contains([]string{"require", "verify-ca", "verify-full"}, u.Query().Get("sslmode"))
		f.addIf(l.Identity && !secure,
			"ledger.url: needs sslmode=verify-full, because ledger.identity must not send its token unencrypted")
		f.addIf(l.Identity && given,
			"ledger.url: has a password, which ledger.identity replaces; remove the password or set ledger.identity to false")
	}
	f.addIf(!ok, "ledger.url: is not an address such as postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full; "+
		"write special characters of the password as %%XX")
}
