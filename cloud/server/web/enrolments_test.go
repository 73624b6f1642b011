package web

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/wire"
)

// stationToken is a token as a station makes it.
func stationToken(b byte) string {
	return ledger.TokenPrefix + base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32))
}

func (s *site) enrol(code, token string) response {
	return s.send("POST", "/api/v1/enrol", "", strings.NewReader(fmt.Sprintf(`{"code":%q,"token":%q}`, code, token)),
		"Content-Type", "application/json")
}

// An admin makes a code, and the station gets its identity with it: once, and again when the answer was lost.
func TestEnrolment(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading, o.StationBroker = false, "ssl://cattle.example:8883" })
	root := append(s.person("root", ledger.RoleAdmin, ledger.AllSites), "Content-Type", "application/json")
	ask := func(body string) response {
		return s.send("POST", "/api/v1/enrolments", "", strings.NewReader(body), root...)
	}
	for body, status := range map[string]int{`{"device":"a/b","site":"farm"}`: 400, `{"device":"dock-1","site":""}`: 400,
		`{"device":"dock-1","site":"farm","hours":25}`: 400, `{"device":"dock-1","site":"farm","hours":-1}`: 400,
		`{"device":"root","site":"farm"}`: 409, `{"device":"dock-1","role":"admin"}`: 400} {
		if r := ask(body); r.status != status {
			t.Errorf("%s: status %d, want %d: %s", body, r.status, status, r.body)
		}
	}
	var code wire.EnrolmentCode
	ask(`{"device":"dock-1","site":"farm","hours":2}`).decode(t, &code)
	s.enrol("AAAA-BBBB-CCCC", stationToken(1)).wantProblem(t, http.StatusUnauthorized, "unauthorised")
	s.enrol(code.Code, "cc_short").wantProblem(t, http.StatusBadRequest, "bad-request")
	for range 2 {
		var got wire.Enrolment
		s.enrol(code.Code, stationToken(1)).decode(t, &got)
		key, err := s.ledger.OrderKey.Current(t.Context())
		if err != nil || got != (wire.Enrolment{Device: "dock-1", Site: "farm", OrderKey: key.Public().String(),
			MQTT: "ssl://cattle.example:8883"}) {
			t.Errorf("enrolled as %+v, %v", got, err)
		}
		var k orderkey.Public
		if err := k.UnmarshalText([]byte(got.OrderKey)); err != nil {
			t.Error(err)
		}
	}
	s.enrol(code.Code, stationToken(2)).wantProblem(t, http.StatusUnauthorized, "unauthorised")
	if r := s.do("GET", "/api/v1/footage", stationToken(1)); r.status != http.StatusOK {
		t.Errorf("the token of the station: %d %s", r.status, r.body)
	}
	var log wire.Page[wire.AuditEntry]
	s.do("GET", "/api/v1/audit?subject=dock-1", "", root...).decode(t, &log)
	var did []string
	for _, e := range log.Items {
		did = append(did, e.Who+": "+e.Action)
	}
	if want := []string{"dock-1: enrol station", "root: enrolment code"}; !slices.Equal(did, want) {
		t.Errorf("audit %v, want %v", did, want)
	}
}

// Who guesses codes waits.
func TestGuessedEnrolments(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading, o.Guesses, o.Now = false, 5, standing() })
	limited := 0
	for range 20 {
		if s.enrol("AAAA-BBBB-CCCC", stationToken(1)).status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 15 {
		t.Errorf("%d of 20 guesses were slowed down, want 15", limited)
	}
}
