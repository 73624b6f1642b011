package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/wire"
)

// as sends a JSON document with the headers of a session.
func (s *site) as(who []string, method, path, body string) response {
	s.t.Helper()
	return s.send(method, "/api/v1"+path, "", strings.NewReader(body), append([]string{"Content-Type", "application/json"}, who...)...)
}

func (s *site) peopleOf(who []string) (names []string) {
	s.t.Helper()
	var v wire.Page[wire.Person]
	s.as(who, "GET", "/people", "").decode(s.t, &v)
	for _, p := range v.Items {
		names = append(names, p.Name)
	}
	return names
}

// A person is added without a password, sets it with the code once, and logs in. A reset ends the password.
func TestInvitedPerson(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	root := s.person("chief", ledger.RoleAdmin, "*")
	var anna wire.Person
	r := s.as(root, "POST", "/people", `{"name":"anna","role":"operator","sites":["north","south"]}`)
	if r.decode(t, &anna); r.status != http.StatusOK || anna.Code == "" || anna.Expires == nil || !slices.Equal(anna.Sites, []string{"north", "south"}) {
		t.Fatalf("%d %s", r.status, r.body)
	}
	s.as(root, "POST", "/people", `{"name":"anna","role":"viewer","sites":["north"]}`).wantProblem(t, 409, "conflict")
	logIn := func(password string) int {
		return s.as(nil, "POST", "/session", fmt.Sprintf(`{"name":"anna","password":%q}`, password)).status
	}
	set := func(code, password string) response {
		return s.as(nil, "POST", "/password", fmt.Sprintf(`{"code":%q,"password":%q}`, code, password))
	}
	if logIn("") != http.StatusUnauthorized {
		t.Error("a log-in without a password")
	}
	set("cc_guess", secondPassword).wantProblem(t, 401, "unauthorised")
	set(anna.Code, "short").wantProblem(t, 400, "bad-request")
	if r := set(anna.Code, secondPassword); r.status != http.StatusOK || r.header.Get("Set-Cookie") != "" {
		t.Fatalf("set the password: %d %s", r.status, r.body)
	}
	set(anna.Code, secondPassword).wantProblem(t, 401, "unauthorised")
	session := s.logInAs("anna", secondPassword)
	var reset wire.Person
	s.as(root, "POST", "/people/anna/reset", `{"password":true}`).decode(t, &reset)
	s.expire()
	if reset.Code == "" || logIn(secondPassword) != http.StatusUnauthorized || s.as(session, "GET", "/footage", "").status != http.StatusUnauthorized {
		t.Error("the password or the session lives on after a reset")
	}
	s.as(root, "PATCH", "/people/anna", `{"disabled":true}`)
	set(reset.Code, secondPassword).wantProblem(t, 401, "unauthorised")
	var data wire.PersonData
	if s.as(root, "GET", "/people/anna/export", "").decode(t, &data); data.Person.Name != "anna" || len(data.Audit) == 0 || data.Person.Disabled == nil {
		t.Errorf("export %+v", data)
	}
	var gone wire.RemovedPerson
	if s.as(root, "DELETE", "/people/anna", "").decode(t, &gone); !strings.HasPrefix(gone.Pseudonym, "removed-") {
		t.Errorf("removed: %+v", gone)
	}
	var audit wire.Page[wire.AuditEntry]
	s.as(root, "GET", "/audit?who=chief&limit=100", "").decode(t, &audit)
	var did []string
	for _, e := range audit.Items {
		did = append(did, e.Action)
	}
	for _, want := range []string{ledger.ActionAddUser, ledger.ActionResetPassword, ledger.ActionDisableUser, ledger.ActionRemoveUser} {
		if !slices.Contains(did, want) {
			t.Errorf("the audit has no %q: %v", want, did)
		}
	}
}

// The table of who may change whom. An admin of some sites manages people within them; the last admin stays; an own account is
// changed by others.
func TestWhoManagesWhom(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	who := map[string][]string{"chief": s.person("chief", ledger.RoleAdmin, "*"), "north": s.person("north", ledger.RoleAdmin, "north", "west"),
		"oper": s.person("oper", ledger.RoleOperator, "*")}
	for name, sites := range map[string][]string{"a-north": {"north"}, "a-south": {"south"}, "a-both": {"north", "south"}, "a-all": {"*"}} {
		must.Do(t, s.ledger.People.Add(t.Context(), ledger.Person{Name: name, Role: ledger.RoleViewer, Sites: sites}, secondPassword))
	}
	if got := s.peopleOf(who["north"]); !slices.Equal(got, []string{"a-north", "north"}) {
		t.Errorf("the admin of north sees %v", got)
	}
	if got := s.peopleOf(who["chief"]); len(got) != 7 {
		t.Errorf("root sees %v", got)
	}
	for _, c := range []struct {
		who, method, path, body string
		want                    int
	}{
		{"oper", "GET", "/people", "", 403},
		{"oper", "POST", "/people", `{"name":"x","role":"viewer","sites":["north"]}`, 403},
		{"north", "POST", "/people", `{"name":"x","role":"viewer","sites":["south"]}`, 403},
		{"north", "POST", "/people", `{"name":"x","role":"viewer","sites":["north","south"]}`, 403},
		{"north", "POST", "/people", `{"name":"x","role":"viewer","sites":["*"]}`, 403},
		{"north", "POST", "/people", `{"name":"x","role":"viewer","sites":[]}`, 400},
		{"north", "POST", "/people", `{"name":"x","role":"king","sites":["north"]}`, 400},
		{"north", "POST", "/people", `{"name":"x/y","role":"viewer","sites":["north"]}`, 400},
		{"north", "POST", "/people", `{"name":"x","role":"admin","sites":["west"]}`, 200},
		{"north", "PATCH", "/people/a-north", `{"role":"admin"}`, 200},
		{"north", "PATCH", "/people/a-north", `{"sites":["west"]}`, 200},
		{"north", "PATCH", "/people/a-north", `{"sites":["*"]}`, 403},
		{"north", "PATCH", "/people/a-both", `{"sites":["north"]}`, 404},
		{"north", "PATCH", "/people/a-south", `{"disabled":true}`, 404},
		{"north", "PATCH", "/people/a-all", `{"disabled":true}`, 404},
		{"north", "PATCH", "/people/chief", `{"disabled":true}`, 404},
		{"north", "POST", "/people/chief/reset", `{"password":true}`, 404},
		{"north", "GET", "/people/a-south/export", "", 404},
		{"north", "DELETE", "/people/a-south", "", 404},
		{"north", "POST", "/people/a-south/logout", "{}", 404},
		{"north", "PATCH", "/people/north", `{"sites":["north"]}`, 403},
		{"north", "POST", "/people/north/reset", `{"second_factor":true}`, 403},
		{"chief", "DELETE", "/people/chief", "", 403},
		{"chief", "PATCH", "/people/unknown", `{"disabled":true}`, 404},
		{"chief", "POST", "/people/a-all/reset", `{}`, 400},
		{"chief", "POST", "/people/a-all/reset", `{"second_factor":true}`, 200},
		{"chief", "PATCH", "/people/a-all", `{"disabled":true}`, 200},
		{"chief", "PATCH", "/people/a-all", `{"disabled":false}`, 200},
		{"chief", "POST", "/people/a-all/logout", "{}", 200},
		{"north", "GET", "/audit", "", 403}, // it shows every site
	} {
		if r := s.as(who[c.who], c.method, c.path, c.body); r.status != c.want {
			t.Errorf("%s: %s %s %s: %d, want %d: %s", c.who, c.method, c.path, c.body, r.status, c.want, r.body)
		}
	}
	// A token of an admin is no account of its own, and yet leaves the last admin.
	token := must.Get(s.ledger.Devices.AddWith(t.Context(), ledger.Device{Name: "robot", Site: "north", Sites: ledger.SiteSet{"*"}, Role: ledger.RoleAdmin}))(t)
	s.send("DELETE", "/api/v1/people/chief", token.Reveal(), nil).wantProblem(t, 409, "conflict")
}

func TestTokensOfPrograms(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	north, root := s.person("north", ledger.RoleAdmin, "north"), s.person("chief", ledger.RoleAdmin, "*")
	var made wire.Token
	r := s.as(north, "POST", "/tokens", `{"name":"export","role":"viewer","sites":["north"],"days":30}`)
	if r.decode(t, &made); r.status != http.StatusOK || made.Token == "" || made.Expires == nil {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if got := s.do("GET", "/api/v1/footage", made.Token); got.status != http.StatusOK {
		t.Errorf("the token reads: %d", got.status)
	}
	for body, want := range map[string]int{
		`{"name":"export","role":"viewer","sites":["north"],"days":30}`:  409,
		`{"name":"x","role":"viewer","sites":["south"],"days":30}`:       403,
		`{"name":"x","role":"device","sites":["north"],"days":30}`:       400,
		`{"name":"x","role":"viewer","sites":["north"],"days":0}`:        400,
		`{"name":"x","role":"viewer","sites":["north"],"days":1000}`:     400,
		`{"name":"x","role":"viewer","sites":["north"],"other":"field"}`: 400,
	} {
		if r := s.as(north, "POST", "/tokens", body); r.status != want {
			t.Errorf("%s: %d, want %d: %s", body, r.status, want, r.body)
		}
	}
	var list wire.Page[wire.Token]
	s.as(root, "POST", "/tokens", `{"name":"all","role":"viewer","sites":["*"],"days":1}`)
	if s.as(north, "GET", "/tokens", "").decode(t, &list); len(list.Items) != 1 || list.Items[0].LastSeen == nil || strings.Contains(string(must.Get(json.Marshal(list))(t)), "cc_") {
		t.Errorf("the admin of north sees %+v", list.Items)
	}
	s.as(north, "DELETE", "/tokens/all", "").wantProblem(t, 404, "not-found")
	s.as(root, "DELETE", "/tokens/device1", "").wantProblem(t, 404, "not-found") // a station
	if r := s.as(north, "DELETE", "/tokens/export", ""); r.status != http.StatusOK {
		t.Errorf("revoke: %d", r.status)
	}
	s.expire()
	s.do("GET", "/api/v1/footage", made.Token).wantProblem(t, 401, "unauthorised")
}

// What a provider gives is changed there; passwords are not for its people, nor where they are off.
func TestManagedAtAProvider(t *testing.T) {
	p := openProvided(t, nil)
	p.logIn()
	root := p.person("chief", ledger.RoleAdmin, "*")
	p.as(root, "PATCH", "/people/anna", `{"role":"admin"}`).wantProblem(t, 409, "conflict")
	p.as(root, "POST", "/people/anna/reset", `{"password":true}`).wantProblem(t, 400, "bad-request")
	var list wire.Page[wire.Person]
	p.as(root, "GET", "/people", "").decode(t, &list)
	if len(list.Items) != 2 || list.Items[0].Provider != p.provider.URL {
		t.Errorf("%+v", list.Items)
	}
	if r := p.as(root, "PATCH", "/people/anna", `{"disabled":true}`); r.status != http.StatusOK {
		t.Errorf("disable: %d %s", r.status, r.body)
	}
	p = openProvided(t, func(o *Options) { o.NoPasswords = true })
	p.provider.Claims["groups"] = []string{"bosses"}
	boss, _ := p.logIn()
	p.as(boss, "POST", "/people", `{"name":"x","role":"viewer","sites":["north"]}`).wantProblem(t, 403, "forbidden")
	p.as(nil, "POST", "/password", `{"code":"cc_x","password":"`+secondPassword+`"}`).wantProblem(t, 403, "forbidden")
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		have, sites string
		want        bool
	}{{"*", "*", true}, {"*", "a", true}, {"a", "a", true}, {"a", "*", false}, {"a", "a b", false}, {"a b", "b", true}, {"a", "", false}} {
		if got := within(access.Holder{Sites: strings.Fields(c.have)}, strings.Fields(c.sites)); got != c.want {
			t.Errorf("%q manages %q: %v", c.have, c.sites, got)
		}
	}
}

// A token does not take the place of a revoked station or token of a site that its author does not manage.
func TestTokenInPlaceOfAnother(t *testing.T) {
	s := open(t, nil)
	for _, d := range []ledger.Device{{Name: "cam", Site: "north", Role: ledger.RoleDevice},
		{Name: "scale", Site: "north", Role: ledger.RoleViewer, Sites: ledger.SiteSet{"north"}},
		{Name: "gate", Site: "south", Role: ledger.RoleViewer, Sites: ledger.SiteSet{"south"}}} {
		must.Get(s.ledger.Devices.AddWith(t.Context(), d))(t)
		must.Do(t, s.ledger.Devices.Revoke(t.Context(), d.Name))
	}
	south, everywhere := s.person("south-admin", ledger.RoleAdmin, "south"), s.person("chief", ledger.RoleAdmin, ledger.AllSites)
	add := func(name string, who []string) response {
		t.Helper()
		return s.as(who, "POST", "/tokens", `{"name":"`+name+`","role":"viewer","sites":["south"],"days":5}`)
	}
	for _, name := range []string{"cam", "scale"} {
		add(name, south).wantProblem(t, 409, "conflict")
	}
	for name, who := range map[string][]string{"gate": south, "cam": everywhere} {
		if r := add(name, who); r.status != 200 {
			t.Errorf("%s: status %d: %s", name, r.status, r.body)
		}
	}
}
