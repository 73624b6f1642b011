package server

import (
	"fmt"
	"strings"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
)

// TestPageAudit shows the audit log to an admin of all sites, in pages and by person, and to no operator.
func TestPageAudit(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	codes := map[string]secret.String{}
	s.withLedger(func(l *ledger.Ledger) (err error) {
		for name, p := range map[string]ledger.Person{
			"olga": {Name: "olga", Role: ledger.RoleOperator, Sites: ledger.SiteSet{"farm"}},
			"root": {Name: "root", Role: ledger.RoleAdmin, Sites: ledger.SiteSet{ledger.AllSites}},
		} {
			if err = l.People.Add(t.Context(), p, "correct horse battery"); err != nil {
				return err
			}
			if codes[name], err = l.People.NewCode(t.Context(), ledger.CodeLogin, name); err != nil {
				return err
			}
		}
		for i := range 60 {
			if err = l.Audit.Record(ledger.By(t.Context(), "program"), ledger.ActionOrder, fmt.Sprint("dock-", i)); err != nil {
				return err
			}
		}
		return l.Audit.Record(ledger.By(t.Context(), "carla"), ledger.ActionOrder, "dock-last")
	})
	page := c.open(screen{width: 320, height: 800, phone: true})
	page.navigate(s.at.HTTP + "/settings#code=" + codes["olga"].Reveal())
	page.until("/olga, operator/.test(document.querySelector('#who')?.innerText) && having('#notifications', 'yet').some(shown)")
	if value[bool](page, "Boolean(document.querySelector('#audit'))") {
		t.Error("an operator is offered the audit log")
	}
	page.click("document.querySelector('#log-out')")
	page.until("shown(document.querySelector('#login'))")
	page.navigate(s.at.HTTP + "/healthz")
	page.navigate(s.at.HTTP + "/settings#code=" + codes["root"].Reveal())
	page.until("having('#audit', 'dock-last').some(shown) && document.querySelectorAll('#audit tbody tr').length === 50")
	page.shot("audit-320")
	for _, fault := range page.axe(source) {
		t.Error(fault)
	}
	if over := value[float64](page, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		t.Errorf("the audit log is %v px too wide", over)
	}
	page.click("exact('#audit button', 'Show older')")
	page.until("having('#audit', 'dock-0').some(shown) && !having('#audit', 'dock-last').some(shown)")
	page.click("exact('#audit button', 'Show newer')")
	page.until("having('#audit', 'dock-last').some(shown)")
	page.click("exact('#audit button', 'carla')")
	page.until("document.querySelectorAll('#audit tbody tr').length === 1")
	if faults := c.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}
