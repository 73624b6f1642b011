package web

import (
	"encoding/csv"
	"strings"
	"testing"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// TestListsAsTables reads every list that has pages as CSV, page by page.
func TestListsAsTables(t *testing.T) {
	s := open(t, nil)
	s.flight("part-1", "part-2")
	rec := must.Get(s.ledger.Footage.Record(t.Context(), ledger.Footage{ID: "clip", Site: "farm", Device: "device1",
		Name: `=HYPERLINK("x")`, Size: 5, SHA256: footage.Sum([]byte("clip"))}))(t)
	s.finish(rec.Job)
	for path, want := range map[string]struct {
		rows  int
		first string
	}{
		"/api/v1/footage": {3, "footage"}, "/api/v1/counts": {3, "footage"}, "/api/v1/jobs": {3, "job"},
		"/api/v1/flights": {1, "flight"}, "/api/v1/waiting": {0, "footage"},
	} {
		n := 0
		for next := path + "?format=csv&limit=2"; next != ""; {
			r := s.do("GET", next, "")
			rows, err := csv.NewReader(strings.NewReader(string(r.body))).ReadAll()
			if r.status != 200 || err != nil || r.header.Get("Content-Type") != media["csv"] || rows[0][0] != want.first {
				t.Fatalf("%s: status %d, error %v: %s", next, r.status, err, r.body)
			}
			if strings.Contains(string(r.body), `"=HYPERLINK`) {
				t.Errorf("%s: a cell is a formula: %s", next, r.body)
			}
			n += len(rows) - 1
			link := r.header.Get("Link")
			next, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
			if link != "" && !strings.HasSuffix(link, `>; rel="next"`) {
				t.Errorf("%s: Link %q", path, link)
			}
		}
		if n != want.rows {
			t.Errorf("%s: %d rows, want %d", path, n, want.rows)
		}
		s.do("GET", path+"?format=xml", "").wantProblem(t, 400, "bad-request")
	}
}

// TestDocumentsHaveTags asks for documents again with their tag, before and after a change.
func TestDocumentsHaveTags(t *testing.T) {
	s := open(t, nil)
	s.flight("part-1", "part-2")
	for _, path := range []string{"/footage", "/counts", "/jobs", "/flights", "/devices", "/uploads", "/waiting", "/stats",
		"/surveys", "/history", "/stations", "/footage/part-1", "/counts/part-1", "/sites/farm/book"} {
		path = "/api/v1" + path
		first := s.do("GET", path, "")
		tag := first.header.Get("ETag")
		if first.status != 200 || tag == "" {
			t.Errorf("%s: status %d, tag %q", path, first.status, tag)
			continue
		}
		if r := s.do("GET", path, "", "If-None-Match", `"other", `+tag); r.status != 304 || len(r.body) != 0 ||
			r.header.Get("ETag") != tag {
			t.Errorf("%s with its tag: status %d, %d bytes, tag %q", path, r.status, len(r.body), r.header.Get("ETag"))
		}
		if r := s.do("GET", path, "", "If-None-Match", `"other"`); r.status != 200 || string(r.body) != string(first.body) {
			t.Errorf("%s with another tag: status %d", path, r.status)
		}
		if r := s.do("HEAD", path, "", "Accept-Encoding", "gzip"); r.status != 200 || r.header.Get("ETag") != tag {
			t.Errorf("HEAD %s: status %d, tag %q", path, r.status, r.header.Get("ETag"))
		}
	}
	tag := s.do("GET", "/api/v1/footage", "").header.Get("ETag")
	must.Get(s.ledger.Footage.Record(t.Context(), ledger.Footage{ID: "new", Site: "farm", Device: "device1", Name: "new",
		Size: 5, SHA256: footage.Sum([]byte("new"))}))(t)
	if r := s.do("GET", "/api/v1/footage", "", "If-None-Match", tag); r.status != 200 || !strings.Contains(string(r.body), `"new"`) {
		t.Errorf("after a change: status %d", r.status)
	}
	if r := s.do("GET", "/api/v1/footage/none", ""); r.status != 404 || r.header.Get("ETag") != "" {
		t.Errorf("a fault has the tag %q", r.header.Get("ETag"))
	}
}

// TestPaddockFilter lists the footage and the counts of one paddock.
func TestPaddockFilter(t *testing.T) {
	s := open(t, nil)
	s.flight("part-1", "part-2")
	three := 3
	for id, list := range map[string][]ledger.PaddockCount{
		"part-1": {{Name: "Hill 2", Animals: &three, Low: &three, High: &three}, {Name: "Dam"}},
		"part-2": {{Name: "hill 2", Animals: &three, Low: &three, High: &three}},
	} {
		must.Do(t, s.ledger.Grounds.Put(t.Context(), ledger.DueGround{Footage: footage.ID(id), Mark: 99},
			ledger.Ground{Spread: ledger.Spread{Way: "camera", Placed: 3, Paddocks: list}}))
	}
	for path, want := range map[string]string{"/footage?paddock=Hill+2": "part-1", "/counts?paddock=Hill+2": "part-1",
		"/counts?paddock=Dam": "", "/footage?paddock=hill%202&site=farm": "part-2", "/counts?paddock=hill+2&site=other": ""} {
		r := s.do("GET", "/api/v1"+path+"&format=csv", "")
		rows, err := csv.NewReader(strings.NewReader(string(r.body))).ReadAll()
		if r.status != 200 || err != nil {
			t.Fatalf("%s: status %d, error %v", path, r.status, err)
		}
		var ids []string
		for _, row := range rows[1:] {
			ids = append(ids, row[0])
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
