package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"gopkg.in/yaml.v3"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

func loadOpenAPI(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// A schema with nullable has a type (OpenAPI 3.0.3, "nullable"), also beside allOf. The library does not check it, and
// Redocly takes it for an error (make openapi).
func TestNullableHasAType(t *testing.T) {
	var doc yaml.Node
	must.Do(t, yaml.Unmarshal(openAPI, &doc))
	found := 0
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			at := map[string]*yaml.Node{}
			for i := 0; i < len(n.Content); i += 2 {
				at[n.Content[i].Value] = n.Content[i+1]
			}
			if v := at["nullable"]; v != nil && v.Kind == yaml.ScalarNode {
				found++
				if at["type"] == nil {
					t.Errorf("openapi.yaml line %d: nullable without type", n.Line)
				}
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(&doc)
	if found == 0 {
		t.Error("no schema has nullable")
	}
}

func TestOpenAPINamesTheRoutes(t *testing.T) {
	doc := loadOpenAPI(t)
	var described []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	s := open(t, nil)
	param := regexp.MustCompile(`:([a-z]+)`)
	var routes []string
	for _, r := range s.newApp(t.Context(), t.Context()).GetRoutes(true) {
		path := param.ReplaceAllString(r.Path, "{$1}")
		switch {
		case r.Method == http.MethodHead, strings.HasPrefix(path, "/files"), path == "/*": // tus and the page
			continue
		}
		routes = append(routes, r.Method+" "+path)
	}
	slices.Sort(described)
	slices.Sort(routes)
	if !slices.Equal(described, routes) {
		t.Errorf("described:\n%s\nregistered:\n%s", strings.Join(described, "\n"), strings.Join(routes, "\n"))
	}
}

func TestAnswersFollowOpenAPI(t *testing.T) {
	doc := loadOpenAPI(t)
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, nil)
	done, failed := s.record("one", "content one"), s.record("two", "content two")
	s.record("three", "content one")
	s.finish(done.Job)
	s.failJob(failed.Job, "cut off")
	u := ledger.Upload{ID: "up1", Footage: footage.ID("four"), Device: "device1", Site: "farm", Kind: wire.KindVideo,
		Name: "x.mp4", Size: 10}
	if _, err := s.ledger.Uploads.Create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	s.thumbnail("five")
	s.record("flown", "content flown")
	s.telemetry("flown", flownLog())
	flown := s.flight("part-1", "part-2")
	for _, id := range []string{"seven_W", "seven_T"} {
		s.record(id, "content "+id)
	}
	boss := s.tokens[ledger.RoleOperator]
	root := must.Get(s.ledger.Devices.AddWith(t.Context(), ledger.Device{Name: "root", Site: "farm", Sites: ledger.SiteSet{"*"},
		Role: ledger.RoleAdmin}))(t).Reveal()
	documents := map[string]string{"/api/v1/people": `{"name":"anna","role":"viewer","sites":["farm"]}`, "/api/v1/people/anna": `{"disabled":false}`,
		"/api/v1/people/anna/reset": `{"password":true}`, "/api/v1/models/choice": `{"site":"farm","model":null}`, "/api/v1/tokens": `{"name":"robot","role":"viewer","sites":["farm"],"days":1}`}
	taken := must.Get(s.ledger.Surveys.Add(t.Context(), ledger.Survey{Site: "farm"}))(t)
	shared, _, err := s.ledger.Shares.Add(t.Context(), ledger.Shared{Kind: ledger.ShareSurvey, ID: taken.ID}, false, time.Hour)
	must.Do(t, err)
	told := must.Get(s.ledger.Notifications.AddRule(t.Context(), ledger.NotificationRule{Site: "farm", Kinds: []string{"count_ready"},
		Channel: wire.ChannelWebhook, Target: "https://192.0.2.1/x", QuietTo: 60, Zone: "UTC", Language: "en"}))(t)
	dead := must.Get(s.ledger.Notifications.Add(t.Context(), ledger.Notification{Rule: told.ID, State: ledger.NotificationDead,
		Ended: time.Now(), Document: `{"rule":"` + told.ID + `","events":[{"kind":"count_ready","text":"x","since":"2026-01-01T00:00:00Z"}]}`},
		time.Time{}))(t)
	herd := "herd@" + footage.Sum([]byte("herd")).String()
	must.Do(t, s.ledger.Workers.Report(t.Context(), ledger.Worker{Name: "gpu-1", Started: time.Now(), Until: time.Now().Add(time.Hour), Models: []wire.InstalledModel{{
		ModelRef: wire.ModelRef{Name: "herd", SHA256: footage.Sum([]byte("herd"))}, Comparison: &wire.ModelComparison{Verdict: "better"}}}}))
	must.Get(s.ledger.Models.Choose(t.Context(), "farm", wire.ModelRef{Name: "herd", SHA256: footage.Sum([]byte("herd"))}))(t)
	seenOps := map[string]bool{}
	for _, c := range []struct {
		method, path, token string
		status              int
		header              string
	}{
		{"GET", "/api/v1/footage", "", 200, ""},
		{"GET", "/api/v1/footage?limit=1", "", 200, ""},
		{"GET", "/api/v1/footage?limit=1000", "", 400, ""},
		{"GET", "/api/v1/footage?sort=most&limit=1", "", 200, ""},
		{"GET", "/api/v1/footage?sort=oldest&name=ONE&state=done", "", 200, ""},
		{"GET", "/api/v1/footage?sort=size", "", 400, ""},
		{"GET", "/api/v1/footage?sort=most&after=7", "", 400, ""},
		{"GET", "/api/v1/footage/one", "", 200, ""},
		{"GET", "/api/v1/footage/two", "", 200, ""},
		{"GET", "/api/v1/footage/three", "", 200, ""},
		{"GET", "/api/v1/footage/nope", "", 404, ""},
		{"POST", "/api/v1/footage/seven_T/count", "", 401, ""},
		{"POST", "/api/v1/footage/seven_T/count", s.tokens[ledger.RoleReader], 403, ""},
		{"POST", "/api/v1/footage/nope/count", boss, 404, ""},
		{"POST", "/api/v1/footage/seven_W/count", boss, 409, ""},
		{"GET", "/api/v1/footage/seven_T", "", 200, ""},
		{"POST", "/api/v1/footage/seven_T/count", boss, 200, ""},
		{"POST", "/api/v1/footage/seven_T/count", boss, 409, ""},
		{"GET", "/api/v1/footage/one/telemetry", "", 404, ""},
		{"GET", "/api/v1/footage/flown/telemetry", "", 200, ""},
		{"GET", "/api/v1/footage/flown/telemetry?format=json", "", 200, ""},
		{"GET", "/api/v1/footage/flown", "", 200, ""},
		{"GET", "/api/v1/footage/one/result", "", 200, ""},
		{"GET", "/api/v1/footage/one/result", "", 206, "bytes=0-3"},
		{"GET", "/api/v1/footage/one/result", "", 416, "bytes=900-"},
		{"GET", "/api/v1/footage/one/result?direct=1", "", 501, ""},
		{"GET", "/api/v1/footage/one/result?direct=yes", "", 400, ""},
		{"GET", "/api/v1/footage/one/result.csv", "", 200, ""},
		{"GET", "/api/v1/footage/one/crossings.csv", "", 404, ""},
		{"POST", "/api/v1/footage/one/recount", "", 401, ""},
		{"POST", "/api/v1/footage/one/recount", s.tokens[ledger.RoleReader], 403, ""},
		{"POST", "/api/v1/footage/nope/recount", boss, 404, ""},
		{"POST", "/api/v1/footage/two/recount", boss, 409, ""},
		{"GET", "/api/v1/footage/one/lines", "", 200, ""},
		{"PUT", "/api/v1/footage/one/lines", "", 401, ""},
		{"PUT", "/api/v1/footage/one/lines", boss, 200, ""},
		{"DELETE", "/api/v1/footage/one/lines", boss, 200, ""},
		{"DELETE", "/api/v1/footage/one/lines", boss, 404, ""},
		{"PUT", "/api/v1/devices/device1/lines", s.tokens[ledger.RoleReader], 403, ""},
		{"PUT", "/api/v1/devices/device1/lines", boss, 200, ""},
		{"GET", "/api/v1/devices/device1/lines", "", 200, ""},
		{"GET", "/api/v1/devices/nope/lines", "", 404, ""},
		{"DELETE", "/api/v1/devices/device1/lines", boss, 200, ""},
		{"GET", "/api/v1/footage/one/reviews", "", 200, ""},
		{"GET", "/api/v1/footage/two/reviews", "", 404, ""},
		{"PUT", "/api/v1/footage/one/review", "", 401, ""},
		{"PUT", "/api/v1/footage/one/review", boss, 400, ""},
		{"DELETE", "/api/v1/footage/one/review", boss, 404, ""},
		{"GET", "/api/v1/footage/one/review.json", "", 404, ""},
		{"GET", "/api/v1/footage/one/still", "", 200, ""},
		{"GET", "/api/v1/footage/one/video", "", 200, ""},
		{"GET", "/api/v1/footage/one/video", "", 206, "bytes=1-"},
		{"GET", "/api/v1/footage/one/sheet", "", 200, ""},
		{"GET", "/api/v1/footage/one/contact/1", "", 200, ""},
		{"GET", "/api/v1/footage/one/contact/2", "", 404, ""},
		{"GET", "/api/v1/footage/one/contact/x", "", 400, ""},
		{"GET", "/api/v1/footage/one/status", "", 200, ""},
		{"GET", "/api/v1/footage/two/still", "", 404, ""},
		{"GET", "/api/v1/footage/five/thumbnail", "", 200, ""},
		{"GET", "/api/v1/footage/one/thumbnail", "", 404, ""},
		{"GET", "/api/v1/waiting", "", 200, ""},
		{"GET", "/api/v1/waiting?limit=0", "", 400, ""},
		{"GET", "/api/v1/jobs", "", 200, ""},
		{"GET", "/api/v1/jobs?state=failed", "", 200, ""},
		{"GET", "/api/v1/jobs?state=x", "", 400, ""},
		{"GET", "/api/v1/jobs/" + done.Job.ID, "", 200, ""},
		{"GET", "/api/v1/jobs/nope", "", 404, ""},
		{"GET", "/api/v1/jobs/" + done.Job.ID + "/attempts", "", 200, ""},
		{"GET", "/api/v1/jobs/nope/attempts", "", 404, ""},
		{"PUT", "/api/v1/jobs/" + failed.Job.ID + "/priority", "", 401, ""},
		{"PUT", "/api/v1/jobs/" + failed.Job.ID + "/priority", boss, 400, ""},
		{"PUT", "/api/v1/jobs/nope/priority", boss, 404, ""},
		{"POST", "/api/v1/jobs/" + failed.Job.ID + "/retry", "", 401, ""},
		{"POST", "/api/v1/jobs/" + failed.Job.ID + "/retry", s.tokens[ledger.RoleReader], 403, ""},
		{"POST", "/api/v1/jobs/" + failed.Job.ID + "/retry", boss, 200, ""},
		{"POST", "/api/v1/jobs/" + failed.Job.ID + "/retry", boss, 409, ""},
		{"POST", "/api/v1/jobs/" + failed.Job.ID + "/cancel", boss, 200, ""},
		{"POST", "/api/v1/jobs/nope/cancel", boss, 404, ""},
		{"GET", "/api/v1/counts", "", 200, ""},
		{"GET", "/api/v1/counts/three", "", 200, ""},
		{"GET", "/api/v1/counts/two", "", 404, ""},
		{"GET", "/api/v1/counts/one/positions", "", 200, ""},
		{"GET", "/api/v1/counts/three/positions?format=gpx", "", 200, ""},
		{"GET", "/api/v1/counts/one/positions?format=shp", "", 400, ""},
		{"GET", "/api/v1/counts/two/positions", "", 404, ""},
		{"GET", "/api/v1/positions", "", 200, ""},
		{"GET", "/api/v1/positions?bbox=24,-32,25,-31&format=csv", "", 200, ""},
		{"GET", "/api/v1/positions?bbox=24,-32,25", "", 400, ""},
		{"GET", "/api/v1/positions?after=x", "", 400, ""},
		{"GET", "/api/v1/footage?bbox=24,-32,25,-31", "", 200, ""},
		{"GET", "/api/v1/flights?bbox=24,-32,25,-31", "", 200, ""},
		{"GET", "/api/v1/flights", "", 200, ""},
		{"GET", "/api/v1/flights?limit=0", "", 400, ""},
		{"GET", "/api/v1/flights/" + flown, "", 200, ""},
		{"GET", "/api/v1/flights/nope", "", 404, ""},
		{"GET", "/api/v1/flights/" + flown + "/result", "", 200, ""},
		{"GET", "/api/v1/flights/nope/result", "", 404, ""},
		{"GET", "/api/v1/flights/" + flown + "/crossings.csv", "", 404, ""},
		{"GET", "/api/v1/flights/" + flown + "/sheet", "", 200, ""},
		{"GET", "/api/v1/flights/nope/sheet", "", 404, ""},
		{"GET", "/api/v1/flights/" + flown + "/sheet.tif", "", 404, ""},
		{"GET", "/api/v1/counts/three/positions?format=gpkg", "", 200, ""},
		{"GET", "/api/v1/footage/three/sheet.tif", "", 404, ""},
		{"PUT", "/api/v1/flights/" + flown + "/lines", "", 401, ""},
		{"POST", "/api/v1/flights", "", 401, ""},
		{"POST", "/api/v1/flights", boss, 400, ""},
		{"POST", "/api/v1/flights/" + flown + "/split", boss, 400, ""},
		{"PUT", "/api/v1/flights/" + flown + "/lines", boss, 200, ""},
		{"GET", "/api/v1/flights/" + flown + "/lines", "", 200, ""},
		{"GET", "/api/v1/flights/" + flown, "", 200, ""},
		{"DELETE", "/api/v1/flights/" + flown + "/lines", boss, 200, ""},
		{"GET", "/api/v1/footage/part-1", "", 200, ""},
		{"GET", "/api/v1/counts/part-1", "", 200, ""},
		{"PUT", "/api/v1/sites/farm/paddocks", s.tokens[ledger.RoleReader], 403, ""},
		{"PUT", "/api/v1/sites/farm/paddocks", boss, 200, ""},
		{"GET", "/api/v1/sites/farm/paddocks", "", 200, ""},
		{"GET", "/api/v1/sites/farm/paddocks?format=kml", "", 200, ""},
		{"GET", "/api/v1/sites/nope/paddocks", "", 404, ""},
		{"GET", "/api/v1/sites/farm/paddocks/versions", "", 200, ""},
		{"PUT", "/api/v1/sites/farm/book", s.tokens[ledger.RoleReader], 403, ""},
		{"PUT", "/api/v1/sites/farm/book", boss, 200, ""},
		{"GET", "/api/v1/sites/farm/book", "", 200, ""},
		{"GET", "/api/v1/sites/farm/book?format=csv", "", 200, ""},
		{"GET", "/api/v1/sites/nope/book", "", 200, ""},
		{"POST", "/api/v1/surveys", s.tokens[ledger.RoleReader], 403, ""},
		{"POST", "/api/v1/surveys", boss, 200, ""},
		{"GET", "/api/v1/surveys/" + taken.ID + "/report.pdf", "", 200, ""},
		{"GET", "/api/v1/surveys/" + taken.ID + "/report.pdf?paper=a3", "", 400, ""},
		{"GET", "/api/v1/surveys/" + taken.ID + "/report.json", "", 200, ""},
		{"GET", "/api/v1/footage/one/report.pdf", "", 200, ""},
		{"GET", "/api/v1/footage/one/report.json", "", 200, ""},
		{"GET", "/api/v1/footage/two/report.json", "", 404, ""},
		{"GET", "/api/v1/flights/" + flown + "/report.pdf?lang=es", "", 200, ""},
		{"GET", "/api/v1/flights/" + flown + "/report.json", "", 200, ""},
		{"GET", "/api/v1/surveys", "", 200, ""},
		{"GET", "/api/v1/surveys?limit=0", "", 400, ""},
		{"GET", "/api/v1/surveys/" + taken.ID, "", 200, ""},
		{"GET", "/api/v1/surveys/" + taken.ID + "?format=csv", "", 200, ""},
		{"GET", "/api/v1/surveys/nope", "", 404, ""},
		{"POST", "/api/v1/surveys/" + taken.ID + "/shares", "", 401, ""},
		{"POST", "/api/v1/surveys/" + taken.ID + "/shares", s.tokens[ledger.RoleReader], 403, ""},
		{"POST", "/api/v1/surveys/" + taken.ID + "/shares", boss, 400, ""},
		{"GET", "/api/v1/surveys/" + taken.ID + "/shares", boss, 200, ""},
		{"DELETE", "/api/v1/surveys/" + taken.ID + "/shares/" + shared.ID, boss, 200, ""},
		{"DELETE", "/api/v1/surveys/" + taken.ID + "/shares/" + shared.ID, boss, 404, ""},
		{"DELETE", "/api/v1/surveys/" + taken.ID, "", 401, ""},
		{"DELETE", "/api/v1/surveys/" + taken.ID, s.tokens[ledger.RoleReader], 403, ""},
		{"DELETE", "/api/v1/surveys/" + taken.ID, boss, 200, ""},
		{"DELETE", "/api/v1/surveys/" + taken.ID, boss, 404, ""},
		{"GET", "/api/v1/shared", "", 401, ""},
		{"POST", "/api/v1/flights/" + flown + "/shares", boss, 400, ""},
		{"GET", "/api/v1/flights/" + flown + "/shares", boss, 200, ""},
		{"DELETE", "/api/v1/flights/" + flown + "/shares/none", boss, 404, ""},
		{"POST", "/api/v1/footage/one/shares", s.tokens[ledger.RoleReader], 403, ""},
		{"GET", "/api/v1/footage/one/shares", boss, 200, ""},
		{"DELETE", "/api/v1/footage/one/shares/none", boss, 404, ""},
		{"GET", "/api/v1/shared/none/report.pdf", "", 401, ""},
		{"GET", "/api/v1/shared/none/report.json", "", 401, ""},
		{"GET", "/api/v1/shared/none/sheet", "", 401, ""},
		{"GET", "/api/v1/shared/none/footage/one/sheet", "", 401, ""},
		{"GET", "/api/v1/shared/none/footage/one/still", "", 401, ""},
		{"GET", "/api/v1/shared/none/footage/one/video", "", 401, ""},
		{"GET", "/api/v1/shared/none/footage/one/positions", "", 401, ""},
		{"GET", "/api/v1/devices", "", 200, ""},
		{"DELETE", "/api/v1/devices/reader1", "", 401, ""},
		{"DELETE", "/api/v1/devices/reader1", boss, 403, ""},
		{"GET", "/api/v1/models", "", 200, ""},
		{"PUT", "/api/v1/models/choice", "", 401, ""},
		{"PUT", "/api/v1/models/choice", boss, 403, ""},
		{"PUT", "/api/v1/models/choice", root, 200, ""},
		{"GET", "/api/v1/models/compare", "", 400, ""},
		{"GET", "/api/v1/models/compare?old=" + herd + "&new=" + herd, "", 200, ""},
		{"GET", "/api/v1/overview", "", 200, ""},
		{"GET", "/api/v1/history", "", 200, ""},
		{"GET", "/api/v1/history?site=farm&days=9999", "", 400, ""},
		{"GET", "/api/v1/history?site=farm&days=3660&format=csv", "", 200, ""},
		{"GET", "/api/v1/history?format=pdf", "", 400, ""},
		{"GET", "/api/v1/history?site=..", "", 400, ""},
		{"GET", "/api/v1/queue", "", 200, ""},
		{"GET", "/api/v1/stations", "", 200, ""},
		{"GET", "/api/v1/stations/device1", "", 200, ""},
		{"GET", "/api/v1/stations/reader1", "", 404, ""},
		{"POST", "/api/v1/stations/device1/commands", "", 401, ""},
		{"POST", "/api/v1/stations/device1/commands", s.tokens[ledger.RoleReader], 403, ""},
		{"POST", "/api/v1/stations/device1/commands", boss, 400, ""},
		{"POST", "/api/v1/stations/nope/commands", boss, 404, ""},
		{"GET", "/api/v1/uploads", "", 200, ""},
		{"GET", "/api/v1/stats", "", 200, ""},
		{"GET", "/api/v1/notifications", s.tokens[ledger.RoleReader], 403, ""},
		{"GET", "/api/v1/notifications", "", 401, ""},
		{"POST", "/api/v1/notifications/rules", boss, 200, ""},
		{"GET", "/api/v1/notifications/rules", boss, 200, ""},
		{"PUT", "/api/v1/notifications/rules/" + told.ID, boss, 200, ""},
		{"PUT", "/api/v1/notifications/rules/nope", boss, 404, ""},
		{"POST", "/api/v1/notifications/rules/" + told.ID + "/test", boss, 200, ""},
		{"GET", "/api/v1/notifications", boss, 200, ""},
		{"GET", "/api/v1/notifications?state=dead", boss, 200, ""},
		{"GET", "/api/v1/notifications?state=lost", boss, 400, ""},
		{"POST", "/api/v1/notifications/" + dead.ID + "/retry", boss, 200, ""},
		{"POST", "/api/v1/notifications/" + dead.ID + "/retry", boss, 409, ""},
		{"POST", "/api/v1/notifications/nope/retry", boss, 404, ""},
		{"DELETE", "/api/v1/notifications/rules/" + told.ID, boss, 200, ""},
		{"GET", "/api/v1/openapi.json", "", 200, ""},
		{"POST", "/api/v1/footage/one/recount", boss, 200, ""},
		{"POST", "/api/v1/footage/one/recount", boss, 409, ""},
		{"GET", "/healthz", "", 200, ""},
		{"GET", "/api/v1/session", "", 200, ""},
		{"GET", "/api/v1/session", boss, 200, ""},
		{"POST", "/api/v1/session", "", 400, ""},
		{"DELETE", "/api/v1/session", "", 200, ""},
		{"POST", "/api/v1/session/code", "", 400, ""},
		{"POST", "/api/v1/second-factor", "", 400, ""},
		{"POST", "/api/v1/second-factor/confirm", "", 400, ""},
		{"POST", "/api/v1/second-factor/remove", "", 400, ""},
		{"GET", "/api/v1/openid", "", 404, ""},
		{"GET", "/api/v1/openid/callback?code=x&session_state=y", "", 404, ""},
		{"POST", "/api/v1/setup", "", 400, ""},
		{"GET", "/api/v1/people", "", 401, ""},
		{"GET", "/api/v1/people", root, 200, ""},
		{"POST", "/api/v1/people", root, 200, ""},
		{"POST", "/api/v1/people", root, 409, ""},
		{"PATCH", "/api/v1/people/anna", root, 200, ""},
		{"GET", "/api/v1/people/anna/export", root, 200, ""},
		{"POST", "/api/v1/people/anna/reset", root, 200, ""},
		{"POST", "/api/v1/people/anna/logout", root, 200, ""},
		{"DELETE", "/api/v1/people/anna", root, 200, ""},
		{"DELETE", "/api/v1/people/anna", root, 404, ""},
		{"POST", "/api/v1/password", "", 400, ""},
		{"POST", "/api/v1/tokens", root, 200, ""},
		{"GET", "/api/v1/tokens", root, 200, ""},
		{"DELETE", "/api/v1/tokens/robot", root, 200, ""},
		{"DELETE", "/api/v1/tokens/nope", root, 404, ""},
		{"POST", "/api/v1/enrolments", "", 401, ""},
		{"POST", "/api/v1/enrolments", boss, 403, ""},
		{"POST", "/api/v1/enrol", "", 400, ""},
		{"GET", "/api/v1/audit", "", 401, ""},
		{"GET", "/api/v1/audit", boss, 403, ""},
		{"GET", "/api/v1/retention", "", 401, ""},
		{"GET", "/api/v1/retention", boss, 403, ""},
		{"GET", "/api/v1/retention", root, 200, ""},
		{"GET", "/livez", "", 200, ""},
		{"GET", "/readyz", "", 200, ""},
	} {
		t.Run(fmt.Sprintf("%s %s %d", c.method, c.path, c.status), func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, s.url+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			var body io.Reader
			if c.method == http.MethodPut {
				body = strings.NewReader(gateDocument)
			}
			if strings.HasSuffix(c.path, "/book") && c.method == http.MethodPut {
				body = strings.NewReader("paddock,animals\nx,4\n,9\n")
			}
			if c.path == "/api/v1/surveys" && c.method == http.MethodPost {
				body = strings.NewReader(`{"site":"farm","name":"spring"}`)
			}
			if strings.HasPrefix(c.path, "/api/v1/notifications/rules") && c.method != http.MethodGet {
				body = strings.NewReader(`{"site":"farm","kinds":["count_ready"],"channel":"webhook","target":"https://192.0.2.1/…",` +
					`"quiet":{"from":"22:00","to":"06:00","zone":"America/Bogota"}}`)
				if c.method == http.MethodPost {
					body = strings.NewReader(`{"site":"farm","kinds":["count_ready"],"channel":"webhook","target":"https://hooks.example.com/x"}`)
				}
			}
			if strings.HasSuffix(c.path, "/paddocks") && c.method == http.MethodPut {
				body = strings.NewReader(boxes(box("x", 24.2, -31.8, 24.4, -31.6)))
			}
			headers := []string{"Range", c.header}
			if v := documents[c.path]; v != "" && c.method != http.MethodGet {
				body, headers = strings.NewReader(v), append(headers, "Content-Type", "application/json")
			}
			r := s.send(c.method, c.path, c.token, body, headers...)
			if r.status != c.status {
				t.Fatalf("status %d: %s", r.status, r.body)
			}
			req.URL.Scheme, req.URL.Host = "", ""
			route, params, err := router.FindRoute(req)
			if err != nil {
				t.Fatal(err)
			}
			seenOps[route.Operation.OperationID] = true
			validate(t, req, route, params, r)
		})
	}
	streamed := []string{"events", "openapiYAML", "asyncapiYAML", "metrics"}
	for path, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if !seenOps[op.OperationID] && !slices.Contains(streamed, op.OperationID) {
				t.Errorf("%s (%s) has no answer here", op.OperationID, path)
			}
		}
	}
}

func validate(t *testing.T, req *http.Request, route *routers.Route, params map[string]string, r response) {
	t.Helper()
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(r.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true,
			ExcludeResponseBody: !strings.Contains(r.header.Get("Content-Type"), "json") || r.status == 206},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), in); err != nil {
		t.Errorf("%v\n%s", err, r.body)
	}
}
