package setup

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// lockedLine is a package with its version and the digest of its file.
var lockedLine = regexp.MustCompile(`^([A-Za-z0-9._-]+)==([^ ]+) --hash=sha256:[0-9a-f]{64}$`)

// Every Python package is installed by its digest, and the digests are of the versions that people chose.
func TestPythonPackagesHaveDigests(t *testing.T) {
	locked := map[string]string{}
	for _, list := range []string{"../../cloud/training/locked.txt", "../bench/peers/requirements.txt", "gpu/cuda.txt"} {
		lines := packages(t, list)
		if len(lines) < 5 {
			t.Errorf("%s has %d packages", list, len(lines))
		}
		for _, line := range lines {
			m := lockedLine.FindStringSubmatch(line)
			if m == nil {
				t.Errorf("%s: %q has no digest", list, line)
				continue
			}
			if list == "../../cloud/training/locked.txt" {
				locked[plainName(m[1])] = m[2]
			}
		}
	}
	for _, line := range packages(t, "../../cloud/training/requirements.txt") {
		name, version, _ := strings.Cut(line, "==")
		if locked[plainName(name)] != version {
			t.Errorf("%s: locked.txt has the version %q; deploy/setup/lock.sh makes a new one", line, locked[plainName(name)])
		}
	}
	if script := string(must.Get(os.ReadFile("setup.sh"))(t)); strings.Count(script, "--require-hashes") != 3 {
		t.Error("setup.sh installs Python packages without their digests")
	}
}

// packages are the lines of a list without its comments.
func packages(t *testing.T, path string) (lines []string) {
	t.Helper()
	for line := range strings.Lines(string(must.Get(os.ReadFile(path))(t))) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// plainName is the name of a package as pip compares it.
func plainName(name string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
}
