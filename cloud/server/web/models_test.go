package web

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

func detector(name string) wire.ModelRef {
	return wire.ModelRef{Name: name, SHA256: footage.Sum([]byte(name))}
}

// bodyWith is a model in JSON, with what stands before it.
func bodyWith(before string, m wire.ModelRef) *strings.Reader {
	return strings.NewReader(`{` + before + `"model":{"name":"` + m.Name + `","sha256":"` + m.SHA256.String() + `"}}`)
}

// withWorkers reports two workers: both have herd, one has dunes, which a comparison does not speak for.
func withWorkers(s *site) {
	s.t.Helper()
	since := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	herd := wire.InstalledModel{ModelRef: detector("herd"), Size: 44, Threshold: 0.4, Since: since, Own: true, Loaded: true}
	dunes := wire.InstalledModel{ModelRef: detector("dunes"), Size: 45, Threshold: 0.3, Since: since, Caution: "dunes is worse than herd",
		Comparison: &wire.ModelComparison{Old: wire.ModelFigures{ModelRef: detector("herd"), F1: 0.9}, New: wire.ModelFigures{ModelRef: detector("dunes"), F1: 0.8},
			Verdict: "worse", Compared: since}}
	broken := wire.InstalledModel{ModelRef: detector("broken"), Fault: "not the recorded content", Since: since}
	until := time.Now().Add(time.Hour)
	must.Do(s.t, s.ledger.Workers.Report(s.t.Context(), ledger.Worker{Name: "w1", Started: since, Until: until, Models: []wire.InstalledModel{herd, dunes, broken}}))
	herd.Loaded, herd.Since = false, since.Add(-time.Hour)
	must.Do(s.t, s.ledger.Workers.Report(s.t.Context(), ledger.Worker{Name: "w2", Started: since, Until: until, Models: []wire.InstalledModel{herd}}))
}

func TestModelsAreListedChosenAndTakenBack(t *testing.T) {
	s := open(t, nil)
	withWorkers(s)
	root := must.Get(s.ledger.Devices.AddWith(t.Context(), ledger.Device{Name: "root", Site: "farm", Sites: ledger.SiteSet{"*"},
		Role: ledger.RoleAdmin}))(t).Reveal()
	var v wire.Models
	s.do("GET", "/api/v1/models", "").decode(t, &v)
	if v.Workers != 2 || len(v.Models) != 3 || v.Models[2].ModelRef != detector("herd") || v.Models[2].Workers != 2 || v.Models[2].Loaded != 1 ||
		v.Models[2].Own != 2 || v.Models[0].Workers != 0 || v.Models[0].Fault == "" || v.Models[1].Comparison == nil || len(v.Chosen) != 0 {
		t.Fatalf("models: %+v", v)
	}
	put := func(token string, body *strings.Reader, status int) response {
		t.Helper()
		r := s.send("PUT", "/api/v1/models/choice", token, body)
		if r.status != status {
			t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
		}
		return r
	}
	put(s.tokens[ledger.RoleOperator], bodyWith("", detector("herd")), http.StatusForbidden)
	put(root, strings.NewReader(""), http.StatusBadRequest)
	put(root, strings.NewReader(`{"network":{}}`), http.StatusBadRequest)
	put(root, strings.NewReader(`{"model":{"name":"herd"}}`), http.StatusBadRequest)
	put(root, bodyWith(`"site":"no/site",`, detector("herd")), http.StatusBadRequest)
	put(root, bodyWith(`"site":"fram",`, detector("herd")), http.StatusBadRequest)
	for body, want := range map[string]string{`{}`: "is missing", `{"site":"farm","force":true}`: "is missing", `{"site":"fram","model":null}`: "fram",
		`{"model":{"name":"herd","digest":""}}`: "digest", `{"model":"herd"}`: "ModelRef"} {
		if r := put(root, strings.NewReader(body), http.StatusBadRequest); !strings.Contains(string(r.body), want) {
			t.Errorf("%s: %s", body, r.body)
		}
	}
	for _, name := range []string{"nowhere", "broken"} {
		if r := put(root, bodyWith("", detector(name)), http.StatusConflict); !strings.Contains(string(r.body), "No worker that runs now") {
			t.Errorf("%s: %s", name, r.body)
		}
	}
	if r := put(root, bodyWith("", detector("dunes")), http.StatusConflict); !strings.Contains(string(r.body), "is worse than herd") {
		t.Errorf("without force: %s", r.body)
	}
	put(root, bodyWith(`"force":true,`, detector("dunes")), http.StatusOK)
	put(root, bodyWith(`"site":"farm",`, detector("herd")), http.StatusOK)
	put(root, strings.NewReader(`{"site":"farm","model":null}`), http.StatusOK)
	must.Get(s.ledger.Models.Choose(t.Context(), "gone", detector("herd")))(t)
	put(root, strings.NewReader(`{"site":"gone","model":null}`), http.StatusOK)
	s.do("GET", "/api/v1/models", "").decode(t, &v)
	if len(v.Chosen) != 3 || *v.Chosen[0].Model != detector("dunes") || v.Chosen[0].Who != "root" || v.Chosen[1].Site != "farm" || v.Chosen[1].Model != nil ||
		len(v.History) != 5 {
		t.Errorf("chosen: %+v", v)
	}
	told := must.Get(s.ledger.Audit.Find(t.Context(), ledger.AuditQuery{Action: ledger.ActionChooseModel, Limit: 9}))(t)
	if len(told) != 5 || told[4].Who != "root" || told[4].Subject != "all sites: "+detector("dunes").String() {
		t.Errorf("audit: %+v", told)
	}
}

// Each choice names its own way back, and a reader sees the choices of its sites alone, however many there are elsewhere.
func TestChoicesNameTheWayBack(t *testing.T) {
	s := open(t, nil)
	withWorkers(s)
	ctx := t.Context()
	reader := must.Get(s.ledger.Devices.AddWith(ctx, ledger.Device{Name: "watcher", Site: "farm", Role: ledger.RoleReader}))(t).Reveal()
	station := must.Get(s.ledger.Devices.AddWith(ctx, ledger.Device{Name: "dock-9", Site: "farm", Role: ledger.RoleDevice}))(t).Reveal()
	for site, names := range map[string][]string{"farm": {"dunes", "herd"}, "new": {"herd"}, "back": {"herd", ""}} {
		for _, name := range names {
			m := wire.ModelRef{}
			if name != "" {
				m = detector(name)
			}
			must.Get(s.ledger.Models.Choose(ctx, site, m))(t)
		}
	}
	for range choicesShown {
		must.Get(s.ledger.Models.Choose(ctx, "busy", detector("herd")))(t)
	}
	must.Get(s.ledger.Models.Choose(ctx, "none", wire.ModelRef{}))(t)
	var v wire.Models
	s.do("GET", "/api/v1/models", "").decode(t, &v)
	got := map[string]string{}
	for _, c := range v.Chosen {
		switch {
		case c.Before == nil:
			got[c.Site] = "nothing"
		case c.Before.Model == nil:
			got[c.Site] = "no model"
		default:
			got[c.Site] = c.Before.Model.Name
		}
	}
	want := map[string]string{"farm": "dunes", "new": "no model", "back": "herd", "busy": "no model", "none": "nothing"}
	if !maps.Equal(got, want) {
		t.Errorf("ways back: %v, want %v", got, want)
	}
	for name, token := range map[string]string{"reader": reader, "device": station} {
		var v wire.Models
		s.send("GET", "/api/v1/models", token, nil).decode(t, &v)
		if len(v.Chosen) != 1 || v.Chosen[0].Site != "farm" || len(v.History) != 2 || v.History[0].Site != "farm" || v.History[0].Before != nil {
			t.Errorf("%s of farm: %+v", name, v)
		}
	}
}

// A recount names its model; the queue says so when no living worker has it.
func TestRecountWithAModel(t *testing.T) {
	s := open(t, nil)
	withWorkers(s)
	boss := s.tokens[ledger.RoleOperator]
	s.finish(s.record("one", "content one").Job)
	for name, want := range map[string]int{"nowhere": http.StatusConflict, "": http.StatusBadRequest} {
		if r := s.send("POST", "/api/v1/footage/one/recount", boss, bodyWith("", wire.ModelRef{Name: name, SHA256: footage.Sum([]byte(name))})); r.status != want {
			t.Errorf("recount with %q: %d %s", name, r.status, r.body)
		}
	}
	if r := s.send("POST", "/api/v1/footage/one/recount", boss, bodyWith("", detector("dunes"))); r.status != http.StatusOK ||
		!strings.Contains(string(r.body), `"model":{"name":"dunes"`) {
		t.Fatalf("recount: %d %s", r.status, r.body)
	}
	var q wire.Queue
	s.do("GET", "/api/v1/queue", "").decode(t, &q)
	if len(q.Jobs) != 1 || q.Jobs[0].Model == nil || *q.Jobs[0].Model != detector("dunes") || q.Jobs[0].NoModel {
		t.Errorf("with a worker: %+v", q.Jobs)
	}
	if len(q.Workers) < 2 || q.Workers[len(q.Workers)-2].Model == nil || *q.Workers[len(q.Workers)-2].Model != detector("herd") {
		t.Errorf("workers: %+v", q.Workers)
	}
	must.Do(t, s.ledger.Workers.Remove(t.Context(), "w1"))
	s.do("GET", "/api/v1/queue", "").decode(t, &q)
	if len(q.Jobs) != 1 || !q.Jobs[0].NoModel {
		t.Errorf("without one: %+v", q.Jobs)
	}
}

func TestModelsAreCompared(t *testing.T) {
	s := open(t, nil)
	withWorkers(s)
	ctx := t.Context()
	j := s.record("one", "content one").Job
	for i, name := range []string{"herd", "dunes"} {
		if i > 0 {
			must.Get(s.ledger.Jobs.RecountWith(ctx, "one", detector(name)))(t)
		}
		begun, _, err := s.ledger.Attempts.Begin(ctx, j.ID, "w1")
		must.Do(t, err)
		must.Get(s.ledger.Attempts.Finish(ctx, j.ID, begun.Fence, ledger.Count{Unique: 10 + i, Low: 9, High: 14, Model: name,
			ModelDigest: detector(name).SHA256}, "k"))(t)
	}
	at := func(m wire.ModelRef) string { return url.QueryEscape(m.Name + "@" + m.SHA256.String()) }
	var v wire.ModelsCompared
	s.do("GET", "/api/v1/models/compare?old="+at(detector("herd"))+"&new="+at(detector("dunes")), "").decode(t, &v)
	if v.Pictures == nil || v.Pictures.Verdict != "worse" || len(v.Counts) != 1 || v.Counts[0].Old.Unique != 10 || v.Counts[0].New.Unique != 11 {
		t.Errorf("compared: %+v", v)
	}
	var none wire.ModelsCompared
	s.do("GET", "/api/v1/models/compare?old="+at(detector("dunes"))+"&new="+at(detector("herd")), "").decode(t, &none)
	if none.Pictures != nil || len(none.Counts) != 1 {
		t.Errorf("the other way round: %+v", none)
	}
	for _, q := range []string{"", "?old=herd&new=dunes", "?old=herd@00&new=" + at(detector("dunes"))} {
		s.do("GET", "/api/v1/models/compare"+q, "").wantProblem(t, http.StatusBadRequest, "bad-request")
	}
}

// The model of a job is shown until the job ends, also when a worker of before has left it in the ledger.
func TestEndedJobShowsNoModel(t *testing.T) {
	j := ledger.Job{ID: "job-one", State: job.Processing, Model: detector("herd")}
	if v := jobView(j); v.Model == nil || *v.Model != detector("herd") {
		t.Errorf("at work: %+v", v)
	}
	for _, j.State = range []job.State{job.Done, job.Failed, job.Poisoned, job.Canceled} {
		if v := jobView(j); v.Model != nil {
			t.Errorf("%s: %+v", j.State, v)
		}
	}
}
