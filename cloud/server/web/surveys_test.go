package web

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/wire"
)

// Two flights over the same animal within minutes count it once; a flight days later is not in the survey.
func TestSurveys(t *testing.T) {
	s := open(t, nil)
	at := time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)
	s.flownCount("one", at)
	s.flownCount("two", at.Add(5*time.Minute))
	s.flownCount("late", at.AddDate(0, 0, 3))
	boss := s.tokens[ledger.RoleOperator]
	send := func(method, path, body string, v any) {
		t.Helper()
		r := s.send(method, "/api/v1"+path, boss, strings.NewReader(body))
		if r.status != 200 {
			t.Fatalf("%s %s: status %d: %s", method, path, r.status, r.body)
		}
		r.decode(t, v)
	}
	var b wire.Borders
	send("PUT", "/sites/farm/paddocks", boxes(box("East", 24.29999, -31.71, 24.301, -31.69), box("Far", 24.9, -31.71, 24.95, -31.69)), &b)
	var book wire.Book
	send("PUT", "/sites/farm/book?from=2026-01-01", "paddock,animals\nEast,1\nFar,3\nGone,2\n,4\n", &book)
	if len(book.Expected) != 4 || len(book.History) != 4 || book.History[0].Who != "operator1" {
		t.Errorf("book %+v", book)
	}
	var v wire.Survey
	send("POST", "/surveys", `{"site":"farm","name":"May","from":"2026-05-01T00:00:00Z","to":"2026-05-02T00:00:00Z"}`, &v)
	if v.Unique != 1 || v.Double != 1 || v.Placed != 1 || len(v.Parts) != 2 || v.Version != 1 || v.High < 1 {
		t.Errorf("survey %+v", v)
	}
	east, far := v.Paddocks[0], v.Paddocks[1]
	if *east.Animals != 1 || east.Expected.Verdict != "agrees" || *east.Expected.Difference != 0 || east.Seen <= 0 || east.Seen > 0.5 {
		t.Errorf("east %+v %+v", east, east.Expected)
	}
	if far.Animals != nil || far.Expected.Verdict != "not_seen" || far.Expected.Difference != nil || far.Seen != 0 {
		t.Errorf("far %+v %+v", far, far.Expected)
	}
	if v.Expected.Verdict != "part_seen" || *v.Expected.Difference != -3 {
		t.Errorf("whole site %+v", v.Expected)
	}
	if w := strings.Join(v.Warnings, "\n"); !strings.Contains(w, "not wholly seen: East") || !strings.Contains(w, `"Gone"`) {
		t.Errorf("warnings %q", w)
	}
	r := s.do("GET", "/api/v1/surveys/"+v.ID, "")
	var again wire.Survey
	if r.decode(t, &again); again.Name != "May" || again.Unique != 1 || again.Who != "operator1" {
		t.Errorf("read again %+v", again)
	}
	if r := s.do("GET", "/api/v1/surveys/"+v.ID, "", "If-None-Match", r.header.Get("ETag")); r.status != 304 {
		t.Errorf("with its entity tag: %d", r.status)
	}
	table := s.do("GET", "/api/v1/surveys/"+v.ID+"?format=csv", "")
	if lines := strings.Split(string(table.body), "\n"); len(lines) != 5 || !strings.HasPrefix(lines[1], "East,1,") ||
		!strings.HasSuffix(lines[2], ",0.000,3,,not_seen") || !strings.HasPrefix(lines[3], ",1,") {
		t.Errorf("table %s", table.body)
	}
	// A log that is no log takes the positions away, and the survey with them.
	s.telemetry("one", "<html></html>")
	s.do("GET", "/api/v1/surveys/"+v.ID, "").decode(t, &again)
	if again.Unique != 2 || again.Placed != 1 || again.Double != 0 || !strings.Contains(strings.Join(again.Warnings, "\n"), "1 of 2 pieces") {
		t.Errorf("without a log: %+v", again)
	}
	if es := must.Get(s.ledger.Audit.List(t.Context(), 0, 1))(t); es[0].Action != ledger.ActionAddSurvey || es[0].Who != "operator1" ||
		es[0].Subject != "farm "+v.ID {
		t.Errorf("audit %+v", es)
	}
	var chosen wire.Survey
	if send("POST", "/surveys", `{"site":"farm","footage":["late"]}`, &chosen); len(chosen.Parts) != 1 || chosen.Parts[0].Footage != "late" {
		t.Errorf("chosen %+v", chosen)
	}
	var list wire.Page[wire.SurveyHead]
	s.do("GET", "/api/v1/surveys?site=farm&limit=1", "").decode(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID != chosen.ID || list.Next == "" {
		t.Errorf("list %+v", list)
	}
}

func TestSurveysRefused(t *testing.T) {
	s := open(t, nil)
	s.flownCount("one", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	s.record("uncounted", "content")
	boss := s.tokens[ledger.RoleOperator]
	post := func(token, body string) response {
		return s.send("POST", "/api/v1/surveys", token, strings.NewReader(body))
	}
	for _, body := range []string{`{}`, `{"site":"a b"}`, `{"site":"farm","paddock":"x"}`, `[]`, `{"site":"farm","footage":["uncounted"]}`,
		`{"site":"farm","footage":[]}`,
		`{"site":"farm","from":"2026-05-02T00:00:00Z","to":"2026-05-01T00:00:00Z"}`, `{"site":"farm","from":"yesterday"}`} {
		post(boss, body).wantProblem(t, 400, "bad-request")
	}
	post(boss, `{"site":"farm","footage":["none"]}`).wantProblem(t, 404, "not-found")
	post("", `{"site":"farm"}`).wantProblem(t, 401, "unauthorised")
	post(s.tokens[ledger.RoleReader], `{"site":"farm"}`).wantProblem(t, 403, "forbidden")
	post(s.tokens[ledger.RoleDevice], `{"site":"farm"}`).wantProblem(t, 404, "not-found")
	foreign := must.Get(s.ledger.Devices.Add(t.Context(), "south1", "south", ledger.RoleOperator))(t).Reveal()
	post(foreign, `{"site":"farm"}`).wantProblem(t, 404, "not-found")
	n := must.Get(s.ledger.Surveys.Add(t.Context(), ledger.Survey{Site: "farm"}))(t)
	for _, token := range []string{foreign, s.tokens[ledger.RoleDevice]} {
		s.do("GET", "/api/v1/surveys/"+n.ID, token).wantProblem(t, 404, "not-found")
		var list wire.Page[wire.SurveyHead]
		if s.do("GET", "/api/v1/surveys", token).decode(t, &list); len(list.Items) != 0 {
			t.Errorf("foreign surveys %+v", list)
		}
	}
	for _, body := range []string{"", "a,b\n1,2", "paddock,animals\nx,-1", "paddock,animals\nx,1\nx,2"} {
		s.send("PUT", "/api/v1/sites/farm/book", boss, strings.NewReader(body)).wantProblem(t, 400, "bad-request")
	}
	s.send("PUT", "/api/v1/sites/farm/book", foreign, strings.NewReader("paddock,animals\nx,1")).wantProblem(t, 404, "not-found")
}

// A flight in two parts without positions counts as the flight, in which an animal of both parts is once. One of its parts
// alone has its own count. The paddocks are those of the flight's time, also when no time of the recording is known.
func TestSurveyOfAFlight(t *testing.T) {
	s := open(t, nil)
	s.flight("part-1", "part-2")
	must.Do(t, s.ledger.DB().Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE footage SET taken = NULL, received = received - 3600000000`)
		return err
	}))
	for _, name := range []string{"Old", "New"} {
		list := must.Get(paddock.ReadAny([]byte(box(name, 24.2, -31.8, 24.4, -31.6))))(t)
		must.Get(SetPaddocks(t.Context(), s.ledger.Borders, "farm", time.Time{}, list))(t)
	}
	take := func(chosen string) (v wire.Survey) {
		t.Helper()
		r := s.send("POST", "/api/v1/surveys", s.tokens[ledger.RoleOperator], strings.NewReader(`{"site":"farm","footage":[`+chosen+`]}`))
		if r.status != 200 {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
		r.decode(t, &v)
		return v
	}
	if v := take(`"part-2","part-1"`); v.Unique != 9 || v.Low != 8 || v.High != 12 || v.Paddocks[0].Name != "Old" {
		t.Errorf("the flight: %+v", v)
	}
	if v := take(`"part-2"`); v.Unique != 7 || v.Low != 6 || v.High != 9 {
		t.Errorf("one part: %+v", v)
	}
}
