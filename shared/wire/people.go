package wire

import (
	"time"

	"cattlecounter/shared/secret"
)

// Person is somebody who logs in.
type Person struct {
	Name     string     `json:"name"`
	Role     string     `json:"role"`
	Sites    []string   `json:"sites"`
	Created  time.Time  `json:"created"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
	Disabled *time.Time `json:"disabled,omitempty"`

	SecondFactor bool   `json:"second_factor"`
	Provider     string `json:"provider,omitempty"` // the issuer at which the person logs in, "" for a password
	// Code sets the password, once: only in the answer that makes it. The address for people is /#password=CODE.
	Code    string     `json:"code,omitempty"`
	Expires *time.Time `json:"expires,omitempty"` // of the code
}

// NewPerson adds a person.
type NewPerson struct {
	Name  string   `json:"name"`
	Role  string   `json:"role"`
	Sites []string `json:"sites"`
}

// PersonChange changes what it has.
type PersonChange struct {
	Role     string   `json:"role"`
	Sites    []string `json:"sites"`
	Disabled *bool    `json:"disabled"`
}

// PersonReset says what is reset.
type PersonReset struct {
	Password     bool `json:"password"`
	SecondFactor bool `json:"second_factor"`
}

// FirstPassword sets a password with a code.
type FirstPassword struct {
	Code     secret.String `json:"code"`
	Password secret.String `json:"password"`
}

// RemovedPerson is what is left of a person.
type RemovedPerson struct {
	Pseudonym string `json:"pseudonym"`
}

// PersonData is everything that the ledger has of a person.
type PersonData struct {
	Person      Person         `json:"person"`
	Sessions    []SessionData  `json:"sessions"`
	Audit       []AuditEntry   `json:"audit"`
	Named       map[string]int `json:"named"`   // rows that name the person, by kind
	Uploads     int            `json:"uploads"` // pieces of footage
	BackupCodes int            `json:"backup_codes"`
}

// SessionData is a session of a browser.
type SessionData struct {
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
}

// Token is what a program uses in place of a login.
type Token struct {
	Name     string     `json:"name"`
	Role     string     `json:"role"`
	Sites    []string   `json:"sites"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
	Revoked  *time.Time `json:"revoked,omitempty"`
	Token    string     `json:"token,omitempty"` // only in the answer that makes it
}

// NewToken makes a token.
type NewToken struct {
	Name  string   `json:"name"`
	Role  string   `json:"role"`
	Sites []string `json:"sites"`
	Days  int      `json:"days"` // until it expires
}

// PersonName says whose password was set.
type PersonName struct {
	Name string `json:"name"`
}
