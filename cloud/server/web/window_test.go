package web

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
)

// Everybody sees the animals of own sites on the map, in pages, as GeoJSON or CSV, and no other ones.
func TestPositionsOnAMap(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	at := time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)
	s.flownCount("one", at)
	s.flownCount("two", at.Add(48*time.Hour))
	borders := boxes(box("East", 24.3000, -31.71, 24.31, -31.69))
	if r := s.send("PUT", "/api/v1/sites/farm/paddocks", s.tokens[ledger.RoleOperator], strings.NewReader(borders)); r.status != 200 {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	s.place()
	anna := s.person("anna", ledger.RoleViewer, "farm")
	get := func(query string, headers ...string) (v positionFeatures, r response) {
		t.Helper()
		r = s.do("GET", "/api/v1/positions"+query, "", headers...)
		if r.status == 200 {
			must.Do(t, json.Unmarshal(r.body, &v))
		}
		return v, r
	}
	for query, want := range map[string]int{"": 2, "?bbox=24.29,-31.71,24.31,-31.69": 2, "?bbox=24.31,-31.71,24.4,-31.69": 0,
		"?paddock=East": 2, "?paddock=West": 0, "?site=farm": 2, "?site=south": 0, "?device=device1": 2, "?device=device2": 0,
		"?from=2026-05-02": 1, "?to=2026-05-02": 1, "?bbox=24.31,-31.71,24.29,-31.69": 0} {
		if v, r := get(query, anna...); r.status != 200 || len(v.Features) != want || v.Next != "" {
			t.Errorf("%s: status %d, %d animals, want %d: %s", query, r.status, len(v.Features), want, r.body)
		}
	}
	v, r := get("?limit=1", anna...)
	if len(v.Features) != 1 || v.Next == "" || !strings.Contains(r.header.Get("Link"), `rel="next"`) {
		t.Fatalf("first page: %v %s", r.header, r.body)
	}
	p := v.Features[0].Properties
	if p.Class != "cow" || p.Footage != "one" || p.Site != "farm" || p.Device != "device1" || p.Paddock != "East" || p.Radius <= 0 ||
		p.Captured == nil || math.Abs(v.Features[0].Geometry.Coordinates[0]-24.30002) > 1e-4 {
		t.Errorf("an animal is %s", r.body)
	}
	if v, _ := get("?limit=1&after="+v.Next, anna...); len(v.Features) != 1 || v.Features[0].Properties.Footage != "two" || v.Next != "" {
		t.Errorf("second page: %+v", v)
	}
	if _, again := get("?limit=1", append(anna, "If-None-Match", r.header.Get("ETag"))...); again.status != 304 {
		t.Errorf("the same page has status %d", again.status)
	}
	table := s.do("GET", "/api/v1/positions?format=csv", "", anna...)
	if lines := strings.Split(string(table.body), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[1], "one,,farm,device1,2026-05-01T06:00:00Z,1,cow,-31.6") {
		t.Errorf("table: %s", table.body)
	}
	if v, _ := get("", s.person("other", ledger.RoleAdmin, "south")...); len(v.Features) != 0 {
		t.Errorf("another site sees %+v", v)
	}
	for _, query := range []string{"?bbox=", "?bbox=1,2,3", "?bbox=a,2,3,4", "?bbox=1,2,3,91", "?bbox=1,5,3,4", "?bbox=1,2,3,NaN",
		"?box=1,2,3,4", "?limit=0", "?limit=5001", "?format=kml", "?from=x", "?from=2026-05-02&to=2026-05-01", "?sort=most", "?after=1"} {
		s.do("GET", "/api/v1/positions"+query, "", anna...).wantProblem(t, 400, "bad-request")
	}
	for _, list := range []string{"/footage", "/flights"} {
		s.do("GET", "/api/v1"+list+"?bbox=1,2", "", anna...).wantProblem(t, 400, "bad-request")
	}
	for query, want := range map[string]int{"24.29,-31.71,24.31,-31.69": 2, "25,-31.71,26,-31.69": 0} {
		r := s.do("GET", "/api/v1/footage?bbox="+query, "", anna...)
		if n := strings.Count(string(r.body), `"device":"device1"`); r.status != 200 || n != want {
			t.Errorf("footage in %s: %d, want %d: %s", query, n, want, r.body)
		}
	}
}

// A recount of old footage has its animals in the paddocks that held when it was recorded, each once.
func TestRecountKeepsTheBorders(t *testing.T) {
	s := open(t, nil)
	ctx, boss := t.Context(), s.tokens[ledger.RoleOperator]
	s.flownCount("one", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	for _, borders := range []string{boxes(box("Old", 24.2, -31.8, 24.4, -31.6)), boxes(box("New", 24.2, -31.8, 24.4, -31.6))} {
		if r := s.send("PUT", "/api/v1/sites/farm/paddocks", boss, strings.NewReader(borders)); r.status != 200 {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
	}
	s.place()
	j := must.Get(s.ledger.Jobs.Recount(ctx, "one"))(t)
	key := j.ResultKey
	j, _, err := s.ledger.Attempts.Begin(ctx, j.ID, "w")
	must.Do(t, err)
	must.Get(s.ledger.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: 1, Low: 1, High: 2}, key))(t)
	s.place()
	var v positionFeatures
	must.Do(t, json.Unmarshal(s.do("GET", "/api/v1/positions", boss).body, &v))
	if len(v.Features) != 1 || v.Features[0].Properties.Paddock != "Old" {
		t.Errorf("positions %+v", v.Features)
	}
	if c := must.Get(s.ledger.Counts.Get(ctx, "one"))(t); c.Spread.Borders != 1 {
		t.Errorf("the count is divided by version %d", c.Spread.Borders)
	}
}

func FuzzParseWindow(f *testing.F) {
	for _, v := range []string{"24.3,-31.7,24.4,-31.6", "179,-1,-179,1", "", ",,,", "1e308,1,2,3", "NaN,0,0,0", " 1, 2 ,3,4"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		w, err := parseWindow(v)
		if err == nil && w.Check() != nil {
			t.Errorf("%q is read as %+v", v, w)
		}
	})
}
