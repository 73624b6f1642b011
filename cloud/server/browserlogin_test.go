package server

import (
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
)

// TestPageWithPeople logs in with a password, logs out, logs in with a one-time code, and keeps a stored token when the
// address brings another one.
func TestPageWithPeople(t *testing.T) {
	c := startChrome(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	const password = "correct horse battery"
	var code secret.String
	s.withLedger(func(l *ledger.Ledger) (err error) {
		person := ledger.Person{Name: "anna", Role: ledger.RoleOperator, Sites: ledger.SiteSet{"farm"}}
		if err = l.People.Add(t.Context(), person, password); err == nil {
			code, err = l.People.NewCode(t.Context(), ledger.CodeLogin, "anna")
		}
		return err
	})
	p := c.open(screen{width: 1280, height: 900})
	p.navigate(s.at.HTTP + "/")
	p.until("shown(document.querySelector('#login'))")
	p.fill("document.querySelector('#login-name')", "anna")
	p.fill("document.querySelector('#login-password')", "wrong horse battery")
	p.press(enter)
	p.until("/wrong/.test(document.querySelector('#login-fault').innerText)")
	p.shot("log-in-1280")
	p.fill("document.querySelector('#login-password')", password)
	p.press(enter)
	p.until("having('#health', 'Live').some(shown)")
	p.navigate(s.at.HTTP + "/settings")
	p.until("/anna, operator/.test(document.querySelector('#who')?.innerText)")
	if stored := value[string](p, "document.cookie + localStorage.getItem('cattle-token')"); stored != "null" {
		t.Errorf("scripts can read %q", stored)
	}
	if value[bool](p, "!!document.querySelector('#token-button')") {
		t.Error("the settings ask somebody who is logged in to log in")
	}
	p.click("document.querySelector('#log-out')")
	p.until("shown(document.querySelector('#login'))")

	q := c.open(screen{width: 1280, height: 900})
	q.navigate(s.at.HTTP + "/#code=" + code.Reveal())
	q.until("!location.hash && having('#health', 'Live').some(shown)")
	value[bool](q, "localStorage.setItem('cattle-token', 'cc_mine') === undefined")
	q.navigate(s.at.HTTP + "/settings#token=cc_theirs")
	q.until("shown(document.querySelector('#token[open]')) && localStorage.getItem('cattle-token') === 'cc_mine'")
}

// withLedger opens the ledger of the server.
func (r *running) withLedger(do func(*ledger.Ledger) error) {
	r.t.Helper()
	l, err := OpenLedger(r.t.Context(), r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	err = do(l)
	if cerr := l.Close(); err != nil || cerr != nil {
		r.t.Fatal(err, cerr)
	}
}

// TestPageMakesACodeForAStation makes a code as an admin; others do not see the form.
func TestPageMakesACodeForAStation(t *testing.T) {
	c := startChrome(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	codes := map[string]secret.String{}
	s.withLedger(func(l *ledger.Ledger) error {
		for name, role := range map[string]ledger.Role{"root": ledger.RoleAdmin, "anna": ledger.RoleOperator} {
			person := ledger.Person{Name: name, Role: role, Sites: ledger.SiteSet{ledger.AllSites}}
			if err := l.People.Add(t.Context(), person, "correct horse battery"); err != nil {
				return err
			}
			code, err := l.People.NewCode(t.Context(), ledger.CodeLogin, name)
			if err != nil {
				return err
			}
			codes[name] = code
		}
		return nil
	})
	p := c.open(screen{width: 1280, height: 900})
	p.navigate(s.at.HTTP + "/stations#code=" + codes["root"].Reveal())
	p.until("shown(document.querySelector('#enrol-device'))")
	p.fill("document.querySelector('#enrol-device')", "dock-1")
	p.fill("document.querySelector('#enrol-site')", "north")
	p.click("document.querySelector('#enrol-button')")
	p.until("/edge-agent enrol http.+ [A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}$/.test(document.querySelector('#enrol-code')?.innerText)")
	p.shot("enrol-1280")

	q := c.open(screen{width: 1280, height: 900})
	q.navigate(s.at.HTTP + "/stations#code=" + codes["anna"].Reveal())
	q.until("shown(document.querySelector('#stations .empty'))")
	if value[bool](q, "!!document.querySelector('#enrol')") {
		t.Error("an operator may enrol stations")
	}
}
