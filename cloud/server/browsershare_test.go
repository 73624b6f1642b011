package server

import (
	"fmt"
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
	reader.until("having('#survey .warnings', 'The site has no paddocks.').some(shown)")
	value[bool](reader, "(localStorage.setItem('cattle-settings', JSON.stringify({ language: 'es' })), true)")
	reader.reload()
	reader.until("having('#survey .warnings', 'El sitio no tiene potreros.').some(shown)")
	reader.shot("shared-es-320")
	eye := c.open(screen{width: 1280, height: 1000})
	eye.navigate(s.at.HTTP + "/surveys/" + n.ID + "#token=" + s.addDevice("eye", ledger.RoleReviewer))
	eye.until("having('#survey', 'farm').some(shown) && !document.querySelector('#shares') && " +
		"performance.getEntriesByType('resource').some((e) => e.name.endsWith('/shares'))")
	eye.close()
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

// TestPageSharesAFlight makes a link to footage with its video, opens it without a login, and revokes it. The report of the
// page is a PDF.
func TestPageSharesAFlight(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	s.addDevice("dock-1", ledger.RoleDevice)
	token := s.addDevice("boss", ledger.RoleOperator)
	s.storeCount("herd", 30)
	page := c.open(screen{width: 1280, height: 1000})
	page.navigate(s.at.HTTP + "/footage/herd#token=" + token)
	page.until("document.querySelector('video.film')?.readyState > 0 || document.querySelector('.still')") // what loads late moves the box
	page.focus("document.querySelector('#share-video')")
	page.press(" ")
	page.until("document.querySelector('#share-video').checked")
	page.click("document.querySelector('[data-share]')")
	page.until("document.querySelector('#share-link')?.href.includes('/shared#cc_')")
	page.until("fetch(document.querySelector('[data-report]').href).then((r) => { window.kind = r.headers.get('Content-Type'); }) && " +
		"window.kind === 'application/pdf'")
	link := value[string](page, "document.querySelector('#share-link').href")
	for _, at := range []screen{{width: 1280, height: 900}, {width: 320, height: 700, phone: true, dark: true}} {
		reader := c.open(at)
		reader.navigate(link)
		reader.until("having('#survey', 'herd.MP4').some(shown) && pictured('.sheet')")
		if len(annotatedVideo()) >= 1000 {
			reader.until("document.querySelector('video.film')?.readyState > 0")
		}
		reader.until("document.querySelector('[data-report]').href.includes('/api/v1/shared/')")
		reader.shot(fmt.Sprintf("shared-flight-%d", at.width))
		if over := value[float64](reader, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
			t.Errorf("a shared flight is %v px too wide at %d px", over, at.width)
		}
		for _, fault := range reader.axe(source) {
			t.Errorf("shared flight at %d px: %s", at.width, fault)
		}
		if secrets := value[string](reader, "document.cookie + localStorage.getItem('cattle-token')"); strings.Contains(secrets, "cc_") {
			t.Errorf("a script of the page can read %q", secrets)
		}
		reader.close()
	}
	page.click("document.querySelector('[data-revoke]')")
	page.until("having('#shares .badge', 'revoked').some(shown)")
	gone := c.open(screen{width: 1280, height: 900})
	gone.navigate(link)
	gone.until("having('#shared', 'not valid').some(shown)")
}
