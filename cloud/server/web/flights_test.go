package web

import (
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// flight records and counts pieces of footage as parts of one flight: 7 animals each, 9 together. It returns the id of
// the flight.
func (s *site) flight(ids ...string) string {
	s.t.Helper()
	ctx := s.t.Context()
	var group ledger.Group
	for i, id := range ids {
		rec := s.record(id, "content of "+id)
		begun, f, err := s.ledger.Attempts.Begin(ctx, rec.Job.ID, "worker1")
		must.Do(s.t, err)
		part := ledger.Part{Footage: f.ID, Name: f.Name, Started: f.Captured}
		near := must.Get(s.ledger.Flights.Neighbors(ctx, f.Device, part))(s.t)
		group.Parts = append(group.Parts, f.ID)
		group.JointCount = ledger.JointCount{Unique: 8 + i, Low: 8, High: 12, ByClass: map[string]int{"cow": 8 + i},
			Warnings: []string{"a break"}, ResultKey: "flights/x.json"}
		_, err = s.ledger.Flights.Finish(ctx, rec.Job.ID, begun.Fence, ledger.Count{Unique: 7, Low: 6, High: 9}, "k.json",
			ledger.Joining{Part: part, Neighbors: near, Groups: []ledger.Group{group}})
		must.Do(s.t, err)
	}
	must.Get(s.blobs.Put(ctx, "flights/x.json", strings.NewReader(`{"animals":[]}`)))(s.t)
	must.Get(s.blobs.Put(ctx, "flights/x.sheet.jpg", strings.NewReader("SHEET")))(s.t)
	return must.Get(s.ledger.Footage.Get(ctx, footage.ID(ids[0])))(s.t).Flight
}

func TestFlights(t *testing.T) {
	s := open(t, nil)
	alone := s.record("alone", "content alone")
	s.finish(alone.Job)
	id := s.flight("part-1", "part-2")
	copied := s.record("copy", "content of part-1")

	var list wire.Page[wire.Flight]
	s.do("GET", "/api/v1/flights", "").decode(t, &list)
	var one wire.Flight
	s.do("GET", "/api/v1/flights/"+id, "").decode(t, &one)
	if len(list.Items) != 1 || list.Items[0].ID != id || one.Unique != 9 || one.State != "joined" || len(one.Parts) != 2 ||
		one.Parts[1].Footage != "part-2" || one.Parts[1].Unique != 7 || !slices.Equal(one.Warnings, []string{"a break"}) {
		t.Errorf("flights %+v, one %+v", list, one)
	}
	if r := s.do("GET", "/api/v1/flights/"+id+"/result", ""); r.status != 200 || string(r.body) != `{"animals":[]}` {
		t.Errorf("result %d %s", r.status, r.body)
	}
	var part wire.Footage
	s.do("GET", "/api/v1/footage/part-2", "").decode(t, &part)
	if part.Flight != id || part.Count.Flight != id || part.Count.Unique != 7 {
		t.Errorf("part %+v with count %+v", part, part.Count)
	}
	var dup wire.Count
	s.do("GET", "/api/v1/counts/copy", "").decode(t, &dup)
	if copied.Footage.DuplicateOf != "part-1" || dup.DuplicateOf != "part-1" || dup.Unique != 7 {
		t.Errorf("count of a duplicate %+v", dup)
	}
	var stats wire.Stats
	s.do("GET", "/api/v1/stats", "").decode(t, &stats)
	if stats.Animals != 7+9 {
		t.Errorf("%d animals in the sums, want the one footage and the flight", stats.Animals)
	}
}

// A list that is added up by the rule in the contract has each animal once.
func TestSumOfTheListIsTheTotal(t *testing.T) {
	s := open(t, nil)
	s.finish(s.record("alone", "content alone").Job)
	s.flight("part-1", "part-2")
	s.record("copy", "content of part-1")
	s.record("copy-2", "content alone")
	var list wire.Page[wire.Footage]
	s.do("GET", "/api/v1/footage", "").decode(t, &list)
	var flights wire.Page[wire.Flight]
	s.do("GET", "/api/v1/flights", "").decode(t, &flights)
	sum := 0
	for _, f := range list.Items {
		if c := f.Count; c != nil && c.DuplicateOf == "" && c.SiblingOf == "" && c.Flight == "" {
			sum += c.Unique
		}
	}
	for _, f := range flights.Items {
		sum += f.Unique
	}
	if len(list.Items) != 5 || sum != 16 {
		t.Errorf("%d pieces with a sum of %d, want 5 with 16", len(list.Items), sum)
	}
}

// A device reads its own flights only.
func TestFlightsOfADevice(t *testing.T) {
	s := open(t, nil)
	id := s.flight("part-1", "part-2")
	token := must.Get(s.ledger.Devices.Add(t.Context(), "device2", "farm", ledger.RoleDevice))(t)
	for path, want := range map[string]int{"/api/v1/flights/" + id: 404, "/api/v1/flights/" + id + "/result": 404} {
		if r := s.do("GET", path, token.Reveal()); r.status != want {
			t.Errorf("%s: %d for another device", path, r.status)
		}
		if r := s.do("GET", path, s.tokens[ledger.RoleDevice]); r.status != 200 {
			t.Errorf("%s: %d for its device", path, r.status)
		}
	}
	var list wire.Page[wire.Flight]
	if s.do("GET", "/api/v1/flights", token.Reveal()).decode(t, &list); len(list.Items) != 0 {
		t.Errorf("another device reads %+v", list)
	}
}

// A person joins and divides flights. Until a worker has done it, the flight is stale and its count a sum.
func TestFlightsByHand(t *testing.T) {
	s := open(t, nil)
	id := s.flight("part-1", "part-2")
	other := s.flight("part-7", "part-8")
	boss := s.tokens[ledger.RoleOperator]
	post := func(path, token, body string) response {
		return s.send("POST", "/api/v1/flights"+path, token, strings.NewReader(body))
	}
	var v wire.Flight
	r := post("", boss, `{"parts":["part-2","part-7"]}`)
	if r.decode(t, &v); v.ID != id || v.State != "stale" || len(v.Parts) != 4 ||
		v.Unique != 9 || v.High < 18 {
		t.Errorf("joined %+v", v)
	}
	var ended wire.Flight
	if s.do("GET", "/api/v1/flights/"+other, "").decode(t, &ended); ended.State != "ended" || ended.Next != id {
		t.Errorf("the other flight %+v", ended)
	}
	if post("/"+id+"/split", s.tokens[ledger.RoleDevice], `{"before":"part-8"}`).decode(t, &v); v.State != "stale" {
		t.Errorf("to be divided %+v", v)
	}
	entries := must.Get(s.ledger.Audit.List(t.Context(), 0, 2))(t)
	if entries[0].Action != ledger.ActionSplitFlight || entries[1].Action != ledger.ActionJoinFlight || entries[1].Who != "operator1" {
		t.Errorf("audit %+v", entries)
	}
	token := must.Get(s.ledger.Devices.Add(t.Context(), "device2", "farm", ledger.RoleDevice))(t)
	for _, c := range []struct {
		path, token, body string
		status            int
		slug              string
	}{
		{"", "", `{"parts":["part-1","part-2"]}`, 401, "unauthorised"},
		{"", s.tokens[ledger.RoleReader], `{"parts":["part-1","part-2"]}`, 403, "forbidden"},
		{"", token.Reveal(), `{"parts":["part-1","part-2"]}`, 404, "not-found"},
		{"", boss, `{"parts":["part-1","none"]}`, 404, "not-found"},
		{"", boss, `{"parts":["part-1"]}`, 400, "bad-request"},
		{"", boss, `{"parts":["part-1","part-1"]}`, 400, "bad-request"},
		{"", boss, `{"pieces":[]}`, 400, "bad-request"},
		{"/" + id + "/split", boss, `{"before":"part-1"}`, 400, "bad-request"},
		{"/" + id + "/split", boss, `{"before":"none"}`, 400, "bad-request"},
		{"/none/split", boss, `{"before":"part-2"}`, 404, "not-found"},
		{"/" + id + "/split", token.Reveal(), `{"before":"part-2"}`, 404, "not-found"},
	} {
		t.Log(c)
		post(c.path, c.token, c.body).wantProblem(t, c.status, c.slug)
	}
}
