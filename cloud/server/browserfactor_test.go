package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
)

// The roles that the configuration knows are those of the ledger.
func TestRolesOfTheConfiguration(t *testing.T) {
	if got, want := fmt.Sprint(config.PeopleRoles()), fmt.Sprint(ledger.PeopleRoles()); got != want {
		t.Errorf("roles %s, want %s", got, want)
	}
}

// TestPageSecondFactor sets a second factor up in the settings, logs in with it, with a backup code and with a one-time
// link, and as an admin must set one up at the log-in. It has no fault for axe on a telephone.
func TestPageSecondFactor(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading, cfg.HTTP.SecondFactor = false, []string{"admin"} })
	const password = "correct horse battery"
	var link secret.String
	s.withLedger(func(l *ledger.Ledger) (err error) {
		for name, role := range map[string]ledger.Role{"anna": ledger.RoleOperator, "root": ledger.RoleAdmin} {
			if err = l.People.Add(t.Context(), ledger.Person{Name: name, Role: role, Sites: ledger.SiteSet{"*"}}, password); err != nil {
				return err
			}
		}
		link, err = l.People.NewCode(t.Context(), ledger.CodeLogin, "anna")
		return err
	})
	w := &factorWalk{tab: c.open(screen{width: 320, height: 800, phone: true}), source: source}
	logIn := func(name string) {
		w.openLogIn()
		w.until("shown(document.querySelector('#login-name'))")
		w.fill("document.querySelector('#login-name')", name)
		w.fill("document.querySelector('#login-password')", password)
		w.press(enter)
	}
	w.navigate(s.at.HTTP + "/settings")
	logIn("anna")
	w.until("/No second factor/.test(document.querySelector('#factor-state')?.innerText)")
	w.fill("document.querySelector('#factor-password')", "wrong horse battery")
	w.press(enter)
	w.until("/wrong/.test(document.querySelector('#factor .why')?.innerText)")
	w.fill("document.querySelector('#factor-password')", password)
	w.press(enter)
	backup := w.setUp("anna")
	w.until("/is in use/.test(document.querySelector('#factor-state')?.innerText) && shown(document.querySelector('#factor-current'))")
	w.check("settings")
	w.leave("#log-out")
	logIn("anna")
	w.until("shown(document.querySelector('#login-factor'))")
	w.check("log-in")
	w.fill("document.querySelector('#login-factor')", "AAAA-BBBB-CCCC")
	w.press(enter)
	w.until("/wrong/.test(document.querySelector('#login-fault').innerText)")
	w.fill("document.querySelector('#login-factor')", backup[0])
	w.press(enter)
	w.until("/anna, operator/.test(document.querySelector('#who')?.innerText)")
	w.leave("#log-out")
	w.navigate(s.at.HTTP + "/healthz")
	w.navigate(s.at.HTTP + "/settings#code=" + link.Reveal())
	w.openLogIn()
	w.until("shown(document.querySelector('#login-factor')) && !document.querySelector('#login-name')")
	w.fill("document.querySelector('#login-factor')", backup[1])
	w.press(enter)
	w.until("/anna, operator/.test(document.querySelector('#who')?.innerText)")
	w.until("shown(document.querySelector('#factor-remove'))")
	w.fill("document.querySelector('#factor-password')", password)
	w.fill("document.querySelector('#factor-current')", backup[2])
	w.leave("#factor-remove")
	logIn("root")
	w.setUp("root")
	w.until("/root, admin/.test(document.querySelector('#who')?.innerText)")
	if faults := c.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}

type factorWalk struct {
	*tab
	source string // of axe
}

// openLogIn asks for a log-in, unless the page has done so by itself.
func (w *factorWalk) openLogIn() {
	w.t.Helper()
	w.until("shown(document.querySelector('#token-button'))")
	value[bool](w.tab, "(document.querySelector('#token').open || document.querySelector('#token-button').click(), true)")
}

// leave clicks on a button that ends the session, and waits for the page to load without one.
func (w *factorWalk) leave(button string) {
	w.t.Helper()
	element := fmt.Sprintf("document.querySelector('%s')", button)
	w.until("shown(" + element + ")")
	value[bool](w.tab, "(window.before = true)")
	w.click(element)
	w.until("!window.before && shown(document.querySelector('#token-button')) && !document.querySelector('#log-out')")
}

// setUp takes the key that the page shows into an app, confirms it, and returns the backup codes.
func (w *factorWalk) setUp(name string) []string {
	w.t.Helper()
	w.until("document.querySelector('.qr')?.naturalWidth > 0 && shown(document.querySelector('#factor-first'))")
	w.check("key-" + name)
	key := value[string](w.tab, "document.querySelector('#factor-key').innerText")
	w.fill("document.querySelector('#factor-first')", must.Get(totp.GenerateCode(key, time.Now()))(w.t))
	w.press(enter)
	w.until("document.querySelectorAll('.codes li').length === 10")
	w.check("backup-" + name)
	codes := strings.Fields(value[string](w.tab, "[...document.querySelectorAll('.codes code')].map((c) => c.innerText).join(' ')"))
	w.click("document.querySelector('#factor-kept')")
	return codes
}

// check takes a picture and asks axe.
func (w *factorWalk) check(name string) {
	w.t.Helper()
	w.shot("second-factor-" + name + "-320")
	for _, fault := range w.axe(w.source) {
		w.t.Errorf("%s: %s", name, fault)
	}
	if over := value[float64](w.tab, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		w.t.Errorf("%s is %v px too wide", name, over)
	}
}
