package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// A person adds a rule, tests it, pauses it and removes it. The secret and the path of a webhook are shown once.
func TestNotificationRules(t *testing.T) {
	var got []byte
	status := http.StatusOK
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		w.WriteHeader(status)
	}))
	defer hook.Close()
	s := open(t, func(o *Options) { o.OpenReading = false })
	anna := s.person("anna", ledger.RoleOperator, "farm")
	send := func(method, path, body string, v any) {
		t.Helper()
		r := s.send(method, "/api/v1/notifications"+path, "", strings.NewReader(body), anna...)
		if r.status != http.StatusOK {
			t.Fatalf("%s %s: status %d: %s", method, path, r.status, r.body)
		}
		r.decode(t, v)
	}
	var r, again wire.NotificationRule
	send("POST", "/rules",
		`{"site":"farm","kinds":["count_ready","station_silent","count_ready"],"channel":"webhook","target":"`+hook.URL+
			`/t0ken","language":"es","quiet":{"from":"22:30","to":"05:00","zone":"America/Bogota"}}`, &r)
	if !strings.HasPrefix(r.Secret, "whsec_") || r.Target != hook.URL+"/…" || len(r.Kinds) != 2 || r.Who != "anna" ||
		r.Quiet == nil || r.Quiet.From != "22:30" || r.Quiet.Zone != "America/Bogota" {
		t.Errorf("added %+v", r)
	}
	var n wire.Notification
	send("POST", "/rules/"+r.ID+"/test", "", &n)
	if n.State != "sent" || !n.Message.Test || !strings.Contains(string(got), "Esto es una prueba") {
		t.Errorf("test: %+v, sent %s", n, got)
	}
	status = http.StatusInternalServerError
	send("POST", "/rules/"+r.ID+"/test", "", &n)
	if n.State != "dead" || !strings.Contains(n.Fault, "500") {
		t.Errorf("test that fails: %+v", n)
	}
	var log wire.Page[wire.Notification]
	if send("GET", "?state=dead", "", &log); len(log.Items) != 1 || log.Items[0].ID != n.ID {
		t.Errorf("log %+v", log)
	}
	if send("POST", "/"+n.ID+"/retry", "", &n); n.State != "waiting" || n.Due == nil {
		t.Errorf("sent again: %+v", n)
	}
	if send("PUT", "/rules/"+r.ID, `{"kinds":["disk_full"],"paused":true}`, &again); !again.Paused || again.Quiet != nil ||
		again.Secret != "" || again.Language != "en" || again.Target != r.Target {
		t.Errorf("changed %+v", again)
	}
	var rules wire.NotificationRules
	if send("GET", "/rules", "", &rules); len(rules.Items) != 1 || rules.Email || strings.Contains(rules.Items[0].Target,
		"t0ken") {
		t.Errorf("rules %+v", rules)
	}
	send("DELETE", "/rules/"+r.ID, "", &again)
	if send("GET", "", "", &log); len(log.Items) != 0 {
		t.Errorf("log after its rule was removed: %+v", log)
	}
}

// A rule that cannot work is refused when it is added, and no person adds one for a site of others.
func TestNotificationRulesThatAreRefused(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	anna := s.person("anna", ledger.RoleOperator, "farm")
	rule := func(change ...string) string {
		return strings.NewReplacer(change...).Replace(`{"site":"farm","kinds":["count_ready"],"channel":"webhook",` +
			`"target":"https://hooks.example.com/x","language":"en","quiet":{"from":"22:00","to":"06:00","zone":"UTC"}}`)
	}
	for name, c := range map[string]struct {
		body   string
		status int
		slug   string
		says   string
	}{
		"another site":    {rule("farm", "south"), 404, "not-found", "south"},
		"every site":      {rule("farm", "*"), 404, "not-found", "*"},
		"no site":         {rule("farm", ""), 400, "bad-request", "site"},
		"no kind":         {rule(`"count_ready"`, ""), 400, "bad-request", "kinds"},
		"unknown kind":    {rule("count_ready", "rain"), 400, "bad-request", "rain"},
		"private address": {rule("hooks.example.com", "10.0.0.1"), 400, "bad-request", "notify.networks"},
		"metadata":        {rule("hooks.example.com", "169.254.169.254"), 400, "bad-request", "notify.networks"},
		"no URL":          {rule("https://", ""), 400, "bad-request", "target"},
		"no mail server": {rule("webhook", "email", "https://hooks.example.com/x", "a@b.example"), 409, "conflict",
			"notify.smtp"},
		"unknown channel": {rule("webhook", "pigeon"), 400, "bad-request", "channel"},
		"language":        {rule(`"en"`, `"xx"`), 400, "bad-request", "language"},
		"hour":            {rule("22:00", "24:00"), 400, "bad-request", "24:00"},
		"empty hours":     {rule("22:00", "06:00"), 400, "bad-request", "same"},
		"zone":            {rule("UTC", "Mars/Base"), 400, "bad-request", "Mars/Base"},
		"file as a zone":  {rule("UTC", "../../etc/passwd"), 400, "bad-request", "zone"},
		"unknown field":   {rule(`"site"`, `"sites":1,"site"`), 400, "bad-request", "sites"},
		"no JSON":         {"kinds=all", 400, "bad-request", "openapi"},
		"too long":        {strings.Repeat(" ", maxRuleBody+1), 413, "too-large", ""},
	} {
		r := s.send("POST", "/api/v1/notifications/rules", "", strings.NewReader(c.body), anna...)
		if r.wantProblem(t, c.status, c.slug); !strings.Contains(string(r.body), c.says) {
			t.Errorf("%s: %s", name, r.body)
		}
	}
	south := s.person("south-boss", ledger.RoleOperator, "south")
	added := s.send("POST", "/api/v1/notifications/rules", "", strings.NewReader(rule()), anna...)
	var mine wire.NotificationRule
	added.decode(t, &mine)
	for _, c := range [][2]string{{"PUT", "/rules/" + mine.ID}, {"DELETE", "/rules/" + mine.ID}, {"POST",
		"/rules/" + mine.ID + "/test"}} {
		s.send(c[0], "/api/v1/notifications"+c[1], "", strings.NewReader(rule()), south...).wantProblem(t, 404, "not-found")
	}
	if r := s.do("GET", "/api/v1/notifications/rules", "", south...); strings.Contains(string(r.body), mine.ID) {
		t.Errorf("rules of another site: %s", r.body)
	}
	s.send("PUT", "/api/v1/notifications/rules/"+mine.ID, "", strings.NewReader(rule("hooks.example.com",
		"evil.example")), anna...).
		wantProblem(t, 400, "bad-request")
}
