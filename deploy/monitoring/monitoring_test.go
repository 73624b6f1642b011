package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/testserver"
)

// sometimes are metrics that have series only while a station is known, with TLS, or after a count; tests of cloud/server
// hold their names.
var sometimes = []string{"cattle_site_animals", "cattle_site_animals_low", "cattle_site_animals_high", "cattle_site_count_timestamp_seconds",
	"cattle_paddock_animals", "cattle_paddock_animals_low", "cattle_paddock_animals_high",
	"cattle_paddock_count_timestamp_seconds", "cattle_certificate_expires_timestamp_seconds", "cattle_station_alarm", "cattle_station_last_seen_timestamp_seconds", "cattle_station_online",
	"cattle_station_spool_used_ratio", "cattle_station_waiting_bytes"}

// rule is an alert or a recording.
type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	b, err := os.ReadFile("rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestMetricsExist compares every metric of the rules and of the board with what a running server has.
func TestMetricsExist(t *testing.T) {
	known := slices.Clone(sometimes)
	for line := range strings.Lines(scrape(t)) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" {
			known = append(known, f[2])
		}
	}
	used := map[string]string{} // expression → where
	for _, r := range rules(t) {
		used[r.Expr] = "rules.yml: " + r.Alert + r.Record
		if r.Record != "" {
			known = append(known, r.Record)
		}
	}
	panels := 0
	for _, p := range board(t) {
		panels++
		for _, q := range p.Targets {
			used[q.Expr] = "board: " + p.Title
		}
	}
	if panels < 10 {
		t.Errorf("only %d panels were found", panels)
	}
	name := regexp.MustCompile(`\bcattle[_:][a-z0-9_:]+`)
	series := regexp.MustCompile(`_(bucket|sum|count)$`)
	for expr, where := range used {
		for _, metric := range name.FindAllString(expr, -1) {
			if !slices.Contains(known, metric) && !slices.Contains(known, series.ReplaceAllString(metric, "")) {
				t.Errorf("%s: the server has no metric %s", where, metric)
			}
		}
	}
}

type panel struct {
	Title   string
	Targets []struct{ Expr string }
}

func board(t *testing.T) []panel {
	t.Helper()
	b, err := os.ReadFile("grafana/boards/cattlecounter.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Panels []panel }
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v.Panels
}

// scrape starts a server with a broker and returns its metrics.
func scrape(t *testing.T) string {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.HTTP.Listen, cfg.MQTT.EmbeddedListen = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	cfg.HTTP.MetricsListen = "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan server.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, cfg, server.Options{Ready: func(at server.Addresses) { ready <- at }})
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	var at server.Addresses
	select {
	case at = <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal("the server did not start: ", err)
	}
	l, err := server.OpenLedger(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	token, err := l.Devices.Add(ctx, "eye", "north", ledger.RoleReader)
	if err != nil {
		t.Fatal(err)
	}
	get := func(address string) string {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: HTTP %d, %v", address, resp.StatusCode, err)
		}
		return string(text)
	}
	get(at.HTTP + "/api/v1/jobs") // counters with labels begin with the first request
	return get(at.Metrics + "/metrics")
}

// TestAlertsHaveRunbooks checks severity, runbook and test of every alert.
func TestAlertsHaveRunbooks(t *testing.T) {
	tests, err := os.ReadFile("rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile("../docs/runbooks/README.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := 0
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts++
		book := filepath.Base(r.Annotations["runbook_url"])
		text, err := os.ReadFile(filepath.Join("../..", r.Annotations["runbook_url"]))
		if err != nil || !strings.Contains(string(text), "`"+r.Alert+"`") {
			t.Errorf("%s: its runbook does not name it: %v", r.Alert, err)
		}
		if row := "| `" + r.Alert + "` | " + r.Labels["severity"] + " | [" + book + "](" + book + ") |"; !strings.Contains(string(index), row) {
			t.Errorf("the list of runbooks lacks %s", row)
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" || r.Annotations["summary"] == "" {
			t.Errorf("%s: severity %q, summary %q", r.Alert, s, r.Annotations["summary"])
		}
		if !strings.Contains(string(tests), "alertname: "+r.Alert+"\n") {
			t.Errorf("%s has no test that expects it", r.Alert)
		}
	}
	if alerts < 8 {
		t.Errorf("only %d alerts were found", alerts)
	}
}

// promtool returns a command of promtool. Without it the test is skipped, except in CI.
func promtool(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		program, err = exec.LookPath("../../build/tools/promtool")
	}
	if err != nil {
		testserver.SkipOrFail(t, fmt.Errorf("promtool (deploy/setup/setup.sh test): %w", testserver.ErrNotInstalled))
	}
	return exec.CommandContext(t.Context(), program, args...)
}

// TestRules has promtool check and test the rules, and check the configuration of Prometheus.
func TestRules(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml"}, {"check", "config", "prometheus.yml"}} {
		if out, err := promtool(t, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// TestBoardQueriesParse has promtool read each query of the board as the expression of a rule.
func TestBoardQueriesParse(t *testing.T) {
	type record struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var records []record
	variables := strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1h")
	for _, p := range board(t) {
		for _, q := range p.Targets {
			expr := variables.Replace(q.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: a variable in %q that this test does not know", p.Title, q.Expr)
				continue
			}
			records = append(records, record{fmt.Sprintf("board:query:%d", len(records)), expr})
		}
	}
	type group struct {
		Name  string   `yaml:"name"`
		Rules []record `yaml:"rules"`
	}
	text, err := yaml.Marshal(map[string]any{"groups": []group{{"board", records}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "board.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, text)
	}
}

// TestMetricsKeepConventions has promtool check names, units, types and help of the metrics of a running server.
func TestMetricsKeepConventions(t *testing.T) {
	check := promtool(t, "check", "metrics")
	check.Stdin = strings.NewReader(scrape(t))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
