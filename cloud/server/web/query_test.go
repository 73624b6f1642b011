package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// Every operation of openapi.yaml refuses a parameter that it does not have, also a filter that only other ones have. The
// address to which a provider of log-ins sends people back takes what the provider adds.
func TestUnknownParameters(t *testing.T) {
	s := open(t, nil)
	for path, item := range loadOpenAPI(t).Paths.Map() {
		if path == openIDCallback {
			continue
		}
		address := strings.NewReplacer("{id}", "one", "{footage}", "one", "{device}", "device1", "{page}", "1", "{site}", "farm",
			"{version}", "1").Replace(path)
		for method, op := range item.Operations() {
			var have []string
			for _, p := range op.Parameters {
				if p.Value.In == "query" {
					have = append(have, p.Value.Name)
				}
			}
			for _, query := range []string{"sites=x", "Limit=1", "x", "%zz=1", "limit=1&x=2", "token=cc_x", "site=%ff"} {
				r := s.send(method, address+"?"+query, "", nil)
				if r.status != http.StatusBadRequest {
					t.Errorf("%s %s?%s: status %d: %s", method, path, query, r.status, r.body)
				}
			}
			for _, name := range []string{"site", "device", "state", "limit", "after", "from", "to", "direct", "format", "sha256"} {
				if slices.Contains(have, name) {
					for _, query := range []string{name + "=", name + "=1&" + name + "=1", name + "=%00"} {
						if r := s.send(method, address+"?"+query, "", nil); r.status != http.StatusBadRequest {
							t.Errorf("%s %s?%s: status %d", method, path, query, r.status)
						}
					}
					continue
				}
				if r := s.send(method, address+"?"+name+"=1", "", nil); r.status != http.StatusBadRequest {
					t.Errorf("%s %s?%s=1: status %d", method, path, name, r.status)
				}
			}
		}
	}
	for query, want := range map[string]string{
		"?sit=x": `it has limit, after, site, device, from, to, paddock, format.`, "?limit=0": "limit: ", "?from=yesterday": "from: ",
		"?site=a/b": "site: ", "?from=2026-02-01&to=2026-01-01": "from: ",
	} {
		r := s.do("GET", "/api/v1/counts"+query, "")
		if r.wantProblem(t, 400, "bad-request"); !strings.Contains(string(r.body), want) {
			t.Errorf("%s: %s", query, r.body)
		}
	}
	one := footage.Sum([]byte("x")).String()
	s.do("GET", "/api/v1/footage?site=farm&sha256="+one, "").wantProblem(t, 400, "bad-request")
	for _, query := range []string{"?", "?&", "?limit=5&site=farm", "?site=f%61rm"} {
		if r := s.do("GET", "/api/v1/counts"+query, ""); r.status != 200 {
			t.Errorf("%s: status %d", query, r.status)
		}
	}
}

// Lists are narrowed by site, device, time and state.
func TestFilters(t *testing.T) {
	s := open(t, nil)
	for i, site := range []string{"north", "south", "north"} {
		id := fmt.Sprint("clip-", i)
		rec := must.Get(s.ledger.Footage.Record(t.Context(), ledger.Footage{ID: footage.ID(id), Site: site,
			Device: fmt.Sprint("base-", i), Name: id, Size: 5, SHA256: footage.Sum([]byte(id)),
			Captured: time.Date(2026, 5, 1+i, 6, 0, 0, 0, time.UTC)}))(t)
		if i > 0 {
			s.finish(rec.Job)
		}
	}
	s.flight("part-1", "part-2") // of device1 in farm
	ids := func(path string) string {
		t.Helper()
		var names []string
		if strings.Contains(path, "/footage") {
			var list wire.Page[wire.Footage]
			s.do("GET", path, "").decode(t, &list)
			for _, v := range list.Items {
				names = append(names, string(v.ID))
			}
		} else if strings.Contains(path, "/flights") {
			var list wire.Page[wire.Flight]
			s.do("GET", path, "").decode(t, &list)
			for _, v := range list.Items {
				names = append(names, v.Site)
			}
		} else {
			var list wire.Page[wire.Count]
			s.do("GET", path, "").decode(t, &list)
			for _, v := range list.Items {
				names = append(names, string(v.Footage))
			}
		}
		return strings.Join(names, " ")
	}
	for path, want := range map[string]string{
		"/api/v1/footage?site=north":                                     "clip-2 clip-0",
		"/api/v1/footage?site=north&device=base-0":                       "clip-0",
		"/api/v1/footage?device=base-1":                                  "clip-1",
		"/api/v1/footage?from=2026-05-02&to=2026-05-03":                  "clip-1",
		"/api/v1/footage?from=2026-05-02T06:00:00Z&site=north":           "clip-2",
		"/api/v1/footage?from=2026-05-02T08:00:01%2B02:00&to=2030-01-01": "clip-2",
		"/api/v1/footage?site=north&state=done":                          "clip-2",
		"/api/v1/footage?site=north&state=uploaded":                      "clip-0",
		"/api/v1/footage?site=nowhere":                                   "",
		"/api/v1/counts?site=north":                                      "clip-2",
		"/api/v1/counts?site=south&from=2026-05-03":                      "",
		"/api/v1/counts?device=base-1":                                   "clip-1",
		"/api/v1/jobs?device=base-0":                                     "clip-0",
		"/api/v1/flights?site=farm":                                      "farm",
		"/api/v1/flights?site=north":                                     "",
		"/api/v1/flights?state=stale":                                    "",
		"/api/v1/flights?state=joined&device=device1":                    "farm",
		"/api/v1/flights?from=2100-01-01":                                "",
	} {
		if got := ids(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	var list wire.Page[wire.Footage]
	s.do("GET", "/api/v1/footage?limit=1&site=north", "").decode(t, &list)
	if got := ids("/api/v1/footage?site=north&after=" + list.Next); got != "clip-0" {
		t.Errorf("next page: %q", got)
	}
	// A device sees its own footage, whatever it asks for.
	var own wire.Page[wire.Footage]
	s.do("GET", "/api/v1/footage?device=base-1", s.tokens[ledger.RoleDevice]).decode(t, &own)
	if len(own.Items) != 0 {
		t.Errorf("a device reads that of another: %+v", own.Items)
	}
}

func FuzzQuery(f *testing.F) {
	rules, err := readQueryRules(openAPI)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("GET", "/api/v1/counts", "limit", "5")
	f.Add("GET", "/api/v1/footage/x/still", "direct", "1")
	f.Add("GET", "/api/v1/flights", "from", "2026-05-01")
	f.Fuzz(func(t *testing.T, method, path, name, value string) {
		list, ok := rules.of(method, path)
		if !ok && len(list) > 0 {
			t.Fatal("rules of an operation that does not exist")
		}
		for _, r := range list {
			if why := r.fault(value); r.name == name && why == "" && value == "" {
				t.Errorf("%s accepts an empty value", name)
			}
		}
	})
}
