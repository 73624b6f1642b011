package server

import (
	"strings"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
)

// TestPageShares makes a link to a survey, opens it without a login, and revokes it.
func TestPageShares(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	s.addDevice("dock-1", ledger.RoleDevice)
	token := s.addDevice("boss", ledger.RoleOperator)
	l := must.Get(store.OpenLedger(t.Context(), s.cfg))(t)
	n := must.Get(l.Surveys.Add(t.Context(), ledger.Survey{Site: "farm"}))(t)
	must.Do(t, l.Close())
	page := c.open(screen{width: 1280, height: 1000})
	page.navigate(s.at.HTTP + "/surveys/" + n.ID + "#token=" + token)
	page.click("document.querySelector('[data-share]')")
	page.until("document.querySelector('#share-link')?.href.includes('/shared#cc_')")
	page.shot("share-1280")
	for _, fault := range page.axe(source) {
		t.Error(fault)
	}
	link := value[string](page, "document.querySelector('#share-link').href")
	reader := c.open(screen{width: 320, height: 700, phone: true})
	reader.navigate(s.at.HTTP + "/shared")
	reader.until("having('#shared', 'not valid').some(shown)")
	value[bool](reader, "(localStorage.clear(), document.cookie = 'cattle-token=; Path=/; Max-Age=0', !document.cookie)")
	reader.navigate(s.at.HTTP + "/healthz") // leaves the page, so that the next address loads it again
	reader.navigate(link)
	reader.until("having('#survey', 'farm').some(shown) && !document.querySelector('#token')?.open")
	reader.shot("shared-320")
	if over := value[float64](reader, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		t.Errorf("a shared survey is %v px too wide on a phone", over)
	}
	for _, fault := range reader.axe(source) {
		t.Errorf("shared: %s", fault)
	}
	page.click("document.querySelector('[data-revoke]')")
	page.until("having('#shares .badge', 'revoked').some(shown)")
	reader.reload()
	reader.until("having('#shared', 'revoked or is incomplete').some(shown) || having('#shared', 'not valid').some(shown)")
	reader.close()
	var faults []string
	for _, f := range c.takeFaults() {
		if !strings.Contains(f, "401") { // the answers to links that are not valid
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}
