package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/openid"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/provider"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

// provided is a site whose people log in at a provider.
type provided struct {
	*site
	provider *provider.Provider
}

func openProvided(t *testing.T, change func(*Options)) *provided {
	t.Helper()
	const redirect = "http://cattle.example" + openIDCallback
	p := &provided{provider: provider.Start(t, redirect)}
	p.provider.Claims = map[string]any{"sub": "u-1", "preferred_username": "anna@cattle.example", "groups": []string{"crew"}}
	p.site = open(t, func(o *Options) {
		o.OpenReading, o.OpenIDName = false, "Farm ID"
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		o.OpenID = openid.New(openid.Options{Issuer: p.provider.URL, ClientID: provider.ClientID,
			ClientSecret: secret.New(provider.ClientSecret), Redirect: redirect, Claim: "groups", Client: &http.Client{Transport: transport},
			Grants: []openid.Grant{{Value: "crew", Role: "operator", Sites: []string{"farm"}}, {Value: "bosses", Role: "admin", Sites: []string{"*"}}}})
		if change != nil {
			change(o)
		}
	})
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return p
}

// cookieOf returns a cookie that an answer sets, as a browser sends it; "" for none.
func cookieOf(r response, name string) string {
	for _, line := range r.header.Values("Set-Cookie") {
		if pair, _, _ := strings.Cut(line, ";"); strings.HasPrefix(pair, name+"=") && pair != name+"=" {
			return pair
		}
	}
	return ""
}

// begin goes to the provider and returns the cookie of the browser, and the address that the provider sends it back to.
func (p *provided) begin(back string) (cookie, callback string) {
	p.t.Helper()
	r := p.do("GET", "/api/v1/openid"+back, "")
	cookie = cookieOf(r, plainFlowCookie)
	if r.status != http.StatusSeeOther || cookie == "" || !strings.HasPrefix(r.header.Get("Location"), p.provider.URL+"/authorize?") {
		p.t.Fatalf("begin: %d %v %s", r.status, r.header, r.body)
	}
	answer := must.Get(p.client.Get(r.header.Get("Location")))(p.t)
	must.Do(p.t, answer.Body.Close())
	return cookie, must.Get(url.Parse(answer.Header.Get("Location")))(p.t).RequestURI()
}

// logIn goes through a log-in. It returns the headers of the session, and where the browser ends.
func (p *provided) logIn() (headers []string, at string) {
	p.t.Helper()
	cookie, callback := p.begin("")
	return p.finish(cookie, callback)
}

func (p *provided) finish(cookie, callback string) (headers []string, at string) {
	p.t.Helper()
	r := p.do("GET", callback, "", "Cookie", cookie)
	if r.status != http.StatusSeeOther {
		p.t.Fatalf("callback: %d %s", r.status, r.body)
	}
	session := cookieOf(r, plainCookie)
	if session == "" {
		return nil, r.header.Get("Location")
	}
	var v wire.Session
	p.do("GET", "/api/v1/session", "", "Cookie", session).decode(p.t, &v)
	return []string{"Cookie", session, csrfHeader, v.CSRF}, r.header.Get("Location")
}

func TestLogInAtAProvider(t *testing.T) {
	p := openProvided(t, func(o *Options) { o.SecondFactor = []ledger.Role{ledger.RoleOperator} })
	var v wire.Session
	p.do("GET", "/api/v1/session", "").decode(t, &v)
	if v.OpenID != "Farm ID" || !v.Passwords {
		t.Errorf("before: %+v", v)
	}
	cookie, callback := p.begin("?back=/flights%3Fsite%3Dfarm")
	r := p.do("GET", callback, "", "Cookie", cookie)
	lines := strings.ToLower(strings.Join(r.header.Values("Set-Cookie"), "\n"))
	if r.header.Get("Location") != "/flights?site=farm" || !strings.Contains(lines, "samesite=strict") || !strings.Contains(lines, "httponly") {
		t.Errorf("the way back: %v", r.header)
	}
	anna := []string{"Cookie", cookieOf(r, plainCookie)}
	v = wire.Session{}
	p.do("GET", "/api/v1/session", "", anna...).decode(t, &v)
	if v.Name != "anna" || v.Role != "operator" || !slices.Equal(v.Sites, []string{"farm"}) || slices.Contains(v.May, string(access.Administer)) {
		t.Errorf("session %+v", v)
	}
	p.do("DELETE", "/api/v1/session", "", anna...).wantProblem(t, 403, "forbidden")
	if out := p.do("DELETE", "/api/v1/session", "", append(anna, csrfHeader, v.CSRF)...); out.status != http.StatusOK {
		t.Errorf("log-out: %d", out.status)
	}
	p.do("GET", "/api/v1/footage", "", anna...).wantProblem(t, 401, "unauthorised")
	p.provider.Claims["groups"] = []string{"bosses"}
	boss, at := p.logIn()
	if r := p.do("GET", "/api/v1/audit", "", boss...); r.status != http.StatusOK || at != "/" {
		t.Errorf("with the new role: %d, at %s", r.status, at)
	}
}

func TestRefusedAtTheProvider(t *testing.T) {
	p := openProvided(t, nil)
	anna, _ := p.logIn()
	for _, c := range []struct {
		name, want string
		prepare    func() (cookie, callback string)
	}{
		{"no cookie", "failed", func() (string, string) { _, callback := p.begin(""); return "", callback }},
		{"the cookie of another browser", "failed", func() (string, string) {
			cookie, _ := p.begin("")
			_, callback := p.begin("")
			return cookie, callback
		}},
		{"an answer twice", "failed", func() (string, string) {
			cookie, callback := p.begin("")
			p.finish(cookie, callback)
			return cookie, callback
		}},
		{"an answer of another provider", "failed", func() (string, string) {
			cookie, callback := p.begin("")
			return cookie, strings.Replace(callback, url.QueryEscape(p.provider.URL), "https%3A%2F%2Fevil.example", 1)
		}},
		{"declined", "declined", func() (string, string) {
			p.provider.Deny = "access_denied"
			defer func() { p.provider.Deny = "" }()
			return p.begin("")
		}},
		{"a stranger without a group", "no-role", func() (string, string) {
			p.provider.Claims = map[string]any{"sub": "u-2", "preferred_username": "ben"}
			return p.begin("")
		}},
		{"a disabled person", "disabled", func() (string, string) {
			p.provider.Claims = map[string]any{"sub": "u-1", "groups": []string{"crew"}}
			must.Do(t, p.ledger.People.Disable(t.Context(), "anna"))
			return p.begin("")
		}},
		{"a provider that is down", "unreachable", func() (string, string) {
			cookie, callback := p.begin("")
			p.provider.Change(func(q *provider.Provider) { q.Down = true })
			return cookie, callback
		}},
	} {
		cookie, callback := c.prepare()
		if headers, at := p.finish(cookie, callback); headers != nil || at != "/#openid="+c.want {
			t.Errorf("%s: session %v, at %s, want #openid=%s", c.name, headers, at, c.want)
		}
	}
	p.expire()
	if r := p.do("GET", "/api/v1/footage", "", anna...); r.status != http.StatusUnauthorized {
		t.Errorf("a disabled person reads: %d", r.status)
	}
	if n := len(must.Get(p.ledger.People.List(t.Context()))(t)); n != 1 {
		t.Errorf("%d people, want one: who is refused is not added", n)
	}
}

// The way back leads to a page of this server only.
func TestOpenRedirects(t *testing.T) {
	for back, want := range map[string]string{"/flights": "/flights", "/footage/a%20b?x=1": "/footage/a%20b?x=1", "": "", "flights": "",
		"//evil.example": "", "/\\evil.example": "", "https://evil.example/": "", "/a\\b": "", "/%2Fevil.example": "", "javascript:alert(1)": "",
		"/\tx": "", "/" + strings.Repeat("x", maxBack): "", "/x#y": "/x"} {
		if got, ok := ownPath(back); got != want || ok != (want != "") {
			t.Errorf("%.60q becomes %q, want %q", back, got, want)
		}
	}
	p := openProvided(t, nil)
	p.do("GET", "/api/v1/openid?back="+url.QueryEscape("//evil.example"), "").wantProblem(t, 400, "bad-request")
}

func FuzzOwnPath(f *testing.F) {
	for _, s := range []string{"/flights?x=1", "//a", "/\\a", "/%5Ca", "/..//a"} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "cattle.example"}
	f.Fuzz(func(t *testing.T, back string) {
		got, ok := ownPath(back)
		if !ok {
			return
		}
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || got[0] != '/' || strings.HasPrefix(got, "//") {
			t.Fatalf("%q leads to %q (%v, %v)", back, got, u, err)
		}
	})
}

// While the provider is down, passwords work. A server without passwords takes codes of the command line only.
func TestPasswordsBesideAProvider(t *testing.T) {
	p := openProvided(t, nil)
	p.provider.Change(func(q *provider.Provider) { q.Down = true })
	if r := p.do("GET", "/api/v1/openid", ""); r.status != http.StatusSeeOther || r.header.Get("Location") != "/#openid=unreachable" ||
		cookieOf(r, plainFlowCookie) != "" {
		t.Errorf("a provider that is down: %d %v", r.status, r.header)
	}
	p.person("root", ledger.RoleAdmin, "*")

	p = openProvided(t, func(o *Options) { o.NoPasswords = true })
	must.Do(t, p.ledger.People.Add(t.Context(), ledger.Person{Name: "anna", Role: ledger.RoleAdmin, Sites: ledger.SiteSet{"*"}}, secondPassword))
	for _, path := range []string{"/api/v1/session", factorPath, factorPath + "/confirm", factorPath + "/remove"} {
		wantNoSession(t, p.prove(path, ""), http.StatusForbidden, "forbidden")
	}
	code := must.Get(p.ledger.People.NewCode(t.Context(), ledger.CodeLogin, "anna"))(t)
	r := p.send("POST", "/api/v1/session/code", "", strings.NewReader(`{"code":"`+code.Reveal()+`"}`), "Content-Type", "application/json")
	if r.status != http.StatusOK {
		t.Errorf("a code of the command line: %d %s", r.status, r.body)
	}
}
