package web

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

type event struct {
	name, id string
	data     string
}

// listening is an open stream of events.
type listening struct {
	t    *testing.T
	r    *bufio.Reader
	resp *http.Response
	stop context.CancelFunc
}

func (s *site) listen(last string) *listening {
	s.t.Helper()
	return s.listenAs("", last)
}

func (s *site) listenAs(token, last string, headers ...string) *listening {
	s.t.Helper()
	return s.listenTo("", token, last, headers...)
}

// listenTo opens a stream with a query.
func (s *site) listenTo(query, token, last string, headers ...string) *listening {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	req, err := http.NewRequestWithContext(ctx, "GET", s.url+"/api/v1/events"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("got status %d, headers %v", resp.StatusCode, resp.Header)
	}
	l := &listening{s.t, bufio.NewReader(resp.Body), resp, cancel}
	s.t.Cleanup(l.close)
	return l
}

func (l *listening) close() {
	l.stop()
	l.resp.Body.Close()
}

// next returns the next event. It skips retry lines and heartbeats.
func (l *listening) next() event {
	l.t.Helper()
	var e event
	for {
		line, err := l.r.ReadString('\n')
		if err != nil {
			l.t.Fatal(err)
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch key {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				return e
			}
		}
	}
}

// until returns the next event of a kind.
func (l *listening) until(name string) event {
	l.t.Helper()
	for {
		if e := l.next(); e.name == name {
			return e
		}
	}
}

func TestEvents(t *testing.T) {
	s := open(t, nil)
	l := s.listen("")
	if e := l.next(); e.name != "ready" {
		t.Fatalf("got event %+v", e)
	}
	rec := s.record("one", "content one")
	f := l.until("footage")
	var v wire.Footage
	if err := json.Unmarshal([]byte(f.data), &v); err != nil || v.ID != "one" || f.id != strconv.FormatInt(v.Seq, 10) {
		t.Errorf("got footage %+v, error %v", f, err)
	}
	s.finish(rec.Job)
	for {
		var j wire.Job
		e := l.until("job")
		if err := json.Unmarshal([]byte(e.data), &j); err != nil {
			t.Fatal(err)
		}
		if j.State == job.Done {
			break
		}
	}
	var c wire.Count
	s.record("two", "content two")
	again := s.listen("0")
	e := again.until("count")
	if err := json.Unmarshal([]byte(e.data), &c); err != nil || c.Unique != 7 {
		t.Errorf("got event %+v, error %v", e, err)
	}
}

func TestReturningListenerGetsMissedEvents(t *testing.T) {
	s := open(t, nil)
	s.record("one", "content one")
	l := s.listen("0")
	seen := map[string]bool{}
	last := ""
	for e := l.next(); e.name != "ready"; e = l.next() {
		seen[e.name], last = true, e.id
	}
	if !seen["footage"] || !seen["job"] {
		t.Fatalf("got events %v", seen)
	}
	l.close()
	s.record("two", "content two")
	s.record("three", "content three")
	back := s.listen(last)
	var ids []string
	for e := back.next(); e.name != "ready"; e = back.next() {
		if e.name != "footage" {
			continue
		}
		var v wire.Footage
		if err := json.Unmarshal([]byte(e.data), &v); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, string(v.ID))
	}
	if strings.Join(ids, " ") != "two three" {
		t.Errorf("missed footage: %v", ids)
	}
}

func TestUnknownEventIDGetsReset(t *testing.T) {
	s := open(t, nil)
	if e := s.listen("yesterday").next(); e.name != "reset" {
		t.Errorf("got event %+v", e)
	}
}

// After a ledger was restored or replaced, its listeners are ahead of it. They load the
// lists again and get every later change.
func TestListenerAheadOfTheLedger(t *testing.T) {
	s := open(t, nil)
	s.record("one", "content one")
	l := s.listen("1000000")
	if e := l.next(); e.name != "reset" {
		t.Fatalf("got event %+v", e)
	}
	l.until("ready")
	s.record("two", "content two")
	if e := l.until("footage"); !strings.Contains(e.data, `"two"`) {
		t.Errorf("got event %+v", e)
	}
}

func TestStopSendsBye(t *testing.T) {
	s := open(t, nil)
	l := s.listen("")
	l.until("ready")
	began := time.Now()
	s.stop()
	if e := l.until("bye"); !strings.Contains(e.data, "stops") {
		t.Errorf("got event %+v", e)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the stop took %s", took)
	}
}

func TestHeadOfEvents(t *testing.T) {
	s := open(t, nil)
	if r := s.do("HEAD", "/api/v1/events", ""); r.status != 200 {
		t.Error(r.status)
	}
	if n := s.o.Hub.Subscribers(); n != 0 {
		t.Errorf("%d listeners are still subscribed", n)
	}
}

// A listener of some topics hears of no other, and knows how far it is although the changes between were not for it.
func TestEventsByTopic(t *testing.T) {
	s := open(t, nil)
	rec := s.record("one", "content one")
	s.finish(rec.Job)
	all := s.listen("0")
	last := ""
	for e := all.next(); e.name != "ready"; e = all.next() {
		last = e.id
	}
	some := s.listenTo("?topics=count,job", "", "0")
	seen := map[string]int{}
	e := some.next()
	for ; e.name != "ready"; e = some.next() {
		seen[e.name]++
	}
	if seen["count"] != 1 || seen["job"] == 0 || len(seen) != 2 {
		t.Errorf("got events %v", seen)
	}
	flights := s.listenTo("?topics=flight", "", "0")
	if e := flights.next(); e.name != "ready" || e.id != last {
		t.Errorf("the first event is %+v, want ready with id %s", e, last)
	}
	some.close()
	s.record("two", "content two")
	again := s.listenTo("?topics=footage", "", last)
	if e := again.next(); e.name != "footage" || !strings.Contains(e.data, `"two"`) {
		t.Errorf("got event %+v", e)
	}
	s.do("GET", "/api/v1/events?topics=jobs", "").wantProblem(t, 400, "bad-request")
}

// An account with all of its streams leaves some for others.
func TestEventStreamsAreShared(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	for range streamsPerAccount {
		s.listenAs(s.tokens[ledger.RoleOperator], "").until("ready")
	}
	s.do("GET", "/api/v1/events", s.tokens[ledger.RoleOperator]).wantProblem(t, 503, "too-many-listeners")
	s.listenAs(s.tokens[ledger.RoleReader], "").until("ready")
}
