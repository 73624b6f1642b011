package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// thumbnail records the picture of footage without a video.
func (s *site) thumbnail(id string) {
	s.t.Helper()
	key := "footage/" + id + "/thumbnail.jpg"
	if _, err := s.blobs.Put(s.t.Context(), key, strings.NewReader("\xff\xd8\xff picture")); err != nil {
		s.t.Fatal(err)
	}
	err := s.ledger.Thumbnails.Put(s.t.Context(),
		ledger.Thumbnail{Footage: footage.ID(id), Site: "farm", Device: "device1", Name: id + ".mp4",
			Size: 11, BlobKey: key, Captured: time.Unix(1e9, 0), Received: time.Unix(2e9, 0)})
	if err != nil {
		s.t.Fatal(err)
	}
}

// Footage that waits at a station is listed until its video arrives. Its picture stays.
func TestWaitingFootage(t *testing.T) {
	s := open(t, nil)
	s.thumbnail("a")
	s.thumbnail("b")
	s.record("a", "the video")
	r := s.do("GET", "/api/v1/waiting", "")
	if got := string(r.body); r.status != 200 || !strings.Contains(got, `"name":"b.mp4"`) || strings.Contains(got,
		`"footage":"a"`) {
		t.Errorf("got status %d, answer %s", r.status, got)
	}
	for _, id := range []string{"a", "b"} {
		r := s.do("GET", "/api/v1/footage/"+id+"/thumbnail", "")
		if r.status != 200 || r.header.Get("Content-Type") != "image/jpeg" || string(r.body) != "\xff\xd8\xff picture" {
			t.Errorf("%s: %d %v %q", id, r.status, r.header, r.body)
		}
	}
}

// finish ends a job as done and stores its results.
func (s *site) finish(j *ledger.Job) {
	s.t.Helper()
	ctx := s.t.Context()
	if err := s.ledger.Jobs.MarkQueued(ctx, j.ID); err != nil {
		s.t.Fatal(err)
	}
	begun, f, err := s.ledger.Attempts.Begin(ctx, j.ID, "worker1")
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.ledger.Attempts.UpdateProgress(ctx, j.ID, begun.Fence,
		job.Progress{Stage: job.StageDetect, FramesDone: 5, FramesTotal: 10, Percent: 50, FPS: 3, Count: 4}); err != nil {
		s.t.Fatal(err)
	}
	key := "footage/" + string(f.ID) + "/result/abc"
	for ext, text := range map[string]string{
		".json": `{"count":{"unique":7}}`, ".csv": "a,b\n1,2\n", ".jpg": "JPEG",
		".annotated.mp4": "VIDEO", ".sheet.jpg": "SHEET", ".contact-1.jpg": "ANIMALS",
	} {
		if _, err := s.blobs.Put(ctx, key+ext, strings.NewReader(text)); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := s.blobs.Put(ctx, "footage/"+string(f.ID)+"/video_status.json", strings.NewReader(`{"v":1}`)); err != nil {
		s.t.Fatal(err)
	}
	count := ledger.Count{Footage: f.ID, Job: j.ID, Unique: 7, Low: 6, High: 9, ByClass: map[string]int{"cow": 7},
		Model: "m", ModelDigest: footage.Sum([]byte("m"))}
	if _, err := s.ledger.Attempts.Finish(ctx, j.ID, begun.Fence, count, key+".json"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) failJob(j *ledger.Job, reason string) {
	s.t.Helper()
	ctx := s.t.Context()
	begun, _, err := s.ledger.Attempts.Begin(ctx, j.ID, "worker1")
	if err == nil {
		_, err = s.ledger.Attempts.Fail(ctx, j.ID, begun.Fence, reason)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestFootage(t *testing.T) {
	s := open(t, nil)
	one := s.record("one", "content one")
	two := s.record("two", "content two")
	copy1 := s.record("three", "content one")
	s.finish(one.Job)
	s.failJob(two.Job, "the video is cut off")

	var list wire.Page[wire.Footage]
	s.do("GET", "/api/v1/footage?limit=2", "").decode(t, &list)
	if len(list.Items) != 2 || list.Items[0].ID != "three" || list.Items[0].DuplicateOf != "one" ||
		list.Items[1].Job.Reason != "the video is cut off" || list.Next == "" {
		t.Errorf("got list %+v", list)
	}
	if c := list.Items[0].Count; c == nil || c.Unique != 7 {
		t.Errorf("the duplicate shows %+v", c)
	}
	var rest wire.Page[wire.Footage]
	s.do("GET", "/api/v1/footage?after="+list.Next, "").decode(t, &rest)
	if len(rest.Items) != 1 || rest.Items[0].ID != "one" || rest.Next != "" {
		t.Errorf("got rest of the list %+v", rest)
	}
	var v wire.Footage
	s.do("GET", "/api/v1/footage/one", "").decode(t, &v)
	if v.SHA256 != one.Footage.SHA256 || v.Size != 11 || v.Job.State != job.Done || v.Count.High != 9 ||
		v.Captured == nil {
		t.Errorf("got footage %+v", v)
	}
	var found wire.Page[wire.Footage]
	s.do("GET", "/api/v1/footage?sha256="+copy1.Footage.SHA256.String(), "").decode(t, &found)
	if len(found.Items) != 1 || found.Items[0].ID != "one" {
		t.Errorf("got record %+v", found)
	}
	r := s.do("GET", "/api/v1/footage?sha256="+footage.Sum([]byte("else")).String(), "")
	if string(r.body) != `{"items":[]}` {
		t.Errorf("got body %s", r.body)
	}
	if h := s.do("HEAD", "/api/v1/footage/one",
		""); h.status != 200 || len(h.body) != 0 || h.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d %v", h.status, h.header)
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, nil)
	s.record("one", "content one")
	for _, c := range []struct {
		method, path string
		status       int
		slug         string
	}{
		{"GET", "/api/v1/footage/nope", 404, "not-found"},
		{"GET", "/api/v1/footage/..%2f..%2fetc", 404, "not-found"},
		{"GET", "/api/v1/footage/" + strings.Repeat("x", 65), 404, "not-found"},
		{"GET", "/api/v1/footage/one/result", 404, "not-found"},
		{"GET", "/api/v1/footage/one/status", 404, "not-found"},
		{"GET", "/api/v1/footage?limit=0", 400, "bad-request"},
		{"GET", "/api/v1/footage?limit=x", 400, "bad-request"},
		{"GET", "/api/v1/footage?after=x", 400, "bad-request"},
		{"GET", "/api/v1/footage?sha256=x", 400, "bad-request"},
		{"GET", "/api/v1/jobs?state=sleeping", 400, "bad-request"},
		{"GET", "/api/v1/jobs/nope", 404, "not-found"},
		{"GET", "/api/v1/counts/one", 404, "not-found"},
		{"GET", "/api/v1/nope", 404, "not-found"},
		{"GET", "/nope", 404, "not-found"},
		{"GET", "/../../etc/passwd", 404, "not-found"},
		{"POST", "/nope", 404, "method-not-allowed"},
		{"DELETE", "/api/v1/footage/one", 405, "method-not-allowed"},
		{"BREW", "/api/v1/footage/one", 405, "method-not-allowed"},
		{"GET", "/api/v1/jobs/x/retry", 404, "not-found"},
	} {
		if c.path == "/nope" && c.method == "POST" {
			c.status = 405 // the page's route takes every GET
		}
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			s.do(c.method, c.path, "").wantProblem(t, c.status, c.slug)
		})
	}
}

func TestWhoMayChangeJobs(t *testing.T) {
	s := open(t, nil)
	rec := s.record("one", "content one")
	s.failJob(rec.Job, "cut off")
	other, err := s.ledger.Devices.Add(t.Context(), "other", "farm", ledger.RoleDevice)
	if err != nil {
		t.Fatal(err)
	}
	retry := "/api/v1/jobs/" + rec.Job.ID + "/retry"
	cancel := "/api/v1/jobs/" + rec.Job.ID + "/cancel"
	s.do("POST", retry, "").wantProblem(t, 401, "unauthorised")
	s.do("POST", retry, "nonsense").wantProblem(t, 401, "unauthorised")
	s.do("POST", retry, strings.Repeat("x", 4000)).wantProblem(t, 401, "unauthorised")
	s.do("POST", retry, s.tokens[ledger.RoleReader]).wantProblem(t, 403, "forbidden")
	s.do("POST", retry, other.Reveal()).wantProblem(t, 404, "not-found")
	s.do("POST", "/api/v1/jobs/nope/retry", s.tokens[ledger.RoleOperator]).wantProblem(t, 404, "not-found")

	var j wire.Job
	r := s.do("POST", retry, s.tokens[ledger.RoleDevice])
	r.decode(t, &j)
	if r.status != 200 || j.State != job.Queued {
		t.Fatalf("got status %d, body %s", r.status, r.body)
	}
	if has, err := s.queue.Has(t.Context(), j.ID); err != nil || !has {
		t.Errorf("no message: %v", err)
	}
	s.do("POST", retry, s.tokens[ledger.RoleOperator]).wantProblem(t, 409, "conflict")
	s.do("POST", cancel, s.tokens[ledger.RoleOperator]).decode(t, &j)
	if j.State != job.Canceled {
		t.Errorf("got job %+v", j)
	}
}

// Operators of the site say what is counted first, devices do not. A job that has ended has no priority.
func TestPriorityOfJobs(t *testing.T) {
	s := open(t, nil)
	first, next := s.record("one", "content one"), s.record("two", "content two")
	path := "/api/v1/jobs/" + next.Job.ID + "/priority"
	put := func(token, body string) response { return s.send("PUT", path, token, strings.NewReader(body)) }
	put("", `{"priority":9}`).wantProblem(t, 401, "unauthorised")
	put(s.tokens[ledger.RoleDevice], `{"priority":9}`).wantProblem(t, 403, "forbidden")
	boss := s.tokens[ledger.RoleOperator]
	for _, body := range []string{"", "{}", `{"priority":10}`, `{"priority":-10}`, `{"priority":-9223372036854775808}`,
		`{"priority":1.5}`, `{"priority":1,"x":2}`} {
		put(boss, body).wantProblem(t, 400, "bad-request")
	}
	var j wire.Job
	if put(boss, `{"priority":9}`).decode(t, &j); j.Priority != 9 {
		t.Errorf("got job %+v", j)
	}
	var q wire.Queue
	s.do("GET", "/api/v1/queue", boss).decode(t, &q)
	if len(q.Jobs) != 2 || q.Jobs[0].Job != next.Job.ID || q.Jobs[0].Priority != 9 || q.Jobs[1].Job != first.Job.ID {
		t.Errorf("got queue %+v", q.Jobs)
	}
	var canceled wire.Job
	s.do("POST", "/api/v1/jobs/"+next.Job.ID+"/cancel", boss).decode(t, &canceled)
	if canceled.State != job.Canceled || canceled.Priority != 0 {
		t.Errorf("got job %+v", canceled)
	}
	put(boss, `{"priority":3}`).wantProblem(t, 409, "conflict")
}

// An admin ends the access of a station; its token is refused then, and the audit log has it.
func TestDevicesAreRevoked(t *testing.T) {
	now := time.Now()
	s := open(t, func(o *Options) { o.Now = func() time.Time { return now }; o.OpenReading = false })
	admin := must.Get(s.ledger.Devices.AddWith(t.Context(), ledger.Device{Name: "admin1", Site: "farm", Role: ledger.RoleAdmin,
		Sites: ledger.SiteSet{ledger.AllSites}}))(t).Reveal()
	s.do("GET", "/api/v1/jobs", s.tokens[ledger.RoleDevice])
	s.do("DELETE", "/api/v1/devices/nope", admin).wantProblem(t, 404, "not-found")
	var d wire.Device
	if s.do("DELETE", "/api/v1/devices/device1", admin).decode(t, &d); d.Revoked == nil {
		t.Errorf("got device %+v", d)
	}
	now = now.Add(3 * time.Second)
	s.do("GET", "/api/v1/jobs", s.tokens[ledger.RoleDevice]).wantProblem(t, 401, "unauthorised")
	if r := s.do("GET", "/api/v1/audit?subject=device1&who=admin1", admin); !strings.Contains(string(r.body), ledger.ActionRevokeDevice) {
		t.Errorf("the audit log has %s", r.body)
	}
}

func TestRevokedTokenIsRefusedWithinSeconds(t *testing.T) {
	now := time.Now()
	s := open(t, func(o *Options) { o.Now = func() time.Time { return now } })
	path := "/api/v1/jobs/nope/retry"
	s.do("POST", path, s.tokens[ledger.RoleOperator]).wantProblem(t, 404, "not-found")
	if err := s.ledger.Devices.Revoke(t.Context(), "operator1"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(authLife)
	s.do("POST", path, s.tokens[ledger.RoleOperator]).wantProblem(t, 401, "unauthorised")
}

func TestDownloads(t *testing.T) {
	s := open(t, nil)
	rec := s.record("one", "content one")
	s.record("two", "content one")
	s.finish(rec.Job)
	for path, want := range map[string]string{
		"/api/v1/footage/one/result":     `{"count":{"unique":7}}`,
		"/api/v1/footage/two/result":     `{"count":{"unique":7}}`,
		"/api/v1/footage/one/result.csv": "a,b\n1,2\n",
		"/api/v1/footage/one/still":      "JPEG",
		"/api/v1/footage/two/video":      "VIDEO",
		"/api/v1/footage/one/sheet":      "SHEET",
		"/api/v1/footage/one/contact/1":  "ANIMALS",
		"/api/v1/footage/two/status":     `{"v":1}`,
	} {
		if r := s.do("GET", path, ""); r.status != 200 || string(r.body) != want || r.header.Get("ETag") == "" ||
			r.header.Get("Cache-Control") != privately {
			t.Errorf("%s: %d %s, %v", path, r.status, r.body, r.header)
		}
	}
	path := "/api/v1/footage/one/result.csv"
	tag := s.do("GET", path, "").header.Get("ETag")
	if r := s.do("GET", path, "", "If-None-Match", tag); r.status != 304 || len(r.body) != 0 {
		t.Errorf("got status %d", r.status)
	}
	if r := s.do("HEAD", path, ""); r.status != 200 || r.header.Get("Content-Length") != "8" {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}
	for _, c := range []struct {
		spec, want, content string
		status              int
	}{
		{"bytes=0-2", "a,b", "bytes 0-2/8", 206},
		{"bytes=4-", "1,2\n", "bytes 4-7/8", 206},
		{"bytes=-2", "2\n", "bytes 6-7/8", 206},
		{"bytes=5-99", ",2\n", "bytes 5-7/8", 206},
		{"bytes=8-", "", "bytes */8", 416},
		{"bytes=0-1,3-4", "a,b\n1,2\n", "", 200},
		{"bytes=x", "a,b\n1,2\n", "", 200},
		{"lines=1-2", "a,b\n1,2\n", "", 200},
	} {
		r := s.do("GET", path, "", "Range", c.spec)
		if r.status != c.status || r.header.Get("Content-Range") != c.content || c.status != 416 && string(r.body) != c.want {
			t.Errorf("%s: %d %q %q", c.spec, r.status, r.header.Get("Content-Range"), r.body)
		}
	}
	if r := s.do("GET", path, "", "Range", "bytes=0-2", "If-Range", `"old"`); r.status != 200 {
		t.Errorf("If-Range: %d", r.status)
	}
}

func TestUploadsNeedAToken(t *testing.T) {
	s := open(t, nil)
	s.do("POST", "/files/", "").wantProblem(t, 401, "unauthorised")
	s.do("PATCH", "/files/x", s.tokens[ledger.RoleReader]).wantProblem(t, 403, "forbidden")
	if r := s.do("OPTIONS", "/files/", ""); r.status != 404 { // the test's own handler
		t.Errorf("got status %d", r.status)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	var broken error
	s := open(t, func(o *Options) {
		o.Checks = []Check{{"ledger", func(ctx context.Context) error { _, err := o.Ledger.Totals.Stats(ctx); return err }},
			{"disk", func(context.Context) error { return broken }}}
	})
	var h wire.Health
	if r := s.do("GET", "/readyz", ""); r.status != 200 {
		t.Errorf("got body %s", r.body)
	}
	broken = fmt.Errorf("full")
	r := s.do("GET", "/readyz", "")
	r.decode(t, &h)
	if r.status != 503 || h.Status != "failing" || h.Checks["disk"].Detail != "full" || !h.Checks["ledger"].OK {
		t.Errorf("got status %d, body %s", r.status, r.body)
	}
	if r := s.do("GET", "/healthz", ""); r.status != 200 {
		t.Error(r.status)
	}
	s.record("one", "content one")
	text := string(s.do("GET", "/metrics", "").body)
	for _, want := range []string{`cattle_http_requests_total{method="GET",route="/readyz",status="503"} 1`,
		`cattle_jobs{state="uploaded"} 1`,
		"cattle_queue_length 0", "cattle_sse_subscribers 0", "cattle_upload_bytes_total 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	s := open(t, nil)
	for _, path := range []string{"/", "/nope", "/api/v1/footage", "/files/", "/healthz"} {
		r := s.do("GET", path, "", "X-Request-Id", "abc-1", "Origin", "https://elsewhere.example")
		if r.header.Get("X-Request-Id") != "abc-1" || r.header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(r.header.Get("Content-Security-Policy"),
				"script-src 'self'") || r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, r.header)
		}
	}
	if r := s.do("GET", "/healthz", "", "X-Request-Id", "a b\"c"); strings.ContainsAny(r.header.Get("X-Request-Id"),
		" \"") {
		t.Error("a request id with unsafe characters is accepted")
	}
}

func TestPage(t *testing.T) {
	s := open(t, nil)
	r := s.do("GET", "/", "")
	if r.status != http.StatusOK || !strings.Contains(string(r.body),
		"<!doctype") || r.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("got status %d, body %s", r.status, r.body)
	}
	if r := s.do("GET", "/app.js", "", "If-None-Match", s.do("GET", "/app.js", "").header.Get("ETag")); r.status != 304 {
		t.Error(r.status)
	}
	bare := open(t, func(o *Options) { o.Page = nil })
	if r := bare.do("GET", "/", ""); r.status != 200 || !strings.Contains(string(r.body), "npm run build") {
		t.Errorf("got status %d, body %s", r.status, r.body)
	}
}

// A sibling shows job, count and files of the footage that is counted for it, until a person
// has it counted.
func TestSiblings(t *testing.T) {
	s := open(t, nil)
	wide := s.record("flight_W", "content wide")
	if rec := s.record("flight_T", "content thermal"); rec.Job != nil {
		t.Fatalf("got record %+v", rec)
	}
	s.finish(wide.Job)
	var v wire.Footage
	s.do("GET", "/api/v1/footage/flight_T", "").decode(t, &v)
	if v.SiblingOf != "flight_W" || v.DuplicateOf != "" || v.Removed || v.Count == nil || v.Count.Unique != 7 ||
		v.Job.Footage != "flight_W" {
		t.Errorf("got footage %+v", v)
	}
	for _, file := range []string{"result", "result.csv", "still", "status"} {
		if r := s.do("GET", "/api/v1/footage/flight_T/"+file, ""); r.status != 200 {
			t.Errorf("%s: %d %s", file, r.status, r.body)
		}
	}
	other, err := s.ledger.Devices.Add(t.Context(), "other", "farm", ledger.RoleDevice)
	if err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/footage/flight_T/count"
	s.do("POST", path, other.Reveal()).wantProblem(t, 404, "not-found")
	var j wire.Job
	s.do("POST", path, s.tokens[ledger.RoleDevice]).decode(t, &j)
	if j.State != job.Queued || j.Footage != "flight_T" {
		t.Errorf("got job %+v", j)
	}
	if has, err := s.queue.Has(t.Context(), j.ID); err != nil || !has {
		t.Errorf("no message: %v", err)
	}
	s.do("POST", path, s.tokens[ledger.RoleOperator]).wantProblem(t, 409, "conflict")
	v = wire.Footage{}
	s.do("GET", "/api/v1/footage/flight_T", "").decode(t, &v)
	if v.Job == nil || v.Job.ID != j.ID || v.Count != nil || v.SiblingOf != "flight_W" {
		t.Errorf("got footage %+v", v)
	}
}
