package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/wire"
)

// A link opens one survey without a login, until it is revoked, and nothing else.
func TestSharedSurvey(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	s.flownCount("one", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	n := must.Get(s.ledger.Surveys.Add(t.Context(), ledger.Survey{Site: "farm", Name: "May"}))(t)
	anna := s.person("anna", ledger.RoleOperator, "farm")
	shares := "/api/v1/surveys/" + n.ID + "/shares"
	add := func(days string, headers ...string) response {
		return s.send("POST", shares, "", strings.NewReader(`{"days":`+days+`}`),
			append(headers, "Content-Type", "application/json")...)
	}
	for _, days := range []string{"0", "-1", "367", `"7"`} {
		add(days, anna...).wantProblem(t, 400, "bad-request")
	}
	add("7", s.person("south-boss", ledger.RoleOperator, "south")...).wantProblem(t, 404, "not-found")
	add("7", s.person("eye", ledger.RoleReviewer, "farm")...).wantProblem(t, 403, "forbidden")
	var made wire.Share
	add("7", anna...).decode(t, &made)
	if made.Key == "" || made.Who != "anna" || made.Expires.Sub(made.Created) != 7*24*time.Hour {
		t.Fatalf("made %+v", made)
	}
	r := s.do("GET", "/api/v1/shared", "", shareHeader, made.Key)
	var v wire.SharedSurvey
	if r.decode(t, &v); r.status != http.StatusOK || v.Survey.Unique != 1 || v.Survey.Name != "May" ||
		v.SharedBy != "anna" ||
		r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("shared: %d %s", r.status, r.body)
	}
	for _, key := range []string{"", "cc_guess", made.Key + "x", strings.Repeat("cc_", 200)} {
		s.do("GET", "/api/v1/shared", "", shareHeader, key).wantProblem(t, 401, "unauthorised")
	}
	for _, path := range []string{"/surveys/" + n.ID, "/footage", "/footage/one", "/overview"} {
		s.do("GET", "/api/v1"+path, "", shareHeader, made.Key).wantProblem(t, 401, "unauthorised")
		s.do("GET", "/api/v1"+path, made.Key).wantProblem(t, 401, "unauthorised")
	}
	list := s.do("GET", shares, "", anna...)
	if strings.Contains(string(list.body), made.Key) || !strings.Contains(string(list.body), made.ID) {
		t.Errorf("links: %s", list.body)
	}
	if r := s.do("DELETE", shares+"/"+made.ID, "", anna...); r.status != http.StatusOK ||
		!strings.Contains(string(r.body), "revoked") {
		t.Errorf("revoked: %d %s", r.status, r.body)
	}
	s.do("GET", "/api/v1/shared", "", shareHeader, made.Key).wantProblem(t, 401, "unauthorised")
}
