// Package setup has the scripts that install what building and testing needs; this test runs one of them.
package setup

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A registry that gives no report is never taken for one without vulnerabilities.
func TestAuditOfThePage(t *testing.T) {
	if testing.Short() {
		t.Skip("runs npm several times")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("npm is not installed")
		}
		t.Skip("npm is not installed")
	}
	const advisory = `{"esbuild":[{"id":7,"url":"https://example.org/7","title":"A made-up fault","severity":"high",` +
		`"vulnerable_versions":">=0.0.1","cwe":[],"cvss":{"score":0,"vectorString":null}}]}`
	for name, c := range map[string]struct {
		status   int
		answer   string
		required bool
		code     int
		says     string
	}{
		"nothing known":        {200, `{}`, true, 0, "none in the"},
		"something known":      {200, advisory, false, 1, "A made-up fault https://example.org/7"},
		"refused":              {405, ``, false, 0, "NOT CHECKED"},
		"refused and required": {405, ``, true, 3, "NOT CHECKED"},
		"another answer":       {200, `<html>`, true, 3, "NOT CHECKED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				switch {
				case strings.HasSuffix(r.URL.Path, "/security/advisories/bulk"):
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.answer)
				case strings.Contains(r.URL.Path, "/security/"):
					w.WriteHeader(http.StatusNotFound)
				default: // the manifest of a package with an advisory
					_, _ = io.WriteString(w, `{"name":"esbuild","dist-tags":{"latest":"9.9.9"},"versions":{"9.9.9":{"name":"esbuild","version":"9.9.9"}}}`)
				}
			}))
			defer registry.Close()
			cmd := exec.CommandContext(t.Context(), "./npmaudit.sh")
			if c.required {
				cmd.Args = append(cmd.Args, "--required")
			}
			cmd.Env = append(os.Environ(), "npm_config_registry="+registry.URL, "npm_config_cache="+t.TempDir(), "npm_config_fetch_retries=0",
				"npm_config_update_notifier=false")
			out, _ := cmd.CombinedOutput() // its exit code says more than the error
			if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, c.code, c.says, out)
			}
			if c.code != 0 || strings.Contains(c.says, "NOT") {
				if strings.Contains(string(out), "none in the") {
					t.Errorf("the script says that there is none:\n%s", out)
				}
			}
		})
	}
}
