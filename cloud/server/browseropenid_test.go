package server

import (
	"fmt"
	"strings"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/deploy/testkit/provider"
	"cattlecounter/shared/secret"
)

// TestPageWithAProvider logs in at an OpenID Connect provider and comes back to the view that asked, and shows why a log-in
// there failed. It has no fault for axe on a telephone.
func TestPageWithAProvider(t *testing.T) {
	c := startChrome(t)
	at := port.Free(t)
	id := provider.Start(t, "http://"+at+config.CallbackPath)
	id.Claims = map[string]any{"sub": "1", "preferred_username": "anna", "groups": []string{"crew"}}
	s := serve(t, func(cfg *config.Config) {
		cfg.HTTP.OpenReading, cfg.HTTP.Listen, cfg.HTTP.PublicURL = false, at, "http://"+at
		cfg.HTTP.OpenID = config.OpenID{Issuer: id.URL, ClientID: provider.ClientID, ClientSecret: secret.New(provider.ClientSecret),
			Name: "Farm ID", Claim: "groups", Grants: []string{"crew=operator@north+south"}}
	})
	w := &factorWalk{tab: c.open(screen{width: 320, height: 800, phone: true}), source: axe(t)}
	w.navigate(s.at.HTTP + "/flights?site=north")
	w.until("shown(document.querySelector('#openid')) && shown(document.querySelector('#login-name'))")
	w.check("openid")
	w.click("document.querySelector('#openid')")
	w.until("location.pathname + location.search === '/flights?site=north' && having('#health', 'Live').some(shown)")
	w.navigate(s.at.HTTP + "/settings")
	w.until("/anna, operator/.test(document.querySelector('#who')?.innerText)")
	for _, refused := range []struct {
		why     string
		prepare func(*provider.Provider)
	}{
		{"did not log you in", func(p *provider.Provider) { p.Deny = "access_denied" }},
		{"give you no access", func(p *provider.Provider) { p.Deny, p.Claims = "", map[string]any{"sub": "2"} }},
	} {
		id.Change(refused.prepare)
		q := c.open(screen{width: 1280, height: 900})
		q.navigate(s.at.HTTP + "/")
		q.until("shown(document.querySelector('#openid'))")
		q.click("document.querySelector('#openid')")
		q.until(fmt.Sprintf("/%s/.test(document.querySelector('#login-fault')?.innerText) && !location.hash", refused.why))
	}
	if faults := c.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}
