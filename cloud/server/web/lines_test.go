package web

import (
	"strings"
	"testing"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const gateDocument = `{"lines":[{"name":"gate","from":[0,0.5],"to":[1,0.5],"frame":"ground"}]}`

func (s *site) lines(method, path, token, body string, status int) wire.Lines {
	s.t.Helper()
	r := s.send(method, "/api/v1"+path+"/lines", token, strings.NewReader(body))
	if r.status != status {
		s.t.Fatalf("%s %s: status %d: %s", method, path, r.status, r.body)
	}
	var out wire.Lines
	if status == 200 {
		r.decode(s.t, &out)
	}
	return out
}

func TestLines(t *testing.T) {
	s := open(t, nil)
	rec := s.record("one", "content one")
	boss := s.tokens[ledger.RoleOperator]
	if got := s.lines("GET", "/footage/one", "", "", 200); got.Source != wire.LinesNone || got.Lines == nil || got.Zones == nil ||
		got.Updated != nil || got.Recount {
		t.Errorf("%+v", got)
	}
	got := s.lines("PUT", "/devices/device1", s.tokens[ledger.RoleDevice], gateDocument, 200)
	if got.Source != wire.LinesDevice || got.Updated == nil || len(got.Lines) != 1 || got.Lines[0].Name != "gate" ||
		!got.Lines[0].OnGround() || got.Recount {
		t.Errorf("%+v", got)
	}
	if got = s.lines("GET", "/footage/one", "", "", 200); got.Source != wire.LinesDevice || len(got.Lines) != 1 {
		t.Errorf("%+v", got)
	}
	s.finish(rec.Job)
	if got = s.lines("GET", "/footage/one", "", "", 200); got.Recount {
		t.Errorf("the count is newer than the lines: %+v", got)
	}
	got = s.lines("PUT", "/footage/one", boss, strings.Replace(gateDocument, "gate", "road", 1), 200)
	if got.Source != wire.LinesFootage || got.Lines[0].Name != "road" || !got.Recount {
		t.Errorf("%+v", got)
	}
	if got = s.lines("GET", "/footage/one", "", "", 200); !got.Recount {
		t.Errorf("the count is older than the lines: %+v", got)
	}
	if got = s.lines("DELETE", "/footage/one", boss, "", 200); got.Source != wire.LinesDevice || !got.Recount {
		t.Errorf("%+v", got)
	}
	s.lines("DELETE", "/footage/one", boss, "", 404)
	if got = s.lines("PUT", "/footage/one", boss, `{}`, 200); got.Source != wire.LinesFootage || len(got.Lines) != 0 {
		t.Errorf("no lines on purpose: %+v", got)
	}
	entries, err := s.ledger.Audit.List(t.Context(), 0, 1)
	if err != nil || len(entries) != 1 || entries[0].Action != ledger.ActionSetLines || entries[0].Who != "operator1" {
		t.Errorf("%v %+v", err, entries)
	}
}

// Lines that change while the footage is counted are not in its count.
func TestLinesChangedDuringTheCount(t *testing.T) {
	s := open(t, nil)
	rec := s.record("one", "content one")
	j, _, err := s.ledger.Attempts.Begin(t.Context(), rec.Job.ID, "w")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.lines("PUT", "/footage/one", s.tokens[ledger.RoleOperator], gateDocument, 200); got.Recount {
		t.Errorf("there is no count yet: %+v", got)
	}
	if _, err := s.ledger.Attempts.Finish(t.Context(), j.ID, j.Fence, ledger.Count{Unique: 4, Low: 4, High: 4}, "k"); err != nil {
		t.Fatal(err)
	}
	if got := s.lines("GET", "/footage/one", "", "", 200); !got.Recount {
		t.Errorf("the count began before the lines: %+v", got)
	}
	if j, err = s.ledger.Jobs.Recount(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	s.finish(&j)
	if got := s.lines("GET", "/footage/one", "", "", 200); got.Recount {
		t.Errorf("the new count began after the lines: %+v", got)
	}
}

func TestLinesRefused(t *testing.T) {
	s := open(t, nil)
	s.record("one", "content of one")
	s.record("copy", "content of one")
	token, _ := s.twoDevices()
	boss := s.tokens[ledger.RoleOperator]
	put := func(path, token, body string) response {
		return s.send("PUT", "/api/v1"+path+"/lines", token, strings.NewReader(body))
	}
	put("/devices/device1", "", gateDocument).wantProblem(t, 401, "unauthorised")
	put("/devices/device1", s.tokens[ledger.RoleReader], gateDocument).wantProblem(t, 403, "forbidden")
	put("/devices/device1", token, gateDocument).wantProblem(t, 404, "not-found") // of another device
	put("/footage/one", token, gateDocument).wantProblem(t, 404, "not-found")
	put("/devices/nope", boss, gateDocument).wantProblem(t, 404, "not-found")
	put("/footage/nope", boss, gateDocument).wantProblem(t, 404, "not-found")
	put("/footage/copy", boss, gateDocument).wantProblem(t, 400, "bad-request")
	for body, want := range map[string]string{
		"":                            "EOF",
		"[]":                          "cannot unmarshal",
		`{"lins":[]}`:                 "lins",
		`{"lines":[{"name":"gate"}]}`: "are one point",
		strings.Repeat(" ", 100) + `{"lines":[{"name":"a","from":[0,0],"to":[1,1],"frame":"geo"}]}`: "geographic coordinates are not supported yet",
	} {
		r := put("/footage/one", boss, body)
		r.wantProblem(t, 400, "bad-request")
		if !strings.Contains(string(r.body), want) {
			t.Errorf("%s: %s, want %q", body, r.body, want)
		}
	}
	put("/footage/one", boss, strings.Repeat(" ", boundary.MaxDocument+1)).wantProblem(t, 413, "too-large")
	if got := s.lines("GET", "/footage/one", "", "", 200); got.Source != wire.LinesNone {
		t.Errorf("%+v", got)
	}
}

// The count of footage has the totals of its lines and zones.
func TestCountShowsTotals(t *testing.T) {
	s := open(t, nil)
	rec := s.record("one", "content one")
	j, _, err := s.ledger.Attempts.Begin(t.Context(), rec.Job.ID, "w")
	if err != nil {
		t.Fatal(err)
	}
	found := boundary.Totals{Lines: []boundary.LineTotal{{Name: "gate", In: 3, Out: 1, Net: 2}}}
	if _, err := s.ledger.Attempts.Finish(t.Context(), j.ID, j.Fence, ledger.Count{Unique: 4, Low: 4, High: 4, Boundaries: found},
		"k"); err != nil {
		t.Fatal(err)
	}
	var v wire.Footage
	s.do("GET", "/api/v1/footage/one", "").decode(t, &v)
	if v.Count == nil || len(v.Count.Lines) != 1 || v.Count.Lines[0] != found.Lines[0] || v.Count.Zones != nil {
		t.Errorf("%+v", v.Count)
	}
}

// A flight has lines of its own, which its footage shares, and the totals of the whole flight.
func TestLinesOfAFlight(t *testing.T) {
	s := open(t, nil)
	id := s.flight("part-1", "part-2")
	boss, path := s.tokens[ledger.RoleOperator], "/flights/"+id
	if got := s.lines("GET", path, "", "", 200); got.Source != wire.LinesNone || got.Anchor != "" {
		t.Errorf("%+v", got)
	}
	s.send("PUT", "/api/v1"+path+"/lines", "", strings.NewReader(gateDocument)).wantProblem(t, 401, "unauthorised")
	s.lines("PUT", "/devices/device1", boss, strings.Replace(gateDocument, "gate", "station", 1), 200)
	if got := s.lines("GET", path, "", "", 200); got.Source != wire.LinesDevice || got.Lines[0].Name != "station" {
		t.Errorf("%+v", got)
	}
	got := s.lines("PUT", path, s.tokens[ledger.RoleDevice], gateDocument, 200)
	if got.Source != wire.LinesFlight || got.Anchor != "part-1" || got.Lines[0].Name != "gate" {
		t.Errorf("%+v", got)
	}
	if got := s.lines("GET", "/footage/part-2", "", "", 200); got.Source != wire.LinesFlight || !got.Recount {
		t.Errorf("%+v", got)
	}
	var v wire.Flight
	if s.do("GET", "/api/v1"+path, "").decode(t, &v); v.State != "stale" || v.Lines != nil {
		t.Errorf("%+v", v)
	}
	s.do("GET", "/api/v1"+path+"/crossings.csv", "").wantProblem(t, 404, "not-found")

	stale := must.Get(s.ledger.Flights.ListStale(t.Context(), 1))(t)[0]
	group := ledger.Group{Parts: []footage.ID{"part-1", "part-2"}, JointCount: stale.JointCount, Judged: *got.Updated}
	group.Boundaries.Lines = []boundary.LineTotal{{Name: "gate", In: 3, Out: 1, Net: 2, NotJudged: 4}}
	must.Do(t, s.ledger.Flights.Rejoin(t.Context(), stale, []ledger.Group{group}))
	must.Get(s.blobs.Put(t.Context(), "flights/x.crossings.csv", strings.NewReader("name\n")))(t)
	if s.do("GET", "/api/v1"+path, "").decode(t, &v); v.State != "joined" || len(v.Lines) != 1 || v.Lines[0].NotJudged != 4 {
		t.Errorf("%+v", v)
	}
	if r := s.do("GET", "/api/v1"+path+"/crossings.csv", ""); r.status != 200 || string(r.body) != "name\n" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := s.lines("DELETE", path, boss, "", 200); got.Source != wire.LinesDevice {
		t.Errorf("%+v", got)
	}
	s.lines("DELETE", path, boss, "", 404)
	s.lines("GET", "/flights/none", "", "", 404)
	token := must.Get(s.ledger.Devices.Add(t.Context(), "device2", "farm", ledger.RoleDevice))(t)
	s.send("PUT", "/api/v1"+path+"/lines", token.Reveal(), strings.NewReader(gateDocument)).wantProblem(t, 404, "not-found")
}
