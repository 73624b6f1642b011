package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestNotes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "CHANGELOG.md")
	text := "# Changelog\n\n## Unreleased\n- later\n\n## 1.2.0 (2026-01-01)\n\n### Added\n- one\n\n## [1.1.0]\n- old\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{"1.2.0": "### Added\n- one", "1.1.0": "- old"} {
		out, err := exec.CommandContext(t.Context(), "./notes.sh", version, file).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s: %v\n%s", version, err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), "./notes.sh", "1.2", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no section") {
		t.Errorf("a version without a section: %v\n%s", err, out)
	}
}
