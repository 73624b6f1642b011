package server

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"

	"cattlecounter/cloud/store/ledger"
)

// permit answers the question whether the page may show notifications.
func (p *tab) permit(origin string, setting browser.PermissionSetting) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, browser.SetPermission, browser.SetPermissionParams{Setting: setting, Origin: origin,
		Permission:       &browser.PermissionDescriptor{Name: "notifications"},
		BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID})
	p.must(err)
}

// TestPagePush delivers messages to the service worker as the push service of a browser does. A headless browser has no push
// service, so it cannot subscribe; the page says why a subscription fails.
func TestPagePush(t *testing.T) {
	c := startChrome(t)
	s := serve(t, nil)
	s.addDevice("dock-1", ledger.RoleDevice)
	token := s.addDevice("boss", ledger.RoleOperator)
	page := c.open(screen{width: 1280, height: 1100})
	page.permit(s.at.HTTP, browser.PermissionSettingDenied)
	ctx, cancel := context.WithTimeout(page.ctx, patience)
	defer cancel()
	workers := chromedp.Events(ctx, serviceworker.WorkerRegistrationUpdated)
	_, err := chromedp.Call(ctx, serviceworker.Enable, cdp.Empty{})
	page.must(err)
	page.navigate(s.at.HTTP + "/settings#token=" + token)
	page.until("having('#notifications', 'No notifications yet').some(shown)")
	page.until("[...document.querySelectorAll('#add-rule select')].some((e) => [...e.options].some((o) => o.value === 'push' && " +
		"(e.value = 'push', e.dispatchEvent(new Event('change', { bubbles: true })))))")
	page.until("!document.querySelector('#nt-target')")
	page.shot("push-1280")
	page.click("document.querySelector('[data-add]')")
	page.until("having('#add-rule .why', 'does not allow messages').some(shown)")
	page.permit(s.at.HTTP, browser.PermissionSettingGranted)
	var id serviceworker.RegistrationID
	for e, err := range workers {
		page.must(err)
		if len(e.Registrations) > 0 {
			id = e.Registrations[0].RegistrationID
			break
		}
	}
	page.until("(navigator.serviceWorker.ready.then((r) => { window.worker = r; }), window.worker?.active?.state === 'activated')")
	for data, want := range map[string]string{
		`{"id":"m1","title":"CattleCounter north: Count ready","text":"31 animals","view":"/footage/f1"}`: "CattleCounter north: Count ready|31 animals|m1|/footage/f1",
		"no JSON": "CattleCounter|||",
	} {
		eventually(t, "a notification of "+data, func() bool { // a worker that just starts may miss a message
			_, err := chromedp.Call(ctx, serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{Origin: s.at.HTTP,
				RegistrationID: id, Data: data})
			page.must(err)
			return value[bool](page, "(window.worker.getNotifications().then((n) => { window.shownNow = n.map((x) => "+
				"[x.title, x.body, x.tag, x.data?.view ?? ''].join('|')); }), window.shownNow?.includes('"+want+"')) === true")
		})
	}
}
