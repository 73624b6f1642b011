package web

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// box is a paddock of degrees around the animal of storedTrace, which is at -31.6998, 24.30002.
func box(name string, west, south, east, north float64) string {
	return fmt.Sprintf(`{"type":"Feature","properties":{"name":%q},"geometry":{"type":"Polygon","coordinates":[[[%g,%g],[%g,%g],[%g,%g],[%g,%g]]]}}`,
		name, west, south, east, south, east, north, west, north)
}

func boxes(list ...string) string {
	return `{"type":"FeatureCollection","features":[` + strings.Join(list, ",") + `]}`
}

// flownCount records and counts footage of storedTrace with its log: one animal.
func (s *site) flownCount(id string, captured time.Time) {
	s.t.Helper()
	ctx := s.t.Context()
	rec := must.Get(s.ledger.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Site: "farm", Device: "device1", Name: id + ".mp4",
		Size: 5, SHA256: footage.Sum([]byte(id)), BlobKey: "video-" + id, Captured: captured}))(s.t)
	key := "footage/" + id + "/result/abc"
	must.Get(s.blobs.Put(ctx, key+".json", strings.NewReader(`{"schema":1,"source":{"name":"one.mp4"},"video":{"width":1920,`+
		`"height":1080,"duration_seconds":11},"count":{"unique":1,"low":1,"high":2},"tracks":[{"id":1,"label":"cow","confidence":0.9}]}`)))(s.t)
	must.Get(s.blobs.Put(ctx, key+".trace", strings.NewReader(storedTrace(s.t))))(s.t)
	j, _, err := s.ledger.Attempts.Begin(ctx, rec.Job.ID, "w")
	must.Do(s.t, err)
	must.Get(s.ledger.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: 1, Low: 1, High: 2}, key+".json"))(s.t)
	s.telemetry(id, flownLog())
}

func TestPaddocks(t *testing.T) {
	s := open(t, nil)
	s.flownCount("one", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	boss := s.tokens[ledger.RoleOperator]
	put := func(query, body string) (b wire.Borders) {
		t.Helper()
		r := s.send("PUT", "/api/v1/sites/farm/paddocks"+query, boss, strings.NewReader(body))
		if r.status != 200 {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
		r.decode(t, &b)
		s.place()
		return b
	}
	count := func() (c wire.Count) {
		t.Helper()
		s.do("GET", "/api/v1/counts/one", "").decode(t, &c)
		return c
	}
	if c := count(); c.Way != "camera" || *c.Placed != 1 || c.PaddocksVersion != 0 || c.Paddocks != nil {
		t.Errorf("without paddocks: %+v", c)
	}
	east, west := box("East", 24.3000, -31.71, 24.31, -31.69), box("West", 24.29, -31.71, 24.3000, -31.69)
	far := box("Far", 24.9, -31.71, 24.95, -31.69)
	before := count().Seq
	b := put("", boxes(east, west, far))
	if b.Version != 1 || b.Paddocks != 3 || b.From != nil || b.Who != "operator1" || b.Warnings != nil {
		t.Errorf("first version %+v", b)
	}
	c := count()
	if c.PaddocksVersion != 1 || len(c.Paddocks) != 2 || c.Paddocks[0].Name != "East" || *c.Paddocks[0].Animals != 1 ||
		*c.Paddocks[1].Animals != 0 || *c.Paddocks[1].High < 1 || c.Paddocks[1].Near != 1 || c.Seq <= before {
		t.Errorf("divided: %+v", c)
	}
	if again := put("", boxes(east, west, far)); again.Version != 1 {
		t.Errorf("the same paddocks: %+v", again)
	}
	put("", boxes(box("All", 24.2, -31.8, 24.4, -31.6))) // from now on
	if c := count(); c.PaddocksVersion != 1 || c.Paddocks[0].Name != "East" {
		t.Errorf("an old count has %+v", c)
	}
	put("?from=2026-04-01", boxes(box("Old", 24.2, -31.8, 24.4, -31.6)))
	if c := count(); c.PaddocksVersion != 3 || c.Paddocks[0].Name != "Old" {
		t.Errorf("after a version from before it: %+v", c)
	}
	var list wire.Page[wire.Borders]
	s.do("GET", "/api/v1/sites/farm/paddocks/versions", "").decode(t, &list)
	if len(list.Items) != 3 || list.Items[0].Version != 3 || !list.Items[0].From.Equal(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("versions %+v", list)
	}
	r := s.do("GET", "/api/v1/sites/farm/paddocks?version=1", "")
	var doc struct {
		Version  int
		Features []json.RawMessage
	}
	if err := json.Unmarshal(r.body, &doc); err != nil || doc.Version != 1 || len(doc.Features) != 3 {
		t.Errorf("version 1: %v %s", err, r.body)
	}
	if r := s.do("GET", "/api/v1/sites/farm/paddocks?version=1", "", "If-None-Match", r.header.Get("ETag")); r.status != 304 {
		t.Errorf("with its entity tag: %d", r.status)
	}
	// What is exported as KML is imported again, also as KMZ.
	kml := s.do("GET", "/api/v1/sites/farm/paddocks?version=1&format=kml", "")
	var z bytes.Buffer
	archive := zip.NewWriter(&z)
	must.Get(must.Get(archive.Create("doc.kml"))(t).Write(kml.body))(t)
	must.Do(t, archive.Close())
	if b := put("?from=2027-01-01", z.String()); b.Paddocks != 3 || b.Version != 4 {
		t.Errorf("KMZ: %+v", b)
	}
}

func TestPaddocksRefused(t *testing.T) {
	s := open(t, nil)
	s.flownCount("one", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	boss, good := s.tokens[ledger.RoleOperator], boxes(box("x", 24.2, -31.8, 24.4, -31.6))
	put := func(site, token, body string) response {
		return s.send("PUT", "/api/v1/sites/"+site+"/paddocks", token, strings.NewReader(body))
	}
	put("farm", "", good).wantProblem(t, 401, "unauthorised")
	put("farm", s.tokens[ledger.RoleReader], good).wantProblem(t, 403, "forbidden")
	put("farm", s.tokens[ledger.RoleDevice], good).wantProblem(t, 404, "not-found")
	put("farm", boss, "<html></html>").wantProblem(t, 400, "bad-request")
	put("farm", boss, boxes()).wantProblem(t, 400, "bad-request")
	if r := put("farm", boss, boxes(box("x", -31.8, 24.2, -31.6, 24.4))); r.status != 400 || !strings.Contains(string(r.body), "swapped") {
		t.Errorf("swapped axes: %d %s", r.status, r.body)
	}
	var b wire.Borders
	put("farm", boss, boxes(box("x", 4.2, 51.8, 4.4, 51.9))).decode(t, &b)
	if len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "100 km") {
		t.Errorf("far away: %+v", b)
	}
	b = wire.Borders{}
	put("farm", boss, boxes(box("x", 24.2, -31.8, 24.4, -31.6), box("x", 24.4, -31.8, 24.5, -31.6), box("y", 24.5, -31.8, 24.6, -31.6))).decode(t, &b)
	if len(b.Warnings) != 1 || !strings.HasSuffix(b.Warnings[0], `apart: "x"`) {
		t.Errorf("a name twice: %+v", b)
	}
	s.do("GET", "/api/v1/sites/nowhere/paddocks", "").wantProblem(t, 404, "not-found")
	s.do("GET", "/api/v1/sites/farm/paddocks?version=0", "").wantProblem(t, 400, "bad-request")
	s.do("GET", "/api/v1/sites/farm/paddocks?version=7", "").wantProblem(t, 404, "not-found")
	other := must.Get(s.ledger.Devices.Add(t.Context(), "device9", "elsewhere", ledger.RoleDevice))(t).Reveal()
	s.do("GET", "/api/v1/sites/farm/paddocks", other).wantProblem(t, 404, "not-found")
	if r := s.do("GET", "/api/v1/sites/farm/paddocks", s.tokens[ledger.RoleDevice]); r.status != 200 {
		t.Errorf("a device of the site: %d %s", r.status, r.body)
	}
}
