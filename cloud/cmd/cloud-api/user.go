package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"cattlecounter/cloud/store/ledger"
)

type userCommands struct {
	Add     userAdd     `cmd:"" help:"Add a person who logs in with a password. The password is asked for, or is the first line of the standard input."`
	Passwd  userPasswd  `cmd:"" help:"Set a new password, asked for like that of add. Ends the person's sessions."`
	List    userList    `cmd:"" help:"List people."`
	Roles   userRoles   `cmd:"" help:"Change role and sites. Ends the person's sessions."`
	Disable userDisable `cmd:"" help:"End the person's sessions and refuse new ones. What the person did stays in the audit."`
	Enable  userEnable  `cmd:"" help:"Let a disabled person log in again."`
	Logout  userLogout  `cmd:"" help:"End every session of a person."`
	Reset   userReset   `cmd:"" help:"Remove the second factor and its backup codes, such as after the loss of a telephone. Ends the person's sessions. The password stays."`
	Export  userExport  `cmd:"" help:"Print everything that the ledger has of a person, as JSON."`
	Remove  userRemove  `cmd:"" help:"Delete a person and replace the name by a pseudonym wherever it says who did what. It cannot be undone."`
	Code    userCode    `cmd:"" help:"Print a code that logs the person in once, within 15 minutes: open PAGE/#code=CODE."`
}

// grant is what a person may do and where.
type grant struct {
	Role string   `enum:"viewer,reviewer,operator,admin" default:"viewer" help:"viewer: reads. reviewer: also corrects counts. operator: also uploads, changes jobs and commands stations. admin: also people, tokens and the audit."`
	Site []string `required:"" help:"Site where the person may do that; may be repeated. * is every site."`
}

type userName struct {
	Name string `arg:"" help:"Name: 1 to 64 characters of A-Z, a-z, 0-9, _ and -."`
}

type userAdd struct {
	userName
	grant
}

func (u *userAdd) Run(ctx context.Context, e *env) error {
	sites, err := ledger.ParseSiteSet(u.Site)
	if err != nil {
		return err
	}
	password, err := askPassword(e.stderr)
	if err != nil {
		return err
	}
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		if err := l.People.Add(ctx, ledger.Person{Name: u.Name, Role: ledger.Role(u.Role), Sites: sites}, password); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stderr, "%s %s of %s added.\n", u.Role, u.Name, sites)
		return err
	})
}

type userPasswd struct{ userName }

func (u *userPasswd) Run(ctx context.Context, e *env) error {
	password, err := askPassword(e.stderr)
	if err != nil {
		return err
	}
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		return l.People.SetPassword(ctx, u.Name, password)
	})
}

type userRoles struct {
	userName
	grant
}

func (u *userRoles) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		return l.People.SetRole(ctx, u.Name, ledger.Role(u.Role), u.Site)
	})
}

type userDisable struct{ userName }

func (u *userDisable) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error { return l.People.Disable(ctx, u.Name) })
}

type userEnable struct{ userName }

func (u *userEnable) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error { return l.People.Enable(ctx, u.Name) })
}

type userLogout struct{ userName }

func (u *userLogout) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error { return l.People.LogOut(ctx, u.Name) })
}

type userReset struct{ userName }

func (u *userReset) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		if err := l.People.RemoveSecondFactor(ctx, u.Name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stderr, "%s has no second factor now.\n", u.Name)
		return err
	})
}

type userCode struct{ userName }

func (u *userCode) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		code, err := l.People.NewCode(ctx, ledger.CodeLogin, u.Name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(e.stdout, code.Reveal())
		return err
	})
}

type userExport struct{ userName }

func (u *userExport) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		d, err := l.People.Export(ctx, u.Name)
		if err != nil {
			return err
		}
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(exported(d))
	})
}

// personExport is the form of an export.
type personExport struct {
	Name     string          `json:"name"`
	Role     string          `json:"role"`
	Sites    []string        `json:"sites"`
	Created  time.Time       `json:"created"`
	Disabled *time.Time      `json:"disabled,omitempty"`
	Issuer   string          `json:"issuer,omitempty"` // and subject: the account at an OpenID Connect provider
	Subject  string          `json:"subject,omitempty"`
	LastSeen *time.Time      `json:"last_seen,omitempty"`
	Sessions []exportSession `json:"sessions"`
	Audit    []auditEntry    `json:"audit"`
	Named    map[string]int  `json:"named"`
	Uploads  int             `json:"uploads"`

	SecondFactor bool `json:"second_factor"`
	BackupCodes  int  `json:"backup_codes"` // unused ones
}

type exportSession struct {
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
}

func exported(d ledger.PersonData) personExport {
	p := d.Person
	out := personExport{Name: p.Name, Role: string(p.Role), Sites: p.Sites, Created: p.Created, Disabled: p.Disabled, Issuer: p.Issuer, Subject: p.Subject,
		LastSeen: p.LastSeen, Named: d.Named, Uploads: d.Uploads, Sessions: []exportSession{}, Audit: []auditEntry{},
		SecondFactor: p.SecondFactor, BackupCodes: d.BackupCodes}
	for _, s := range d.Sessions {
		out.Sessions = append(out.Sessions, exportSession(s))
	}
	for _, a := range d.Audit {
		out.Audit = append(out.Audit, auditEntry{At: a.At, Who: a.Who, Action: a.Action, Subject: a.Subject})
	}
	return out
}

type userRemove struct{ userName }

func (u *userRemove) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		d, err := l.People.Export(ctx, u.Name)
		if err != nil {
			return err
		}
		pseudonym, err := l.People.Remove(ctx, u.Name)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "%s is removed. What the person did is kept under the name %s.\n", u.Name, pseudonym)
		if d.Uploads > 0 {
			fmt.Fprintf(e.stderr, "note: %d pieces of footage that the person uploaded keep the name as that of their device.\n",
				d.Uploads)
		}
		_, err = fmt.Fprintln(e.stdout, pseudonym)
		return err
	})
}

// person is one line of the list, also in JSON.
type person struct {
	Name     string   `json:"name"`
	Role     string   `json:"role"`
	Sites    []string `json:"sites"`
	Disabled bool     `json:"disabled"`
	LastSeen string   `json:"last_seen"`

	SecondFactor bool `json:"second_factor"`
}

type userList struct{ output }

func (u *userList) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		stored, err := l.People.List(ctx)
		if err != nil {
			return err
		}
		var people []person
		for _, p := range stored {
			people = append(people, person{Name: p.Name, Role: string(p.Role), Sites: p.Sites, Disabled: p.Disabled != nil,
				LastSeen: day(p.LastSeen), SecondFactor: p.SecondFactor})
		}
		return list(e, u.output, people, "NAME,ROLE,SITES,STATE,LAST SEEN,SECOND FACTOR", func(p person) []any {
			state := "active"
			if p.Disabled {
				state = "disabled"
			}
			factor := "no"
			if p.SecondFactor {
				factor = "yes"
			}
			return []any{p.Name, p.Role, strings.Join(p.Sites, ","), state, p.LastSeen, factor}
		})
	})
}

var errPasswords = errors.New("the two passwords differ; run the command again")

// askPassword asks twice on a terminal and otherwise reads one line.
func askPassword(prompt io.Writer) (string, error) {
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		line, err := bufio.NewReader(io.LimitReader(os.Stdin, 4<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var typed [2]string
	for i, question := range []string{"Password (12 characters or more): ", "Again: "} {
		fmt.Fprint(prompt, question)
		b, err := term.ReadPassword(in)
		fmt.Fprintln(prompt)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		typed[i] = string(b)
	}
	if typed[0] != typed[1] {
		return "", errPasswords
	}
	return typed[0], nil
}
