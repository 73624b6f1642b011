package server

import (
	"strings"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
)

// TestPagePeople adds a person by a link, who sets a password and logs in; changes and removes the person; and makes and revokes
// a token. It has no fault for axe on a telephone and on a desktop.
func TestPagePeople(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	const password = "correct horse battery"
	var code secret.String
	s.withLedger(func(l *ledger.Ledger) (err error) {
		root := ledger.Person{Name: "root", Role: ledger.RoleAdmin, Sites: ledger.SiteSet{ledger.AllSites}}
		if err = l.People.Add(t.Context(), root, password); err == nil {
			code, err = l.People.NewCode(t.Context(), ledger.CodeLogin, "root")
		}
		return err
	})
	w := &factorWalk{tab: c.open(screen{width: 320, height: 800, phone: true}), source: source}
	w.navigate(s.at.HTTP + "/settings#code=" + code.Reveal())
	w.until("shown(document.querySelector('#person-name')) && shown(document.querySelector('[data-person=root]'))")
	w.fill("document.querySelector('#person-name')", "anna")
	w.fill("document.querySelector('#person-sites')", "north, south")
	w.click("document.querySelector('[data-add-person]')")
	w.until("/#password=cc_/.test(document.querySelector('#person-link')?.innerText) && shown(document.querySelector('[data-person=anna]'))")
	w.fill("document.querySelector('#token-name')", "export")
	w.click("document.querySelector('[data-add-token]')")
	w.until("/^cc_/.test(document.querySelector('#token-made')?.innerText)")
	w.check("people")

	q := &factorWalk{tab: c.open(screen{width: 1280, height: 900}), source: source}
	link := value[string](w.tab, "document.querySelector('#person-link').innerText")
	for language, says := range map[string]string{"es": "filtraciones", "en": "easy to guess"} {
		q.navigate(s.at.HTTP + "/")
		value[bool](q.tab, "(localStorage.setItem('cattle-settings', JSON.stringify({ language: '"+language+"' })), true)")
		q.navigate("about:blank") // the link alone would load nothing
		q.navigate(link)
		q.until("shown(document.querySelector('#login-new')) && !location.hash")
		q.fill("document.querySelector('#login-new')", "Password2025!")
		q.press(enter)
		q.until("/" + says + "/.test(document.querySelector('#login-fault').innerText)")
	}
	q.navigate(s.at.HTTP + "/")
	value[bool](q.tab, "(localStorage.removeItem('cattle-settings'), true)")
	q.navigate("about:blank")
	q.navigate(link)
	q.until("shown(document.querySelector('#login-new')) && !location.hash")
	q.check("password")
	q.fill("document.querySelector('#login-new')", password)
	q.press(enter)
	q.until("document.querySelector('#login-name')?.value === 'anna' && /is set/.test(document.querySelector('#login-fault').innerText)")
	q.fill("document.querySelector('#login-password')", password)
	q.press(enter)
	q.until("having('#health', 'Live').some(shown)")
	q.navigate(s.at.HTTP + "/settings")
	q.until("/anna, viewer/.test(document.querySelector('#who')?.innerText)")
	if value[bool](q.tab, "!!document.querySelector('#people')") {
		t.Error("a viewer sees the list of people")
	}

	w.click("document.querySelector('[data-token=export] [data-revoke]')")
	w.until("/revoked/i.test(document.querySelector('[data-token=export]')?.innerText)")
	w.click("document.querySelector('[data-person=anna] summary')")
	w.fill("document.querySelector('[data-person=anna] [data-sites]')", "north")
	w.click("document.querySelector('[data-person=anna] [data-save]')")
	w.until("/north/.test(document.querySelector('[data-person=anna] .meta')?.innerText) && !/south/.test(document.querySelector('[data-person=anna] .meta').innerText)")
	w.click("document.querySelector('[data-person=anna] [data-disable]')")
	w.until("/disabled/i.test(document.querySelector('[data-person=anna] .badge')?.innerText)")
	w.click("document.querySelector('[data-person=anna] [data-ask]')")
	w.until("shown(document.querySelector('[data-person=anna] [data-remove]'))")
	w.check("person")
	w.click("document.querySelector('[data-person=anna] [data-remove]')")
	w.until("!document.querySelector('[data-person=anna]') && !!document.querySelector('[data-person=root]')")
	if faults := c.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}
