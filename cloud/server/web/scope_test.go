package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// twoDevices fills a ledger with footage of two devices. The ids of device1 begin with
// "foreign", those of device2 with "own". It returns the token of device2 and the job of
// foreign-done.
func (s *site) twoDevices() (token string, foreign ledger.Job) {
	s.t.Helper()
	ctx := s.t.Context()
	secret, err := s.ledger.Devices.Add(ctx, "device2", "farm", ledger.RoleDevice)
	if err != nil {
		s.t.Fatal(err)
	}
	done := s.record("foreign-done", "content one")
	s.finish(done.Job)
	s.failJob(s.record("foreign-failed", "content two").Job, "cut off")
	s.thumbnail("foreign-done")
	s.thumbnail("foreign-waiting")
	for id, content := range map[string]string{"own-copy": "content one", "own-done": "content three"} {
		rec, err := s.ledger.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Site: "farm", Device: "device2",
			Name: id + ".mp4", Size: int64(len(content)), SHA256: footage.Sum([]byte(content)), BlobKey: "k/" + id})
		if err != nil {
			s.t.Fatal(err)
		}
		if rec.Job != nil {
			s.finish(rec.Job)
		}
	}
	for id, device := range map[string]string{"foreign-open": "device1", "own-open": "device2"} {
		if _, err := s.ledger.Uploads.Create(ctx, ledger.Upload{ID: "session-" + id, Footage: footage.ID(id),
			Device: device, Site: "farm", Kind: wire.KindVideo, Name: id + ".mp4", Size: 9}); err != nil {
			s.t.Fatal(err)
		}
	}
	return secret.Reveal(), *done.Job
}

// Every route that takes an id answers for foreign footage as for unknown footage, and no
// list shows foreign footage to a device. The routes are those of openapi.yaml, so that a
// new route is tested as well.
func TestDeviceReadsOnlyItsOwn(t *testing.T) {
	s := open(t, nil)
	token, j := s.twoDevices()
	hidden := []string{"foreign", j.ID, "device1"}
	// Endless, refused to every device, or without a provider of log-ins.
	left := []string{"/api/v1/events", "/metrics", "/api/v1/audit", "/api/v1/retention", "/api/v1/shared", "/api/v1/people", "/api/v1/tokens",
		"/api/v1/openid", openIDCallback}
	for path, item := range loadOpenAPI(t).Paths.Map() {
		if slices.Contains(left, path) || strings.HasPrefix(path, "/api/v1/notifications") {
			continue
		}
		if before, after, ok := strings.Cut(path, "{"); ok {
			_, after, _ = strings.Cut(after, "}")
			for method := range item.Operations() {
				for _, id := range []string{"foreign-done", "foreign-failed", "foreign-waiting", "foreign-open", j.ID} {
					if got, want := s.answer(method, before, id, after, token),
						s.answer(method, before, "unknown", after, token); got != want {
						t.Errorf("%s %s for %s:\n%s\nfor an unknown id:\n%s", method, path, id, got, want)
					}
				}
			}
			continue
		}
		if item.Get == nil || strings.HasSuffix(path, "api.yaml") || strings.HasSuffix(path, "api.json") {
			continue
		}
		at := path
		if path == "/api/v1/models/compare" {
			c := must.Get(s.ledger.Counts.Get(t.Context(), "foreign-done"))(t)
			m := url.QueryEscape(c.Model + "@" + c.ModelDigest.String())
			at += "?old=" + m + "&new=" + m
		}
		r := s.do("GET", at, token)
		for _, h := range hidden {
			shared := h == j.ID && path == "/api/v1/footage" // own-copy has the job of foreign-done
			if r.status != http.StatusOK || strings.Contains(string(r.body), h) && !shared {
				t.Errorf("GET %s shows %s: %d %s", path, h, r.status, r.body)
			}
		}
	}
	for path, want := range map[string]string{"/footage": "own-copy", "/jobs": "own-done", "/counts": "own-done",
		"/uploads": "own-open", "/devices": "device2"} {
		if r := s.do("GET", "/api/v1"+path, token); !strings.Contains(string(r.body), want) {
			t.Errorf("%s does not show %s: %s", path, want, r.body)
		}
	}
}

// answer is what a request gets, without the id that it asked for.
func (s *site) answer(method, before, id, after, token string) string {
	s.t.Helper()
	r := s.do(method, before+id+after, token, "X-Request-Id", "same")
	return fmt.Sprintf("%d %s %s", r.status, r.header.Get("Content-Type"), strings.ReplaceAll(string(r.body), id, "ID"))
}

// People, programs and clients without a token read everything. So does a request with the
// credentials of a proxy.
func TestOthersReadEverything(t *testing.T) {
	s := open(t, nil)
	_, j := s.twoDevices()
	for name, token := range map[string]string{"no token": "", "reader": s.tokens[ledger.RoleReader],
		"operator": s.tokens[ledger.RoleOperator], "proxy": "eyJhbGciOi.x.y"} {
		for path, want := range map[string][]string{"/footage": {"foreign-done", "own-done", `"duplicate_of":"foreign-done"`},
			"/jobs": {j.ID}, "/counts": {"foreign-done", "own-done"}, "/uploads": {"foreign-open", "own-open"},
			"/waiting": {"foreign-waiting"}, "/devices": {"device1", "device2"}, "/jobs/" + j.ID: {"foreign-done"}} {
			r := s.do("GET", "/api/v1"+path, token)
			for _, w := range want {
				if r.status != http.StatusOK || !strings.Contains(string(r.body), w) {
					t.Errorf("%s does not show %s to %s: %d %s", path, w, name, r.status, r.body)
				}
			}
		}
	}
	s.do("GET", "/api/v1/footage", ledger.TokenPrefix+"unknown").wantProblem(t, 401, "unauthorised")
}

// A duplicate of another device's footage shows job and count under its own id.
func TestDuplicateOfForeignFootage(t *testing.T) {
	s := open(t, nil)
	token, _ := s.twoDevices()
	var v wire.Footage
	r := s.do("GET", "/api/v1/footage/own-copy", token)
	r.decode(t, &v)
	if v.DuplicateOf != "" || v.Removed || v.Count == nil || v.Count.Unique != 7 || v.Count.Footage != "own-copy" ||
		v.Job == nil || v.Job.Footage != "own-copy" || strings.Contains(string(r.body), "foreign") {
		t.Errorf("got body %s", r.body)
	}
	var c wire.Count
	if s.do("GET", "/api/v1/counts/own-copy", token).decode(t, &c); c.Unique != 7 || c.Footage != "own-copy" {
		t.Errorf("got count %+v", c)
	}
	var list wire.Page[wire.Footage]
	s.do("GET", "/api/v1/footage?sha256="+footage.Sum([]byte("content one")).String(), token).decode(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID != "own-copy" || list.Items[0].DuplicateOf != "" {
		t.Errorf("got list %+v", list)
	}
	for _, file := range []string{"result", "result.csv", "still", "status"} {
		s.do("GET", "/api/v1/footage/own-copy/"+file, token).wantProblem(t, 404, "not-found")
		if r := s.do("GET", "/api/v1/footage/own-done/"+file, token); r.status != http.StatusOK {
			t.Errorf("own %s: %d %s", file, r.status, r.body)
		}
		if r := s.do("GET", "/api/v1/footage/own-copy/"+file, ""); r.status != http.StatusOK {
			t.Errorf("%s of the duplicate: %d %s", file, r.status, r.body)
		}
	}
}

// The event stream of a device has only its own changes.
func TestDeviceHearsOnlyItsOwn(t *testing.T) {
	s := open(t, nil)
	token, j := s.twoDevices()
	events := func(token string) (all []string) {
		l := s.listenAs(token, "0")
		defer l.close()
		for {
			e := l.next()
			if e.name == "ready" {
				return all
			}
			all = append(all, e.data)
		}
	}
	own := events(token)
	for _, e := range own {
		if strings.Contains(e, "foreign") || strings.Contains(e, j.ID) {
			t.Errorf("a foreign change: %s", e)
		}
	}
	for _, want := range []string{`"id":"own-copy"`, `"id":"own-done"`, `"footage":"own-done"`} {
		if !slices.ContainsFunc(own, func(e string) bool { return strings.Contains(e, want) }) {
			t.Errorf("no change with %s in %q", want, own)
		}
	}
	if all := events(""); len(all) <= len(own) {
		t.Errorf("%d changes without a token, %d for the device", len(all), len(own))
	}
}

// Every route of the API and the metrics need a token: in the header, or for the page in a
// cookie. The cookie changes nothing.
func TestReadingNeedsAToken(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	device, j := s.twoDevices()
	reader := s.tokens[ledger.RoleReader]
	cookie := func(token string) []string { return []string{"Cookie", tokenCookie + "=" + token} }
	for path, item := range loadOpenAPI(t).Paths.Map() {
		action, known := access.Rule("GET", regexp.MustCompile(`\{([a-z]+)\}`).ReplaceAllString(path, ":$1"))
		path = strings.NewReplacer("{id}", "foreign-done", "{footage}", "foreign-done").Replace(path)
		if item.Get == nil {
			continue
		}
		if strings.HasPrefix(path, "/api/v1/shared") { // public, and needs the key of a link
			s.do("GET", path, "").wantProblem(t, 401, "unauthorised")
			continue
		}
		if strings.HasPrefix(path, "/api/v1/openid") { // public, and this server has no provider
			s.do("GET", path, "").wantProblem(t, 404, "not-found")
			continue
		}
		if !known || action == access.Public {
			if r := s.do("GET", path, ""); r.status != http.StatusOK {
				t.Errorf("GET %s without a token: %d %s", path, r.status, r.body)
			}
			continue
		}
		s.do("GET", path, "").wantProblem(t, 401, "unauthorised")
		s.do("GET", path, "eyJhbGciOi.x.y").wantProblem(t, 401, "unauthorised")
		s.do("GET", path, "", cookie(ledger.TokenPrefix+"unknown")...).wantProblem(t, 401, "unauthorised")
	}
	for _, who := range []struct {
		token  string
		header []string
		want   int
	}{
		{reader, nil, 200}, {s.tokens[ledger.RoleOperator], nil, 200}, {device, nil, 404},
		{"", cookie(reader), 200}, {"", cookie(device), 404}, {device, cookie(reader), 404},
	} {
		if r := s.do("GET", "/api/v1/footage/foreign-done", who.token, who.header...); r.status != who.want {
			t.Errorf("%+v: got status %d, want %d", who, r.status, who.want)
		}
	}
	if r := s.do("GET", "/", ""); r.status != http.StatusOK {
		t.Errorf("the page needs a token: %d", r.status)
	}
	s.do("POST", "/api/v1/jobs/"+j.ID+"/retry", "", cookie(s.tokens[ledger.RoleOperator])...).wantProblem(t, 401, "unauthorised")
}
