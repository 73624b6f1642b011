package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
)

// A change with If-Match replaces what its author has read; otherwise nothing is stored, and the answer names the other
// one.
func TestChangesOfWhatWasRead(t *testing.T) {
	s := open(t, nil)
	boss := s.tokens[ledger.RoleOperator]
	one, two := boxes(box("One", 24, -32, 24.1, -31.9)), boxes(box("Two", 24, -32, 24.1, -31.9))
	for path, c := range map[string]struct{ forms, bodies []string }{
		"/api/v1/sites/farm/paddocks": {[]string{"", "?format=kml", "?format=gpkg"}, []string{one, two, one, two}},
		"/api/v1/sites/farm/book": {[]string{"", "?format=csv"},
			[]string{"paddock,animals\nOne,5\n", "paddock,animals\nOne,6\n", "paddock,animals\nOne,7\n", "paddock,animals\nOne,8\n"}},
	} {
		put := func(body string, match ...string) response {
			t.Helper()
			headers := []string{}
			for _, m := range match {
				headers = append(headers, "If-Match", m)
			}
			return s.send("PUT", path, boss, strings.NewReader(body), headers...)
		}
		tag := func(form string) string { return s.do("GET", path+form, boss).header.Get("ETag") }
		put(c.bodies[0], `"0"`).wantProblem(t, http.StatusPreconditionFailed, "stale") // there is nothing to replace
		if r := put(c.bodies[0]); r.status != 200 {
			t.Fatalf("%s: status %d: %s", path, r.status, r.body)
		}
		old := tag("")
		if r := put(c.bodies[1], old); r.status != 200 {
			t.Fatalf("%s: what was read is replaced with status %d: %s", path, r.status, r.body)
		}
		for _, stale := range []string{old, `"0"`, "no tag"} {
			r := put(c.bodies[2], stale)
			r.wantProblem(t, http.StatusPreconditionFailed, "stale")
			if !strings.Contains(string(r.body), "operator1") || !strings.Contains(string(r.body), "changed meanwhile") {
				t.Errorf("%s: the answer does not say who changed it: %s", path, r.body)
			}
		}
		for i, form := range c.forms {
			if r := put(c.bodies[2+i%2], `"0", W/`+tag(form)); r.status != 200 {
				t.Errorf("%s: the tag of %q is refused: %d %s", path, form, r.status, r.body)
			}
		}
		if r := put(c.bodies[1], "*"); r.status != 200 {
			t.Errorf("%s: any document: %d %s", path, r.status, r.body)
		}
	}
}

// A removed survey is gone with its links, and the audit log says who removed it.
func TestRemovedSurvey(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	s.flownCount("one", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	n := must.Get(s.ledger.Surveys.Add(t.Context(), ledger.Survey{Site: "farm"}))(t)
	kept := must.Get(s.ledger.Surveys.Add(t.Context(), ledger.Survey{Site: "farm"}))(t)
	_, key, err := s.ledger.Shares.Add(t.Context(), ledger.Shared{Kind: ledger.ShareSurvey, ID: n.ID}, false, time.Hour)
	must.Do(t, err)
	anna, path := s.person("anna", ledger.RoleOperator, "farm"), "/api/v1/surveys/"+n.ID
	s.do("DELETE", path, "", s.person("eye", ledger.RoleViewer, "farm")...).wantProblem(t, 403, "forbidden")
	s.do("DELETE", path, "", s.person("south", ledger.RoleOperator, "south")...).wantProblem(t, 404, "not-found")
	if r := s.do("DELETE", path, "", anna...); r.status != 200 || !strings.Contains(string(r.body), n.ID) {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	s.do("GET", path, "", anna...).wantProblem(t, 404, "not-found")
	s.do("DELETE", path, "", anna...).wantProblem(t, 404, "not-found")
	s.do("GET", "/api/v1/shared", "", shareHeader, key.Reveal()).wantProblem(t, 401, "unauthorised")
	if r := s.do("GET", "/api/v1/surveys/"+kept.ID, "", anna...); r.status != 200 {
		t.Errorf("another survey: status %d", r.status)
	}
	es := must.Get(s.ledger.Audit.Find(t.Context(), ledger.AuditQuery{Action: ledger.ActionRemoveSurvey, Limit: 5}))(t)
	if len(es) != 1 || es[0].Who != "anna" || es[0].Subject != "farm "+n.ID {
		t.Errorf("audit log: %+v", es)
	}
}
