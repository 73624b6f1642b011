package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
)

// TestPageNotifies adds a rule for a webhook on the page, sends a test to it, sees it fail and removes the rule.
func TestPageNotifies(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	var mu sync.Mutex
	var got []string
	status := http.StatusOK
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(b))
		w.WriteHeader(status)
	}))
	defer hook.Close()
	s := serve(t, func(cfg *config.Config) { cfg.Notify.Networks = []string{"127.0.0.1"} })
	s.addDevice("dock-1", ledger.RoleDevice)
	token := s.addDevice("boss", ledger.RoleOperator)
	page := c.open(screen{width: 1280, height: 1100})
	page.navigate(s.at.HTTP + "/settings#token=" + token)
	page.until("having('#notifications', 'No notifications yet').some(shown)")
	page.fill("document.querySelector('#nt-target')", "ftp://x")
	page.click("document.querySelector('[data-add]')")
	page.until("having('#add-rule .why', 'https').some(shown)")
	page.fill("document.querySelector('#nt-target')", hook.URL+"/t0ken")
	page.click("document.querySelector('[data-add]')")
	page.until("document.querySelector('#nt-secret')?.textContent.startsWith('whsec_')")
	page.click("document.querySelector('[data-rule] [data-test]')")
	page.until("having('#messages', 'test message').some(shown) && document.querySelector('#messages [data-state=sent]')")
	mu.Lock()
	if status = http.StatusTeapot; len(got) != 1 || !strings.Contains(got[0], `"test":true`) {
		t.Errorf("the target got %q", got)
	}
	mu.Unlock()
	page.click("document.querySelector('[data-rule] [data-test]')")
	page.until("having('[data-rule] .why', '418').some(shown) && document.querySelector('#messages [data-state=dead]')")
	page.shot("notifications-1280")
	for _, fault := range page.axe(source) {
		t.Error(fault)
	}
	page.click("exact('[data-rule] button', 'Pause')")
	page.until("having('[data-rule] .badge', 'paused').some(shown)")
	phone := c.open(screen{width: 320, height: 700, phone: true, dark: true})
	phone.navigate(s.at.HTTP + "/settings#token=" + token)
	phone.until("having('#messages', 'test message').some(shown) && !document.querySelector('[aria-busy]')")
	phone.shot("notifications-320")
	if over := value[float64](phone, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		t.Errorf("the settings are %v px too wide on a phone", over)
	}
	for _, fault := range phone.axe(source) {
		t.Errorf("on a phone: %s", fault)
	}
	phone.close()
	page.click("exact('[data-rule] button', 'Remove')")
	page.until("having('#notifications', 'No notifications yet').some(shown)")
	page.until("having('#messages', 'No messages yet').some(shown)")
	if faults := c.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}
