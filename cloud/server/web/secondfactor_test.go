package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/wire"
)

const factorPath = "/api/v1/second-factor"

// prove sends the password of anna and a code of the second factor.
func (s *site) prove(path, factor string, headers ...string) response {
	s.t.Helper()
	body := must.Get(json.Marshal(map[string]string{"name": "anna", "password": secondPassword, "factor": factor}))(s.t)
	return s.send("POST", path, "", bytes.NewReader(body), append([]string{"Content-Type", "application/json"}, headers...)...)
}

// wantNoSession checks that a request was refused with a problem and without a cookie.
func wantNoSession(t *testing.T, r response, status int, slug string) {
	t.Helper()
	r.wantProblem(t, status, slug)
	if cookie := r.header.Get("Set-Cookie"); cookie != "" {
		t.Errorf("a refused log-in sets %q", cookie)
	}
}

// phone is an authenticator app. Its clock stands, so that a test knows which codes are new.
type phone struct {
	t   *testing.T
	key string
	at  time.Time
}

// code is the one-time password so many steps from the time of the set-up.
func (p phone) code(steps int) string {
	p.t.Helper()
	return must.Get(totp.GenerateCode(p.key, p.at.Add(time.Duration(steps)*30*time.Second)))(p.t)
}

// factor sets a second factor up and returns the telephone, the answer and the headers of the session.
func (s *site) factor() (p phone, v wire.Session, headers []string) {
	s.t.Helper()
	var k wire.FactorKey
	s.prove(factorPath, "").decode(s.t, &k)
	p = phone{s.t, k.Key, time.Now()}
	r := s.prove(factorPath+"/confirm", p.code(0))
	r.decode(s.t, &v)
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	if len(v.BackupCodes) != 10 || !v.SecondFactor || cookie == "" {
		s.t.Fatalf("second factor: %d %+v", r.status, v)
	}
	return p, v, []string{"Cookie", cookie, csrfHeader, v.CSRF}
}

// A person with a second factor logs in with it only, and each code works once. Nothing of it is in the log.
func TestSecondFactor(t *testing.T) {
	var log bytes.Buffer
	s := open(t, func(o *Options) { o.OpenReading, o.Log = false, slog.New(slog.NewTextHandler(&log, nil)) })
	before := s.person("anna", ledger.RoleOperator, "farm")
	wantNoSession(t, s.prove(factorPath+"/confirm", "000000"), 401, "second-factor")
	wantNoSession(t, s.prove(factorPath+"/confirm", ""), 401, "second-factor")
	var k wire.FactorKey
	if s.prove(factorPath, "").decode(t, &k); !strings.HasPrefix(k.Address, "otpauth://totp/CattleCounter:anna?") ||
		!strings.HasPrefix(k.QR, "data:image/png;base64,") || !strings.Contains(k.Address, k.Key) {
		t.Errorf("key %+v", k)
	}
	app, v, now := s.factor()
	s.expire()
	s.do("GET", "/api/v1/footage", "", before...).wantProblem(t, 401, "unauthorised")
	if r := s.do("GET", "/api/v1/footage", "", now...); r.status != http.StatusOK {
		t.Errorf("the session of the new factor: %d %s", r.status, r.body)
	}
	const session = "/api/v1/session"
	wantNoSession(t, s.prove(session, ""), 401, "second-factor")
	wantNoSession(t, s.prove(session, app.code(0)), 401, "second-factor")
	wantNoSession(t, s.prove(factorPath, ""), 401, "second-factor")
	wantNoSession(t, s.prove(factorPath+"/remove", ""), 401, "second-factor")
	if r := s.prove(session, app.code(1)); r.status != http.StatusOK || !strings.Contains(string(r.body), `"second_factor":true`) {
		t.Errorf("log-in with a code: %d %s", r.status, r.body)
	}
	wantNoSession(t, s.prove(session, app.code(1)), 401, "second-factor")
	if r := s.prove(session, v.BackupCodes[0]); r.status != http.StatusOK || strings.Contains(string(r.body), "backup_codes") {
		t.Errorf("log-in with a backup code: %d %s", r.status, r.body)
	}
	wantNoSession(t, s.prove(session, v.BackupCodes[0]), 401, "second-factor")
	wrong := s.send("POST", session, "", strings.NewReader(`{"name":"anna","password":"wrong horse battery","factor":"`+
		v.BackupCodes[1]+`"}`), "Content-Type", "application/json")
	wantNoSession(t, wrong, 401, "unauthorised")
	if r := s.prove(factorPath+"/remove", v.BackupCodes[1]); r.status != http.StatusOK {
		t.Errorf("remove: %d %s", r.status, r.body)
	}
	s.expire()
	s.do("GET", "/api/v1/footage", "", now...).wantProblem(t, 401, "unauthorised")
	if r := s.prove(session, ""); r.status != http.StatusOK {
		t.Errorf("log-in without the removed factor: %d %s", r.status, r.body)
	}
	s.stop()
	for _, secret := range append(v.BackupCodes, app.key, secondPassword, k.Key) {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %.4s…: %s", secret, log.String())
		}
	}
}

// A one-time code of the console replaces the password, not the second factor. A log-in without it leaves the code.
func TestOneTimeCodeAsksForTheFactor(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	s.person("anna", ledger.RoleViewer, "farm")
	_, v, _ := s.factor()
	code := must.Get(s.ledger.People.NewCode(t.Context(), ledger.CodeLogin, "anna"))(t)
	logIn := func(factor string) response {
		return s.send("POST", "/api/v1/session/code", "", strings.NewReader(fmt.Sprintf(`{"code":%q,"factor":%q}`, code.Reveal(),
			factor)), "Content-Type", "application/json")
	}
	wantNoSession(t, logIn(""), 401, "second-factor")
	wantNoSession(t, logIn("AAAA-BBBB-CCCC"), 401, "second-factor")
	if r := logIn(v.BackupCodes[0]); r.status != http.StatusOK {
		t.Errorf("with both: %d %s", r.status, r.body)
	}
	code = must.Get(s.ledger.People.NewCode(t.Context(), ledger.CodeLogin, "anna"))(t)
	must.Do(t, s.ledger.People.RemoveSecondFactor(t.Context(), "anna"))
	if r := logIn(""); r.status != http.StatusOK {
		t.Errorf("after a reset: %d %s", r.status, r.body)
	}
}

// Who has a role that needs a second factor sets one up before the first session, and cannot remove it. Sessions of the
// time before end, and other roles need none.
func TestRoleNeedsASecondFactor(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading, o.SecondFactor = false, []ledger.Role{ledger.RoleAdmin} })
	once := must.Get(s.ledger.People.NewCode(t.Context(), ledger.CodeSetup, ""))(t)
	wantNoSession(t, s.send("POST", "/api/v1/setup", "", strings.NewReader(fmt.Sprintf(`{"code":%q,"name":"anna","password":%q}`,
		once.Reveal(), secondPassword)), "Content-Type", "application/json"), 401, "no-second-factor")
	wantNoSession(t, s.prove("/api/v1/session", ""), 401, "no-second-factor")
	p := must.Get(s.ledger.People.CheckPassword(t.Context(), "anna", secondPassword))(t)
	old := must.Get(s.ledger.People.LogIn(t.Context(), p, ledger.SecondStep{}))(t) // of an earlier configuration
	s.do("GET", "/api/v1/footage", "", "Cookie", plainCookie+"="+old.Reveal()).wantProblem(t, 401, "unauthorised")
	code := must.Get(s.ledger.People.NewCode(t.Context(), ledger.CodeLogin, "anna"))(t)
	wantNoSession(t, s.send("POST", "/api/v1/session/code", "", strings.NewReader(`{"code":"`+code.Reveal()+`"}`), "Content-Type",
		"application/json"), 401, "no-second-factor")
	_, v, now := s.factor()
	if r := s.do("GET", "/api/v1/audit", "", now...); r.status != http.StatusOK {
		t.Errorf("with the factor: %d %s", r.status, r.body)
	}
	wantNoSession(t, s.prove(factorPath+"/remove", v.BackupCodes[0]), 403, "forbidden")
	s.person("ben", ledger.RoleOperator, "farm")
}

// Codes are guessed slowly, from whatever address; log-ins that only lack the code are no guesses.
func TestGuessedFactors(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading, o.Proxies, o.Guesses, o.Now = false, loopback, 1000, standing() })
	s.person("anna", ledger.RoleViewer, "farm")
	_, v, _ := s.factor()
	for range userGuesses + factorGuesses + 5 {
		s.prove("/api/v1/session", "").wantProblem(t, 401, "second-factor")
	}
	tried := 0
	for i := range 3 * factorGuesses {
		r := s.prove("/api/v1/session", fmt.Sprintf("AAAA-BBBB-CC%02d", i), "X-Forwarded-For", fmt.Sprint("192.0.2.", i))
		if r.status == http.StatusUnauthorized {
			tried++
		}
	}
	if tried < factorGuesses-1 || tried > factorGuesses {
		t.Errorf("%d codes were tried, want %d", tried, factorGuesses)
	}
	if r := s.prove("/api/v1/session", v.BackupCodes[0]); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("after the guesses: %d %s", r.status, r.body)
	}
}
