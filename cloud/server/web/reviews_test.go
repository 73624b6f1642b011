package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cattlecounter/cloud/count/review"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

func TestReviews(t *testing.T) {
	s := open(t, nil)
	boss := s.tokens[ledger.RoleOperator]
	const path = "/api/v1/footage/one/review"
	s.send("GET", path+"s", "", nil).wantProblem(t, 404, "not-found")
	rec := s.record("one", "content one")
	s.send("GET", path+"s", "", nil).wantProblem(t, 404, "not-found")
	s.finish(rec.Job)
	must.Get(s.blobs.Put(t.Context(), "footage/one/result/abc.json", strings.NewReader(
		`{"tracks":[{"id":1},{"id":2},{"id":3}],"not_counted":[{"id":7,"reason":"weak"}]}`)))(t)
	reviews := func(r response) wire.Reviews {
		t.Helper()
		if r.status != 200 {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
		var out wire.Reviews
		r.decode(t, &out)
		return out
	}
	none := reviews(s.send("GET", path+"s", "", nil))
	if none.Reviews == nil || len(none.Reviews) != 0 || none.Counted.IsZero() || none.Agreement != nil {
		t.Errorf("%+v", none)
	}
	at := string(must.Get(json.Marshal(none.Counted))(t))
	put := func(token, counted, rest, animals string) response {
		return s.send("PUT", path, token, strings.NewReader(fmt.Sprintf(`{"counted":%s,"rest":%q,"animals":[%s]}`, counted, rest, animals)))
	}
	put("", at, "", "").wantProblem(t, 401, "unauthorised")
	put(s.tokens[ledger.RoleReader], at, "", "").wantProblem(t, 403, "forbidden")
	put(boss, `"2020-01-01T00:00:00Z"`, "", "").wantProblem(t, 409, "conflict")
	for _, animals := range []string{`{"verdict":"perhaps","id":1}`, `{"verdict":"rejected","id":9}`, `{"verdict":"accepted","id":1,"same_as":9}`,
		`{"verdict":"added"}`, `{"verdict":"accepted","id":1,"colour":"red"}`, `{"verdict":"accepted","id":1},{"verdict":"rejected","id":1}`} {
		put(boss, at, "", animals).wantProblem(t, 400, "bad-request")
	}
	s.send("PUT", path, boss, strings.NewReader("{")).wantProblem(t, 400, "bad-request")

	// Track 1 is a bush, 3 is 2 once more, 7 is an animal, and one was not seen.
	const verdicts = `{"verdict":"rejected","id":1},{"verdict":"accepted","id":3,"same_as":2},{"verdict":"accepted","id":7},
		{"verdict":"added","seconds":2.5,"box":[10,10,60,40]}`
	got := reviews(put(boss, at, "", verdicts))
	if len(got.Reviews) != 1 || got.Reviews[0].Unique != 3 || got.Reviews[0].Judged != 2 || got.Reviews[0].Tracks != 3 ||
		!got.Reviews[0].Current || len(got.Reviews[0].Animals) != 4 || got.Agreement != nil {
		t.Errorf("%+v", got)
	}
	got = reviews(put(boss, at, "accepted", verdicts))
	if len(got.Reviews) != 1 || got.Reviews[0].Judged != 3 || got.Reviews[0].Rest != "accepted" {
		t.Errorf("%+v", got)
	}
	file := s.send("GET", path+".json", "", nil)
	parsed := must.Get(review.Parse("review.json", file.body))(t)
	if f := parsed.Footage[0]; len(f.Animals) != 4 || f.SHA256 != footage.Sum([]byte("content one")) || f.Rest != review.Accepted {
		t.Errorf("%+v", f)
	}
	s.send("GET", path+".json?reviewer=stranger", "", nil).wantProblem(t, 404, "not-found")

	second := must.Get(s.ledger.Devices.Add(t.Context(), "second", "farm", ledger.RoleOperator))(t)
	got = reviews(put(second.Reveal(), at, "accepted", `{"verdict":"rejected","id":1},{"verdict":"rejected","id":2}`))
	if a := got.Agreement; a == nil || a.Same != 1 || a.Tracks != 3 || len(a.Differ) != 2 || a.Differ[0] != 2 {
		t.Errorf("%+v", got.Agreement)
	}
	got = reviews(put(second.Reveal(), at, "accepted", `{"verdict":"rejected","id":1},{"verdict":"accepted","id":2,"same_as":3}`))
	if a := got.Agreement; a == nil || a.Same != 3 || len(a.Differ) != 0 || got.Reviews[1].Unique != 1 {
		t.Errorf("the same pair named from its other track: %+v of %+v", got.Agreement, got.Reviews)
	}
	got = reviews(s.send("DELETE", path, second.Reveal(), nil))
	if len(got.Reviews) != 1 || got.Agreement != nil {
		t.Errorf("%+v", got)
	}
	s.send("DELETE", path, second.Reveal(), nil).wantProblem(t, 404, "not-found")

	// A device reviews nothing, and reads reviews of its own footage only.
	put(s.tokens[ledger.RoleDevice], at, "", "").wantProblem(t, 403, "forbidden")
}
