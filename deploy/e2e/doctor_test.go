package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// doctor returns the level of each check; the worst level where a check has several findings.
func (s *stage) doctor() map[string]string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), filepath.Join(bin, "edge-agent"), "doctor", "--json", "--ntp=", "--config", s.edgecfg).Output()
	var r struct {
		Findings []struct{ Check, Level, Found, Do string }
	}
	if bad := json.Unmarshal(out, &r); bad != nil {
		s.t.Fatalf("doctor: %v, %v: %s", err, bad, out)
	}
	worse := map[string]int{"ok": 1, "warn": 2, "fail": 3}
	levels := map[string]string{}
	for _, f := range r.Findings {
		s.t.Logf("%s %s: %s", f.Level, f.Check, f.Found)
		if worse[f.Level] > worse[levels[f.Check]] {
			levels[f.Check] = f.Level
		}
	}
	return levels
}

// TestDoctor checks the token at the real intake and the account at a real broker, beside an agent that must stay
// connected.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startBroker()
	s.startAPI()
	s.startEdge()
	s.eventually("the agent is connected", time.Minute, func() bool {
		return strings.Contains(s.edge.Tail(8000), "mqtt link up")
	})
	got := s.doctor()
	for _, check := range []string{"config", "agent", "link", "token", "broker"} {
		if got[check] != "ok" {
			t.Errorf("%s: %q", check, got[check])
		}
	}
	if log := s.edge.Tail(1 << 20); strings.Contains(log, "mqtt link down") {
		t.Errorf("the doctor disconnected the agent:\n%s", log)
	}
	if err := s.edge.Stop(time.Minute); err != nil {
		t.Error(err)
	}
	s.edge, s.token = nil, "cc_this-token-does-not-exist"
	s.startEdge()
	got = s.doctor()
	for _, check := range []string{"token", "broker"} {
		if got[check] != "fail" {
			t.Errorf("with an unknown token, %s: %q", check, got[check])
		}
	}
	if got["link"] != "ok" {
		t.Errorf("link: %q", got["link"])
	}
}
