package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/edge/doctor"
	"cattlecounter/edge/status"
)

// The doctor works with and without a running agent.
func TestDoctor(t *testing.T) {
	s := newStation(t)
	s.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/healthz" {
			_, _ = w.Write([]byte(`{"status":"ok"}`))
		}
		return r.URL.Path == "/healthz"
	}
	s.film("a.mp4", 1<<20)
	ask := func(want int) doctor.Report {
		t.Helper()
		code, out, errs := program(t, "doctor", "-c", s.config, "--json", "--ntp=")
		var r doctor.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != want || r.V != doctor.ReportVersion {
			t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
		}
		return r
	}
	has := func(r doctor.Report, check string, l doctor.Level, text string) {
		t.Helper()
		for _, f := range r.Findings {
			if f.Check == check && f.Level == l && strings.Contains(f.Found, text) {
				return
			}
		}
		t.Errorf("no %s %s %q in %+v", l, check, text, r.Findings)
	}
	r := ask(exitOK)
	has(r, "agent", doctor.Warn, "is not running")
	has(r, "folder", doctor.OK, "1 entries")
	s.start()
	s.until("up", func(status.Status) bool { return true })
	r = ask(exitOK)
	has(r, "agent", doctor.OK, "version devel, running")
	has(r, "disk", doctor.OK, "iB/s") // MiB, and GiB on a fast disk
	has(r, "token", doctor.OK, "accepts the token")
	s.cloud.Lock()
	s.cloud.Token = "cc_other"
	s.cloud.Unlock()
	has(ask(exitFailure), "token", doctor.Fail, "HTTP 401")
	if code, out, errs := program(t, "doctor", "-c", s.config, "--ntp="); code != exitFailure ||
		!strings.Contains(out, "fail  token") || !strings.Contains(errs, "1 of ") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}

func TestConfigFile(t *testing.T) {
	there := filepath.Join(t.TempDir(), "edge-agent.yaml")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ named, station, want string }{
		{"a.yaml", there, "a.yaml"},
		{"", there, there},
		{"", there + ".none", ""},
	} {
		if got := configFile(c.named, c.station); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
