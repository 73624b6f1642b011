package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// share makes a link as an operator.
func (s *site) share(path, body string) wire.Share {
	s.t.Helper()
	var v wire.Share
	r := s.send("POST", "/api/v1"+path+"/shares", s.tokens[ledger.RoleOperator], strings.NewReader(body), "Content-Type", "application/json")
	if r.status != http.StatusOK {
		s.t.Fatalf("link to %s: %d %s", path, r.status, r.body)
	}
	r.decode(s.t, &v)
	return v
}

// A link to footage shows its count, sheet, map, report and, if chosen, its video by ranges: with the key, or with the
// cookie that goes to the addresses of this link alone.
func TestSharedFootage(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	at := time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)
	s.flownCount("one", at)
	s.evidence("one")
	s.flownCount("two", at.Add(time.Hour))
	s.evidence("two")
	for _, id := range []string{"one", "two"} {
		must.Get(s.blobs.Put(t.Context(), "footage/"+id+"/result/abc.annotated.mp4", strings.NewReader("VIDEO OF "+id)))(t)
	}
	plain, film := s.share("/footage/one", `{"days":7}`), s.share("/footage/one", `{"days":7,"video":true}`)
	if plain.Footage != "one" || plain.Survey != "" || plain.Video || !film.Video {
		t.Errorf("links %+v %+v", plain, film)
	}
	r := s.do("GET", "/api/v1/shared", "", shareHeader, film.Key)
	var v wire.SharedSurvey
	if r.decode(t, &v); v.Of != "footage" || v.ID != film.ID || v.Survey.Unique != 1 || !v.Video || len(v.Names) != 1 ||
		v.Names[0] != "one.mp4" || len(v.Survey.Parts) != 1 || v.Survey.Created.IsZero() {
		t.Errorf("shared %s", r.body)
	}
	cookie := r.header.Get("Set-Cookie")
	base := "/api/v1/shared/" + film.ID
	for _, want := range []string{shareCookie + "=" + film.Key, "path=" + base, "HttpOnly", "SameSite=Strict"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q has no %s", cookie, want)
		}
	}
	jar := []string{"Cookie", shareCookie + "=" + film.Key}
	for path, want := range map[string]string{"/footage/one/sheet": "\xff\xd8", "/footage/one/video": "VIDEO OF one",
		"/footage/one/positions": "FeatureCollection", "/report.pdf": "%PDF-", "/report.json": `"of":"footage"`} {
		for _, headers := range [][]string{jar, {shareHeader, film.Key}} {
			if r := s.do("GET", base+path, "", headers...); r.status != http.StatusOK || !strings.Contains(string(r.body), want) {
				t.Errorf("%s: %d %.100s", path, r.status, r.body)
			}
		}
	}
	if r := s.do("GET", base+"/footage/one/video", "", append(jar, "Range", "bytes=0-4")...); r.status != http.StatusPartialContent ||
		string(r.body) != "VIDEO" {
		t.Errorf("range: %d %s", r.status, r.body)
	}
	// What the link does not show.
	for _, path := range []string{"/footage/two/video", "/footage/two/sheet", "/footage/two/positions", "/footage/none/video", "/sheet",
		"/footage/one/result"} {
		s.do("GET", base+path, "", jar...).wantStatus(t, path, http.StatusNotFound)
	}
	s.do("GET", "/api/v1/shared/"+plain.ID+"/footage/one/video", "", shareHeader, plain.Key).wantProblem(t, 404, "not-found")
	// The key of one link at the addresses of another, as a token, as a session and for the rest of the API.
	s.do("GET", "/api/v1/shared/"+plain.ID+"/report.json", "", jar...).wantProblem(t, 401, "unauthorised")
	s.do("GET", base+"/footage/one/video", "", "Cookie", shareCookie+"=cc_guess").wantProblem(t, 401, "unauthorised")
	s.do("GET", "/api/v1/shared", "", jar...).wantProblem(t, 401, "unauthorised")
	for _, path := range []string{"/footage/one", "/footage/one/video", "/footage/one/shares", "/flights", "/overview", "/sites/farm/paddocks",
		"/sites/farm/book", "/counts/one/positions", "/events", "/openapi.yaml", "/surveys"} {
		s.do("GET", "/api/v1"+path, film.Key).wantProblem(t, 401, "unauthorised")
		for _, headers := range [][]string{jar, {shareHeader, film.Key}, {"Cookie", tokenCookie + "=" + film.Key},
			{"Cookie", plainCookie + "=" + film.Key}} {
			s.do("GET", "/api/v1"+path, "", headers...).wantProblem(t, 401, "unauthorised")
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		if r := s.do(method, base+"/footage/one/video", "", jar...); r.status < 400 {
			t.Errorf("%s is answered with %d", method, r.status)
		}
	}
	s.do("DELETE", "/api/v1/footage/one/shares/"+film.ID, s.tokens[ledger.RoleOperator])
	for _, path := range []string{"/report.pdf", "/footage/one/video", "/footage/one/sheet"} {
		s.do("GET", base+path, "", jar...).wantProblem(t, 401, "unauthorised")
	}
	es := must.Get(s.ledger.Audit.Find(t.Context(), ledger.AuditQuery{Action: ledger.ActionShareFootage, Limit: 9}))(t)
	if len(es) != 2 || es[0].Subject != "one" || es[0].Who != "operator1" {
		t.Errorf("audit %+v", es)
	}
}

func (r response) wantStatus(t *testing.T, what string, status int) {
	t.Helper()
	if r.status != status {
		t.Errorf("%s: %d %.200s, want %d", what, r.status, r.body, status)
	}
}

// A link to a flight shows its parts and its sheet, and no other flight.
func TestSharedFlight(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	id := s.flight("part-1", "part-2")
	s.flownCount("other", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	must.Get(s.blobs.Put(t.Context(), "k.annotated.mp4", strings.NewReader("VIDEO")))(t)
	link := s.share("/flights/"+id, `{"days":1,"video":true}`)
	base := "/api/v1/shared/" + link.ID
	var v wire.SharedSurvey
	if s.do("GET", "/api/v1/shared", "", shareHeader, link.Key).decode(t, &v); v.Of != "flight" || v.Survey.Unique != 9 ||
		len(v.Survey.Parts) != 2 || len(v.Names) != 2 {
		t.Errorf("shared %+v", v)
	}
	for path, want := range map[string]string{"/sheet": "SHEET", "/footage/part-2/video": "VIDEO"} {
		if r := s.do("GET", base+path, "", shareHeader, link.Key); r.status != 200 || string(r.body) != want {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	s.do("GET", base+"/footage/other/video", "", shareHeader, link.Key).wantProblem(t, 404, "not-found")
}

// Who may not change the site may not share, and copies are shared as what they are copies of.
func TestSharesRefused(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	s.flownCount("one", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	s.record("uncounted", "content")
	copied := must.Get(s.ledger.Footage.Record(t.Context(), ledger.Footage{ID: "copy", Site: "farm", Device: "device1", Name: "c.mp4",
		Size: 3, SHA256: footage.Sum([]byte("one")), BlobKey: "c"}))(t)
	if copied.Footage.DuplicateOf != "one" {
		t.Fatalf("recorded %+v", copied)
	}
	post := func(path, token, body string) response {
		return s.send("POST", "/api/v1"+path+"/shares", token, strings.NewReader(body), "Content-Type", "application/json")
	}
	boss := s.tokens[ledger.RoleOperator]
	foreign := must.Get(s.ledger.Devices.Add(t.Context(), "south1", "south", ledger.RoleOperator))(t).Reveal()
	post("/footage/one", "", `{"days":1}`).wantProblem(t, 401, "unauthorised")
	post("/footage/one", s.tokens[ledger.RoleReader], `{"days":1}`).wantProblem(t, 403, "forbidden")
	post("/footage/one", s.tokens[ledger.RoleDevice], `{"days":1}`).wantProblem(t, 404, "not-found")
	post("/footage/one", foreign, `{"days":1}`).wantProblem(t, 404, "not-found")
	post("/footage/copy", boss, `{"days":1}`).wantProblem(t, 400, "bad-request")
	post("/footage/uncounted", boss, `{"days":1}`).wantProblem(t, 400, "bad-request")
	post("/footage/one", boss, `{"days":1,"sound":true}`).wantProblem(t, 400, "bad-request")
	n := must.Get(s.ledger.Surveys.Add(t.Context(), ledger.Survey{Site: "farm"}))(t)
	post("/surveys/"+n.ID, boss, `{"days":1,"video":true}`).wantProblem(t, 400, "bad-request")
	link := s.share("/surveys/"+n.ID, `{"days":1}`)
	s.do("GET", "/api/v1/shared/"+link.ID+"/footage/one/sheet", "", shareHeader, link.Key).wantProblem(t, 404, "not-found")
	s.do("DELETE", "/api/v1/footage/one/shares/"+link.ID, boss).wantProblem(t, 404, "not-found")
}
