package web

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// secondPassword is longer than the shortest one.
const secondPassword = "correct horse battery"

// person adds a person and returns the headers of a session: cookie and token of changes.
func (s *site) person(name string, role ledger.Role, sites ...string) []string {
	s.t.Helper()
	if err := s.ledger.People.Add(s.t.Context(), ledger.Person{Name: name, Role: role, Sites: sites}, secondPassword); err != nil {
		s.t.Fatal(err)
	}
	return s.logInAs(name, secondPassword)
}

func (s *site) logInAs(name, password string) []string {
	s.t.Helper()
	r := s.send("POST", "/api/v1/session", "", strings.NewReader(fmt.Sprintf(`{"name":%q,"password":%q}`, name, password)),
		"Content-Type", "application/json")
	if r.status != http.StatusOK {
		s.t.Fatalf("log-in of %s: %d %s", name, r.status, r.body)
	}
	var v wire.Session
	r.decode(s.t, &v)
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	return []string{"Cookie", cookie, csrfHeader, v.CSRF}
}

// Every route of the API lets in whom its rule allows, at own sites only: each role, with a session and with a token, on
// footage of its own and of a foreign site. The routes are those of openapi.yaml: one without a rule fails.
func TestEveryRouteForEveryRole(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	done := s.record("one", "content one")
	s.finish(done.Job)
	device, err := s.ledger.Devices.Add(t.Context(), "device-south", "south", ledger.RoleDevice)
	if err != nil {
		t.Fatal(err)
	}
	type visitor struct {
		name    string
		token   string
		headers []string
		role    ledger.Role
		own     bool // has the footage of device1 at farm
	}
	visitors := []visitor{{name: "a stranger"}, {name: "device", token: s.tokens[ledger.RoleDevice], role: ledger.RoleDevice, own: true},
		{name: "foreign device", token: device.Reveal(), role: ledger.RoleDevice}}
	for _, role := range append(ledger.PeopleRoles(), ledger.RoleReader) {
		for _, at := range []string{"farm", "south"} {
			v := visitor{name: string(role) + " of " + at, role: role, own: at == "farm"}
			token, err := s.ledger.Devices.Add(t.Context(), "token-"+string(role)+"-"+at, at, role)
			if err != nil {
				t.Fatal(err)
			}
			visitors = append(visitors, visitor{"token of " + v.name, token.Reveal(), nil, role, v.own})
			if role.ForPeople() {
				v.headers = s.person(string(role)+"-"+at, role, at)
				visitors = append(visitors, v)
			}
		}
	}
	visitors = append(visitors, visitor{"admin of all", "", s.person("root", ledger.RoleAdmin, ledger.AllSites), ledger.RoleAdmin, true})
	all := func(v visitor) bool { return v.name == "admin of all" }
	param := regexp.MustCompile(`\{([a-z]+)\}`)
	for path, item := range loadOpenAPI(t).Paths.Map() {
		for method := range item.Operations() {
			action, known := access.Rule(method, param.ReplaceAllString(path, ":$1"))
			if !known {
				t.Errorf("%s %s has no rule in cloud/server/access", method, path)
				continue
			}
			if path == "/api/v1/events" || action == access.Public {
				continue // endless, or open to all
			}
			at := strings.NewReplacer("jobs/{id}", "jobs/"+done.Job.ID, "{id}", "one", "{footage}", "one", "{device}", "device1",
				"{site}", "farm", "{page}", "1").Replace(path)
			if method == http.MethodDelete && path == "/api/v1/devices/{device}" {
				at = "/api/v1/devices/unknown" // the others still need device1
			}
			for _, v := range visitors {
				allowed := access.Holder{Role: v.role, Sites: ledger.SiteSet{"farm"}}.May(action)
				if all(v) {
					allowed = true
				}
				r := s.do(method, at, v.token, v.headers...)
				switch {
				case v.role == "":
					if r.status != http.StatusUnauthorized {
						t.Errorf("%s %s: %d to a stranger", method, at, r.status)
					}
				case !allowed:
					if r.status != http.StatusForbidden {
						t.Errorf("%s %s: %d to %s, want 403", method, at, r.status, v.name)
					}
				case r.status == http.StatusForbidden || r.status == http.StatusUnauthorized:
					t.Errorf("%s %s: %d to %s: %s", method, at, r.status, v.name, r.body)
				case strings.Contains(path, "{") && !v.own && r.status != http.StatusNotFound && r.status != http.StatusBadRequest:
					t.Errorf("%s %s: %d to %s, want 404: %s", method, at, r.status, v.name, r.body)
				case !v.own && r.status < 300 && (strings.Contains(string(r.body), `"one"`) || strings.Contains(string(r.body), "device1")):
					t.Errorf("%s %s shows footage of farm to %s: %s", method, at, v.name, r.body)
				}
			}
		}
	}
}

// Lists, totals and events of somebody with a site have nothing of another one.
func TestSitesLimitLists(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	s.finish(s.record("one", "content one").Job)
	s.thumbnail("two")
	south := s.person("south-eye", ledger.RoleViewer, "south")
	both := s.person("both", ledger.RoleViewer, "south", "farm")
	var stats wire.Stats
	s.do("GET", "/api/v1/stats", "", south...).decode(t, &stats)
	if stats.Footage != 0 || stats.Animals != 0 || len(stats.Jobs) != 0 {
		t.Errorf("totals of another site: %+v", stats)
	}
	stats = wire.Stats{}
	s.do("GET", "/api/v1/stats", "", both...).decode(t, &stats)
	if stats.Footage != 1 || stats.Animals != 7 || stats.Counts != 1 {
		t.Errorf("totals of both sites: %+v", stats)
	}
	for _, list := range []string{"/footage", "/jobs", "/counts", "/waiting", "/footage?sha256=" + footage.Sum([]byte("content one")).String()} {
		var v wire.Page[any]
		if s.do("GET", "/api/v1"+list, "", south...).decode(t, &v); len(v.Items) != 0 {
			t.Errorf("%s shows another site: %v", list, v.Items)
		}
		v = wire.Page[any]{}
		if s.do("GET", "/api/v1"+list, "", both...).decode(t, &v); len(v.Items) != 1 {
			t.Errorf("%s hides an own site", list)
		}
	}
}

// A session needs its cookie, and for changes the token that only the page can read. It ends with a log-out, a new
// password, a new role and a disabled person.
func TestSessions(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	done := s.record("one", "content one")
	ctx := t.Context()
	anna := s.person("anna", ledger.RoleOperator, "farm")
	path := "/api/v1/jobs/" + done.Job.ID + "/cancel"
	s.do("POST", path, "", anna[:2]...).wantProblem(t, 403, "forbidden")
	s.do("POST", path, "", anna[0], anna[1], csrfHeader, "guess").wantProblem(t, 403, "forbidden")
	if r := s.do("POST", path, "", anna...); r.status != http.StatusOK {
		t.Fatalf("a change with a session: %d %s", r.status, r.body)
	}
	s.do("DELETE", "/api/v1/session", "", anna[:2]...).wantProblem(t, 403, "forbidden")
	for name, end := range map[string]func() error{
		"log-out": func() error {
			return okay(s.do("DELETE", "/api/v1/session", "", anna...))
		},
		"log-out everywhere": func() error {
			other := s.logInAs("anna", secondPassword)
			return okay(s.do("DELETE", "/api/v1/session?everywhere=1", "", other...))
		},
		"password": func() error { return s.ledger.People.SetPassword(ctx, "anna", secondPassword) },
		"role":     func() error { return s.ledger.People.SetRole(ctx, "anna", ledger.RoleViewer, ledger.SiteSet{"farm"}) },
	} {
		anna = s.logInAs("anna", secondPassword)
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.expire()
		s.do("GET", "/api/v1/footage", "", anna...).wantProblem(t, 401, "unauthorised")
	}
	if err := s.ledger.People.Disable(ctx, "anna"); err != nil {
		t.Fatal(err)
	}
	wrong := s.send("POST", "/api/v1/session", "", strings.NewReader(`{"name":"anna","password":"`+secondPassword+`"}`),
		"Content-Type", "application/json")
	wrong.wantProblem(t, 401, "unauthorised")
	s.send("POST", "/api/v1/session", "", strings.NewReader("name=anna"), "Content-Type", "text/plain").wantProblem(t, 400, "bad-request")
}

// expire makes the server ask the ledger again.
func (s *site) expire() {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	clear(s.gate.known)
}

func okay(r response) error {
	if r.status != http.StatusOK {
		return fmt.Errorf("status %d: %s", r.status, r.body)
	}
	return nil
}

// The cookie cannot be read by scripts or sent by other sites, and with https by nothing else than this host.
func TestCookieOfASession(t *testing.T) {
	for secure, want := range map[bool][]string{
		true:  {"__Host-cattle-session=cc_", "HttpOnly", "SameSite=Strict", "path=/", "secure"},
		false: {"cattle-session=cc_", "HttpOnly", "SameSite=Strict", "path=/"},
	} {
		s := open(t, func(o *Options) { o.Secure = secure })
		if err := s.ledger.People.Add(t.Context(), ledger.Person{Name: "anna", Role: ledger.RoleViewer, Sites: ledger.SiteSet{"farm"}},
			secondPassword); err != nil {
			t.Fatal(err)
		}
		r := s.send("POST", "/api/v1/session", "", strings.NewReader(`{"name":"anna","password":"`+secondPassword+`"}`),
			"Content-Type", "application/json")
		got := r.header.Get("Set-Cookie")
		for _, w := range want {
			if !strings.Contains(strings.ToLower(got), strings.ToLower(w)) {
				t.Errorf("secure %v: cookie %q has no %s", secure, got, w)
			}
		}
		if strings.Contains(strings.ToLower(got), "domain") || !secure && !strings.HasPrefix(got, plainCookie) {
			t.Errorf("secure %v: cookie %q", secure, got)
		}
		if hsts := r.header.Get("Strict-Transport-Security"); (hsts != "") != secure {
			t.Errorf("secure %v: HSTS %q", secure, hsts)
		}
	}
}

// The first admin needs the code of the console, which works once; so does a code that logs in.
func TestCodes(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	code, err := s.ledger.People.NewCode(t.Context(), ledger.CodeSetup, "")
	if err != nil {
		t.Fatal(err)
	}
	setUp := func(code, password string) response {
		return s.send("POST", "/api/v1/setup", "", strings.NewReader(fmt.Sprintf(`{"code":%q,"name":"root","password":%q}`, code,
			password)), "Content-Type", "application/json")
	}
	var v wire.Session
	if s.do("GET", "/api/v1/session", "").decode(t, &v); !v.Setup || v.Reads {
		t.Errorf("before the set-up: %+v", v)
	}
	setUp("cc_wrong", secondPassword).wantProblem(t, 401, "unauthorised")
	setUp(code.Reveal(), "short").wantProblem(t, 400, "bad-request")
	setUp(code.Reveal(), "Password2025!").wantProblem(t, 422, "leaked-password")
	if r := setUp(code.Reveal(), secondPassword); r.status != http.StatusOK {
		t.Fatalf("set-up: %d %s", r.status, r.body)
	}
	setUp(code.Reveal(), secondPassword).wantProblem(t, 409, "conflict")
	if v = (wire.Session{}); true {
		s.do("GET", "/api/v1/session", "").decode(t, &v)
	}
	if v.Setup {
		t.Error("the set-up is still offered")
	}
	once, err := s.ledger.People.NewCode(t.Context(), ledger.CodeLogin, "root")
	if err != nil {
		t.Fatal(err)
	}
	logIn := func() response {
		return s.send("POST", "/api/v1/session/code", "", strings.NewReader(`{"code":"`+once.Reveal()+`"}`), "Content-Type",
			"application/json")
	}
	r := logIn()
	if r.decode(t, &v); r.status != http.StatusOK || v.Name != "root" || !slices.Contains(v.May, string(access.Administer)) {
		t.Errorf("log-in with a code: %d %s", r.status, r.body)
	}
	logIn().wantProblem(t, 401, "unauthorised")
}

// Those who guess tokens, passwords or codes wait; others do not.
func TestGuessingIsSlow(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading, o.Guesses, o.Now = false, 5, standing() })
	limited := 0
	for i := range 20 {
		r := s.do("GET", "/api/v1/footage", fmt.Sprintf("%sguess%d", ledger.TokenPrefix, i))
		if r.status == http.StatusTooManyRequests && r.header.Get("Retry-After") != "" {
			limited++
		}
	}
	if limited != 15 {
		t.Errorf("%d of 20 guesses were slowed down, want 15", limited)
	}
	if r := s.do("GET", "/healthz", ""); r.status != http.StatusOK {
		t.Errorf("health after guesses: %d", r.status)
	}
}
